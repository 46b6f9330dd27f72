// The forwarder alone: batches of packets in memory, no device. A batch is made anew before each pass, outside of the
// time that counts. Destinations are drawn at random from all bindings, so that the table's memory is really walked.

import ArgumentParser
import Bindings
import CBenchmark
import Forwarding
import Foundation
import PacketBuffer
import Wire

struct Pipeline: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Nanoseconds a packet of the forwarder alone, without any device.")

    enum Direction: String, CaseIterable, ExpressibleByArgument { case encapsulate, decapsulate }

    @Option(help: "Bindings in the table, each with one /64.") var bindings: [Int] = [1_000]
    @Option(help: "Inner packet, in bytes: 48 to 1280.") var size: [Int] = [64, 1280]
    @Option(help: "encapsulate or decapsulate; both where absent.") var direction: Direction?
    @Option(help: "Tunnel kind.") var encapsulation = "ip-in-ip"
    @Option(help: "Packets in a batch.") var batch = 256
    @Option(help: "Packets a figure is taken over.") var packets = 4_000_000
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard encapsulation == "ip-in-ip" else { throw ValidationError("--encapsulation: only ip-in-ip so far") }
        guard size.allSatisfy({ (48...1280).contains($0) }) else { throw ValidationError("--size is 48 to 1280") }
        guard bindings.allSatisfy({ (1...10_000_000).contains($0) }) else {
            throw ValidationError("--bindings is 1 to 10000000")
        }
        guard (1...4096).contains(batch), (1...1_000_000_000).contains(packets) else {
            throw ValidationError("--batch is 1 to 4096, --packets 1 to 1000000000")
        }
    }

    func run() throws {
        if !output.json { print("direction    bindings   size   ns/packet     Mpps   allocations/packet") }
        for count in bindings {
            let setup = try PipelineSetup(bindings: count)
            for direction in direction.map({ [$0] }) ?? Direction.allCases {
                for size in size { try report(setup, direction, size: size) }
            }
        }
    }

    private func report(_ setup: PipelineSetup, _ direction: Direction, size: Int) throws {
        let figures = try setup.measure(direction, size: size, batch: batch, packets: packets)
        let nanoseconds = figures.nanoseconds / Double(figures.packets)
        let allocations = Double(figures.allocations) / Double(figures.packets)
        if output.json {
            print(
                """
                {"bench":"pipeline","direction":"\(direction)","encapsulation":"\(encapsulation)",\
                "bindings":\(setup.count),"size":\(size),"ns_per_packet":\(rounded(nanoseconds)),\
                "mpps":\(rounded(1_000 / nanoseconds)),"allocations_per_packet":\(rounded(allocations))}
                """)
        } else {
            print(
                "\(direction)".padding(toLength: 11, withPad: " ", startingAt: 0)
                    + String(
                        format: "%10d %6d %11.1f %8.2f %20.3f", setup.count, size, nanoseconds,
                        1_000 / nanoseconds, allocations))
        }
    }

    private func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }
}

/// A table of bindings, and random packets for it.
final class PipelineSetup {
    let count: Int
    private let table: BindingTable
    private let endpoint = IPv4Address("192.0.2.1")!

    struct Figures {
        var nanoseconds = 0.0
        var packets = 0
        var allocations: UInt64 = 0
    }

    init(bindings: Int) throws {
        count = bindings
        var configuration = BindingTable.Configuration()
        configuration.bindingLimit = bindings
        configuration.prefixLimit = bindings
        configuration.endpoint = endpoint
        table = try BindingTable(configuration)
        _ = try table.put(
            (0..<bindings).map {
                Binding(id: "mn\($0)", careOfAddress: Self.careOf($0), prefixes: [BoundPrefix(Self.prefix($0))])
            },
            now: 0)
    }

    /// Spread over 2000::/3 by a multiplicative hash, as prefixes of many operators would be.
    private static func prefix(_ index: Int) -> IPv6Prefix {
        let bits = UInt64(index) &* 0x9E37_79B9_7F4A_7C15
        return IPv6Prefix(containing: IPv6Address(high: 0x2000_0000_0000_0000 | bits >> 3, low: 0), length: 64)
    }

    private static func careOf(_ index: Int) -> IPv4Address {
        IPv4Address(rawValue: 0x0A00_0000 + UInt32(truncatingIfNeeded: index) & 0x00FF_FFFF)
    }

    func measure(_ direction: Pipeline.Direction, size: Int, batch capacity: Int, packets: Int) throws -> Figures {
        var pool = try PacketPool(slotCount: capacity, packetCapacity: 2048 - PacketPool.headroom)
        var batch = PacketBatch(capacity: capacity)
        var settings = ForwarderSettings()
        settings.endpoints = [endpoint]
        var forwarder = Forwarder(reading: table.reader, settings: settings, batchCapacity: capacity)
        var figures = Figures()
        var random = SystemRandomNumberGenerator()
        let slots = (0..<capacity).map { _ in pool.take()! }
        while figures.packets < packets {
            batch.removeAll()
            for slot in slots {
                let node = Int.random(in: 0..<count, using: &random)
                let start = pool.packetStart(slot)
                let length = Self.write(direction, node: node, size: size, endpoint: endpoint, to: start)
                batch.append(
                    Packet(
                        start: start, length: length, slot: slot, ingress: direction == .encapsulate ? .home : .access))
            }
            let allocations = mooring_allocation_count()
            let begin = ContinuousClock.now
            forwarder.process(&batch, now: 0)
            let elapsed = ContinuousClock.now - begin
            figures.allocations += mooring_allocation_count() - allocations
            figures.nanoseconds +=
                Double(elapsed.components.attoseconds) / 1e9 + Double(elapsed.components.seconds) * 1e9
            figures.packets += batch.count
        }
        forwarder.publishCounters()
        let counters = forwarder.published.read()
        let expected = direction == .encapsulate ? counters.transmitted.access : counters.transmitted.home
        precondition(expected == UInt64(figures.packets), "every packet of the benchmark passes")
        return figures
    }

    private static func write(
        _ direction: Pipeline.Direction, node: Int, size: Int, endpoint: IPv4Address, to start: UnsafeMutableRawPointer
    ) -> Int {
        let inner = IPv6Address(high: prefix(node).address.high, low: 1)
        let other = IPv6Address(high: 0x2001_0db8_ffff_0000, low: 1)
        var header = IPv6Header(
            nextHeader: IPProtocol.udp, source: direction == .encapsulate ? other : inner,
            destination: direction == .encapsulate ? inner : other)
        header.payloadLength = UInt16(size - IPv6.headerLength)
        guard direction == .decapsulate else {
            header.write(to: start)
            return size
        }
        var outer = IPv4Header(protocol: IPProtocol.ipv6, source: careOf(node), destination: endpoint)
        outer.totalLength = UInt16(IPv4.minimumHeaderLength + size)
        outer.write(to: start)
        header.write(to: start + IPv4.minimumHeaderLength)
        return IPv4.minimumHeaderLength + size
    }
}

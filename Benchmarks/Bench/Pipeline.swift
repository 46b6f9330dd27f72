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
        abstract: "Nanoseconds a packet of the forwarder alone, without any device.",
        discussion: """
            Examples:
              swift run Bench pipeline
              swift run Bench pipeline --bindings 1000000 --layout operator --layout spread
              swift run Bench pipeline --encapsulation gre --inner ipv4 --bindings 1000000
              swift run Bench pipeline --all-tunnels --size 64 --json
              swift run Bench pipeline --push --direction encapsulate --size 64
            """)

    enum Direction: String, CaseIterable, ExpressibleByArgument { case encapsulate, decapsulate }

    @Option(help: "Bindings in the table, each with a home address and two /64.") var bindings: [Int] = [1_000]
    @Option(help: "Inner packet, in bytes: 48 to 1280.") var size: [Int] = [64, 1280]
    @Option(help: "encapsulate or decapsulate; both where absent.") var direction: Direction?
    @Option(help: "Tunnel kind: ip-in-ip, gre, minimal or udp.") var encapsulation = Encapsulation.ipInIP
    @Option(help: "Whose packets: ipv4, ipv6 (to the care-of address) or ipv6-home-address.")
    var inner = PipelinePackets.Inner.ipv6
    @Flag(help: "Every tunnel kind with every kind of packet that it carries.") var allTunnels = false
    @Flag(
        help: ArgumentHelp(
            "As where super-frames leave whole: the forwarder looks for packets that it can join.",
            discussion: "Each packet of a batch is of a flow of its own, so that there are none."))
    var push = false
    @Option(
        help: "Where the prefixes lie: in one operator's /32 as those of Bench lpm, or spread over all of 2000::/3.")
    var layout: [PrefixLayout] = [.operator]
    @Option(help: "Packets in a batch.") var batch = 256
    @Option(help: "Packets a figure is taken over.") var packets = 4_000_000
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard allTunnels || inner.isCarried(by: encapsulation) else {
            throw ValidationError("minimal encapsulation never carries IPv6 to the care-of address (RFC 5454, 3.3.2)")
        }
        guard size.allSatisfy({ (48...1280).contains($0) }) else { throw ValidationError("--size is 48 to 1280") }
        guard bindings.allSatisfy({ (1...10_000_000).contains($0) }) else {
            throw ValidationError("--bindings is 1 to 10000000")
        }
        guard (1...4096).contains(batch), (1...1_000_000_000).contains(packets) else {
            throw ValidationError("--batch is 1 to 4096, --packets 1 to 1000000000")
        }
    }

    func run() throws {
        if !output.json {
            print(
                "direction   tunnel    inner            layout     bindings   size   ns/packet     Mpps   allocations/packet"
            )
        }
        for kind in allTunnels ? Encapsulation.allCases : [encapsulation] {
            for (count, layout) in bindings.flatMap({ count in layout.map { (count, $0) } }) {
                let setup = try PipelineSetup(bindings: count, layout, encapsulation: kind)
                for inner in allTunnels ? PipelinePackets.Inner.allCases : [inner] where inner.isCarried(by: kind) {
                    for direction in direction.map({ [$0] }) ?? Direction.allCases {
                        for size in size { try report(setup, inner, direction, size: size) }
                    }
                }
            }
        }
    }

    private func report(
        _ setup: PipelineSetup, _ inner: PipelinePackets.Inner, _ direction: Direction, size: Int
    ) throws {
        let figures = try setup.measure(
            direction, inner, size: size, batch: batch, packets: packets, pushes: push)
        let nanoseconds = figures.nanoseconds / Double(figures.packets)
        let allocations = Double(figures.allocations) / Double(figures.packets)
        if output.json {
            print(
                """
                {"bench":"pipeline","direction":"\(direction)","encapsulation":"\(setup.encapsulation.rawValue)",\
                "inner":"\(inner.rawValue)","layout":"\(setup.layout.rawValue)","bindings":\(setup.count),"size":\(size),\
                "ns_per_packet":\(rounded(nanoseconds)),"mpps":\(rounded(1_000 / nanoseconds)),\
                "allocations_per_packet":\(rounded(allocations))}
                """)
        } else {
            func padded(_ text: String, _ width: Int) -> String {
                text.padding(toLength: width, withPad: " ", startingAt: 0)
            }
            print(
                padded("\(direction)", 12) + padded(setup.encapsulation.rawValue, 10) + padded(inner.rawValue, 17)
                    + padded(setup.layout.rawValue, 9)
                    + String(
                        format: "%10d %6d %11.1f %8.2f %20.3f", setup.count, size, nanoseconds,
                        1_000 / nanoseconds, allocations))
        }
    }

    private func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }
}

extension Encapsulation: ExpressibleByArgument {}
extension PipelinePackets.Inner: ExpressibleByArgument {}

/// A table of bindings.
final class PipelineSetup {
    let count: Int
    let layout: PrefixLayout
    let encapsulation: Encapsulation
    private let prefixes: [IPv6Prefix]
    private let table: BindingTable

    struct Figures {
        var nanoseconds = 0.0
        var packets = 0
        var allocations: UInt64 = 0
    }

    init(bindings: Int, _ layout: PrefixLayout, encapsulation: Encapsulation) throws {
        count = bindings
        self.layout = layout
        let prefixes = layout.prefixes(2 * bindings)
        self.prefixes = prefixes
        self.encapsulation = encapsulation
        var configuration = BindingTable.Configuration()
        configuration.bindingLimit = bindings
        configuration.prefixLimit = bindings * 2
        configuration.endpoint = PipelinePackets.endpoint
        table = try BindingTable(configuration)
        _ = try table.put((0..<bindings).map { PipelinePackets.binding($0, encapsulation, prefixes) }, now: 0)
    }

    func measure(
        _ direction: Pipeline.Direction, _ inner: PipelinePackets.Inner, size: Int, batch capacity: Int, packets: Int,
        pushes: Bool
    ) throws -> Figures {
        var pool = try PacketPool(slotCount: capacity, packetCapacity: 2048 - PacketPool.headroom)
        var batch = PacketBatch(capacity: capacity)
        var settings = ForwarderSettings()
        settings.endpoints = [PipelinePackets.endpoint]
        (settings.sendsSuperFrames, settings.joinsDatagrams) = (pushes, pushes)
        var forwarder = Forwarder(reading: table.reader, settings: settings, batchCapacity: capacity)
        let maker = PipelinePackets(
            encapsulation: encapsulation, inner: inner, prefixes: prefixes, size: size)
        var figures = Figures()
        // A linear congruential generator (Knuth, MMIX): one that asks the kernel would empty the caches meanwhile.
        var random: UInt64 = 1
        let slots = (0..<capacity).map { _ in pool.take()! }
        while figures.packets < packets {
            batch.removeAll()
            for slot in slots {
                random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let node = (Int(random >> 32) * count) >> 32
                let start = pool.packetStart(slot)
                let length =
                    direction == .encapsulate
                    ? maker.writeToNode(node, flow: UInt16(truncatingIfNeeded: slot), at: start)
                    : maker.writeFromNode(node, at: start)
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
}

// Fragments that a packet is sent in, many at a time. Their bytes one by one are scapy's (TunnelTests, golden cases).

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Fragmentation")
struct FragmentationTests {
    /// An IPv4 packet to a node that may be fragmented.
    private static func packet(to destination: IPv4Address, length: Int, identification: UInt16) -> Given {
        var header = IPv4Header(
            protocol: 17, source: IPv4Address("192.0.2.200")!, destination: destination)
        header.totalLength = UInt16(length)
        header.identification = identification
        var bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 / 8 + Int(identification)) }
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        return .home(bytes)
    }

    @Test(
        "T10 more fragments than a batch has room for leave in more than one turn, as they do from batches of one",
        arguments: ["direct", "gre-sequence", "minimal"])
    func many(_ name: String) throws {
        let table = try TunnelVectors.makeTable()
        let home = try #require(table.state(of: name, now: 0)?.binding.homeAddress)
        let packets = (0..<24).map { number in
            Self.packet(to: home, length: number % 3 == 2 ? 60 : 65_000 - number, identification: UInt16(number))
        }
        let together = try TestForwarder(TunnelVectors.makeTable())
        let outcomes = together.process(packets)
        #expect(together.resumptions > 0)
        var sent: [Outcome] = []
        for (place, outcome) in outcomes.enumerated() {
            sent += together.generated.filter { $0.place == place }.map(\.outcome) + [outcome]
        }
        let alone = try TestForwarder(table)
        var expected: [Outcome] = []
        for packet in packets {
            let last = alone.process(packet)
            expected += alone.generated.map(\.outcome) + [last]
            #expect(alone.resumptions == 0)
        }
        #expect(sent == expected)
        #expect(together.counters == alone.counters)
        #expect(together.counters.isConserved)
        let traffic = try #require(together.table.state(of: name, now: 0)).traffic
        #expect((traffic.packetsToNode, traffic.bytesToNode) == (24, packets.reduce(0) { $0 + UInt64($1.bytes.count) }))
    }

    @Test("T7 datagrams that were never whole are counted: by age, by contradiction, by those that came after them")
    func failures() throws {
        var settings = TestForwarder.settings
        settings.reassembly.datagrams = 2
        settings.reassembly.age = 1000
        let forwarder = try TestForwarder(settings: settings)
        let node = IPv4Address("203.0.113.9")!
        let inner = EncapsulationPackets.from("2001:db8:1::9", length: 100)
        func fragments(_ identification: UInt16) -> [Given] {
            EncapsulationPackets.fragments(of: inner, source: node, size: 64, identification: identification)
                .map { .access($0) }
        }
        #expect(forwarder.process(fragments(1)[0], now: 0) == .released)
        #expect(forwarder.process(fragments(2)[0], now: 1) == .released)
        #expect(forwarder.counters.reassemblyFailures == 0)
        // A third one takes the place of the first.
        #expect(forwarder.process(fragments(3)[1], now: 2) == .released)
        #expect(forwarder.counters.reassemblyFailures == 1)
        #expect(forwarder.process(fragments(2)[1], now: 3) == .home(inner))
        #expect(forwarder.process(fragments(3)[1], now: 3) == .released)
        #expect(forwarder.dropped == [.fragmentDuplicate: 1])
        #expect(forwarder.process(fragments(3)[0], now: 1001) == .home(inner))
        #expect(forwarder.counters.reassemblyFailures == 1)
        #expect(forwarder.process(fragments(4)[0], now: 2000) == .released)
        #expect(forwarder.process(fragments(4)[1], now: 3000) == .released)
        #expect(forwarder.counters.reassemblyFailures == 2)
        #expect(forwarder.counters.absorbed == 5)
        #expect(forwarder.counters.isConserved)
    }

    @Test("T10 a fragment that would end behind where a datagram can is dropped, not wrapped round")
    func pastTheEnd() throws {
        let forwarder = try TestForwarder(TunnelVectors.makeTable())
        func fragment(offset: UInt16, length: Int) -> Given {
            var header = IPv4Header(
                protocol: 17, source: IPv4Address("198.18.0.1")!, destination: IPv4Address("198.51.100.1")!)
            header.totalLength = UInt16(length)
            var bytes = [UInt8](repeating: 0, count: length)
            bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
            bytes.replaceSubrange(6..<8, with: [UInt8(offset >> 8), UInt8(offset & 0xFF)])
            PacketMutation.mendIPv4Checksum(&bytes)
            return .home(bytes)
        }
        #expect(forwarder.process(fragment(offset: 8100, length: 3000)) == .released)
        #expect(forwarder.dropped == [.fragmentLength: 1])
        // The last that fits.
        #expect(forwarder.process(fragment(offset: 7800, length: 3000)) != .released)
        #expect(forwarder.generated.count == 2)
    }

    @Test("P1 T2 a binding can't have the address of the tunnel's own end")
    func ownEnd() throws {
        let table = try TunnelVectors.makeTable()
        var binding = try #require(table.state(of: "direct", now: 0)?.binding)
        let before = binding
        binding.prefixes.append(
            BoundPrefix(
                .host(IPv6Address(linkLocalOf: IPv4Address(ForwardingVectors.all.endpoint)!)), tunnel: .homeAddress))
        #expect(throws: BindingTableError.self) { try table.put([binding], now: 0) }
        binding = before
        binding.homeAddress = IPv4Address(ForwardingVectors.all.endpoint)!
        #expect(throws: BindingTableError.self) { try table.put([binding], now: 0) }
        #expect(table.state(of: "direct", now: 0)?.binding == before)
    }
}

// Multicast groups and their members: who gets a copy, in which order, by which header, and what changes it. The bytes
// of copies in each kind of tunnel are scapy's in the golden cases; here it is who gets them.

import Bindings
import Forwarding
import PacketBuffer
import PrefixTable
import TestSupport
import Testing
import Wire

@Suite("Multicast groups")
struct GroupTests {
    static let group = IPv6Address("ff3e::1234")!
    private let table: BindingTable
    private let forwarder: TestForwarder

    init() throws {
        table = try TunnelVectors.makeTable()
        forwarder = try TestForwarder(table)
    }

    /// A packet of `length` bytes to a group.
    static func packet(_ group: IPv6Address = group, length: Int = 60) -> [UInt8] {
        var header = IPv6Header(nextHeader: 59, source: IPv6Address("2001:db8:cccc::5")!, destination: group)
        header.payloadLength = UInt16(length - 40)
        var bytes = [UInt8](repeating: 0xA5, count: length)
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        return bytes
    }

    /// The last byte of each care-of address that got a copy, in their order.
    private func reached(_ packet: [UInt8] = packet()) -> [UInt8] {
        let last = forwarder.process(.home(packet))
        let outcomes = forwarder.generated.map(\.outcome) + [last]
        #expect(forwarder.counters.isConserved)
        return outcomes.compactMap { outcome in
            guard case .access(let bytes) = outcome else { return nil }
            #expect(bytes.suffix(packet.count) == packet[...], "a copy is the packet")
            return bytes[19]
        }
    }

    private func failure(_ ids: [String], of group: IPv6Address = group) -> BindingTableError? {
        error { () throws(BindingTableError) in try table.join(group, ids) }
    }

    @Test("H15 members get a copy in the order in which they joined, others none, and nobody where there is no member")
    func order() throws {
        #expect(reached() == [])
        #expect(forwarder.dropped == [.noGroupMember: 1])
        #expect(try table.join(Self.group, ["udp", "direct"]) == 2)
        #expect(reached() == [6, 1])
        #expect(try table.join(Self.group, ["gre"]) == 1)
        #expect(reached() == [6, 1, 2])
        // Who is a member stays where it is.
        #expect(try table.join(Self.group, ["gre", "direct", "pipe", "pipe"]) == 1)
        #expect(reached() == [6, 1, 2, 7])
        #expect(reached(Self.packet(IPv6Address("ff3e::1235")!)) == [])
        #expect(table.groups().map(\.address) == [Self.group])
        #expect(table.groups().map(\.members) == [["udp", "direct", "gre", "pipe"]])
        #expect((table.groupCount, table.memberCount) == (1, 4))
    }

    @Test("H15 who leaves gets no more: the first, one between, the last, all; and joins again as the last")
    func leave() throws {
        try table.join(Self.group, ["direct", "gre", "gre-key", "udp", "pipe"])
        for (leaving, left) in [("direct", [2, 3, 6, 7]), ("gre-key", [2, 6, 7]), ("pipe", [2, 6])]
            as [(String, [UInt8])]
        {
            #expect(table.leave(Self.group, [leaving]) == 1)
            #expect(reached() == left)
        }
        #expect(table.leave(Self.group, ["direct", "nobody"]) == 0)
        #expect(table.leave(IPv6Address("ff3e::9")!, ["gre"]) == 0)
        try table.join(Self.group, ["direct", "pipe"])
        #expect(reached() == [2, 6, 1, 7])
        #expect(table.leave(Self.group, ["gre", "udp", "direct", "pipe"]) == 4)
        #expect(reached() == [])
        #expect((table.groupCount, table.memberCount) == (0, 0))
        try table.join(Self.group, ["udp"])
        #expect(reached() == [6])
    }

    @Test("H15 a member that moves gets its copies where it is, in every group, and by the way that its binding has")
    func move() throws {
        let other = IPv6Address("ff05::1")!
        try table.join(Self.group, ["gre", "direct"])
        try table.join(other, ["direct"])
        var binding = try #require(table.state(of: "direct", now: 0)?.binding)
        binding.careOfAddress = IPv4Address("203.0.113.77")!
        _ = try table.put([binding], now: 0)
        #expect(reached() == [2, 77])
        #expect(reached(Self.packet(other)) == [77])
        // From the tunnel of the care-of address into that of the home address, which is two headers.
        #expect(forwarder.process(.home(Self.packet(other))).bytes?.count == 60 + 20)
        binding.prefixes.removeAll { $0.tunnel == .careOf }
        _ = try table.put([binding], now: 0)
        #expect(forwarder.process(.home(Self.packet(other))).bytes?.count == 60 + 40)
        // Without a way for IPv6 it is still a member, and gets none.
        binding.prefixes = []
        binding.homeAddress = nil
        binding.encapsulation = .minimal
        _ = try table.put([binding], now: 0)
        #expect(reached() == [2])
        #expect(reached(Self.packet(other)) == [])
        #expect(table.groups().map(\.members) == [["direct"], ["gre", "direct"]])
    }

    @Test("H15 H5 D1 a binding that goes, by removal, by its lifetime or by another's, is a member of nothing")
    func removal() throws {
        try table.join(Self.group, ["direct", "gre", "udp"])
        try table.join(IPv6Address("ff05::1")!, ["direct"])
        _ = table.remove(["direct"])
        #expect(reached() == [2, 6])
        #expect(table.groupCount == 1)
        var binding = try #require(table.state(of: "gre", now: 0)?.binding)
        binding.lifetime = 5
        _ = try table.put([binding], now: 0)
        #expect(reached() == [2, 6])
        _ = table.expire(now: 5_000_000_000)
        #expect(reached() == [6])
        var successor = try #require(table.state(of: "udp", now: 0)?.binding)
        successor.id = "successor"
        _ = try table.put([successor], superseding: ["udp"], now: 0)
        #expect(reached() == [])
        // A binding that comes back has left.
        _ = try table.put([binding], now: 5_000_000_000)
        #expect(reached() == [])
        #expect((table.groupCount, table.memberCount) == (0, 0))
    }

    @Test("H15 what is no group, nobody, or who can't be a member is refused as a whole, with a sentence that says why")
    func errors() throws {
        for address in ["2001:db8::1", "ff00::1", "ff01::1", "ff11::1", "::", "fe80::1"] {
            let address = try #require(IPv6Address(address))
            #expect(failure(["direct"], of: address) == .notAGroup(address))
        }
        #expect(failure(["direct", "nobody"]) == .notBound("nobody"))
        var binding = Binding("bare", at: 40, [], endpoint: "192.0.2.1")
        binding.encapsulation = .minimal
        _ = try table.put([binding], now: 0)
        #expect(failure(["direct", "bare"]) == .carriesNoMulticast("bare"))
        #expect(failure(["bare"])?.description.contains("minimal encapsulation never carries IPv6") == true)
        #expect(table.memberCount == 0)
        #expect(reached() == [])
        for address in ["ff02::1", "ff05::1", "ff0e::1", "ff3e::1", "ff0f::1"] {
            #expect(try table.join(IPv6Address(address)!, ["direct"]) == 1)
        }
    }

    @Test("H15 there are no more members than the limit, over all groups, and a table can be filled anew for ever")
    func limit() throws {
        var configuration = BindingTable.Configuration()
        configuration.endpoint = IPv4Address("192.0.2.1")
        configuration.memberLimit = 3
        let table = try BindingTable(configuration)
        _ = try table.put((1...4).map { Binding("\($0)", at: UInt32($0), ["2001:db8:\($0)::/48"]) }, now: 0)
        let other = IPv6Address("ff05::1")!
        try table.join(Self.group, ["1", "2"])
        let refusal = error { () throws(BindingTableError) in try table.join(other, ["1", "2"]) }
        #expect(refusal == .tooManyMembers(limit: 3))
        #expect(refusal?.description == "groups may have no more than 3 members together: raise --max-members")
        #expect(table.memberCount == 2)
        try table.join(other, ["1"])
        #expect(try table.join(Self.group, ["1", "2"]) == 0)
        for step in 0..<20_000 {
            let id = "\(step % 3 + 1)"
            table.leave(other, ["1", "2", "3"])
            try table.join(other, [id])
        }
        #expect(table.groups().map(\.members) == [["2"], ["1", "2"]])
    }

    @Test("H15 T4 a member whose tunnel is too small gets none, and the source is told once")
    func tooBig() throws {
        var binding = try #require(table.state(of: "udp", now: 0)?.binding)
        binding.tunnelMTU = 1400
        _ = try table.put([binding], now: 0)
        try table.join(Self.group, ["direct", "udp", "gre"])
        #expect(reached(Self.packet(length: 1400)) == [6])
        #expect(forwarder.dropped == [.packetTooBig: 2])
        #expect(forwarder.counters.generated == BySide(home: 1, access: 2))
        #expect(forwarder.counters.suppressedErrors == 0)
        #expect(forwarder.counters.isConserved)
    }

    @Test("H15 what each member was sent counts as its traffic")
    func traffic() throws {
        try table.join(Self.group, ["direct", "minimal"])
        _ = reached(Self.packet(length: 100))
        _ = reached(Self.packet(length: 50))
        for id in ["direct", "minimal"] {
            let traffic = try #require(table.state(of: id, now: 0)).traffic
            #expect((traffic.packetsToNode, traffic.bytesToNode) == (2, 150))
        }
        #expect(table.state(of: "gre", now: 0)?.traffic == BindingTraffic())
    }

    /// A table with so many bindings that all are members of the group.
    private static func crowd(_ count: Int) throws -> BindingTable {
        let table = try BindingTable.make(bindingLimit: count, prefixLimit: count)
        _ = try table.put(
            (0..<count).map { Binding("\($0)", at: UInt32($0), ["2001:db8:1:\(String($0, radix: 16))::/64"]) }, now: 0)
        try table.join(group, (0..<count).map { "\($0)" })
        return table
    }

    @Test("fragments that are held behind a packet with more copies than there is room for give their slots back")
    func heldFragments() throws {
        let table = try Self.crowd(700)
        let forwarder = try TestForwarder(table)
        // By the home address, in GRE with a number, of a node that nobody knows.
        let fragments = try [UInt16(1), 2].map { number -> Given in
            var inner = IPv4Header(
                protocol: IPProtocol.ipv6, source: try #require(IPv4Address("198.51.100.99")),
                destination: try #require(IPv4Address("192.0.2.1")))
            (inner.totalLength, inner.identification) = (36, number)
            var bytes = [UInt8](repeating: 0, count: 64)
            bytes.withUnsafeMutableBytes { memory in
                let start = memory.baseAddress!
                inner.write(to: start + 28)
                start.storeNetwork(UInt16(0x2000), at: 28 + IPv4.Offset.fragment)
                IPv4Header.writeChecksum(at: start + 28)
                var gre = GREHeader(protocolType: GRE.ipv4)
                gre.sequence = 0
                gre.write(to: start + 20)
                var outer = IPv4Header(
                    protocol: IPProtocol.gre, source: IPv4Address("203.0.113.200")!,
                    destination: IPv4Address("192.0.2.1")!)
                outer.totalLength = 64
                outer.write(to: start)
            }
            return .access(bytes)
        }
        // That no packet of the batch stays unfinished is asked of every batch.
        let outcomes = forwarder.process([.home(Self.packet())] + fragments)
        #expect(forwarder.resumptions == 1)
        #expect(outcomes.dropFirst().allSatisfy { $0 == .released })
        #expect(forwarder.counters.absorbed == 2)
    }

    @Test(
        "H15 a group of more members than a batch has room for: each gets one copy, in order, in more than one turn",
        arguments: [(512, 0), (513, 0), (514, 1), (1025, 1), (1026, 2), (2000, 3)])
    func many(_ count: Int, _ resumptions: Int) throws {
        let table = try Self.crowd(count)
        let forwarder = try TestForwarder(table, firstIdentification: 1)
        let unicast = Given.home(EncapsulationPackets.to("2001:db8:1:7::1"))
        let outcomes = forwarder.process([unicast, .home(Self.packet()), unicast])
        #expect(forwarder.resumptions == resumptions)
        #expect(forwarder.generated.allSatisfy { $0.place == 1 })
        let copies = forwarder.generated.map(\.outcome) + [outcomes[1]]
        let careOf = copies.compactMap { $0.bytes.map { Array($0[16..<20]) } }
        let expected: [[UInt8]] = (0..<count).map { number in [203, 0, UInt8(113 + number / 256), UInt8(number % 256)] }
        #expect(careOf == expected)
        // The packet in front comes first, the one behind last.
        #expect(outcomes[0].bytes?[4..<6] == [0, 1])
        // To the same member, which got a copy between them.
        #expect(outcomes[2].bytes?[4..<6] == [0, 3])
        let counters = forwarder.counters
        #expect(counters.received.home == 3)
        #expect(counters.generated.access == UInt64(count - 1))
        #expect(counters.transmitted.access == UInt64(count + 2))
        #expect(counters.isConserved)
    }

    @Test("H15 T7 datagrams that were put together stay whole while copies take several turns")
    func besideFragments() throws {
        let table = try Self.crowd(1200)
        let forwarder = try TestForwarder(table)
        let inner = EncapsulationPackets.from("2001:db8:1:7::1", length: 1900)
        let fragments = EncapsulationPackets.fragments(
            of: inner, source: IPv4Address(rawValue: 0xCB00_7107), size: 1000)
        let outcomes = forwarder.process([.home(Self.packet(length: 1000))] + fragments.map { .access($0) })
        #expect(forwarder.resumptions > 0)
        #expect(outcomes.last == .home(inner))
        #expect(outcomes.count { $0 == .released } == fragments.count - 1)
        #expect(forwarder.counters.isConserved)
    }
}

/// Packets in few words.
enum EncapsulationPackets {
    /// An IPv6 packet to an address.
    static func to(_ destination: String) -> [UInt8] {
        packet(from: "2001:db8:cccc::5", to: destination, length: 60)
    }

    /// An IPv6 packet from an address.
    static func from(_ source: String, length: Int) -> [UInt8] {
        packet(from: source, to: "2001:db8:cccc::5", length: length)
    }

    private static func packet(from source: String, to destination: String, length: Int) -> [UInt8] {
        var header = IPv6Header(
            nextHeader: 59, source: IPv6Address(source)!, destination: IPv6Address(destination)!)
        header.payloadLength = UInt16(length - 40)
        var bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        return bytes
    }

    /// The fragments of a packet in protocol 41, each of `size` bytes of payload, a multiple of 8.
    static func fragments(
        of inner: [UInt8], source: IPv4Address, size: Int, identification: UInt16 = 7
    ) -> [[UInt8]] {
        stride(from: 0, to: inner.count, by: size).map { start in
            let payload = inner[start..<min(start + size, inner.count)]
            var header = IPv4Header(
                protocol: 41, source: source, destination: IPv4Address(ForwardingVectors.all.endpoint)!)
            header.identification = identification
            header.totalLength = UInt16(20 + payload.count)
            var bytes = [UInt8](repeating: 0, count: 20)
            bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
            let field = UInt16(start / 8) | (start + size < inner.count ? 0x2000 : 0)
            bytes.replaceSubrange(6..<8, with: [UInt8(field >> 8), UInt8(field & 0xFF)])
            PacketMutation.mendIPv4Checksum(&bytes)
            return bytes + payload
        }
    }
}

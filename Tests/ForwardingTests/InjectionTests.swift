// Packets from the control plane; in tunnels they are scapy's (Tests/Vectors/tunnels.py).

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Packets from the control plane")
struct InjectionTests {
    static let vectors = TunnelVectors.all
    /// Into the tunnels by which the control plane's packets go: IPv6 by way of the home address.
    static let passages = vectors.encapsulation.filter { !$0.name.contains("to the care-of address") }

    private let table: BindingTable
    private let forwarder: TestForwarder
    private var queue: InjectQueue { forwarder.forwarder.injections }

    init() throws {
        table = try TunnelVectors.makeTable()
        forwarder = try TestForwarder(table)
    }

    private func put(_ bytes: [UInt8], to side: Side, limit: Int = 65_535) -> InjectError? {
        failure { () throws(InjectError) in
            try withExactMemory(of: bytes) { bytes throws(InjectError) in try queue.put(bytes, to: side, limit: limit) }
        }
    }

    private func put(_ bytes: [UInt8], intoTunnelOf id: String) -> InjectError? {
        failure { () throws(InjectError) in
            try withExactMemory(of: bytes) { bytes throws(InjectError) in
                try table.inject(bytes, intoTunnelOf: id, by: queue)
            }
        }
    }

    private func failure(_ body: () throws(InjectError) -> Void) -> InjectError? {
        do {
            try body()
            return nil
        } catch {
            return error
        }
    }

    /// What left in a turn without other packets.
    private func turn() -> [Outcome] {
        _ = forwarder.process([])
        #expect(forwarder.counters.isConserved)
        return forwarder.generated.map(\.outcome)
    }

    @Test("H10 T10 into a node's tunnel they go as packets from the home side do, byte by byte", arguments: passages)
    func tunnels(_ vector: TunnelVectors.Passage) throws {
        let name = try #require(vector.name.split(separator: ":").first.map(String.init))
        #expect(put(vector.in.bytes, intoTunnelOf: name) == nil)
        let out = turn()
        #expect(out == [.access(vector.out.bytes)], "\(hexadecimal(out.first?.bytes ?? []))")
        #expect(forwarder.counters.generated == BySide(home: 0, access: 1))
        #expect(forwarder.counters.transmitted == BySide(home: 0, access: 1))
        #expect(queue.isEmpty)
    }

    @Test("IPv6 goes by way of the care-of address where a node has no home address")
    func careOf() throws {
        let binding = Binding("visitor", at: 99, ["2001:db8:99::/64"])
        _ = try table.put([binding], now: 0)
        let packet = EncapsulationPackets.to("ff02::1")
        #expect(put(packet, intoTunnelOf: "visitor") == nil)
        let sent = turn().first?.bytes
        #expect(sent?.count == 80)
        #expect(sent?[16..<20] == [203, 0, 113, 99])
        #expect(sent?.suffix(60) == packet[...])
        let ipv4 = try #require(Self.passages.first { $0.name == "direct: IPv4" }).in.bytes
        #expect(put(ipv4, intoTunnelOf: "visitor") == .notCarried("visitor"))
    }

    @Test("to a side they go as they are, behind the packets that came")
    func sides() throws {
        let ipv6 = EncapsulationPackets.to("2001:db8::1")
        let ipv4 = try #require(Self.passages.first { $0.name == "direct: IPv4" })
        #expect(put(ipv6, to: .home) == nil)
        #expect(put(ipv4.in.bytes, to: .home) == nil)
        #expect(put(ipv4.in.bytes, to: .access) == nil)
        let outcomes = forwarder.process([.home(ipv4.in.bytes)])
        #expect(outcomes == [.access(ipv4.out.bytes)])
        #expect(
            forwarder.generated.map(\.outcome)
                == [.home(ipv6), .home(ipv4.in.bytes), .access(ipv4.in.bytes)])
        #expect(forwarder.generated.allSatisfy { $0.place == 1 })
        #expect(forwarder.counters.generated == BySide(home: 2, access: 1))
        #expect(forwarder.counters.isConserved)
    }

    @Test("what is not whole, of the wrong family, too large, or for nobody is refused, and the reason says what to do")
    func errors() throws {
        let ipv6 = EncapsulationPackets.to("2001:db8::1")
        let ipv4 = try #require(Self.passages.first { $0.name == "direct: IPv4" }).in.bytes
        let expectations: [(InjectError?, InjectError)] = [
            (put([], to: .home), .malformed(.ipv6Truncated)),
            (put(ipv6.dropLast(), to: .home), .malformed(.ipv6PayloadLength)),
            (put(ipv4.dropLast(), to: .access), .malformed(.ipv4TotalLength)),
            (put(ipv4 + [0], to: .access), .trailingBytes(1)),
            (put(ipv6, to: .access), .notIPv4),
            (put(ipv6, to: .home, limit: 59), .tooBig(limit: 59)),
            (put(ipv6, intoTunnelOf: "nobody"), .noBinding("nobody")),
            (put(ipv6.dropLast(), intoTunnelOf: "direct"), .malformed(.ipv6PayloadLength)),
            (put(EncapsulationPackets.from("2001:db8::1", length: 1281), intoTunnelOf: "direct"), .tooBig(limit: 1280)),
        ]
        for (found, expected) in expectations {
            #expect(found == expected)
            #expect(!expected.description.isEmpty)
        }
        #expect(queue.isEmpty)
        #expect(put(ipv6, to: .home, limit: 60) == nil)
        #expect(put(EncapsulationPackets.from("2001:db8::1", length: 1280), intoTunnelOf: "direct") == nil)
        #expect(turn().map { $0.bytes?.count } == [60, 1320])
    }

    @Test("more than one turn takes wait for the next, in their order, and a full queue refuses")
    func many() throws {
        for number in 0..<1100 {
            let packet = EncapsulationPackets.from("2001:db8::\(String(number, radix: 16))", length: 40)
            #expect(put(packet, to: .home) == nil)
        }
        var numbers: [Int] = []
        for expected in [512, 512, 76, 0] {
            let sent = turn()
            #expect(sent.count == expected)
            numbers += sent.compactMap { $0.bytes.map { Int($0[22]) << 8 | Int($0[23]) } }
        }
        #expect(numbers == Array(0..<1100))
        var count = 0
        while put(EncapsulationPackets.from("2001:db8::1", length: 4096), to: .home) == nil { count += 1 }
        #expect((200..<256).contains(count))
        #expect(put(EncapsulationPackets.from("2001:db8::1", length: 4096), to: .home) == .full)
        #expect(turn().count == count)
        #expect(put(EncapsulationPackets.from("2001:db8::1", length: 4096), to: .home) == nil)
    }

    @Test("a packet follows its binding, and is dropped where that has gone, or another has its address")
    func bindingGone() throws {
        let vector = try #require(Self.passages.first { $0.name == "direct: IPv4" })
        let binding = try #require(table.state(of: "direct", now: 0)?.binding)
        #expect(put(vector.in.bytes, intoTunnelOf: "direct") == nil)
        var moved = binding
        moved.careOfAddress = IPv4Address("203.0.113.200")!
        _ = try table.put([moved], now: 0)
        #expect(turn().map { $0.bytes?[16..<20] } == [[203, 0, 113, 200]])
        #expect(put(vector.in.bytes, intoTunnelOf: "direct") == nil)
        var other = binding
        other.id = "other"
        _ = try table.put([other], superseding: ["direct"], now: 0)
        #expect(turn() == [])
        #expect(put(vector.in.bytes, intoTunnelOf: "other") == nil)
        _ = table.remove(["other"])
        #expect(turn() == [])
        #expect(forwarder.dropped == [.noBinding: 2])
        #expect(forwarder.counters.isConserved)
    }

    @Test("a node without a home address is found by its prefix, and without one by its care-of address")
    func withoutHomeAddress() throws {
        let packet = EncapsulationPackets.to("2001:db8:77::1")
        let prefixes: [[BoundPrefix]] = [[BoundPrefix(IPv6Prefix("2001:db8:77::/64")!)], []]
        for prefixes in prefixes {
            let binding = Binding(id: "plain", careOfAddress: IPv4Address("203.0.113.77")!, prefixes: prefixes)
            _ = try table.put([binding], now: 0)
            #expect(put(packet, intoTunnelOf: "plain") == nil)
            #expect(turn().map { $0.bytes?.suffix(packet.count) } == [packet[...]])
        }
    }
}

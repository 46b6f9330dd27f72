import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Decapsulation, protocol 41")
struct DecapsulationTests {
    static let vectors = ForwardingVectors.all

    @Test(
        "T7 the inner packet comes out, by its own length, with the hop limit it had", arguments: vectors.decapsulation)
    func bytes(_ vector: ForwardingVectors.Pair) throws {
        let forwarder = try TestForwarder()
        #expect(forwarder.process(.access(vector.in.bytes)) == .home(vector.out.bytes))
        let counters = forwarder.counters
        #expect(counters.received == BySide(access: 1))
        #expect(counters.receivedBytes == BySide(access: UInt64(vector.in.bytes.count)))
        #expect(counters.transmitted == BySide(home: 1))
        #expect(counters.transmittedBytes == BySide(home: UInt64(vector.out.bytes.count)))
        #expect(counters.generated == BySide())
        #expect(forwarder.dropped == [:])
    }

    @Test("T8 T9 RFC 6040, figure 4: every cell, in both DSCP models and both ECN modes", arguments: vectors.congestion)
    func congestion(_ vector: ForwardingVectors.Congestion) throws {
        let forwarder = try TestForwarder()
        let outcome = forwarder.process(.access(vector.in.bytes))
        if let out = vector.out {
            #expect(outcome == .home(out.bytes))
            #expect(forwarder.dropped == [:])
        } else {
            #expect(outcome == .released)
            #expect(forwarder.dropped == [.ecnNotCapable: 1])
        }
    }

    @Test("T8 there are vectors for all 16 cells of each binding")
    func cells() {
        let cells = Dictionary(grouping: Self.vectors.congestion, by: \.binding)
        #expect(cells.count == 4)
        for (id, cells) in cells { #expect(Set(cells.map { $0.inner << 2 | $0.outer }).count == 16, "\(id)") }
    }

    @Test("traffic of a binding counts inner packets and bytes; what is dropped does not count")
    func traffic() throws {
        let forwarder = try TestForwarder()
        let vector = try #require(Self.vectors.decapsulation.first { $0.name == "both" })
        let dropped = try #require(Self.vectors.congestion.first { $0.binding == "plain" && $0.out == nil })
        _ = forwarder.process([.access(vector.in.bytes), .access(dropped.in.bytes), .access(vector.in.bytes)])
        let traffic = try #require(forwarder.table.state(of: "plain", now: 0)).traffic
        #expect(traffic.packetsFromNode == 2)
        #expect(traffic.bytesFromNode == UInt64(2 * vector.out.bytes.count))
        #expect(traffic.packetsToNode == 0)
    }

    @Test("RFC 4213, 3.6 the outer destination is the binding's endpoint or one of the host's")
    func endpoints() throws {
        let elsewhere = try #require(Self.vectors.decapsulation.first { $0.name == "another endpoint" })
        var settings = TestForwarder.settings
        settings.endpoints = []
        // No endpoint of the host's, but the binding names it.
        #expect(
            try TestForwarder(settings: settings).process(.access(elsewhere.in.bytes)) == .home(elsewhere.out.bytes))

        let table = try TestForwarder.makeTable()
        var moved = Self.vectors.binding("elsewhere")
        moved.endpoint = nil
        _ = try table.put([moved], now: 0)
        let strict = try TestForwarder(table)
        #expect(strict.process(.access(elsewhere.in.bytes)) == .released)
        #expect(strict.dropped == [.notForEndpoint: 1])
        // An endpoint of the host's still takes what was under way when the binding changed.
        settings.endpoints = [Self.vectors.endpoint, Self.vectors.otherEndpoint].map { IPv4Address($0)! }
        #expect(
            try TestForwarder(table, settings: settings).process(.access(elsewhere.in.bytes))
                == .home(elsewhere.out.bytes))
    }

    @Test("H12 H14 the tunnel is from the care-of address: the node's home address is not accepted in its place")
    func homeAddress() throws {
        let table = try TestForwarder.makeTable()
        var binding = Self.vectors.binding("plain")
        binding.homeAddress = IPv4Address("198.51.100.7")!
        _ = try table.put([binding], now: 0)
        let forwarder = try TestForwarder(table)
        let packet = try #require(Self.vectors.decapsulation.first { $0.name == "UDP" }).in.bytes
        #expect(forwarder.process(.access(withOuterSource([198, 51, 100, 7], packet))) == .released)
        #expect(forwarder.dropped == [.outerSourceMismatch: 1])
        #expect(forwarder.forwarder.securityExceptions.drain().exceptions.count == 1)
    }

    @Test("H14 after a move, packets from the old care-of address are dropped and those from the new pass")
    func move() throws {
        let forwarder = try TestForwarder()
        let plain = try #require(Self.vectors.decapsulation.first { $0.name == "UDP" })
        let mismatch = try #require(
            Self.vectors.drops.first { $0.reason == "outer-source-mismatch" && $0.name == "another address" })
        #expect(forwarder.process([.access(plain.in.bytes), mismatch.given]) == [.home(plain.out.bytes), .released])
        var moved = Self.vectors.binding("plain")
        moved.careOfAddress = IPv4Address("203.0.113.200")!
        _ = try forwarder.table.put([moved], now: 0)
        let outcomes = forwarder.process([.access(plain.in.bytes), mismatch.given])
        #expect(outcomes[0] == .released)
        #expect(outcomes[1].bytes?.count == 52)
        #expect(forwarder.dropped == [.outerSourceMismatch: 2])
    }
}

// What belongs to the link that a tunnel is (RFC 4213, 3.7 and 3.8; RFC 5454, 3.7.1), with packets of scapy's
// (Tests/Vectors/tunnels.py). How each wrong one fares stands in the golden cases.

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Link of the tunnel")
struct LinkLocalTests {
    static let vectors = TunnelVectors.all

    /// A table in which one node has registered fe80::9.
    private static func makeTable(_ name: String) throws -> BindingTable {
        let table = try TunnelVectors.makeTable()
        var binding = try #require(table.state(of: name, now: 0)?.binding)
        binding.prefixes.append(BoundPrefix(IPv6Prefix("fe80::9/128")!, tunnel: .homeAddress))
        _ = try table.put([binding], now: 0)
        return table
    }

    @Test(
        "P1 T2 a node that has registered its link-local address reaches the home device, and a DHCPv6 server there it",
        arguments: vectors.linkLocal)
    func registered(_ vector: TunnelVectors.LinkLocal) throws {
        let name = try #require(vector.name.split(separator: ":").first.map(String.init))
        let forwarder = try TestForwarder(Self.makeTable(name), firstIdentification: 1)
        let outcome = forwarder.process(vector.given)
        #expect(outcome == vector.outcome, "\(hexadecimal(outcome.bytes ?? [])) \(forwarder.dropped)")
        #expect(forwarder.dropped == [:])
        #expect(forwarder.counters.isConserved)
    }

    @Test(
        "P1 H13 without a registration of it nothing passes, and what a node sends is a security exception",
        arguments: vectors.linkLocal)
    func unregistered(_ vector: TunnelVectors.LinkLocal) throws {
        let forwarder = try TestForwarder(TunnelVectors.makeTable())
        #expect(forwarder.process(vector.given) == .released)
        let isFromNode = vector.side == "access"
        #expect(forwarder.dropped == [isFromNode ? .innerSourceUnregistered : .linkLocal: 1])
        #expect(forwarder.forwarder.securityExceptions.drain().exceptions.count == (isFromNode ? 1 : 0))
        #expect(forwarder.counters.generated.sum == 0)
    }

    @Test("P1 H14 it is not another's to send from", arguments: vectors.linkLocal.filter { $0.side == "access" })
    func anothers(_ vector: TunnelVectors.LinkLocal) throws {
        let name = try #require(vector.name.split(separator: ":").first.map(String.init))
        let forwarder = try TestForwarder(Self.makeTable(name == "direct" ? "udp" : "direct"))
        #expect(forwarder.process(vector.given) == .released)
        #expect(forwarder.dropped == [.outerSourceMismatch: 1])
    }

    @Test("T2 T3 the tunnel's end answers as a router where the host forwards, and else not", arguments: [false, true])
    func solicitation(isRouter: Bool) throws {
        var settings = TestForwarder.settings
        settings.isRouter = isRouter
        let forwarder = try TestForwarder(Self.makeTable("direct"), settings: settings)
        let probe = Self.vectors.solicitation
        let answer = forwarder.process(.access(probe.in.bytes))
        #expect(answer == .access((isRouter ? probe.router : probe.host).bytes), "\(hexadecimal(answer.bytes ?? []))")
        #expect(forwarder.counters.absorbed == 1)
        #expect(forwarder.counters.generated == BySide(home: 0, access: 1))
        #expect(forwarder.counters.isConserved)
    }
}

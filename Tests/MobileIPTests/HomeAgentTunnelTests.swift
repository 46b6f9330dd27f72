// Which tunnel a binding gets: RFC 5944, 3.3 (M and G), RFC 3519 (UDP), RFC 6245 (GRE keys), and what of it can carry IPv6
// (RFC 5454, 3.3.2 and 3.9).

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Home agent: tunnels")
struct HomeAgentTunnelTests {
    private static let coLocated = RegistrationRequest.Flags.decapsulationByMobileNode
    private static let nat = IPv4Address("192.88.99.1")!

    /// Flags, what the node may have, code and tunnel.
    static let bits: [(RegistrationRequest.Flags, NodePolicy.Encapsulations, String, String)] = [
        ([], [.gre, .minimal], "reply 0, 600 s", "by ip-in-ip,"),
        (.greEncapsulation, [.gre, .minimal], "reply 0, 600 s", "by gre,"),
        (.minimalEncapsulation, [.gre, .minimal], "reply 0, 600 s", "by minimal,"),
        ([.minimalEncapsulation, .greEncapsulation], [.gre, .minimal], "reply 0, 600 s", "by gre,"),
        ([.minimalEncapsulation, .greEncapsulation], [.minimal], "reply 0, 600 s", "by minimal,"),
        (.greEncapsulation, [.minimal], "reply 139, 600 s", ""),
        (.minimalEncapsulation, [.gre], "reply 139, 600 s", ""),
        ([], [], "reply 0, 600 s", "by ip-in-ip,"),
    ]

    @Test("the M and G bits choose, as far as the node may", arguments: bits)
    func encapsulation(
        _ flags: RegistrationRequest.Flags, _ allowed: NodePolicy.Encapsulations, _ reply: String, _ tunnel: String
    ) throws {
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node { $0.policy.encapsulations = allowed }])
        let lines = try agent.register(TestRequest { $0.flags = flags.union(Self.coLocated) })
        #expect(lines.contains(reply))
        #expect(lines.contains { $0.hasPrefix("put") && $0.contains(tunnel) } == !tunnel.isEmpty)
    }

    /// Flags, encapsulation that the UDP Tunnel Request names if there is one, and what becomes of an IPv6 prefix.
    static let ipv6: [(String, RegistrationRequest.Flags, UInt8?, String, String)] = [
        ("IP-in-IP", [], nil, "by ip-in-ip, 2001:db8:1::/48 care-of", "2001:db8:1::/48 1"),
        ("GRE", .greEncapsulation, nil, "by gre, 2001:db8:1::/48 care-of", "2001:db8:1::/48 1"),
        ("minimal", .minimalEncapsulation, nil, "by minimal, 2001:db8:1::/48 home", "2001:db8:1::/48 0"),
        ("UDP", [], 0, "by ip-in-ip in udp 5000, 2001:db8:1::/48 care-of", "2001:db8:1::/48 1"),
        (
            "GRE in UDP", .greEncapsulation, 0, "by gre in udp 5000, 2001:db8:1::/48 care-of",
            "2001:db8:1::/48 1"
        ),
        (
            "minimal in UDP", .minimalEncapsulation, 0, "by minimal in udp 5000, 2001:db8:1::/48 home",
            "2001:db8:1::/48 0"
        ),
        ("IP-in-UDP, named", [], 4, "by ip-in-ip in udp 5000, 2001:db8:1::/48 home", "2001:db8:1::/48 0"),
        ("GRE in UDP, named", [], 47, "by gre in udp 5000, 2001:db8:1::/48 home", "2001:db8:1::/48 0"),
        (
            "minimal in UDP, named", .greEncapsulation, 55, "by minimal in udp 5000, 2001:db8:1::/48 home",
            "2001:db8:1::/48 0"
        ),
    ]

    @Test(
        "H9 H12 N1 IPv6 goes to the care-of address by what was negotiated, and by way of the home address where that can't",
        arguments: ipv6)
    func careOfTunnel(
        _ name: String, _ flags: RegistrationRequest.Flags, _ named: UInt8?, _ tunnel: String, _ code: String
    ) throws {
        let agent = TestHomeAgent()
        let lines = try agent.register(
            .prefixes(["2001:db8:1::/48"]) {
                $0.flags = flags.union(Self.coLocated)
                guard let named else { return }
                $0.extensions.append(.udpTunnelRequest(UDPTunnelRequest(encapsulation: named)))
                $0.careOf = IPv4Address("10.0.0.9")!
                $0.source = Self.nat
            })
        #expect(lines.contains { $0.hasPrefix("put") && $0.contains(tunnel) }, "\(name): \(lines)")
        #expect(lines.contains { $0.hasPrefix("reply 0") && $0.hasSuffix(code) }, "\(name): \(lines)")
    }

    typealias Change = @Sendable (inout TestRequest) -> Void
    typealias Configure = @Sendable (inout HomeAgentConfiguration) -> Void
    private static func request(
        _ force: Bool = false, throughForeignAgent: Bool = false, encapsulation: UInt8 = 0
    ) -> [MobileIPExtension] {
        [
            .udpTunnelRequest(
                UDPTunnelRequest(
                    force: force, registrationThroughForeignAgentRequired: throughForeignAgent,
                    encapsulation: encapsulation))
        ]
    }

    /// From a care-of address of 10.0.0.9, translated.
    private static func translated(_ extensions: [MobileIPExtension]) -> Change {
        { request in
            request.careOf = IPv4Address("10.0.0.9")!
            request.source = nat
            request.extensions = extensions
        }
    }

    static let udp: [(String, Configure, Change, String, String)] = [
        (
            "behind a NAT", { _ in }, translated(request()), "reply 0, 600 s, udp 0, every 110 s",
            "at 192.88.99.1 by ip-in-ip in udp 5000, 600 s"
        ),
        (
            "for no longer than a mapping may be trusted",
            { $0.udpTunnel.maximumLifetime = RegistrationLifetime(seconds: 60) }, translated(request()),
            "reply 0, 60 s, udp 0, every 110 s", "at 192.88.99.1 by ip-in-ip in udp 5000, 60 s"
        ),
        (
            "no NAT", { _ in }, { $0.extensions = request() }, "reply 0, 600 s, udp 64, every 0 s",
            "at 203.0.113.9 by ip-in-ip, 600 s"
        ),
        (
            "forced", { $0.udpTunnel.keepaliveInterval = 30 }, { $0.extensions = request(true) },
            "reply 0, 600 s, udp 0 forced, every 30 s", "at 203.0.113.9 by ip-in-ip in udp 5000, 600 s"
        ),
        (
            "forced where that is not allowed", { $0.udpTunnel.mayBeForced = false }, { $0.extensions = request(true) },
            "reply 129, 600 s", ""
        ),
        (
            "behind a NAT where only forcing is not allowed", { $0.udpTunnel.mayBeForced = false },
            translated(request(true)), "reply 0, 600 s, udp 0 forced, every 110 s",
            "at 192.88.99.1 by ip-in-ip in udp 5000, 600 s"
        ),
        ("an unknown encapsulation", { _ in }, translated(request(encapsulation: 41)), "reply 142, 600 s", ""),
        (
            "an unknown encapsulation that is not needed", { _ in }, { $0.extensions = request(encapsulation: 41) },
            "reply 0, 600 s, udp 64, every 0 s", "by ip-in-ip, 600 s"
        ),
        ("behind a NAT, and no tunnel in UDP is asked for", { _ in }, translated([]), "reply 129, 600 s", ""),
        (
            "through a foreign agent that translates", { _ in }, translated(request(throughForeignAgent: true)),
            "reply 129, 600 s", ""
        ),
        (
            "through another's foreign agent", { _ in },
            {
                $0.source = nat
                $0.extensions = request(throughForeignAgent: true)
            }, "reply 0, 600 s, udp 64, every 0 s", "at 203.0.113.9 by ip-in-ip, 600 s"
        ),
        (
            "the node's, with a foreign agent's care-of address", { _ in },
            {
                $0.flags = []
                $0.extensions = request()
            }, "reply 134, 600 s", ""
        ),
        (
            "a foreign agent's, with the node's care-of address", { _ in }, { $0.foreignExtensions = request() },
            "reply 134, 600 s", ""
        ),
        (
            "a foreign agent's", { _ in },
            {
                $0.flags = []
                $0.careOf = IPv4Address("10.0.0.9")!
                $0.source = nat
                $0.foreignExtensions = request()
            }, "reply 0, 600 s, udp 0, every 110 s", "at 192.88.99.1 by ip-in-ip in udp 5000, 600 s"
        ),
    ]

    @Test("N1 a NAT shows where the source is not the care-of address; the tunnel leads to the source", arguments: udp)
    func udpTunnel(
        _ name: String, _ configure: Configure, _ change: Change, _ reply: String, _ tunnel: String
    ) throws {
        let agent = TestHomeAgent(configure)
        let lines = try agent.register(TestRequest(change))
        #expect(lines.contains(reply), "\(name): \(lines)")
        #expect(lines.contains { $0.hasPrefix("put") && $0.contains(tunnel) } == !tunnel.isEmpty, "\(name): \(lines)")
    }

    @Test("N1 a node that may have no tunnel in UDP is rejected behind a NAT, and declined elsewhere")
    func udpNotAllowed() throws {
        let node = TestHomeAgent.node { $0.policy.encapsulations = [.gre] }
        let agent = TestHomeAgent(nodes: [node])
        #expect(try agent.reply(to: TestRequest(Self.translated(Self.request()))) == "reply 129, 600 s")
        let plain = TestRequest { $0.extensions = Self.request() }
        #expect(try agent.reply(to: plain) == "reply 0, 600 s, udp 64, every 0 s")
        let forced = TestRequest { $0.extensions = Self.request(true) }
        #expect(try agent.reply(to: forced) == "reply 129, 600 s")
        let minimal = TestHomeAgent(nodes: [TestHomeAgent.node { $0.policy.encapsulations = .udp }])
        for change: Change in [
            Self.translated(Self.request(encapsulation: 55)), Self.translated(Self.request(encapsulation: 47)),
        ] {
            #expect(try minimal.reply(to: TestRequest(change)) == "reply 142, 600 s")
        }
        let bits = TestRequest {
            Self.translated(Self.request())(&$0)
            $0.flags.insert(.minimalEncapsulation)
        }
        #expect(try minimal.reply(to: bits) == "reply 142, 600 s")
    }

    @Test("N1 a new mapping of the NAT shows with the next registration, and one that ends the binding names the old")
    func rebinding() throws {
        let agent = TestHomeAgent()
        try agent.register(TestRequest(Self.translated(Self.request())))
        let later = TestRequest {
            Self.translated(Self.request())(&$0)
            $0.sourcePort = 6000
        }
        #expect(
            try agent.register(later).first { $0.hasPrefix("put") }
                == "put 198.51.100.7 at 192.88.99.1 by ip-in-ip in udp 6000, 600 s")
        #expect(agent.sent.first?.destinationPort == 6000)
        let end = TestRequest {
            Self.translated([])(&$0)
            $0.lifetime = 0
        }
        #expect(try agent.register(end).contains("remove 198.51.100.7"))
    }

    @Test("GRE keys: the foreign agent's serves both ways, or one is chosen, and kept")
    func greKey() throws {
        let agent = TestHomeAgent()
        #expect(
            try agent.reply(to: .throughForeignAgent { $0.foreignExtensions = [.greKey(7)] })
                == "reply 0, 600 s, key 7")
        #expect(agent.actions.map(\.line).contains { $0.contains("by gre 7,") })
        let asked = TestRequest.throughForeignAgent { $0.foreignExtensions = [.greKey(0)] }
        #expect(try agent.reply(to: asked) == "reply 0, 600 s, key 7")
        let fresh = TestHomeAgent()
        let first = try fresh.reply(to: asked)
        #expect(first.hasPrefix("reply 0, 600 s, key ") && !first.hasSuffix("key 0"))
        #expect(try fresh.reply(to: asked) == first)
        let end = TestRequest.throughForeignAgent {
            $0.foreignExtensions = [.greKey(0)]
            $0.foreignKey = nil
            $0.lifetime = 0
        }
        #expect(try fresh.reply(to: end) == first.replacing("600 s", with: "0 s"))
        let without = TestHomeAgent(nodes: [TestHomeAgent.node { $0.policy.encapsulations = [.minimal] }])
        #expect(try without.reply(to: asked) == "reply 139, 600 s")
        // Minimal encapsulation has no key.
        var minimal = asked
        minimal.flags = .minimalEncapsulation
        #expect(try without.reply(to: minimal) == "reply 139, 600 s")
    }
}

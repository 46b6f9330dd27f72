// RFC 5944, 3.8.2.2 to 3.8.3: what is accepted, for how long, and the reply.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Home agent: registration")
struct HomeAgentRegistrationTests {
    typealias Policy = @Sendable (inout ServedNode) -> Void
    /// What the node may do, its request, and the reply.
    static let requests: [(String, Policy, TestRequest, String)] = [
        (
            "the longest lifetime", { $0.policy.maximumLifetime = RegistrationLifetime(seconds: 300) }, TestRequest(),
            "reply 0, 300 s"
        ),
        ("a lifetime below it", { _ in }, TestRequest { $0.lifetime = 1 }, "reply 0, 1 s"),
        ("for ever, which is not granted", { _ in }, TestRequest { $0.lifetime = .max }, "reply 0, 36000 s"),
        (
            "for ever", { $0.policy.maximumLifetime = .infinite }, TestRequest { $0.lifetime = .max },
            "reply 0, for ever"
        ),
        (
            "no care-of address", { _ in },
            TestRequest {
                $0.careOf = .unspecified
                $0.source = TestHomeAgent.careOf
            }, "reply 134, 600 s"
        ),
        (
            "the home address as care-of address", { _ in }, TestRequest { $0.careOf = TestHomeAgent.home },
            "reply 134, 600 s"
        ),
        (
            "the home agent as care-of address", { _ in },
            TestRequest {
                $0.careOf = TestHomeAgent.address
                $0.source = TestHomeAgent.careOf
            }, "reply 134, 600 s"
        ),
        (
            "a multicast care-of address", { _ in },
            TestRequest {
                $0.careOf = IPv4Address("224.0.0.1")!
                $0.source = TestHomeAgent.careOf
            }, "reply 134, 600 s"
        ),
        (
            "another home agent's address", { _ in }, TestRequest { $0.agent = IPv4Address("192.0.2.2")! },
            "reply 136, 600 s"
        ),
        ("any home agent", { _ in }, TestRequest { $0.agent = .unspecified }, "reply 136, 600 s"),
        (
            "by broadcast", { _ in }, TestRequest { $0.destination = IPv4Address(rawValue: .max) },
            "reply 136, 600 s"
        ),
        (
            "several bindings", { _ in },
            TestRequest { $0.flags = [.simultaneousBindings, .decapsulationByMobileNode] }, "reply 1, 600 s"
        ),
        (
            "a reverse tunnel", { _ in },
            TestRequest { $0.flags = [.reverseTunneling, .decapsulationByMobileNode] }, "reply 0, 600 s"
        ),
        (
            "a reverse tunnel that is not had", { $0.policy.reverseTunnel = .refused },
            TestRequest { $0.flags = [.reverseTunneling, .decapsulationByMobileNode] }, "reply 137, 600 s"
        ),
        (
            "no reverse tunnel where one must be", { $0.policy.reverseTunnel = .required }, TestRequest(),
            "reply 138, 600 s"
        ),
        (
            "broadcasts, which are ignored", { _ in },
            TestRequest { $0.flags = [.broadcastDatagrams, .decapsulationByMobileNode] }, "reply 0, 600 s"
        ),
    ]

    @Test("each request gets its code and lifetime", arguments: requests)
    func request(_ name: String, _ policy: Policy, _ request: TestRequest, _ expected: String) throws {
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node(TestHomeAgent.home, policy)])
        #expect(try agent.reply(to: request) == expected, "\(name)")
        let isAccepted = agent.replies.first?.code.isAccepted == true
        #expect(agent.bindingCount == (isAccepted ? 1 : 0), "\(name)")
        #expect(agent.sent.first?.source == TestHomeAgent.address, "\(name)")
        #expect(agent.replies.first?.homeAgent == TestHomeAgent.address, "\(name)")
        #expect(agent.replies.first?.homeAddress == request.home, "\(name)")
        let ends = agent.replies.first?.lifetime.isInfinite == false && isAccepted
        #expect((agent.nextDeadline != nil) == ends, "\(name)")
    }

    @Test("reserved bits are rejected as poorly formed, once the node is known", arguments: [0x01, 0x04] as [UInt8])
    func reservedBits(_ bit: UInt8) throws {
        let agent = TestHomeAgent()
        var bytes = try TestRequest { $0.key = nil }.bytes(identification: agent.nextIdentification())
        bytes[1] |= bit
        bytes = try TestHomeAgent.nodeKey.sign(bytes, as: .mobileHome)
        let datagram = ReceivedDatagram(
            payload: bytes, source: TestHomeAgent.careOf, sourcePort: 434, destination: TestHomeAgent.address)
        #expect(agent.handle(.datagram(datagram)) == ["reply 134, 600 s", "count replied 134"])
    }

    @Test("D1 a lifetime of zero ends the binding with its prefixes, and what ends another's care-of address does not")
    func deregistration() throws {
        let agent = TestHomeAgent()
        try agent.register(.prefixes(["2001:db8:1:1::/64"]))
        let other = TestRequest {
            $0.lifetime = 0
            $0.careOf = IPv4Address("203.0.113.66")!
        }
        #expect(try agent.register(other) == ["store", "reply 0, 0 s", "count replied 0"])
        #expect(agent.bindingCount == 1)
        let end = TestRequest {
            $0.lifetime = 0
            $0.ask(for: ["2001:db8:1:1::/64"])
        }
        #expect(
            try agent.register(end) == [
                "store without binding", "- 198.51.100.7", "- 2001:db8:1:1::/64", "remove 198.51.100.7",
                "count deregistered", "reply 0, 0 s", "count replied 0",
            ])
        #expect(agent.bindingCount == 0 && agent.nextDeadline == nil && agent.bindings().bindings == [])
        // It is free for others from then on.
        #expect(try agent.reply(to: .prefixes(["2001:db8:1:1::/64"])) == "reply 0, 600 s, 2001:db8:1:1::/64 1")
    }

    @Test("D1 a node that is home again ends all, and is answered there")
    func atHome() throws {
        let agent = TestHomeAgent()
        try agent.register()
        let request = TestRequest {
            $0.lifetime = 0
            $0.careOf = TestHomeAgent.home
            $0.side = .home
        }
        #expect(try agent.register(request).contains("remove 198.51.100.7"))
        let reply = try #require(agent.sent.first)
        #expect(reply.destination == TestHomeAgent.home && reply.side == .home)
        #expect(reply.source == TestHomeAgent.address && reply.destinationPort == 5000)
    }

    @Test("H5 D1 a binding ends with its lifetime, prefixes and routes with it")
    func expiry() throws {
        let agent = TestHomeAgent()
        try agent.register(.prefixes(["2001:db8:1::/48"]))
        #expect(agent.nextDeadline == 605_000_000_000)
        #expect(agent.wait(599) == [])
        #expect(agent.bindings().bindings.map(\.lifetime) == [1])
        #expect(
            agent.wait(1) == [
                "store without binding", "- 198.51.100.7", "- 2001:db8:1::/48", "remove 198.51.100.7", "count expired",
            ])
        #expect(agent.bindingCount == 0 && agent.nextDeadline == nil)
    }

    @Test("H5 a binding that is registered again lives on, and tells the forwarder alone")
    func renewal() throws {
        let agent = TestHomeAgent()
        try agent.register(.prefixes(["2001:db8:1::/48"]))
        agent.wait(300)
        #expect(
            try agent.register(.prefixes(["2001:db8:1::/48"])) == [
                "store", "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 2001:db8:1::/48 care-of, 600 s",
                "reply 0, 600 s, 2001:db8:1::/48 1", "count replied 0", "count prefix 1",
            ])
        #expect(agent.wait(599) == [] && agent.bindingCount == 1)
        #expect(agent.wait(1).last == "count expired")
    }

    @Test("a node that moves has one binding, at its new care-of address")
    func move() throws {
        let agent = TestHomeAgent()
        try agent.register()
        #expect(
            try agent.register(TestRequest { $0.careOf = IPv4Address("203.0.113.66")! }) == [
                "store", "put 198.51.100.7 at 203.0.113.66 by ip-in-ip, 600 s", "reply 0, 600 s", "count replied 0",
            ])
        #expect(agent.bindingCount == 1)
    }

    @Test("where one binding is the limit, another beside it is refused, and the same one is not")
    func tooMany() throws {
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node { $0.policy.simultaneousBindings = .refused }])
        let flags: RegistrationRequest.Flags = [.simultaneousBindings, .decapsulationByMobileNode]
        #expect(try agent.reply(to: TestRequest { $0.flags = flags }) == "reply 1, 600 s")
        #expect(try agent.reply(to: TestRequest { $0.flags = flags }) == "reply 1, 600 s")
        let other = TestRequest {
            $0.flags = flags
            $0.careOf = IPv4Address("203.0.113.66")!
        }
        #expect(try agent.reply(to: other) == "reply 135, 600 s")
        #expect(agent.bindings().bindings.map(\.tunnel.careOfAddress) == [TestHomeAgent.careOf])
    }

    @Test("beyond the limit of bindings a new one is refused, and one that is there is renewed")
    func limit() throws {
        let second = IPv4Address("198.51.100.8")!
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node(), TestHomeAgent.node(second)]) { $0.limits.bindings = 1 }
        #expect(try agent.reply(to: TestRequest()) == "reply 0, 600 s")
        #expect(try agent.reply(to: TestRequest { $0.home = second }) == "reply 130, 600 s")
        #expect(try agent.reply(to: TestRequest()) == "reply 0, 600 s")
        #expect(try agent.reply(to: TestRequest { $0.lifetime = 0 }) == "reply 0, 0 s")
        #expect(try agent.reply(to: TestRequest { $0.home = second }) == "reply 0, 600 s")
    }

    @Test("what a node is asked nowhere, or from nowhere, is not answered")
    func addresses() throws {
        let agent = TestHomeAgent()
        let cases: [(TestRequest, String)] = [
            (TestRequest { $0.destination = IPv4Address("192.0.2.9")! }, "count destination-not-ours"),
            (TestRequest { $0.source = .unspecified }, "count source-not-unicast"),
            (TestRequest { $0.source = IPv4Address("224.0.0.5")! }, "count source-not-unicast"),
            (TestRequest { $0.sourcePort = 0 }, "count source-not-unicast"),
        ]
        for (request, expected) in cases { #expect(try agent.register(request) == [expected]) }
        let reply = try RegistrationReply(
            code: .accepted, lifetime: .zero, homeAddress: TestHomeAgent.home, homeAgent: TestHomeAgent.address,
            identification: 1
        ).write()
        let datagram = ReceivedDatagram(
            payload: reply, source: TestHomeAgent.careOf, sourcePort: 434, destination: TestHomeAgent.address)
        #expect(agent.handle(.datagram(datagram)) == ["count unexpected-type"])
    }

    @Test("a subnet's broadcast address is answered with the address to use")
    func broadcast() throws {
        let broadcast = IPv4Address("192.0.2.255")!
        let agent = TestHomeAgent { $0.broadcastAddresses = [broadcast] }
        let request = TestRequest {
            $0.destination = broadcast
            $0.agent = broadcast
        }
        #expect(try agent.reply(to: request) == "reply 136, 600 s")
        #expect(agent.sent.first?.source == TestHomeAgent.address)
        #expect(agent.replies.first?.homeAgent == TestHomeAgent.address)
    }
}

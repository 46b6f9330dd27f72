// The forwarder refuses a binding: what the node has then, and what it is told (RFC 5944, 3.8.2.3).

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Home agent: bindings that the forwarder refuses")
struct HomeAgentRefusalTests {
    private static let elsewhere = IPv4Address("203.0.113.77")!
    private static let second = IPv4Address("198.51.100.8")!

    /// What the forwarder's refusal of the last binding comes to.
    private static func refuse(
        _ agent: TestHomeAgent, code: ReplyCode = .reasonUnspecified, isAnswered: Bool = true
    ) throws -> [String] {
        agent.handle(.bindingRefused(try refusal(agent, code, isAnswered: isAnswered)))
    }

    private static func refusal(
        _ agent: TestHomeAgent, _ code: ReplyCode = .reasonUnspecified, isAnswered: Bool = true
    ) throws -> BindingRefusal {
        let puts = agent.actions.compactMap { action -> BindingRefusal? in
            guard case .putBinding(let binding, let former) = action else { return nil }
            return BindingRefusal(binding, former: former, replies: isAnswered ? agent.sent : [], code: code)
        }
        return try #require(puts.last)
    }

    @Test("R1 S2 the node is told with a rejection that is signed as the reply was, and has nothing")
    func first() throws {
        let agent = TestHomeAgent()
        let request = TestRequest.prefixes(["2001:db8:1::/64"]) {
            $0.extensions.append(.mobileNodeNAI(TestHomeAgent.name))
        }
        try agent.register(request)
        let accepting = try #require(agent.sent.first)
        #expect(
            try Self.refuse(agent, code: .insufficientResources) == [
                "store without binding", "- 198.51.100.7", "- 2001:db8:1::/64", "remove 198.51.100.7",
                "count refusedByForwarder", "reply 130, 600 s, mn1@example.net", "count replied 130",
            ])
        #expect(agent.bindingCount == 0 && agent.nextDeadline == nil)
        let denial = try #require(agent.sent.first)
        #expect(denial.source == accepting.source && denial.destination == accepting.destination)
        #expect(denial.destinationPort == accepting.destinationPort && denial.side == accepting.side)
        let reply = try RegistrationReply.parse(denial.payload)
        try TestHomeAgent.nodeKey.verify(reply, .mobileHome)
        #expect(reply.message.identification == (try RegistrationReply.parse(accepting.payload)).message.identification)
        // The prefix is anybody's.
        #expect(try agent.reply(to: .prefixes(["2001:db8:1::/64"])).hasPrefix("reply 0, 600 s, 2001:db8:1::/64"))
    }

    @Test("a node that has moved keeps what it had, for as long as it had it")
    func moved() throws {
        let agent = TestHomeAgent()
        try agent.register(.prefixes(["2001:db8:1::/64", "2001:db8:1:1::/64"]))
        agent.wait(100)
        var request = TestRequest.prefixes(["2001:db8:1::/64", "2001:db8:1:2::/64"])
        request.careOf = Self.elsewhere
        try agent.register(request)
        #expect(
            try Self.refuse(agent) == [
                "store", "- 2001:db8:1:2::/64",
                "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 2001:db8:1::/64 care-of, 2001:db8:1:1::/64 care-of, 500 s",
                "+ 2001:db8:1:1::/64", "reply 128, 600 s", "count replied 128",
            ])
        #expect(agent.bindings().bindings.first?.tunnel.careOfAddress == TestHomeAgent.careOf)
        #expect(agent.wait(499) == [])
        #expect(agent.wait(1).contains("count expired"))
    }

    @Test("what another node has got in between does not come back")
    func taken() throws {
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node(), TestHomeAgent.node(Self.second)])
        try agent.register(.prefixes(["2001:db8:1::/64", "2001:db8:1:1::/64"]))
        try agent.register(.prefixes(["2001:db8:1::/64"]) { $0.careOf = Self.elsewhere })
        let refusal = try Self.refusal(agent)
        #expect(
            try agent.reply(to: .prefixes(["2001:db8:1:1::/64"]) { $0.home = Self.second }).hasPrefix("reply 0"))
        #expect(
            agent.handle(.bindingRefused(refusal)) == [
                "count configured prefix taken", "store",
                "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 2001:db8:1::/64 care-of, 600 s", "reply 128, 600 s",
                "count replied 128",
            ])
    }

    @Test("R5 H6 a prefix that another's binding has is rejected alone, by code 8; the rest is the node's")
    func prefix() throws {
        let agent = TestHomeAgent()
        try agent.register()
        try agent.register(.prefixes(["2001:db8:1::/64", "2001:db8:1:1::/64"]) { $0.careOf = Self.elsewhere })
        var refusal = try Self.refusal(agent)
        refusal.prefix = IPv6Prefix("2001:db8:1:1::/64")
        #expect(
            agent.handle(.bindingRefused(refusal)) == [
                "store", "- 2001:db8:1:1::/64",
                "put 198.51.100.7 at 203.0.113.77 by ip-in-ip, 2001:db8:1::/64 care-of, 600 s",
                "reply 0, 600 s, 2001:db8:1::/64 1, 2001:db8:1:1::/64 8", "count replied 0", "count prefix 8",
            ])
        try TestHomeAgent.nodeKey.verify(
            try RegistrationReply.parse(try #require(agent.sent.first).payload), .mobileHome)
        // Refused for the other prefix too, and at last for something else.
        var next = try Self.refusal(agent)
        #expect(next.former == refusal.former && next.former != nil)
        next.prefix = IPv6Prefix("2001:db8:1::/64")
        #expect(
            agent.handle(.bindingRefused(next)).contains("reply 0, 600 s, 2001:db8:1::/64 8, 2001:db8:1:1::/64 8"))
        let last = try Self.refuse(agent)
        #expect(
            last.contains("put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 600 s") && last.contains("reply 128, 600 s"))
    }

    @Test(
        "a link-local address that another's binding has is rejected; a prefix that is not the binding's is no reason")
    func linkLocal() throws {
        let agent = TestHomeAgent()
        try agent.register(.prefixes(["fe80::7/255"]))
        var refusal = try Self.refusal(agent)
        refusal.prefix = IPv6Prefix("fe80::7/128")
        #expect(agent.handle(.bindingRefused(refusal)).contains("reply 0, 600 s, fe80::7/255 8"))
        var other = try Self.refusal(agent)
        other.prefix = IPv6Prefix("2001:db8:77::/64")
        #expect(agent.handle(.bindingRefused(other)).contains("reply 128, 600 s"))
    }

    @Test("what the node has asked for since then stands, and each of its requests has its own answer")
    func overtaken() throws {
        let agent = TestHomeAgent()
        try agent.register()
        try agent.register(TestRequest { $0.careOf = Self.elsewhere })
        let refusal = try Self.refusal(agent)
        let last = IPv4Address("203.0.113.88")!
        try agent.register(TestRequest { $0.careOf = last })
        let next = try Self.refusal(agent)
        #expect(agent.handle(.bindingRefused(refusal)) == ["reply 128, 600 s", "count replied 128"])
        #expect(agent.bindings().bindings.first?.tunnel.careOfAddress == last)
        // Refused too, it falls back to one that is refused again, and then there is nothing.
        #expect(agent.handle(.bindingRefused(next)).contains { $0.hasPrefix("put 198.51.100.7 at 203.0.113.77") })
        #expect(
            try Self.refuse(agent, isAnswered: false) == [
                "store without binding", "- 198.51.100.7", "remove 198.51.100.7", "count refusedByForwarder",
            ])
        // It has deregistered meanwhile.
        try agent.register()
        let stale = try Self.refusal(agent)
        try agent.register(TestRequest { $0.lifetime = 0 })
        #expect(agent.handle(.bindingRefused(stale)) == ["reply 128, 600 s", "count replied 128"])
        #expect(agent.bindingCount == 0)
    }

    @Test("a foreign agent has its rejection authenticated too, and the former one is not told of an end")
    func foreignAgent() throws {
        let other = IPv4Address("203.0.113.201")!
        let agent = TestHomeAgent {
            $0.foreignAgents.append(ForeignAgent(address: other, associations: [TestHomeAgent.foreignKey]))
        }
        func request(_ address: IPv4Address) -> TestRequest {
            .throughForeignAgent {
                $0.careOf = address
                $0.foreignExtensions = [
                    .challenge(Challenge(bytes: [1, 2, 3, 4])!),
                    .revocationSupport(RevocationSupport(inform: false, timestamp: 1000)),
                ]
            }
        }
        try agent.register(request(TestHomeAgent.foreignAgent))
        try agent.register(request(other))
        #expect(agent.actions.map(\.line).contains("revoke 198.51.100.7 at 203.0.113.200"))
        let refusal = try Self.refusal(agent)
        let told = refusal.replies.filter { $0.payload.first == 3 }
        #expect(
            agent.handle(.bindingRefused(BindingRefusal(refusal.binding, former: refusal.former, replies: told))) == [
                "store", "put 198.51.100.7 at 203.0.113.200 by ip-in-ip, 600 s", "reply 128, 600 s, challenge of 4",
                "count replied 128",
            ])
        let reply = try RegistrationReply.parse(try #require(agent.sent.first).payload)
        try TestHomeAgent.nodeKey.verify(reply, .mobileHome)
        try TestHomeAgent.foreignKey.verify(reply, .foreignHome)
        #expect(agent.wait(10) == [])
    }

    @Test("where a binding that was told of long ago is refused, its end is told")
    func resynchronized() throws {
        let agent = TestHomeAgent()
        try agent.register(
            .throughForeignAgent {
                $0.foreignExtensions = [.revocationSupport(RevocationSupport(inform: false, timestamp: 1000))]
            })
        let binding = try #require(agent.bindings().bindings.first)
        #expect(
            agent.handle(.bindingRefused(BindingRefusal(binding))) == [
                "store without binding", "- 198.51.100.7", "remove 198.51.100.7", "count refusedByForwarder",
                "revoke 198.51.100.7 at 203.0.113.200", "count revocation sent",
            ])
    }

    @Test("a node that is gone, or whose key is, is told nothing")
    func unknown() throws {
        let agent = TestHomeAgent()
        try agent.register()
        let refusal = try Self.refusal(agent)
        agent.handle(
            .nodesChanged(
                put: [
                    TestHomeAgent.node(
                        key: try SecurityAssociation(
                            securityParameterIndex: 999, key: Array(0..<16)))
                ], removed: []))
        #expect(agent.handle(.bindingRefused(refusal)).allSatisfy { !$0.hasPrefix("reply") })
        agent.handle(.nodesChanged(put: [], removed: [.homeAddress(TestHomeAgent.home)]))
        #expect(agent.handle(.bindingRefused(refusal)) == [])
    }
}

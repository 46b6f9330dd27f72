// RFC 3543: revocation, agreed at registration, from either side.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Home agent: revocation")
struct HomeAgentRevocationTests {
    private static let node = NodeIdentity.homeAddress(TestHomeAgent.home)

    private static func throughForeignAgent(inform: Bool = false, timestamp: UInt32 = 1000) -> TestRequest {
        .throughForeignAgent {
            $0.foreignExtensions = [.revocationSupport(RevocationSupport(inform: inform, timestamp: timestamp))]
        }
    }

    private static func direct() -> TestRequest {
        TestRequest { $0.extensions = [.revocationSupport(RevocationSupport(inform: false, timestamp: 1000))] }
    }

    /// What the other side says to what was sent last.
    private static func acknowledge(
        _ agent: TestHomeAgent, key: SecurityAssociation = TestHomeAgent.foreignKey,
        as kind: AuthenticationExtension.Kind = .foreignHome, from source: IPv4Address = TestHomeAgent.foreignAgent,
        later: UInt32 = 0
    ) throws -> [String] {
        let revocation = try RegistrationRevocation.parse(try #require(agent.sent.last).payload).message
        let message = RegistrationRevocationAcknowledgment(
            inform: false, homeAddress: revocation.homeAddress, identifier: revocation.identifier + later)
        return agent.handle(
            .datagram(
                ReceivedDatagram(
                    payload: try key.sign(message, as: kind), source: source, sourcePort: 434,
                    destination: TestHomeAgent.address)))
    }

    @Test("it is agreed with who offers it under its own authentication")
    func agreement() throws {
        let agent = TestHomeAgent()
        #expect(try agent.reply(to: Self.throughForeignAgent()) == "reply 0, 600 s, revocable")
        #expect(try agent.reply(to: Self.throughForeignAgent(inform: true)) == "reply 0, 600 s, revocable, inform")
        #expect(try agent.reply(to: Self.direct()) == "reply 0, 600 s, revocable")
        // Not with a node whose address is translated, nor with a foreign agent that is not known, nor where it is off.
        var translated = Self.direct()
        translated.source = IPv4Address("203.0.113.66")!
        #expect(try agent.reply(to: translated) == "reply 0, 600 s")
        var unknown = Self.throughForeignAgent()
        unknown.foreignKey = nil
        unknown.careOf = IPv4Address("203.0.113.66")!
        #expect(try agent.reply(to: unknown) == "reply 0, 600 s")
        let off = TestHomeAgent { $0.revocation.isOffered = false }
        #expect(try off.reply(to: Self.throughForeignAgent()) == "reply 0, 600 s")
    }

    @Test("the operator's is sent until it is acknowledged, each time twice as late and with a later time")
    func revoke() throws {
        let agent = TestHomeAgent()
        try agent.register(Self.throughForeignAgent())
        #expect(
            agent.handle(.revoked(Self.node)) == [
                "store without binding", "- 198.51.100.7", "remove 198.51.100.7", "count revoked",
                "revoke 198.51.100.7 at 203.0.113.200", "count revocation sent",
            ])
        let first = try RegistrationRevocation.parse(try #require(agent.sent.last).payload)
        #expect(first.message.flags == .homeAgent && first.message.identifier == 4_000_000_001)
        #expect(first.message.homeDomainAddress == TestHomeAgent.address)
        #expect(first.message.foreignDomainAddress == TestHomeAgent.foreignAgent)
        try TestHomeAgent.foreignKey.verify(first, .foreignHome)
        #expect(agent.sent.last?.destinationPort == 434)
        for seconds in [2.0, 4, 8] {
            #expect(agent.wait(seconds - 1) == [])
            #expect(agent.wait(1) == ["revoke 198.51.100.7 at 203.0.113.200", "count revocation sentAgain"])
        }
        let last = try RegistrationRevocation.parse(try #require(agent.sent.last).payload)
        #expect(last.message.identifier == 4_000_000_014)
        try TestHomeAgent.foreignKey.verify(last, .foreignHome)
        #expect(try Self.acknowledge(agent) == ["count revocation acknowledged"])
        #expect(agent.nextDeadline == nil)
    }

    @Test("it is given up after five times, or when the binding would have ended by itself")
    func givenUp() throws {
        let agent = TestHomeAgent()
        try agent.register(Self.throughForeignAgent())
        agent.handle(.revoked(Self.node))
        var sent = 1
        for seconds in [2.0, 4, 8, 16] { sent += agent.wait(seconds).filter { $0.hasPrefix("revoke") }.count }
        #expect(sent == 5)
        #expect(agent.wait(32) == ["count revocation givenUp"])
        var short = Self.throughForeignAgent()
        short.lifetime = 3
        try agent.register(short)
        agent.handle(.revoked(Self.node))
        #expect(agent.wait(2).count == 2)
        #expect(agent.wait(1) == ["count revocation givenUp"])
        #expect(agent.nextDeadline == nil)
    }

    @Test("an acknowledgment must be signed, from the right place and of the message that was sent last")
    func wrongAcknowledgments() throws {
        let agent = TestHomeAgent()
        try agent.register(Self.throughForeignAgent())
        agent.handle(.revoked(Self.node))
        let wrong: [(SecurityAssociation, AuthenticationExtension.Kind, IPv4Address, UInt32, String)] = [
            (TestHomeAgent.otherKey, .foreignHome, TestHomeAgent.foreignAgent, 0, "acknowledgment-unauthenticated"),
            (TestHomeAgent.foreignKey, .mobileHome, TestHomeAgent.foreignAgent, 0, "acknowledgment-unauthenticated"),
            (TestHomeAgent.foreignKey, .foreignHome, TestHomeAgent.careOf, 0, "acknowledgment-unmatched"),
            (TestHomeAgent.foreignKey, .foreignHome, TestHomeAgent.foreignAgent, 1, "acknowledgment-unmatched"),
        ]
        for (key, kind, source, later, expected) in wrong {
            let sent = TestHomeAgent()
            try sent.register(Self.throughForeignAgent())
            sent.handle(.revoked(Self.node))
            #expect(
                try Self.acknowledge(sent, key: key, as: kind, from: source, later: later) == ["count \(expected)"])
            #expect(sent.nextDeadline != nil)
        }
    }

    @Test("a node with a care-of address of its own is told under its own authentication")
    func revokeDirect() throws {
        let agent = TestHomeAgent()
        try agent.register(Self.direct())
        #expect(agent.handle(.revoked(Self.node)).contains("revoke 198.51.100.7 at 203.0.113.9, inform"))
        let sent = try RegistrationRevocation.parse(try #require(agent.sent.last).payload)
        try TestHomeAgent.nodeKey.verify(sent, .mobileHome)
        #expect(
            try Self.acknowledge(agent, key: TestHomeAgent.nodeKey, as: .mobileHome, from: TestHomeAgent.careOf)
                == ["count revocation acknowledged"])
    }

    @Test("where none was agreed, the binding ends and nobody is told")
    func notAgreed() throws {
        let agent = TestHomeAgent()
        try agent.register()
        #expect(agent.handle(.revoked(Self.node)).last == "count revoked")
        #expect(agent.handle(.revoked(Self.node)) == [])
    }

    @Test(
        "the foreign agent that a node has left is told, and need not tell the node; one that it comes back to is not")
    func move() throws {
        let second = IPv4Address("203.0.113.201")!
        let agent = TestHomeAgent {
            $0.foreignAgents.append(ForeignAgent(address: second, associations: [TestHomeAgent.foreignKey]))
        }
        try agent.register(Self.throughForeignAgent(inform: true))
        var moved = Self.throughForeignAgent(inform: true)
        moved.careOf = second
        #expect(
            try agent.register(moved).suffix(2) == [
                "revoke 198.51.100.7 at 203.0.113.200", "count revocation sent",
            ])
        // Back again: what is still sent to the first would end the new binding there.
        let lines = try agent.register(Self.throughForeignAgent(inform: true))
        #expect(lines.contains("revoke 198.51.100.7 at 203.0.113.201"))
        #expect(agent.wait(2) == ["revoke 198.51.100.7 at 203.0.113.201", "count revocation sentAgain"])
    }

    @Test("a foreign agent by way of which a node registers again is told nothing")
    func renewal() throws {
        let agent = TestHomeAgent()
        try agent.register(Self.throughForeignAgent())
        #expect(
            try agent.register(Self.throughForeignAgent()).filter { $0.contains("revo") } == [
                "reply 0, 600 s, revocable"
            ])
    }

    @Test("beyond the limit of those under way, one is not sent")
    func limit() throws {
        let second = IPv4Address("198.51.100.8")!
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node(), TestHomeAgent.node(second)]) {
            $0.limits.revocationsUnderWay = 1
        }
        try agent.register(Self.throughForeignAgent())
        var other = Self.throughForeignAgent()
        other.home = second
        try agent.register(other)
        #expect(agent.handle(.revoked(Self.node)).last == "count revocation sent")
        #expect(agent.handle(.revoked(.homeAddress(second))).last == "count revocation notSent")
        #expect(agent.bindingCount == 0)
    }

    // MARK: - From the foreign agent

    private static func revocation(
        flags: RegistrationRevocation.Flags = [], identifier: UInt32 = 1001,
        careOf: IPv4Address = TestHomeAgent.foreignAgent,
        key: SecurityAssociation = TestHomeAgent.foreignKey, from source: IPv4Address = TestHomeAgent.foreignAgent,
        to destination: IPv4Address = TestHomeAgent.address
    ) throws -> HomeAgentEvent {
        let message = RegistrationRevocation(
            flags: flags, homeAddress: TestHomeAgent.home, homeDomainAddress: TestHomeAgent.address,
            foreignDomainAddress: careOf, identifier: identifier)
        return .datagram(
            ReceivedDatagram(
                payload: try key.sign(message, as: .foreignHome), source: source, sourcePort: 700,
                destination: destination))
    }

    @Test("one to a broadcast address is acknowledged from the home agent's own")
    func broadcast() throws {
        let agent = TestHomeAgent()
        try agent.register(Self.throughForeignAgent())
        agent.handle(try Self.revocation(to: IPv4Address(rawValue: .max)))
        #expect(agent.bindingCount == 0)
        #expect(agent.sent.map(\.source) == [TestHomeAgent.address])
    }

    @Test("a foreign agent's ends the binding, and is acknowledged, also once more")
    func received() throws {
        let agent = TestHomeAgent()
        try agent.register(Self.throughForeignAgent(inform: true))
        #expect(
            agent.handle(try Self.revocation(flags: .inform)) == [
                "store without binding", "- 198.51.100.7", "remove 198.51.100.7", "count revokedByForeignAgent",
                "acknowledge 198.51.100.7, inform", "count revocation received",
            ])
        let sent = try #require(agent.sent.last)
        let received = try RegistrationRevocationAcknowledgment.parse(sent.payload)
        try TestHomeAgent.foreignKey.verify(received, .foreignHome)
        #expect(received.message.identifier == 1001 && sent.destinationPort == 700)
        #expect(
            agent.handle(try Self.revocation()) == ["acknowledge 198.51.100.7", "count revocation received"])
    }

    @Test("one that is reflected, unsigned, stale or not agreed is discarded")
    func refused() throws {
        let agent = TestHomeAgent()
        try agent.register(Self.throughForeignAgent())
        let wrong: [(HomeAgentEvent, String)] = [
            (try Self.revocation(flags: .homeAgent), "revocation-reflected"),
            (try Self.revocation(key: TestHomeAgent.otherKey), "revocation-unauthenticated"),
            (try Self.revocation(from: TestHomeAgent.careOf), "revocation-unauthenticated"),
            (try Self.revocation(identifier: 1000), "revocation-stale"),
            (try Self.revocation(identifier: 999), "revocation-stale"),
            (try Self.revocation(identifier: 1000 &+ 0x8000_0001), "revocation-stale"),
        ]
        for (event, expected) in wrong { #expect(agent.handle(event) == ["count \(expected)"]) }
        // Another care-of address is none of its bindings: it is acknowledged, and nothing ends.
        #expect(
            agent.handle(try Self.revocation(careOf: TestHomeAgent.careOf)) == [
                "acknowledge 198.51.100.7", "count revocation received",
            ])
        #expect(agent.bindingCount == 1)
        try agent.register(.throughForeignAgent())
        #expect(agent.handle(try Self.revocation()) == ["count revocation-not-negotiated"])
        #expect(agent.bindingCount == 1)
    }
}

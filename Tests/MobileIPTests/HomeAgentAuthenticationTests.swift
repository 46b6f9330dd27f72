// RFC 5944, 3.8.2.1: who may register, and what becomes of those who may not.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Home agent: authentication")
struct HomeAgentAuthenticationTests {
    /// Requests, and what is done.
    static let requests: [(String, TestRequest, [String])] = [
        (
            "with the right key", TestRequest(),
            [
                "store", "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 600 s", "+ 198.51.100.7", "reply 0, 600 s",
                "count replied 0",
            ]
        ),
        (
            "with a wrong key", TestRequest { $0.key = TestHomeAgent.otherKey },
            [
                "reply 131, 600 s", "count replied 131",
                "log mobileHome(MobileIP.AuthenticationError.authenticatorMismatch)",
            ]
        ),
        (
            "with an unknown index",
            TestRequest { $0.key = try! SecurityAssociation(securityParameterIndex: 257, key: Array(0x10..<0x20)) },
            [
                "reply 131, 600 s", "count replied 131",
                "log mobileHome(MobileIP.AuthenticationError.securityParameterIndexUnknown)",
            ]
        ),
        ("without authentication", TestRequest { $0.key = nil }, ["count authentication-missing"]),
        (
            "with an authentication of the foreign agent alone",
            TestRequest.throughForeignAgent { $0.key = nil }, ["count authentication-missing"]
        ),
        (
            "of an unknown node", TestRequest { $0.home = IPv4Address("198.51.100.8")! }, ["count node-unknown"]
        ),
        (
            "through a foreign agent",
            TestRequest.throughForeignAgent(),
            [
                "store", "put 198.51.100.7 at 203.0.113.200 by ip-in-ip, 600 s", "+ 198.51.100.7", "reply 0, 600 s",
                "count replied 0",
            ]
        ),
        (
            "through a foreign agent with a wrong key",
            TestRequest.throughForeignAgent { $0.foreignKey = TestHomeAgent.otherKey },
            [
                "reply 132, 600 s", "count replied 132",
                "log foreignHome(MobileIP.AuthenticationError.securityParameterIndexUnknown)",
            ]
        ),
        (
            "through a foreign agent that does not sign",
            TestRequest.throughForeignAgent { $0.foreignKey = nil },
            [
                "reply 132, 600 s", "count replied 132",
                "log foreignHome(MobileIP.AuthenticationError.authenticationMissing)",
            ]
        ),
        (
            "with a wrong key, through a foreign agent that signs",
            TestRequest.throughForeignAgent { $0.key = TestHomeAgent.otherKey },
            [
                "reply 131, 600 s", "count replied 131",
                "log mobileHome(MobileIP.AuthenticationError.authenticatorMismatch)",
            ]
        ),
        (
            "with a wrong key, through a foreign agent that does not sign",
            TestRequest.throughForeignAgent {
                $0.key = TestHomeAgent.otherKey
                $0.foreignKey = nil
            },
            [
                "count mobile-node-unauthenticated",
                "log mobileHome(MobileIP.AuthenticationError.authenticatorMismatch)",
            ]
        ),
        (
            "signed by a foreign agent with which nothing is shared",
            TestRequest.throughForeignAgent { $0.careOf = IPv4Address("203.0.113.201")! },
            ["count foreign-agent-unexpected", "log foreignHomeUnexpected"]
        ),
        (
            "that ends the binding, through a foreign agent that does not sign",
            TestRequest.throughForeignAgent {
                $0.foreignKey = nil
                $0.lifetime = 0
            },
            ["store without binding", "reply 0, 0 s", "count replied 0"]
        ),
        (
            "of a time that is eight seconds off",
            TestRequest { $0.identification = 4_000_000_008 << 32 | 7 },
            ["reply 133, 600 s", "count replied 133", "log identification"]
        ),
        (
            "of a time that is seven seconds off",
            TestRequest { $0.identification = 3_999_999_993 << 32 },
            [
                "store", "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 600 s", "+ 198.51.100.7", "reply 0, 600 s",
                "count replied 0",
            ]
        ),
    ]

    @Test("S2 each request gets its code, or none, and is logged where it is a security exception", arguments: requests)
    func request(_ name: String, _ request: TestRequest, _ expected: [String]) throws {
        let agent = TestHomeAgent()
        #expect(try agent.register(request) == expected, "\(name)")
        #expect(agent.bindingCount == (expected.contains("store") ? 1 : 0))
    }

    @Test("S2 what the node sent before is a replay, and the reply tells the time")
    func replay() throws {
        let agent = TestHomeAgent()
        let first = try TestRequest().datagram(identification: agent.nextIdentification())
        let earlier = try TestRequest { $0.careOf = IPv4Address("203.0.113.66")! }
            .datagram(identification: agent.now.timeOfDay.rawValue)
        #expect(agent.handle(.datagram(first)).contains("reply 0, 600 s"))
        for datagram in [first, earlier] {
            #expect(
                agent.handle(.datagram(datagram)) == ["reply 133, 600 s", "count replied 133", "log identification"])
            let identification = try #require(agent.replies.first).identification
            #expect(identification >> 32 == 4_000_000_000)
        }
        #expect(agent.bindings().bindings.map(\.tunnel.careOfAddress) == [TestHomeAgent.careOf])
    }

    @Test("S2 a reply bears the authentication of the node, and of the foreign agent behind its extensions")
    func signed() throws {
        let agent = TestHomeAgent()
        let challenge = try #require(Challenge(bytes: [1, 2, 3, 4]))
        try agent.register(.throughForeignAgent { $0.foreignExtensions = [.challenge(challenge)] })
        let datagram = try #require(agent.sent.first)
        let received = try RegistrationReply.parse(datagram.payload)
        try TestHomeAgent.nodeKey.verify(received, .mobileHome)
        try TestHomeAgent.foreignKey.verify(received, .foreignHome)
        #expect(Array(received.extensions(behind: .mobileHome)) == [.challenge(challenge)])
        #expect(datagram.source == TestHomeAgent.address && datagram.destination == TestHomeAgent.foreignAgent)
        #expect(datagram.destinationPort == 5000)
    }

    @Test("S2 a rejection of a wrong key is signed by the node's first association")
    func rejectionSigned() throws {
        let newer = try SecurityAssociation(securityParameterIndex: 400, key: Array(0..<16))
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node { $0.associations = [TestHomeAgent.nodeKey, newer] }])
        try agent.register(TestRequest { $0.key = newer })
        let accepted = try RegistrationReply.parse(try #require(agent.sent.first).payload)
        try newer.verify(accepted, .mobileHome)
        let wrong = try SecurityAssociation(securityParameterIndex: 400, key: Array(1..<17))
        #expect(try agent.reply(to: TestRequest { $0.key = wrong }) == "reply 131, 600 s")
        let rejected = try RegistrationReply.parse(try #require(agent.sent.first).payload)
        try TestHomeAgent.nodeKey.verify(rejected, .mobileHome)
    }

    @Test("S2 with nonces, the first request learns one, and each nonce serves once")
    func nonces() throws {
        let key = try SecurityAssociation(
            securityParameterIndex: 256, key: Array(0x10..<0x20), replayProtection: .nonces)
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node(key: key)])
        func send(_ identification: UInt64, careOf: IPv4Address = TestHomeAgent.careOf) throws -> UInt64 {
            try agent.register(
                TestRequest {
                    $0.identification = identification
                    $0.careOf = careOf
                    $0.key = key
                })
            return try #require(agent.replies.first).identification
        }
        func codes() -> [UInt8] { agent.replies.map(\.code.rawValue) }
        let taught = try send(1)
        #expect(codes() == [133] && taught & 0xFFFF_FFFF == 1)
        let good = taught & ~0xFFFF_FFFF | 2
        let next = try send(good)
        #expect(codes() == [0] && next & 0xFFFF_FFFF == 2 && next >> 32 != taught >> 32)
        // The reply was lost: the same answer, and no longer a lifetime than there was.
        agent.wait(100)
        #expect(try send(good) == next)
        #expect(agent.actions.map(\.line).contains("reply 0, 500 s"))
        #expect(agent.actions.map(\.line).contains("put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 500 s"))
        // The nonce of before does not serve for another request.
        _ = try send(taught & ~0xFFFF_FFFF | 3, careOf: IPv4Address("203.0.113.66")!)
        #expect(codes() == [133])
        #expect(agent.bindings().bindings.map(\.tunnel.careOfAddress) == [TestHomeAgent.careOf])
    }

    @Test("S2 with nonces, the last request again does not bring back a binding that has ended")
    func nonceAfterTheEnd() throws {
        let key = try SecurityAssociation(
            securityParameterIndex: 256, key: Array(0x10..<0x20), replayProtection: .nonces)
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node(key: key)])
        try agent.register(
            TestRequest {
                $0.identification = 1
                $0.key = key
            })
        let request = TestRequest {
            $0.identification = agent.replies[0].identification & ~0xFFFF_FFFF | 2
            $0.key = key
        }
        #expect(try agent.reply(to: request) == "reply 0, 600 s")
        agent.wait(600)
        #expect(agent.bindingCount == 0)
        #expect(try agent.reply(to: request) == "reply 133, 600 s")
        #expect(agent.bindingCount == 0)
    }
}

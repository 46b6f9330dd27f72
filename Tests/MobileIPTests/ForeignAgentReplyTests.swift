// What a foreign agent makes of replies, and of its visitor list.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Foreign agent: replies and visitors")
struct ForeignAgentReplyTests {
    typealias Agent = TestForeignAgent
    static let put = "put 198.51.100.7 of 192.0.2.1, 600 s, reverse"
    static let accepted = [put, "answer 0, 600 s", "replied 0"]

    static func visited(shares: Bool = true) -> TestForeignAgent {
        let agent = TestForeignAgent(shares: shares)
        agent.ask()
        agent.reply { if !shares { $0.foreignKey = nil } }
        return agent
    }

    @Test("a visitor is there before its node is told, and goes when its lifetime has passed")
    func lifetime() {
        let agent = TestForeignAgent()
        agent.ask()
        #expect(agent.reply() == Self.accepted)
        #expect(agent.visitorCount == 1)
        #expect(agent.wait(599.9) == [])
        #expect(agent.wait(0.1) == ["remove 198.51.100.7", "ended: expired"])
        #expect(agent.visitorCount == 0 && agent.nextDeadline == nil)
    }

    @Test(
        "of the lifetimes of reply and agent the shorter counts", arguments: [(100, 100), (3600, 1800), (65535, 1800)])
    func shorterLifetime(granted: UInt16, kept: UInt16) {
        let agent = TestForeignAgent()
        agent.ask { $0.flags = [] }
        #expect(
            agent.reply { $0.lifetime = granted } == [
                "put 198.51.100.7 of 192.0.2.1, \(kept) s", "answer 0, \(granted) s", "replied 0",
            ])
        #expect(agent.nextDeadline == agent.now.nanoseconds + UInt64(kept) * 1_000_000_000)
    }

    @Test("a visitor for ever, where the agent offers that")
    func forEver() {
        let agent = TestForeignAgent { $0.maximumLifetime = .infinite }
        agent.ask { $0.lifetime = .max }
        agent.reply { $0.lifetime = .max }
        #expect(agent.visitorCount == 1 && agent.nextDeadline == nil)
    }

    @Test("a reply that is to no request is discarded, and does no harm")
    func unmatched() {
        let agent = TestForeignAgent()
        agent.ask()
        let changes: [(inout TestVisitReply) -> Void] = [
            { $0.identification ^= 1 }, { $0.home = IPv4Address("198.51.100.9")! },
            { $0.source = IPv4Address("192.0.2.2")! },
        ]
        for change in changes { #expect(agent.reply(change) == ["reply-unmatched"]) }
        #expect(
            agent.handle(.reply(HomeAgentDatagram(payload: [3, 0], source: Agent.homeAgent))) == ["message-truncated"])
        #expect(
            agent.handle(.reply(HomeAgentDatagram(payload: TestVisit().datagram.payload, source: Agent.homeAgent)))
                == ["unexpected-type"])
        // The upper half is the home agent's (RFC 5944, 5.7).
        #expect(agent.reply { $0.identification ^= 1 << 32 } == Self.accepted)
        #expect(agent.reply() == ["reply-unmatched"])
    }

    @Test("a reply that the home agent did not sign is discarded and logged, and the request denied")
    func unauthenticated() {
        let wrong = try! SecurityAssociation(securityParameterIndex: 300, key: Array(0..<16))
        let other = try! SecurityAssociation(securityParameterIndex: 301, key: Array(0x40..<0x50))
        for (key, error) in [
            (nil, "authentication-missing"), (wrong, "authenticator-mismatch"),
            (other, "security-parameter-index-unknown"),
        ] as [(SecurityAssociation?, String)] {
            let agent = TestForeignAgent()
            agent.ask()
            #expect(
                agent.reply { $0.foreignKey = key } == [
                    "reply-unauthenticated", "log homeAgent \(error)", "answer 68, 600 s", "denied 68",
                ])
            #expect(agent.visitorCount == 0)
        }
    }

    @Test("only the answer to the end need not be signed, and only where it says so")
    func unsignedEnd() {
        let agent = Self.visited()
        let unsigned: (inout TestVisitReply) -> Void = {
            $0.lifetime = 0
            $0.foreignKey = nil
        }
        agent.ask()
        #expect(agent.reply(unsigned).first == "reply-unauthenticated")
        agent.ask { $0.lifetime = 0 }
        #expect(agent.reply { $0.foreignKey = nil }.first == "reply-unauthenticated")
        #expect(agent.visitorCount == 1)
        agent.ask { $0.lifetime = 0 }
        #expect(
            agent.reply(unsigned) == ["remove 198.51.100.7", "ended: deregistered", "answer 0, 0 s", "replied 0"])
    }

    @Test("a rejection leaves the visitor as it was", arguments: [600, 0] as [UInt16])
    func rejection(lifetime: UInt16) {
        let agent = Self.visited()
        let end = agent.nextDeadline
        agent.ask { $0.lifetime = lifetime }
        #expect(
            agent.reply {
                $0.code = .identificationMismatch
                $0.lifetime = lifetime
            } == ["answer 133, \(lifetime) s", "replied 133"])
        #expect(agent.visitorCount == 1 && agent.nextDeadline == end)
    }

    @Test("the end of a binding ends the visitor where it is that one's, or of all")
    func deregistration() {
        for (careOf, ends) in [(Agent.careOf, true), (Agent.home, true), (IPv4Address("192.0.2.99")!, false)] {
            let agent = Self.visited()
            agent.ask {
                $0.lifetime = 0
                $0.careOf = careOf
            }
            let lines = agent.reply { $0.lifetime = 0 }
            #expect(lines.contains("ended: deregistered") == ends)
            #expect(agent.visitorCount == (ends ? 0 : 1))
        }
    }

    @Test("a care-of address of its own ends the visitor, unless both are kept")
    func coLocated() {
        for (flags, code, ends) in [
            ([.decapsulationByMobileNode], .accepted, true),
            ([.decapsulationByMobileNode, .simultaneousBindings], .accepted, false),
            ([.decapsulationByMobileNode, .simultaneousBindings], .acceptedWithoutSimultaneousBindings, true),
        ] as [(RegistrationRequest.Flags, ReplyCode, Bool)] {
            let agent = Self.visited()
            agent.ask {
                $0.flags = flags
                $0.careOf = IPv4Address("10.1.0.77")!
            }
            #expect(agent.reply { $0.code = code }.contains("ended: coLocated") == ends)
        }
    }

    @Test("a visitor's home address is its own while it is there")
    func taken() {
        let agent = Self.visited()
        #expect(agent.ask { $0.agent = IPv4Address("192.0.2.2")! }.last == "denied 65")
        agent.wait(600)
        let other = IPv4Address("192.0.2.2")!
        agent.ask {
            $0.agent = other
            $0.link = LinkLayerAddress([2, 0, 0, 0, 0, 8])
        }
        agent.ask()
        #expect(agent.reply() == Self.accepted)
        #expect(
            agent.reply {
                $0.agent = other
                $0.source = other
                $0.foreignKey = nil
            }.last == "denied 65")
        #expect(agent.visitorCount == 1)
    }

    @Test("there are as many visitors as there may be, and who is there may stay")
    func visitorLimit() {
        let agent = TestForeignAgent { $0.limits.visitors = 1 }
        let other = IPv4Address("198.51.100.9")!
        agent.ask()
        agent.ask { $0.home = other }
        #expect(agent.reply() == Self.accepted)
        #expect(agent.reply { $0.home = other }.last == "denied 66")
        agent.wait(1)
        #expect(agent.ask { $0.home = other }.last == "denied 66")
        #expect(agent.ask().last == "relayed")
        #expect(agent.reply().first == Self.put)
        agent.handle(.solicitation(VisitingSource(address: other, linkLayerAddress: Agent.link)))
        #expect(agent.advertisements.first?.flags.contains(.busy) == true)
    }

    @Test("nodes without an address are told by their names (RFC 2794)")
    func names() {
        let names = ["a@example.net", "b@example.net"].map { NetworkAccessIdentifier($0)! }
        let agent = TestForeignAgent()
        for (index, name) in names.enumerated() {
            agent.ask {
                $0.home = .unspecified
                $0.extensions = [.mobileNodeNAI(name)]
                $0.link = LinkLayerAddress([2, 0, 0, 0, 0, UInt8(index)])
            }
        }
        agent.reply { $0.extensions = [.mobileNodeNAI(names[1])] }
        #expect(agent.answers.map(\.linkLayerAddress.bytes.last) == [1])
        #expect(agent.answers.map(\.destination) == [Agent.home])
        #expect(
            agent.reply { $0.extensions = [.mobileNodeNAI(NetworkAccessIdentifier("c@example.net")!)] } == [
                "reply-unmatched"
            ])
        #expect(agent.reply().last == "denied 97")
    }

    @Test("the reply to a name must have both addresses")
    func missingAddresses() {
        let name = NetworkAccessIdentifier("a@example.net")!
        for (change, code) in [
            ({ $0.agent = .unspecified }, 98), ({ $0.home = .unspecified }, 99),
        ] as [((inout TestVisitReply) -> Void, UInt8)] {
            let agent = TestForeignAgent()
            agent.ask {
                $0.home = .unspecified
                $0.extensions = [.mobileNodeNAI(name)]
            }
            let lines = agent.reply {
                $0.extensions = [.mobileNodeNAI(name)]
                change(&$0)
            }
            #expect(lines.last == "denied \(code)")
            #expect(agent.visitorCount == 0)
        }
    }

    @Test("a reply without the node's authentication is not relayed")
    func poorlyFormed() {
        let agent = TestForeignAgent()
        agent.ask()
        #expect(agent.reply { $0.isSigned = false } == ["answer 71, 600 s", "denied 71"])
    }

    // MARK: - Bytes

    struct Bytes: Decodable, Sendable {
        struct Exchange: Decodable, Sendable, CustomTestStringConvertible {
            let name: String
            let shares: Bool
            let request: Hex
            let relayed: Hex
            let reply: Hex
            let answer: Hex
            var testDescription: String { name }
        }
        struct Denial: Decodable, Sendable, CustomTestStringConvertible {
            let name: String
            let request: Hex
            let answer: Hex
            var testDescription: String { name }
        }
        let exchanges: [Exchange]
        let denials: [Denial]
        static let all: Bytes = Vectors.load("foreignagent")
    }

    private static func request(_ payload: [UInt8]) -> ForeignAgentEvent {
        var datagram = TestVisit().datagram
        datagram.payload = payload
        return .request(datagram)
    }

    @Test(
        "R3 S2 what is relayed has the bytes that scapy and Python give it, both ways",
        arguments: Bytes.all.exchanges)
    func exchange(_ vector: Bytes.Exchange) throws {
        let agent = TestForeignAgent(shares: vector.shares)
        agent.handle(Self.request(vector.request.bytes))
        #expect(Hex(try #require(agent.relayed)) == vector.relayed)
        agent.handle(.reply(HomeAgentDatagram(payload: vector.reply.bytes, source: Agent.homeAgent)))
        #expect(Hex(try #require(agent.answers.first).payload) == vector.answer)
    }

    @Test("a denial has the bytes that scapy and Python give it", arguments: Bytes.all.denials)
    func denial(_ vector: Bytes.Denial) throws {
        let agent = TestForeignAgent()
        agent.handle(Self.request(vector.request.bytes))
        #expect(agent.relayed == nil)
        #expect(Hex(try #require(agent.answers.first).payload) == vector.answer)
    }

    // MARK: - Discovery

    @Test("numbers of advertisements begin with 0, and go on with 256 (RFC 5944, 2.3.2)")
    func sequenceNumbers() {
        let agent = TestForeignAgent { $0.limits.advertisementsPerSecond = .max }
        var numbers: [UInt16] = []
        for _ in 0..<65538 {
            agent.handle(.solicitation(VisitingSource(address: Agent.home, linkLayerAddress: Agent.link)))
            numbers += agent.advertisements.map(\.sequenceNumber)
        }
        #expect(numbers == Array(0...65535) + [256, 257])
    }

    @Test("advertisements come at once, then at random within a quarter of the interval; who asks is answered")
    func advertisements() throws {
        let agent = TestForeignAgent {
            $0.advertisementInterval = 40
            $0.limits.advertisementsPerSecond = 2
        }
        #expect(agent.nextDeadline == 0)
        #expect(agent.handle(.deadline) == ["advertise to all", "advertised"])
        let advertisement = try #require(agent.advertisements.first)
        #expect(advertisement.lifetime == 120 && advertisement.registrationLifetime.seconds == 1800)
        #expect(advertisement.flags == [.foreignAgent, .reverseTunneling])
        #expect(advertisement.careOfAddresses == [Agent.careOf])
        #expect(advertisement.routers.map(\.address) == [Agent.visited])
        var intervals: Set<UInt64> = []
        for _ in 0..<20 {
            let interval = try #require(agent.nextDeadline) - agent.now.nanoseconds
            #expect((30_000_000_000...40_000_000_000).contains(interval))
            intervals.insert(interval)
            #expect(agent.wait(Double(interval + 1) / 1e9).first == "advertise to all")
        }
        #expect(intervals.count > 10)
        let source = VisitingSource(address: Agent.home, linkLayerAddress: Agent.link)
        let nobody = VisitingSource(address: .unspecified, linkLayerAddress: Agent.link)
        agent.wait(2)
        #expect(agent.handle(.solicitation(source)).first == "advertise to 198.51.100.7")
        #expect(agent.handle(.solicitation(nobody)).first == "advertise to all")
        #expect(agent.handle(.solicitation(source)) == ["advertisement-limit"])
        agent.wait(1)
        #expect(agent.handle(.solicitation(source)).first == "advertise to 198.51.100.7")
    }

    @Test("no bytes of a message that are changed or cut make it fail")
    func hostile() {
        let agent = TestForeignAgent()
        var random = SeededGenerator(seed: 7)
        let request = TestVisit { $0.extensions = [.mobileNodeNAI(NetworkAccessIdentifier("a@b")!)] }.datagram.payload
        for _ in 0..<3000 {
            var bytes = request
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
            }
            agent.ask { $0.damage = { $0 = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random))) } }
            var reply = TestVisitReply { $0.foreignKey = nil }.bytes
            reply[Int.random(in: 0..<reply.count, using: &random)] ^= 1
            agent.handle(.reply(HomeAgentDatagram(payload: reply, source: Agent.homeAgent)))
            agent.wait(0.1)
        }
        #expect(agent.visitorCount <= 1)
    }
}

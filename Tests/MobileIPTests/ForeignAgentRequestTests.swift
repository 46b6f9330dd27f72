// What a foreign agent makes of requests: whether it relays them, to whom, and by which code it denies them.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Foreign agent: requests")
struct ForeignAgentRequestTests {
    typealias Agent = TestForeignAgent

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let code: UInt8?
        let lifetime: UInt16
        let change: @Sendable (inout TestVisit) -> Void

        /// A request that is relayed.
        init(relays name: String, _ change: @escaping @Sendable (inout TestVisit) -> Void = { _ in }) {
            (testDescription, code, lifetime, self.change) = (name, nil, 0, change)
        }

        /// A request that is denied.
        init(
            _ code: UInt8, _ name: String, lifetime: UInt16 = 600,
            _ change: @escaping @Sendable (inout TestVisit) -> Void
        ) {
            (testDescription, self.code, self.lifetime, self.change) = ("\(code): \(name)", code, lifetime, change)
        }
    }

    static let named = NetworkAccessIdentifier("mn1@example.net")!
    static let coLocated = IPv4Address("10.1.0.77")!

    static let cases = [
        Case(relays: "as it should be"),
        Case(relays: "to all agents") { $0.destination = IPv4Address("224.0.0.11")! },
        Case(relays: "to the care-of address") { $0.destination = Agent.careOf },
        Case(relays: "the longest lifetime") { $0.lifetime = 1800 },
        Case(relays: "no reverse tunnel, from afar") {
            $0.flags = []
            $0.timeToLive = 64
        },
        Case(relays: "the end, of whatever care-of address") {
            $0.lifetime = 0
            $0.careOf = IPv4Address("192.0.2.99")!
        },
        Case(relays: "an own care-of address") {
            $0.flags = [.decapsulationByMobileNode, .greEncapsulation]
            $0.careOf = Self.coLocated
        },
        Case(relays: "a name without an address") {
            $0.home = .unspecified
            $0.extensions = [.mobileNodeNAI(Self.named)]
        },
        Case(relays: "signed for the foreign agent, which shares nothing") { $0.visitKey = Agent.visitKey },
        Case(relays: "signed for the foreign agent") {
            $0.home = Agent.associated
            $0.visitKey = Agent.visitKey
        },
        Case(70, "not signed for the home agent") { $0.isSigned = false },
        Case(70, "a reserved bit") { $0.damage = { $0[1] |= 4 } },
        Case(70, "the other reserved bit") { $0.damage = { $0[1] |= 1 } },
        Case(70, "a home address of nobody") { $0.home = IPv4Address("224.0.0.1")! },
        Case(70, "a home address of the agent") { $0.home = Agent.careOf },
        Case(70, "a home agent of nobody") { $0.agent = IPv4Address("127.0.0.1")! },
        Case(70, "its own home agent") { $0.agent = $0.home },
        Case(67, "not signed for the foreign agent") { $0.home = Agent.associated },
        Case(67, "signed with another key") {
            $0.home = Agent.associated
            $0.visitKey = try! SecurityAssociation(securityParameterIndex: 400, key: Array(0..<16))
        },
        Case(67, "signed by another index") {
            $0.home = Agent.associated
            $0.visitKey = try! SecurityAssociation(securityParameterIndex: 401, key: Array(0x70..<0x80))
        },
        Case(69, "a lifetime too long", lifetime: 1800) { $0.lifetime = 1801 },
        Case(69, "for ever", lifetime: 1800) { $0.lifetime = .max },
        Case(72, "GRE") { $0.flags.insert(.greEncapsulation) },
        Case(72, "minimal encapsulation") { $0.flags.insert(.minimalEncapsulation) },
        Case(76, "a reverse tunnel from afar") { $0.timeToLive = 254 },
        Case(77, "a care-of address of another") { $0.careOf = Self.coLocated },
        Case(79, "encapsulating delivery") { $0.behind = [.encapsulatingDeliveryStyle] },
        Case(90, "any home agent") { $0.agent = .unspecified },
        Case(90, "all home agents") { $0.agent = IPv4Address(rawValue: .max) },
        Case(96, "neither address nor name") { $0.home = .unspecified },
        Case(194, "the agent for home agent") { $0.agent = Agent.careOf },
    ]

    @Test("S2 a request is relayed, or denied by the code that says why", arguments: cases)
    func checks(_ test: Case) throws {
        let agent = TestForeignAgent()
        let lines = agent.ask(test.change)
        guard let code = test.code else {
            #expect(lines == ["relay to 192.0.2.1", "relayed"])
            return
        }
        let logged = lines.filter { $0.hasPrefix("log") }
        #expect(logged.count == (code == 67 ? 1 : 0))
        #expect(lines.dropFirst(logged.count) == ["answer \(code), \(test.lifetime) s", "denied \(code)"])
        let request = TestVisit(test.change).datagram
        let answer = try #require(agent.answers.first)
        let reply = try RegistrationReply.parse(answer.payload).message
        let asked = try RegistrationRequest.parse(request.payload).message
        #expect(reply.homeAddress == asked.homeAddress && reply.homeAgent == asked.homeAgent)
        #expect(reply.identification == asked.identification)
        #expect(answer.destination.rawValue == (asked.homeAddress == .unspecified ? .max : asked.homeAddress.rawValue))
        #expect(answer.destinationPort == 5000 && answer.linkLayerAddress == Agent.link)
        // What was denied is not waited for.
        #expect(agent.nextDeadline == nil)
    }

    @Test("what the configuration does not offer, or asks for, decides")
    func configuration() {
        let without = TestForeignAgent { $0.flags = [.foreignAgent] }
        #expect(without.ask().first == "answer 74, 600 s")
        let required = TestForeignAgent { $0.requiresReverseTunnel = true }
        #expect(required.ask { $0.flags = [] }.first == "answer 75, 600 s")
        let both = TestForeignAgent { $0.flags.formUnion([.greEncapsulation, .minimalEncapsulation]) }
        #expect(
            both.ask { $0.flags.formUnion([.greEncapsulation, .minimalEncapsulation]) }.last == "relayed")
        let second = IPv4Address("203.0.113.201")!
        let two = TestForeignAgent { $0.careOfAddresses.append(second) }
        #expect(two.ask { $0.careOf = second }.first == "relay to 192.0.2.1 from 203.0.113.201")
    }

    @Test("an answer comes from where the request went, or from the visited link's address")
    func answerSource() {
        for (destination, source) in [
            (Agent.careOf, Agent.careOf), (IPv4Address("224.0.0.11")!, Agent.visited),
            (IPv4Address(rawValue: .max), Agent.visited),
        ] {
            let agent = TestForeignAgent()
            agent.ask {
                $0.destination = destination
                $0.lifetime = .max
            }
            #expect(agent.answers.map(\.source) == [source])
        }
    }

    @Test("what is no request of a node gets no answer")
    func discarded() {
        let agent = TestForeignAgent()
        #expect(agent.ask { $0.sourcePort = 0 } == ["source-port-zero"])
        #expect(agent.ask { $0.destination = IPv4Address("10.1.0.2")! } == ["destination-not-ours"])
        #expect(agent.ask { $0.damage = { $0 = Array($0[..<23]) } } == ["message-truncated"])
        #expect(agent.ask { $0.damage = { $0 = [] } } == ["message-empty"])
        #expect(agent.ask { $0.damage = { $0 = TestVisitReply().bytes } } == ["unexpected-type"])
        #expect(agent.nextDeadline == nil)
    }

    @Test("a node is denied once a second, and another at the same time")
    func denialLimit() {
        let agent = TestForeignAgent { $0.limits.denialsPerSecond = 2 }
        let wrong: (inout TestVisit) -> Void = { $0.lifetime = .max }
        #expect(agent.ask(wrong).last == "denied 69")
        #expect(agent.ask(wrong) == ["denial-limit"])
        agent.wait(0.999)
        #expect(agent.ask(wrong) == ["denial-limit"])
        for (last, line) in [(8, "denied 69"), (9, "denial-limit")] {
            let lines = agent.ask {
                wrong(&$0)
                $0.link = LinkLayerAddress([2, 0, 0, 0, 0, UInt8(last)])
            }
            #expect(lines.last == line)
        }
        agent.wait(0.001)
        #expect(agent.ask(wrong).last == "denied 69")
    }

    @Test("requests wait within bounds: a node's oldest gives way, others are denied")
    func pendingLimits() {
        let agent = TestForeignAgent {
            $0.limits.pendingRequests = 3
            $0.limits.pendingRequestsOfNode = 2
        }
        func ask(_ identification: UInt64, link: UInt8 = 7) -> String? {
            agent.ask {
                $0.identification = identification
                $0.link = LinkLayerAddress([2, 0, 0, 0, 0, link])
            }.last
        }
        for identification in [1, 2, 2, 3] as [UInt64] { #expect(ask(identification) == "relayed") }
        #expect(agent.reply { $0.identification = 1 } == ["reply-unmatched"])
        #expect(ask(4, link: 8) == "relayed")
        #expect(ask(5, link: 9) == "denied 66")
        #expect(agent.reply { $0.identification = 2 }.last == "replied 0")
        #expect(agent.reply { $0.identification = 3 }.last == "replied 0")
        #expect(ask(6, link: 10) == "relayed")
    }

    @Test("a request waits for seven seconds, or as long as it asks for")
    func timeout() {
        let agent = TestForeignAgent()
        agent.ask()
        #expect(agent.wait(6.999) == [])
        #expect(agent.wait(0.001) == ["answer 78, 600 s", "denied 78"])
        #expect(agent.reply() == ["reply-unmatched"])
        agent.ask { $0.lifetime = 3 }
        #expect(agent.wait(3) == ["request-outlived"])
        agent.ask { $0.lifetime = 0 }
        #expect(agent.wait(7) == ["answer 78, 0 s", "denied 78"])
    }

    @Test(
        "an ICMP error denies the request that it quotes",
        arguments: [(0, 80), (1, 81), (3, 82), (2, 88), (13, 88)] as [(UInt8, UInt8)])
    func unreachable(code: UInt8, reply: UInt8) throws {
        let agent = TestForeignAgent()
        agent.ask { $0.identification = 1 }
        let quote = try #require(agent.relayed)
        agent.ask { $0.identification = 2 }
        func error(_ quote: [UInt8], from homeAgent: IPv4Address = Agent.homeAgent) -> [String] {
            agent.handle(.unreachable(UnreachableHomeAgent(homeAgent: homeAgent, code: code, quote: quote)))
        }
        #expect(error(quote, from: IPv4Address("192.0.2.2")!) == ["unreachable-unmatched"])
        #expect(error(quote) == ["answer \(reply), 600 s", "denied \(reply)"])
        #expect(agent.reply { $0.identification = 1 } == ["reply-unmatched"])
        #expect(error(quote) == ["unreachable-unmatched"])
        agent.wait(1)
        // Of many routers it quotes nothing of the payload.
        #expect(error([]) == ["answer \(reply), 600 s", "denied \(reply)"])
    }
}

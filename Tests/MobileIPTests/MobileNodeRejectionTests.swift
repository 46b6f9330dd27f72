import MobileIP
import Testing
import Wire

@Suite("A mobile node that is rejected")
struct MobileNodeRejectionTests {
    typealias Scene = MobileNodeScene

    /// Every code that RFC 5944, 3024, 3519, 2794, 4433, 4721 and 5177 define, with what is done about it.
    static let table: [(code: UInt8, reaction: ReplyReaction)] = [
        (0, .accept), (1, .accept), (2, .accept), (8, .accept),
        (64, .askOtherForeignAgent), (65, .askOtherForeignAgent), (66, .askOtherForeignAgent),
        (67, .askOtherForeignAgent), (68, .askOtherForeignAgent), (69, .shortenLifetime), (70, .askOtherForeignAgent),
        (71, .askOtherForeignAgent), (72, .askForOtherEncapsulation), (73, .askOtherForeignAgent),
        (74, .leaveOutReverseTunneling), (75, .askForReverseTunneling), (76, .askOtherForeignAgent),
        (77, .askOtherForeignAgent), (78, .askOtherHomeAgent), (79, .askOtherForeignAgent), (80, .askOtherHomeAgent),
        (81, .askOtherHomeAgent), (82, .askOtherHomeAgent), (88, .askOtherHomeAgent), (90, .nameHomeAgent),
        (96, .askOtherForeignAgent), (97, .askOtherForeignAgent), (98, .askOtherForeignAgent),
        (99, .askOtherForeignAgent), (104, .answerChallenge), (105, .answerChallenge), (106, .answerChallenge),
        (108, .askOtherForeignAgent), (109, .askOtherForeignAgent), (127, .askOtherForeignAgent),
        (128, .askOtherHomeAgent), (129, .askOtherHomeAgent), (130, .askOtherHomeAgent), (131, .wait), (132, .wait),
        (133, .resynchronize), (134, .wait), (135, .askOtherHomeAgent), (136, .askToldHomeAgent),
        (137, .leaveOutReverseTunneling), (138, .askForReverseTunneling), (139, .askForOtherEncapsulation),
        (142, .askForOtherEncapsulation), (143, .followRedirection), (144, .wait),
        (147, .leaveOutRefusedMobileNetworks), (148, .leaveOutMobileNetworks), (192, .wait), (193, .wait),
        (194, .askOtherHomeAgent), (255, .wait),
    ]

    @Test("each code has its reaction", arguments: table)
    func reaction(code: UInt8, reaction: ReplyReaction) {
        #expect(ReplyCode(rawValue: code).reaction == reaction)
    }

    @Test("any code of the home agent that can't be put right has the node ask again later, each time later")
    func waiting() throws {
        for code in [128, 129, 130, 131, 132, 134, 135, 136, 139, 142, 143, 144, 147, 148, 150, 193, 255] as [UInt8] {
            var scene = try Scene()
            scene.attach()
            var waits: [Duration] = []
            for _ in 0..<8 {
                let actions = try scene.reject(ReplyCode(rawValue: code))
                #expect(actions.datagrams.isEmpty && actions.logged == [.rejected(ReplyCode(rawValue: code), .wait)])
                #expect(scene.node.status.phase == .waiting)
                waits.append(try #require(scene.node.deadline) - scene.elapsed)
                #expect(try scene.waitForDeadline().datagrams.count == 1)
            }
            #expect(waits == [10, 20, 40, 80, 160, 320, 600, 600].map { .seconds($0) }, "code \(code)")
        }
    }

    @Test("133 puts the clock right and asks again at once", arguments: [-3_600, 3_600, 100_000_000])
    func clock(error: Int) throws {
        var scene = try Scene()
        scene.clockError = .seconds(error)
        scene.attach()
        var reply = try scene.makeReply(.identificationMismatch, prefixes: nil)
        reply.identification =
            UInt64(scene.timeOfDay(scene.elapsed).seconds) << 32 | (reply.identification & 0xFFFF_FFFF)
        let actions = try scene.deliver(reply)
        #expect(actions.datagrams.count == 1)
        let time = NetworkTime(rawValue: try scene.request().identification)
        #expect(abs(time.units(since: scene.timeOfDay(scene.elapsed))) < 1 << 32)
        #expect(try scene.accept().tunnels.count == 1)
    }

    @Test("133 brings a nonce, and the next request bears it")
    func nonce() throws {
        var scene = try Scene(replayProtection: .nonces)
        scene.attach()
        var reply = try scene.makeReply(.identificationMismatch, prefixes: nil)
        reply.identification = 0xABCD_EF01 << 32 | (reply.identification & 0xFFFF_FFFF)
        #expect(try scene.deliver(reply).datagrams.count == 1)
        #expect(try scene.request().identification >> 32 == 0xABCD_EF01)
    }

    @Test("repairs after the first are a second apart, and end")
    func repairsEnd() throws {
        var scene = try Scene()
        scene.attach()
        for repair in 1...MobileNode.maximumRepairs {
            let actions = try scene.reject(.identificationMismatch)
            #expect(actions.logged == [.rejected(.identificationMismatch, .resynchronize)])
            if repair == 1 {
                #expect(actions.datagrams.count == 1)
            } else {
                #expect(actions.datagrams.isEmpty)
                let deadline = try #require(scene.node.deadline)
                #expect(deadline - scene.elapsed == .seconds(1))
                #expect(try scene.waitForDeadline().datagrams.count == 1)
            }
        }
        #expect(try scene.reject(.identificationMismatch).logged == [.rejected(.identificationMismatch, .wait)])
        #expect(scene.node.status.phase == .waiting)
    }

    @Test("136 leads to the home agent that the reply names")
    func toldHomeAgent() throws {
        var scene = try Scene()
        scene.attach()
        var reply = try scene.makeReply(.unknownHomeAgentAddress, prefixes: nil)
        reply.homeAgent = Scene.otherHomeAgent
        let datagram = try #require(try scene.deliver(reply).datagrams.first)
        #expect(datagram.destination == Scene.otherHomeAgent)
        #expect(try scene.request().homeAgent == Scene.otherHomeAgent)
        #expect(try scene.accept().tunnels.first?.homeAgent == Scene.otherHomeAgent)
    }

    @Test("143 leads to the home agent of the redirection, but not in a circle (RFC 4433, 4.2)")
    func redirection() throws {
        var scene = try Scene {
            $0.homeAddress = nil
            $0.identifier = NetworkAccessIdentifier("mn@home")
            $0.assignsHomeAgent = true
        }
        scene.attach()
        func redirection(_ address: IPv4Address) -> MobileIPExtension {
            .dynamicHomeAgent(DynamicHomeAgent(role: .redirected, address: address))
        }
        let datagrams = try scene.reject(.redirectedHomeAgent, [redirection(Scene.otherHomeAgent)]).datagrams
        #expect(datagrams.first?.destination == Scene.otherHomeAgent)
        #expect(
            try scene.request().extensions.contains(
                .dynamicHomeAgent(DynamicHomeAgent(role: .requested, address: Scene.otherHomeAgent))))
        let actions = try scene.reject(.redirectedHomeAgent, [redirection(Scene.homeAgent)])
        #expect(actions.logged == [.rejected(.redirectedHomeAgent, .wait)])
    }

    @Test("137 has it ask without a reverse tunnel, and without UDP, where it may", arguments: [true, false])
    func withoutReverseTunnel(isRequired: Bool) throws {
        var scene = try Scene { $0.reverseTunneling = isRequired ? .required : .preferred }
        scene.attach()
        let actions = try scene.reject(.reverseTunnelUnavailable)
        #expect(actions.datagrams.isEmpty == isRequired)
        guard !isRequired else { return }
        let request = try scene.request()
        #expect(!request.flags.contains(.reverseTunneling) && request.extensions.udpTunnelRequests.isEmpty)
        let accepted = try scene.accept()
        #expect(accepted.tunnels.first?.isReverse == false)
        #expect(!accepted.network.contains(.addRoute(.ipv4(IPv4Prefix("0.0.0.0/0")!))))
    }

    @Test("138 has it ask for a reverse tunnel")
    func withReverseTunnel() throws {
        var scene = try Scene {
            $0.reverseTunneling = .off
            $0.udpTunneling = .off
        }
        scene.attach()
        #expect(try !scene.request().flags.contains(.reverseTunneling))
        #expect(try scene.reject(.reverseTunnelMandatory).datagrams.count == 1)
        #expect(try scene.request().flags.contains(.reverseTunneling))
        #expect(try scene.accept().tunnels.first?.isReverse == true)
    }

    @Test("139 and 142 have it ask for the next encapsulation, until there is none", arguments: [139, 142] as [UInt8])
    func otherEncapsulation(code: UInt8) throws {
        var scene = try Scene { $0.encapsulations = [.minimal, .gre, .ipInIP] }
        scene.attach()
        #expect(try scene.request().flags.contains(.minimalEncapsulation))
        try scene.reject(ReplyCode(rawValue: code))
        #expect(try scene.request().flags.isSuperset(of: .greEncapsulation))
        try scene.reject(ReplyCode(rawValue: code))
        try scene.waitForDeadline()
        #expect(try scene.request().flags == [.decapsulationByMobileNode, .reverseTunneling])
        #expect(try scene.reject(ReplyCode(rawValue: code)).logged == [.rejected(ReplyCode(rawValue: code), .wait)])
    }

    @Test("147 and 148 have it ask without the networks that are refused (RFC 5177, 5.1)")
    func networks() throws {
        let networks = ["10.1.0.0/16", "10.2.0.0/16"].map { IPv4Prefix($0)! }
        var scene = try Scene { $0.mobileNetworks = networks }
        scene.attach()
        let refusal = MobileNetworkAcknowledgment(
            mode: .explicit, code: .unauthorized, prefix: MobileNetworkPrefix(networks[0]))
        #expect(
            try scene.reject(.mobileNetworkError, [.mobileNetworkAcknowledgment(refusal)]).datagrams.count == 1)
        #expect(try scene.request().extensions.networkRequests == [MobileNetworkPrefix(networks[1])])
        try scene.reject(.mobileNetworkDisallowed)
        try scene.waitForDeadline()
        #expect(try scene.request().extensions.networkRequests.isEmpty)
    }

    @Test("128 has it turn to the next home agent once around")
    func nextHomeAgent() throws {
        var scene = try Scene { $0.homeAgents = [Scene.homeAgent, Scene.otherHomeAgent] }
        scene.attach()
        #expect(try scene.reject(.reasonUnspecified).datagrams.first?.destination == Scene.otherHomeAgent)
        #expect(try scene.reject(.reasonUnspecified).logged == [.rejected(.reasonUnspecified, .wait)])
    }

    @Test("a foreign agent's code is believed of the agent that was asked, and of no other")
    func foreignCodes() throws {
        for (hearsAgent, source, isBelieved) in [
            (true, Scene.foreignAgent, true), (true, Scene.homeAgent, false), (false, Scene.homeAgent, false),
            (false, Scene.foreignAgent, false),
        ] {
            var scene = try Scene()
            if hearsAgent { scene.hear() } else { scene.attach() }
            let reply = try scene.makeReply(.foreignInsufficientResources, prefixes: nil)
            try scene.deliverUnsigned(reply, from: source)
            #expect(scene.node.discardCounts == (isBelieved ? [:] : [.foreignAgentNotAsked: 1]))
        }
    }

    @Test("a foreign agent that shares a key is believed only with its authentication (RFC 5944, 3.6.2.1 a)")
    func foreignKey() throws {
        let foreign = try SecurityAssociation(securityParameterIndex: 300, key: Array(100..<116))
        var scene = try Scene { $0.foreignSecurityAssociation = foreign }
        scene.hear()
        let reply = try scene.makeReply()
        #expect(try scene.deliver(reply, from: Scene.foreignAgent).tunnels.isEmpty)
        #expect(scene.node.discardCounts == [.foreignAgentAuthentication: 1])
        let bytes = try foreign.sign(scene.association.sign(reply, as: .mobileHome), as: .mobileForeign)
        #expect(scene.tell(.datagramReceived(bytes, from: Scene.foreignAgent, port: 434)).tunnels.count == 1)
    }

    @Test("69 has it ask for the lifetime that is granted, if that means something")
    func lifetime() throws {
        for (told, asked) in [(UInt16(60), UInt16?.some(60)), (0, nil), (4, nil), (900, nil)] {
            var scene = try Scene()
            scene.hear()
            try scene.deliverUnsigned(scene.makeReply(.foreignLifetimeTooLong, lifetime: told, prefixes: nil))
            #expect(scene.sent.count == (asked == nil ? 1 : 2))
            if let asked { #expect(try scene.request().lifetime.seconds == asked) }
        }
    }

    @Test("66 has it turn to another foreign agent, and come back when it has waited")
    func otherAgent() throws {
        var scene = try Scene()
        scene.hear(Scene.advertisement(lifetime: 9000))
        let other = Scene.ipv4("10.2.0.1")
        scene.hear(Scene.advertisement(lifetime: 9000), from: other)
        #expect(scene.sent.count == 1)
        try scene.deliverUnsigned(scene.makeReply(.foreignInsufficientResources, prefixes: nil))
        #expect(scene.sent.last?.destination == other)
        try scene.deliverUnsigned(scene.makeReply(.foreignInsufficientResources, prefixes: nil), from: other)
        #expect(scene.node.status.phase == .unattached)
        try scene.waitForDeadline()
        #expect(scene.elapsed == .seconds(1010))
        #expect(scene.sent.last?.destination == Scene.foreignAgent)
    }

    @Test("106 has it answer the newer challenge of the reply (RFC 4721)")
    func challenge() throws {
        let foreign = try SecurityAssociation(securityParameterIndex: 300, key: Array(100..<116))
        let challenges = try [[1], [2]].map { try #require(Challenge(bytes: $0)) }
        var scene = try Scene { $0.foreignSecurityAssociation = foreign }
        scene.hear(Scene.advertisement(challenge: challenges[0]))
        let reply = try scene.makeReply(.foreignStaleChallenge, prefixes: nil, [.challenge(challenges[1])])
        let actions = scene.tell(
            .datagramReceived(try foreign.sign(reply, as: .mobileForeign), from: Scene.foreignAgent, port: 434))
        let payload = try #require(actions.datagrams.first).payload
        #expect(try RegistrationRequest.parse(payload).message.extensions.contains(.challenge(challenges[1])))
    }

    @Test("90 has it name the home agent (RFC 4433)")
    func nameHomeAgent() throws {
        var scene = try Scene {
            $0.homeAddress = nil
            $0.identifier = NetworkAccessIdentifier("mn@home")
            $0.assignsHomeAgent = true
        }
        scene.hear()
        try scene.deliverUnsigned(scene.makeReply(.foreignNonzeroHomeAgentRequired, prefixes: nil))
        #expect(try scene.request().homeAgent == Scene.homeAgent)
    }

    @Test("a renewal that is rejected leaves the registration until it ends")
    func renewalRejected() throws {
        var scene = try Scene.registered()
        try scene.waitForDeadline()
        #expect(try scene.reject(.insufficientResources).network.isEmpty)
        #expect(scene.node.status.phase == .registered)
        scene.elapsed = .seconds(1600)
        let actions = scene.tell(.deadlineReached)
        #expect(actions.network.contains(.removeTunnel) && actions.logged.contains(.expired))
    }
}

import MobileIP
import Testing
import Wire

@Suite("A mobile node and replies")
struct MobileNodeReplyTests {
    typealias Scene = MobileNodeScene

    @Test("an accepted registration brings tunnel, addresses and routes")
    func accepted() throws {
        var scene = try Scene()
        scene.attach()
        scene.elapsed += .milliseconds(300)
        let actions = try scene.accept(lifetime: 400)
        let tunnel = try #require(actions.tunnels.first)
        #expect(tunnel.careOfAddress == Scene.careOfAddress && tunnel.isCoLocated)
        #expect(tunnel.homeAgent == Scene.homeAgent && tunnel.homeAddress == Scene.homeAddress)
        #expect(tunnel.encapsulation == .ipInIP && tunnel.udp == nil && tunnel.greKeys == nil && tunnel.isReverse)
        // RFC 5944, 3.6.2.2: counted from when the request was sent.
        #expect(tunnel.expiry == .seconds(1400))
        #expect(
            actions.network == [
                .installTunnel(tunnel), .addAddress(.ipv4(Scene.homeAddress)),
                .addAddress(.ipv6(IPv6Address("2001:db8:1::1")!, length: 128)),
                .addRoute(.ipv4(IPv4Prefix("0.0.0.0/0")!)), .addRoute(.ipv6(Scene.prefix("::/0"))),
            ])
        #expect(scene.node.status.phase == .registered)
        #expect(actions.last == .report(scene.node.status))
    }

    @Test("the shorter of two lifetimes counts (RFC 5944, 3.4)", arguments: [(UInt16(400), 1400), (900, 1600)])
    func lifetime(granted: UInt16, expiry: Int) throws {
        var scene = try Scene()
        scene.attach()
        #expect(try scene.accept(lifetime: granted).tunnels.first?.expiry == .seconds(expiry))
    }

    @Test("a registration for ever is not renewed")
    func infinite() throws {
        var scene = try Scene { $0.lifetime = .infinite }
        scene.attach()
        let tunnel = try #require(try scene.accept().tunnels.first)
        #expect(tunnel.expiry == nil)
        #expect(scene.node.deadline == nil)
    }

    /// What makes a reply one that is discarded silently (RFC 5944, 3.6.2.1).
    enum Fault: CaseIterable { case identification, homeAddress, homeAgent, key, unsigned, twice, truncated, request }

    @Test("S2 what is not authentic, or not an answer, is discarded and counted", arguments: Fault.allCases)
    func discarded(fault: Fault) throws {
        var scene = try Scene()
        scene.attach()
        var reply = try scene.makeReply()
        let association = scene.association
        let other = try SecurityAssociation(securityParameterIndex: 256, key: Array(1...16))
        var bytes = try association.sign(reply, as: .mobileHome)
        let reason: MobileNodeDiscard
        switch fault {
        case .identification:
            reply.identification ^= 1
            (bytes, reason) = (try association.sign(reply, as: .mobileHome), .identificationMismatch)
        case .homeAddress:
            reply.homeAddress = Scene.otherCareOfAddress
            (bytes, reason) = (try association.sign(reply, as: .mobileHome), .homeAddressMismatch)
        case .homeAgent:
            reply.homeAgent = Scene.otherHomeAgent
            (bytes, reason) = (try association.sign(reply, as: .mobileHome), .homeAgentMismatch)
        case .key: (bytes, reason) = (try other.sign(reply, as: .mobileHome), .homeAgentAuthentication)
        case .unsigned: (bytes, reason) = (try reply.write(), .homeAgentAuthentication)
        case .twice:
            (bytes, reason) = (try association.sign(bytes, as: .mobileHome), .homeAgentAuthentication)
        case .truncated: (bytes, reason) = (Array(bytes.dropLast()), .messageMalformed)
        case .request: (bytes, reason) = (try #require(scene.sent.last).payload, .messageUnexpected)
        }
        let actions = scene.tell(.datagramReceived(bytes, from: Scene.homeAgent, port: 434))
        #expect(actions.network.isEmpty)
        #expect(scene.node.discardCounts == [reason: 1])
        #expect(actions.logged.count == 1)
        #expect(scene.node.status.phase == .registering)
        // The right one is taken all the same.
        #expect(try scene.accept().tunnels.count == 1)
    }

    @Test("an answer that comes twice is discarded the second time")
    func repeated() throws {
        var scene = try Scene()
        scene.attach()
        let reply = try scene.makeReply()
        try scene.deliver(reply)
        #expect(try scene.deliver(reply).network.isEmpty)
        #expect(scene.node.discardCounts == [.requestNotPending: 1])
    }

    @Test("a flood of what is discarded makes few log entries")
    func flood() throws {
        var scene = try Scene()
        for _ in 0..<1000 { scene.tell(.datagramReceived([3], from: Scene.homeAgent, port: 434)) }
        #expect(scene.node.discardCounts == [.messageMalformed: 1000])
        #expect(scene.events.count == 1)
        scene.elapsed += .seconds(10)
        scene.tell(.datagramReceived([3], from: Scene.homeAgent, port: 434))
        guard case .discarded(.messageMalformed, _, count: 1000) = scene.events.last else {
            Issue.record("\(scene.events)")
            return
        }
    }

    @Test("M1 a reply without prefix replies: the node goes on with IPv4, and asks for no prefix again")
    func withoutExtensions() throws {
        var scene = try Scene()
        scene.attach()
        let actions = try scene.accept(prefixes: nil)
        #expect(
            actions.network.dropFirst() == [
                .addAddress(.ipv4(Scene.homeAddress)), .addRoute(.ipv4(IPv4Prefix("0.0.0.0/0")!)),
            ])
        #expect(actions.tunnels.first?.prefixes == [])
        #expect(scene.node.status.supportsIPv6 == false)
        #expect(scene.node.status.prefixes.map(\.outcome) == [.unanswered])
        #expect(actions.logged.contains(.ipv6Unsupported(homeAgent: Scene.homeAgent)))
        try scene.waitForDeadline()
        let request = try scene.request()
        #expect(request.extensions.prefixRequests.isEmpty && request.extensions.tunnelingModes == 0)
    }

    static let codes: [(UInt8, MobileNodeStatus.PrefixOutcome)] = [
        (0, .accepted(.homeAddress)), (1, .accepted(.careOf)), (2, .accepted(.homeAddress)),
        (7, .accepted(.homeAddress)), (8, .rejected(.reasonUnspecified)), (9, .rejected(.administrativelyProhibited)),
        (10, .rejected(IPv6PrefixReplyCode(rawValue: 10))), (255, .rejected(IPv6PrefixReplyCode(rawValue: 255))),
    ]

    @Test(
        "M2 M3 F4 codes up to 7 accept a prefix, others reject it; 1 alone means the care-of tunnel", arguments: codes)
    func prefixCode(code: UInt8, outcome: MobileNodeStatus.PrefixOutcome) throws {
        var scene = try Scene()
        scene.attach()
        let tunnel = try #require(try scene.accept(prefixes: IPv6PrefixReplyCode(rawValue: code)).tunnels.first)
        #expect(scene.node.status.prefixes.map(\.outcome) == [outcome])
        if case .accepted(let kind) = outcome {
            #expect(tunnel.prefixes.map(\.prefix) == [Scene.ownPrefix] && tunnel.prefixes.map(\.tunnel) == [kind])
        } else {
            #expect(tunnel.prefixes.isEmpty)
        }
    }

    @Test("M3 code 1 with a foreign agent's care-of address means the home address tunnel")
    func careOfCodeAtAgent() throws {
        var scene = try Scene()
        scene.hear()
        let tunnel = try #require(try scene.accept(prefixes: .acceptedCareOfAddress).tunnels.first)
        #expect(!tunnel.isCoLocated && tunnel.careOfAddress == Scene.agentCareOfAddress)
        #expect(tunnel.prefixes.map(\.tunnel) == [.homeAddress])
    }

    @Test("M3 H9 minimal encapsulation has IPv6 in the home address tunnel")
    func careOfCodeWithMinimal() throws {
        var scene = try Scene { $0.encapsulations = [.minimal] }
        scene.attach()
        let tunnel = try #require(try scene.accept(prefixes: .acceptedCareOfAddress).tunnels.first)
        #expect(tunnel.encapsulation == .minimal && tunnel.prefixes.map(\.tunnel) == [.homeAddress])
    }

    @Test("R5 R6 M2 each prefix has its own reply; one without is rejected, a reply without request means nothing")
    func prefixesApart() throws {
        let prefixes = ["2001:db8:1::/64", "2001:db8:2::/64", "2001:db8:3::/64"].map { Scene.prefix($0) }
        var scene = try Scene { $0.prefixes = prefixes.map { .init($0) } }
        scene.attach()
        func reply(_ code: IPv6PrefixReplyCode, _ prefix: IPv6Prefix) -> MobileIPExtension {
            .ipv6PrefixReply(IPv6PrefixReply(code: code, prefix: IPv6HomePrefix(prefix)))
        }
        let tunnel = try #require(
            try scene.accept(
                prefixes: nil,
                [
                    reply(.acceptedCareOfAddress, Scene.prefix("2001:db8:99::/64")),
                    reply(.acceptedCareOfAddress, Scene.prefix("2001:db8:3::/56")),
                    reply(.administrativelyProhibited, prefixes[1]), reply(.acceptedHomeAddress, prefixes[0]),
                    reply(.acceptedCareOfAddress, prefixes[1]),
                ]
            ).tunnels.first)
        #expect(tunnel.prefixes.map(\.prefix) == [prefixes[0]])
        #expect(
            scene.node.status.prefixes.map(\.outcome) == [
                .accepted(.homeAddress), .rejected(.administrativelyProhibited), .unanswered,
            ])
        #expect(
            scene.events.contains(.prefixRejected(IPv6HomePrefix(prefixes[2]), nil))
                && scene.events.contains(.prefixRejected(IPv6HomePrefix(prefixes[1]), .administrativelyProhibited)))
        #expect(scene.node.status.supportsIPv6 == true)
    }

    @Test("R4 a rejecting header rejects every prefix, whatever their replies say")
    func rejectingHeader() throws {
        var scene = try Scene()
        scene.attach()
        let actions = try scene.deliver(scene.makeReply(.reasonUnspecified, prefixes: .acceptedCareOfAddress))
        #expect(actions.network.isEmpty)
        #expect(scene.node.status.prefixes.map(\.outcome) == [.pending])
        #expect(scene.node.status.phase == .waiting)
    }

    @Test("R3 a prefix reply behind the home agent's authentication means nothing")
    func uncovered() throws {
        var scene = try Scene()
        scene.attach()
        let bytes = try scene.association.sign(scene.makeReply(prefixes: nil), as: .mobileHome)
        let added = MobileIPExtension.ipv6PrefixReply(
            IPv6PrefixReply(code: .acceptedCareOfAddress, prefix: IPv6HomePrefix(Scene.ownPrefix)))
        let foreign = try SecurityAssociation(securityParameterIndex: 999, key: Array(0..<16))
        let actions = scene.tell(
            .datagramReceived(
                try foreign.sign(bytes, adding: [added], as: .mobileForeign), from: Scene.homeAgent, port: 434))
        #expect(actions.tunnels.first?.prefixes == [])
    }

    @Test(
        "N1 there is a tunnel in UDP where the reply assents, and only then",
        arguments: [(UDPTunnelReply.Code?.some(.accepted), true), (.declined, false), (nil, false)])
    func udpTunnelReply(code: UDPTunnelReply.Code?, isTunneled: Bool) throws {
        var scene = try Scene()
        scene.attach()
        let reply = code.map { MobileIPExtension.udpTunnelReply(UDPTunnelReply(code: $0, keepaliveInterval: 40)) }
        let tunnel = try #require(try scene.accept([reply].compactMap { $0 }).tunnels.first)
        #expect(tunnel.udp.map { $0.local == 434 && $0.remote == 434 } == (isTunneled ? true : nil))
        #expect(scene.node.status.keepaliveInterval == (isTunneled ? .seconds(40) : nil))
    }

    @Test("N1 a tunnel in UDP that was not asked for is not used")
    func udpTunnelUnasked() throws {
        var scene = try Scene { $0.udpTunneling = .off }
        scene.attach()
        let tunnel = try scene.accept([.udpTunnelReply(UDPTunnelReply(code: .accepted))]).tunnels.first
        #expect(tunnel != nil && tunnel?.udp == nil)
    }

    @Test("networks behind the node are those that are acknowledged (RFC 5177)")
    func mobileNetworks() throws {
        let asked = ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"].map { IPv4Prefix($0)! }
        let implicit = IPv4Prefix("10.9.0.0/24")!
        var scene = try Scene { $0.mobileNetworks = asked }
        scene.attach()
        #expect(try scene.request().extensions.networkRequests == asked.map { MobileNetworkPrefix($0) })
        func acknowledgment(
            _ mode: MobileNetworkAcknowledgment.Mode, _ code: MobileNetworkAcknowledgment.Code, _ prefix: IPv4Prefix
        ) -> MobileIPExtension {
            .mobileNetworkAcknowledgment(
                MobileNetworkAcknowledgment(mode: mode, code: code, prefix: MobileNetworkPrefix(prefix)))
        }
        let tunnel = try scene.accept([
            acknowledgment(.explicit, .success, asked[0]), acknowledgment(.explicit, .unauthorized, asked[1]),
            acknowledgment(.implicit, .success, implicit),
        ]).tunnels.first
        #expect(tunnel?.mobileNetworks == [implicit, asked[0]])
        #expect(scene.events.contains(.mobileNetworkRejected(MobileNetworkPrefix(asked[1]), .unauthorized)))
        #expect(scene.events.contains(.mobileNetworkRejected(MobileNetworkPrefix(asked[2]), nil)))
    }
}

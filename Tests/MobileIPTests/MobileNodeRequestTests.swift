import MobileIP
import Testing
import Wire

@Suite("A mobile node's requests")
struct MobileNodeRequestTests {
    typealias Scene = MobileNodeScene

    /// Made with Python's struct and hmac, field by field.
    @Test("are these bytes")
    func bytes() throws {
        var scene = try Scene { $0.identifier = NetworkAccessIdentifier("mn@home") }
        let datagram = try #require(scene.attach().datagrams.first)
        let digits = datagram.payload.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }
        #expect(
            digits.joined() == "01220258c6336407c0000201cb007109e8fe73680000000283076d6e40686f6d65900600000000000089"
                + "060000e8fe73689812014020010db80001000000000000000000009802030020140000"
                + "0100acffd537bf8cf47b45bd28129a70aaab")
        #expect(datagram.source == Scene.careOfAddress && datagram.sourcePort == 434)
        #expect(datagram.destination == Scene.homeAgent && datagram.destinationPort == 434)
        #expect(datagram.interface == "wlan0")
    }

    @Test("R2 M4 have exactly one tunneling mode with a co-located care-of address, where it is wanted")
    func tunnelingModeCoLocated() throws {
        var scene = try Scene { $0.prefixes.append(.init(Scene.prefix("2001:db8:2::/64"))) }
        scene.attach()
        #expect(try scene.request().extensions.tunnelingModes == 1)
        #expect(try scene.request().extensions.prefixRequests.count == 2)

        var homeAddressScene = try Scene { $0.prefixTunnel = .homeAddress }
        homeAddressScene.attach()
        #expect(try homeAddressScene.request().extensions.tunnelingModes == 0)

        var minimalScene = try Scene { $0.encapsulations = [.minimal] }
        minimalScene.attach()
        #expect(try minimalScene.request().extensions.tunnelingModes == 0, "it can't carry IPv6 (RFC 5454, 3.3.2)")

        var plainScene = try Scene { $0.prefixes = [] }
        plainScene.attach()
        #expect(try plainScene.request().extensions.tunnelingModes == 0)
    }

    @Test("R2 M4 have no tunneling mode with a foreign agent's care-of address, and no D bit")
    func tunnelingModeForeign() throws {
        var scene = try Scene()
        scene.hear()
        let request = try scene.request()
        #expect(request.extensions.tunnelingModes == 0)
        #expect(request.extensions.prefixRequests == [IPv6HomePrefix(Scene.ownPrefix)])
        #expect(request.flags == .reverseTunneling)
        #expect(request.careOfAddress == Scene.agentCareOfAddress)
        let datagram = try #require(scene.sent.last)
        #expect(datagram.source == Scene.homeAddress && datagram.destination == Scene.foreignAgent)
    }

    @Test("R3 have all that is for the home agent before its authentication")
    func order() throws {
        var scene = try Scene()
        scene.attach()
        let received = try RegistrationRequest.parse(try #require(scene.sent.last).payload)
        #expect(received.authentications.count == 1)
        #expect(received.extensions(before: .mobileHome).count == received.message.extensions.count - 1)
    }

    @Test("N1 ask for a tunnel in UDP with encapsulation 0, forced where it is to be")
    func udpTunnelRequest() throws {
        for (mode, expected) in [
            (MobileNodeConfiguration.UDPTunneling.automatic, [UDPTunnelRequest(force: false)]),
            (.forced, [UDPTunnelRequest(force: true)]), (.off, []),
        ] {
            var scene = try Scene {
                $0.udpTunneling = mode
                $0.encapsulations = [.gre]
            }
            scene.attach()
            let requests = try scene.request().extensions.udpTunnelRequests
            #expect(requests == expected)
            #expect(requests.allSatisfy { $0.encapsulation == 0 })
            #expect(try scene.request().flags.contains(.greEncapsulation))
        }
    }

    @Test("N1 ask for no tunnel in UDP with a foreign agent's care-of address")
    func udpTunnelForeign() throws {
        var scene = try Scene { $0.udpTunneling = .forced }
        scene.hear(Scene.advertisement(flags: [.foreignAgent, .udpTunneling, .reverseTunneling]))
        #expect(try scene.request().extensions.udpTunnelRequests.isEmpty)
    }

    @Test(
        "N1 through a foreign agent that wants it, with a co-located care-of address, ask for UDP only if it says U",
        arguments: [true, false])
    func udpTunnelThroughAgent(saysU: Bool) throws {
        var scene = try Scene()
        let flags: AgentAdvertisement.Flags = [.foreignAgent, .registrationRequired, .reverseTunneling]
        scene.hear(Scene.advertisement(flags: saysU ? flags.union(.udpTunneling) : flags))
        scene.attach()
        let request = try scene.request()
        #expect(scene.sent.last?.destination == Scene.foreignAgent)
        #expect(scene.sent.last?.source == Scene.careOfAddress)
        #expect(request.careOfAddress == Scene.careOfAddress)
        #expect(request.flags.contains(.decapsulationByMobileNode))
        #expect(
            request.extensions.udpTunnelRequests
                == (saysU ? [UDPTunnelRequest(registrationThroughForeignAgentRequired: true)] : []))
        // Revocations are for those who register with their home agent directly (RFC 3543, 3.2).
        #expect(!request.extensions.contains { if case .revocationSupport = $0 { true } else { false } })
    }

    @Test(
        "ask for encapsulations by the M and G bits",
        arguments: [
            (MobileNodeConfiguration.Encapsulation.ipInIP, RegistrationRequest.Flags()), (.gre, .greEncapsulation),
            (.minimal, .minimalEncapsulation),
        ])
    func encapsulation(_ encapsulation: MobileNodeConfiguration.Encapsulation, _ flag: RegistrationRequest.Flags) throws
    {
        var scene = try Scene { $0.encapsulations = [encapsulation] }
        scene.attach()
        #expect(try scene.request().flags == flag.union([.decapsulationByMobileNode, .reverseTunneling]))
        // An agent that decapsulates is asked only for what it offers (RFC 5944, 3.6.1.2; RFC 3024, 3.1).
        var foreign = try Scene {
            $0.encapsulations = [encapsulation]
            $0.reverseTunneling = .preferred
        }
        foreign.hear(Scene.advertisement(flags: .foreignAgent))
        #expect(try foreign.request().flags == [])
        var offering = try Scene {
            $0.encapsulations = [encapsulation]
            $0.reverseTunneling = .preferred
        }
        offering.hear(Scene.advertisement(flags: [.foreignAgent, .greEncapsulation, .minimalEncapsulation]))
        #expect(try offering.request().flags == flag)
    }

    @Test("ask a foreign agent for no more than the lifetime that it grants")
    func agentLifetime() throws {
        var scene = try Scene()
        scene.hear(Scene.advertisement(registrationLifetime: 120))
        #expect(try scene.request().lifetime.seconds == 120)
    }

    @Test("bear the foreign agent's challenge and authentication behind those of the home agent")
    func foreignAuthentication() throws {
        let foreign = try SecurityAssociation(securityParameterIndex: 300, key: Array(100..<116))
        let challenge = try #require(Challenge(bytes: [1, 2, 3, 4]))
        var scene = try Scene { $0.foreignSecurityAssociation = foreign }
        scene.hear(Scene.advertisement(challenge: challenge))
        let received = try RegistrationRequest.parse(try #require(scene.sent.last).payload)
        try scene.association.verify(received, .mobileHome)
        try foreign.verify(received, .mobileForeign)
        #expect(Array(received.extensions(behind: .mobileHome)) == [.challenge(challenge)])
    }

    @Test("ask for a home address by name (RFC 2794), and use the one that was assigned")
    func assignedHomeAddress() throws {
        var scene = try Scene {
            $0.homeAddress = nil
            $0.identifier = NetworkAccessIdentifier("mn@home")
        }
        scene.attach()
        #expect(try scene.request().homeAddress == .unspecified)
        let actions = try scene.accept()
        #expect(actions.network.contains(.addAddress(.ipv4(Scene.homeAddress))))
        try scene.waitForDeadline()
        #expect(try scene.request().homeAddress == Scene.homeAddress)
    }

    @Test("ask for a home agent (RFC 4433), and keep to the one that was assigned")
    func assignedHomeAgent() throws {
        var scene = try Scene {
            $0.homeAddress = nil
            $0.identifier = NetworkAccessIdentifier("mn@home")
            $0.assignsHomeAgent = true
        }
        scene.attach()
        let request = try scene.request()
        #expect(request.homeAgent == Scene.ipv4("255.255.255.255"))
        #expect(
            request.extensions.contains(
                .dynamicHomeAgent(DynamicHomeAgent(role: .requested, address: Scene.homeAgent))))
        let tunnels = try scene.accept().tunnels
        #expect(tunnels.first?.homeAgent == Scene.homeAgent)
        try scene.waitForDeadline()
        let renewal = try scene.request()
        #expect(renewal.homeAgent == Scene.homeAgent)
        #expect(!renewal.extensions.contains { if case .dynamicHomeAgent = $0 { true } else { false } })
    }

    @Test("exchange GRE keys (RFC 6245)", arguments: [(UInt32(5), UInt32(9), UInt32(5)), (0, 9, 9)])
    func greKeys(_ mine: UInt32, _ told: UInt32, _ incoming: UInt32) throws {
        var scene = try Scene {
            $0.encapsulations = [.gre]
            $0.greKey = mine
        }
        scene.attach()
        #expect(try scene.request().extensions.contains(.greKey(mine)))
        let tunnel = try #require(try scene.accept([.greKey(told)]).tunnels.first)
        #expect(tunnel.greKeys?.incoming == incoming && tunnel.greKeys?.outgoing == told)
        try scene.waitForDeadline()
        #expect(try scene.accept().tunnels.first?.greKeys == nil, "none told, none used")
    }

    @Test("never repeat an identification, and get greater with timestamps", arguments: [false, true])
    func identifications(usesNonces: Bool) throws {
        var scene = try Scene(replayProtection: usesNonces ? .nonces : .timestamps())
        scene.attach()
        var identifications: [UInt64] = []
        for _ in 0..<5 {
            identifications.append(try scene.request().identification)
            try scene.accept()
            scene.attach(identifications.count % 2 == 0 ? Scene.careOfAddress : Scene.otherCareOfAddress)
        }
        #expect(Set(identifications).count == identifications.count)
        if !usesNonces { #expect(identifications == identifications.sorted()) }
    }
}

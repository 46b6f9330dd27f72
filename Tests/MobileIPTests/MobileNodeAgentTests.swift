import MobileIP
import Testing
import Wire

@Suite("A mobile node and foreign agents")
struct MobileNodeAgentTests {
    typealias Scene = MobileNodeScene
    private static let otherLinkLayerAddress = LinkLayerAddress([2, 0, 0, 0, 0, 9])

    @Test("a request goes to the agent's address on the link, from the home address; then the agent is the router")
    func registration() throws {
        var scene = try Scene()
        let asked = try #require(scene.hear().datagrams.first)
        #expect(asked.linkLayerAddress == Scene.agentLinkLayerAddress && asked.interface == "wlan0")
        #expect(asked.source == Scene.homeAddress && asked.destination == Scene.foreignAgent)
        let actions = try scene.accept(prefixes: .acceptedHomeAddress)
        let tunnel = try #require(actions.tunnels.first)
        #expect(!tunnel.isCoLocated && tunnel.careOfAddress == Scene.agentCareOfAddress)
        let route = MobileNode.AgentRoute(
            agent: .init(
                address: Scene.foreignAgent, linkLayerAddress: Scene.agentLinkLayerAddress, interface: "wlan0"),
            homeAddress: Scene.homeAddress, homeAgent: Scene.homeAgent)
        #expect(actions.network.contains(.addRoute(.agent(route))))
        #expect(!actions.network.contains(.addRoute(.ipv4(IPv4Prefix("0.0.0.0/0")!))))
        // With an address of its own the tunnel's interface is the way again; the address stays.
        scene.attach()
        let moved = try scene.accept()
        #expect(moved.network.first == .removeRoute(.agent(route)))
        #expect(moved.network.last == .addRoute(.ipv4(IPv4Prefix("0.0.0.0/0")!)))
        #expect(!moved.network.contains(.removeAddress(.ipv4(Scene.homeAddress))))
    }

    @Test("a request to a home agent that was not heard on the link finds its way by itself")
    func coLocated() throws {
        var scene = try Scene()
        #expect(scene.attach().datagrams.first?.linkLayerAddress == nil)
    }

    @Test("which is preferred says the configuration; an agent in use is kept while it is heard")
    func preference() throws {
        var scene = try Scene { $0.foreignAgents = .preferred }
        #expect(scene.attach().datagrams.first?.destination == Scene.homeAgent)
        #expect(scene.hear().datagrams.first?.destination == Scene.foreignAgent)
        try scene.accept()
        #expect(scene.attach(Scene.otherCareOfAddress).datagrams.isEmpty)
        // Not heard any more.
        #expect(scene.wait(.seconds(31)).datagrams.first?.source == Scene.otherCareOfAddress)

        var off = try Scene { $0.foreignAgents = .off }
        #expect(off.hear().datagrams.isEmpty && off.node.heardAgents.isEmpty)
        #expect(!off.tell(.interfaceAvailable("wlan0")).contains(.solicit(interface: "wlan0")))
        #expect(off.node.deadline == nil)
    }

    @Test("R has a node with its own address register by way of the agent, at once where it is registered already")
    func registrationRequired() throws {
        var scene = try Scene.registered()
        scene.elapsed += .seconds(5)
        let required = Scene.advertisement(flags: [.foreignAgent, .reverseTunneling, .registrationRequired])
        let asked = try #require(scene.hear(required).datagrams.first)
        #expect(asked.source == Scene.careOfAddress && asked.destination == Scene.foreignAgent)
        #expect(asked.linkLayerAddress == Scene.agentLinkLayerAddress)
        #expect(try scene.request().careOfAddress == Scene.careOfAddress)
        #expect(try scene.request().flags.contains(.decapsulationByMobileNode))
        #expect(try scene.accept().tunnels.map(\.isCoLocated) == [true])
        scene.elapsed += .seconds(5)
        #expect(scene.hear(required).datagrams.isEmpty, "it is registered there")
    }

    @Test("who says R and does not answer is passed by")
    func silentRequirer() throws {
        var scene = try Scene()
        scene.hear(Scene.advertisement(flags: [.foreignAgent, .registrationRequired], lifetime: 9000))
        scene.attach()
        #expect(scene.sent.last?.destination == Scene.foreignAgent)
        let actions = scene.wait(.seconds(35))
        #expect(scene.sent.filter { $0.destination == Scene.foreignAgent }.count == 5)
        #expect(actions.datagrams.last?.destination == Scene.homeAgent)
        #expect(actions.datagrams.last?.linkLayerAddress == nil)
    }

    @Test("an agent that does not answer is left for another, and later asked again")
    func silentAgent() throws {
        var scene = try Scene()
        scene.hear(Scene.advertisement(lifetime: 9000))
        let other = Scene.ipv4("10.2.0.1")
        scene.hear(Scene.advertisement(lifetime: 9000), from: other)
        scene.wait(.seconds(31))
        #expect(scene.sent.filter { $0.destination == Scene.foreignAgent }.count == 5)
        #expect(scene.sent.last?.destination == other)
        scene.wait(.seconds(40))
        #expect(scene.sent.last?.destination == Scene.foreignAgent)
    }

    @Test("an advertisement from elsewhere with the agent's address changes nothing of the agent")
    func falseAdvertisement() throws {
        var scene = try Scene()
        scene.hear(Scene.advertisement(sequenceNumber: 400))
        try scene.accept()
        scene.elapsed += .seconds(5)
        let false1 = [
            Scene.advertisement(sequenceNumber: 3), Scene.advertisement(lifetime: 0),
            Scene.advertisement(flags: [.foreignAgent, .busy]), Scene.advertisement(flags: []),
        ]
        for advertisement in false1 {
            #expect(scene.hear(advertisement, at: Self.otherLinkLayerAddress).datagrams.isEmpty)
        }
        #expect(scene.node.status.careOfAddress == Scene.agentCareOfAddress)
        #expect(scene.node.heardAgents.first { $0.isInUse }?.location.linkLayerAddress == Scene.agentLinkLayerAddress)
        #expect(scene.node.discardCounts[.agentUnusable] == 1 && scene.node.discardCounts[.agentUnknown] == nil)
        // The agent itself may say so: it is left where it ends, and not where it is busy, which is for others.
        #expect(scene.hear(Scene.advertisement(flags: [.foreignAgent, .busy])).datagrams.isEmpty)
        #expect(scene.node.status.careOfAddress == Scene.agentCareOfAddress)
        scene.hear(Scene.advertisement(lifetime: 0))
        #expect(!scene.node.heardAgents.contains { $0.isInUse })
    }

    @Test("what is no agent, or is gone before it was heard, is counted and forgotten")
    func useless() throws {
        var scene = try Scene()
        scene.hear(Scene.advertisement(lifetime: 0))
        var broadcast = Scene.advertisement()
        broadcast.careOfAddresses = [Scene.ipv4("255.255.255.255"), Scene.homeAddress, Scene.homeAgent]
        scene.hear(broadcast)
        scene.hear(Scene.advertisement(flags: .homeAgent), from: Scene.otherHomeAgent)
        #expect(scene.sent.isEmpty && scene.node.heardAgents.isEmpty)
        #expect(scene.node.discardCounts == [.agentUnknown: 1, .agentUnusable: 2])
        // Of several the first that can be a care-of address.
        broadcast.careOfAddresses.append(Scene.agentCareOfAddress)
        scene.hear(broadcast)
        #expect(try scene.request().careOfAddress == Scene.agentCareOfAddress)
    }

    @Test("whoever fills the table of agents does not drive out the one in use")
    func flood() throws {
        var scene = try Scene()
        scene.hear()
        try scene.accept()
        for number in 1...100 {
            scene.hear(
                Scene.advertisement(lifetime: 9000), from: IPv4Address(rawValue: 0x0A00_0000 + UInt32(number)))
        }
        #expect(scene.node.heardAgents.count == MobileNode.maximumAgents)
        #expect(scene.node.heardAgents.filter(\.isInUse).map(\.location.address) == [Scene.foreignAgent])
        #expect(scene.node.discardCounts[.agentForgotten] == 93)
    }

    @Test("an agent without a reverse tunnel is of no use where one is required")
    func reverseTunnel() throws {
        let without = Scene.advertisement(flags: .foreignAgent)
        var required = try Scene()
        #expect(required.hear(without).datagrams.isEmpty)
        var preferred = try Scene { $0.reverseTunneling = .preferred }
        #expect(preferred.hear(without).datagrams.count == 1)
        #expect(try !preferred.request().flags.contains(.reverseTunneling))
    }

    @Test("networks behind the node are not asked for at a foreign agent, which delivers to home addresses alone")
    func networks() throws {
        var scene = try Scene { $0.mobileNetworks = [IPv4Prefix("10.9.0.0/24")!] }
        scene.hear()
        #expect(try scene.request().extensions.networkRequests.isEmpty)
        scene.attach()
        #expect(try scene.request().extensions.networkRequests.count == 1)
    }

    @Test("an advertisement is believed for two hours and a half at the most")
    func longLifetime() throws {
        var scene = try Scene()
        scene.hear(Scene.advertisement(lifetime: .max))
        try scene.accept(lifetime: 65_535)
        scene.wait(.seconds(9001))
        #expect(scene.node.heardAgents.isEmpty)
    }

    @Test("agents of an interface go with it")
    func interfaceGone() throws {
        var scene = try Scene()
        scene.hear(Scene.advertisement(lifetime: 9000))
        scene.tell(.interfaceGone("eth9"))
        #expect(scene.node.heardAgents.count == 1)
        scene.tell(.interfaceGone("wlan0"))
        #expect(scene.node.heardAgents.isEmpty && scene.node.status.phase == .unattached)
    }

    // MARK: Solicitations

    /// When solicitations go out in a span of time, in seconds from its beginning.
    private func solicitations(_ scene: inout Scene, for duration: Duration) throws -> [Double] {
        let (start, end) = (scene.elapsed, scene.elapsed + duration)
        var times: [Double] = []
        while let deadline = scene.node.deadline, deadline <= end {
            for case .solicit in try scene.waitForDeadline() { times.append((scene.elapsed - start) / .seconds(1)) }
        }
        scene.elapsed = end
        return times
    }

    @Test("three solicitations a second apart, then twice as far apart each time, up to a bound")
    func solicitations() throws {
        var scene = try Scene()
        scene.random = 0xC000_0000
        scene.tell(.interfaceAvailable("wlan0"))
        let times = try solicitations(&scene, for: .seconds(1000))
        #expect((0...1).contains(try #require(times.first)))
        let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
        #expect(
            zip(gaps, [1, 1, 2, 4, 8, 16, 32, 64, 64, 64]).allSatisfy { $0 > $1 - 1e-6 && $0 <= $1 * 1.25 }, "\(gaps)")
        #expect(gaps.count >= 10)
        // A search that begins anew on the same link is not faster.
        scene.attach()
        #expect(scene.node.deadline != nil)
        let whileAttached = try solicitations(&scene, for: .seconds(20))
        #expect(whileAttached.isEmpty)
        scene.tell(.careOfAddressGone(Scene.careOfAddress))
        let afterwards = try solicitations(&scene, for: .seconds(85))
        #expect(afterwards.count <= 2)
        // A new link is.
        scene.tell(.interfaceGone("wlan0"))
        scene.tell(.interfaceAvailable("wlan0"))
        let onNewLink = try solicitations(&scene, for: .seconds(4))
        #expect(onNewLink.count == 3)
    }

    @Test("who has an agent does not solicit, and looks for the next at the highest rate")
    func solicitationsAfterAgent() throws {
        var scene = try Scene()
        scene.random = 0xC000_0000
        scene.tell(.interfaceAvailable("wlan0"))
        scene.wait(.seconds(300))
        scene.hear(Scene.advertisement(lifetime: 70))
        try scene.accept()
        let withAgent = try solicitations(&scene, for: .seconds(69))
        #expect(withAgent.isEmpty)
        let afterAgent = try solicitations(&scene, for: .seconds(6))
        #expect((3...4).contains(afterAgent.count))
    }

    @Test("interfaces are solicited on up to a bound, none of them more often for the others")
    func manyInterfaces() throws {
        var scene = try Scene()
        for number in 0..<100 { scene.tell(.interfaceAvailable("eth\(number)")) }
        #expect(scene.node.discardCounts[.interfaceNotHeard] == 36)
        let all = try solicitations(&scene, for: .seconds(100))
        #expect(all.count <= 64 * 9)
    }
}

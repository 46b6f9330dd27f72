import MobileIP
import Testing
import Wire

@Suite("A mobile node that moves")
struct MobileNodeMovementTests {
    typealias Scene = MobileNodeScene

    @Test("a new care-of address is registered at once; addresses and routes stay")
    func movement() throws {
        var scene = try Scene.registered()
        let actions = scene.attach(Scene.otherCareOfAddress)
        #expect(actions.datagrams.first?.source == Scene.otherCareOfAddress)
        #expect(actions.network.isEmpty && scene.node.status.phase == .registering)
        let accepted = try scene.accept()
        #expect(scene.node.status.phase == .registered)
        #expect(accepted.network == accepted.tunnels.map { .installTunnel($0) })
        #expect(accepted.tunnels.first?.careOfAddress == Scene.otherCareOfAddress)
    }

    @Test("a reply to what was sent from the care-of address before is not taken")
    func replyFromBefore() throws {
        var scene = try Scene()
        scene.attach()
        let late = try scene.makeReply()
        scene.attach(Scene.otherCareOfAddress)
        #expect(try scene.deliver(late).tunnels.isEmpty)
    }

    @Test("without a care-of address nothing is sent, and the tunnel stays until its registration ends")
    func careOfAddressGone() throws {
        var scene = try Scene.registered()
        let actions = scene.tell(.careOfAddressGone(Scene.careOfAddress))
        #expect(actions.network.isEmpty && scene.node.status.phase == .unattached)
        let later = scene.wait(.seconds(700))
        #expect(later.datagrams.isEmpty && later.network.contains(.removeTunnel))
        #expect(scene.attach().datagrams.count == 1)
    }

    @Test("an address that is not the care-of address may go")
    func otherAddressGone() throws {
        var scene = try Scene.registered()
        #expect(scene.tell(.careOfAddressGone(Scene.otherCareOfAddress)).isEmpty)
    }

    @Test("D1 a node that stops deregisters with lifetime 0, and ends when that is answered")
    func stop() throws {
        var scene = try Scene.registered()
        let actions = scene.tell(.stopped)
        let request = try scene.request()
        #expect(actions.datagrams.count == 1 && request.lifetime.isZero)
        #expect(request.careOfAddress == Scene.homeAddress, "all bindings are to end (RFC 5944, 3.6.1.2)")
        #expect(request.extensions.prefixRequests.isEmpty && request.extensions.tunnelingModes == 0)
        #expect(scene.sent.last?.source == Scene.careOfAddress)
        let ended = try scene.accept(lifetime: 0)
        #expect(ended.network.last == .removeTunnel && ended.network.count == 5)
        #expect(ended.last == .finish)
        #expect(scene.node.deadline == nil && scene.attach().isEmpty)
    }

    @Test("D1 a node that stops through a foreign agent names the agent's care-of address")
    func stopAtAgent() throws {
        var scene = try Scene()
        scene.hear(Scene.advertisement(lifetime: 9000))
        try scene.accept()
        scene.tell(.stopped)
        #expect(try scene.request().careOfAddress == Scene.agentCareOfAddress)
        #expect(scene.sent.last?.destination == Scene.foreignAgent)
    }

    @Test("D1 a node that stops ends after three requests without an answer, 1, 2 and 4 seconds apart")
    func stopUnanswered() throws {
        var scene = try Scene.registered()
        scene.tell(.stopped)
        let actions = scene.wait(.seconds(20))
        #expect(scene.sent.count == 4 && actions.last == .finish)
        #expect(actions.network.contains(.removeTunnel))
    }

    @Test("D1 what a request may have bound is ended, too")
    func stopWhileRegistering() throws {
        var scene = try Scene()
        scene.attach()
        #expect(scene.tell(.stopped).datagrams.count == 1)
        #expect(try scene.request().lifetime.isZero)
        var idle = try Scene()
        #expect(idle.tell(.stopped).last == .finish)
    }

    @Test("D1 a deregistration with a wrong clock is put right")
    func stopWithWrongClock() throws {
        var scene = try Scene.registered()
        scene.tell(.stopped)
        #expect(try scene.reject(.identificationMismatch).datagrams.count == 1)
        #expect(try scene.request().lifetime.isZero)
        #expect(try scene.accept(lifetime: 0).last == .finish)
    }

    @Test("P1 link-local traffic is asked for when the home address is registered, and comes by the home address")
    func linkLocal() throws {
        // RFC 4213, 3.7: fe80:: and the tunnel's IPv4 address.
        let linkLocal = IPv6Address("fe80::c633:6407")!
        var scene = try Scene {
            $0.opensLinkLocal = true
            $0.prefixes = []
        }
        scene.attach()
        #expect(try scene.request().extensions.prefixRequests.isEmpty, "the home address first")
        try scene.accept()
        #expect(try scene.waitForDeadline().datagrams.count == 1)
        #expect(scene.elapsed == .seconds(1001))
        let asked = try scene.request().extensions.prefixRequests
        #expect(asked == [IPv6HomePrefix(linkLocal: linkLocal)] && asked.first?.length == 255)
        let actions = try scene.accept(prefixes: .acceptedCareOfAddress)
        let tunnel = try #require(actions.tunnels.first)
        #expect(tunnel.prefixes.map(\.prefix) == [.host(linkLocal)] && tunnel.prefixes.map(\.tunnel) == [.homeAddress])
        #expect(actions.network.dropFirst() == [.addAddress(.ipv6(linkLocal, length: 64))])
        try scene.waitForDeadline()
        #expect(try scene.request().extensions.prefixRequests == asked, "and with each renewal")
    }

    @Test("P2 delegated prefixes are registered by a new request, beside the link-local address")
    func delegated() throws {
        var scene = try Scene {
            $0.opensLinkLocal = true
            $0.prefixes = []
        }
        scene.attach()
        try scene.accept()
        try scene.waitForDeadline()
        try scene.accept()
        scene.elapsed += .seconds(5)
        let delegated = Scene.prefix("2001:db8:77::/56")
        #expect(scene.tell(.delegatedPrefixesChanged([delegated])).datagrams.count == 1)
        #expect(try scene.request().extensions.prefixRequests.map(\.length) == [56, 255])
        let actions = try scene.accept()
        #expect(
            actions.network.dropFirst() == [
                .addAddress(.ipv6(IPv6Address("2001:db8:77::1")!, length: 128)), .addRoute(.ipv6(Scene.prefix("::/0"))),
            ])
        #expect(scene.tell(.delegatedPrefixesChanged([delegated])).isEmpty, "nothing has changed")
    }

    @Test("P2 prefixes that are delegated while a request is under way are registered by the next")
    func delegatedMeanwhile() throws {
        var scene = try Scene()
        scene.attach()
        scene.tell(.delegatedPrefixesChanged([Scene.prefix("2001:db8:77::/56")]))
        try scene.accept()
        try scene.waitForDeadline()
        #expect(scene.elapsed == .seconds(1001))
        #expect(try scene.request().extensions.prefixRequests.map(\.length) == [64, 56])
    }

    @Test("D2 P2 a prefix that is not delegated any more goes at once, and the next request leaves it out")
    func undelegated() throws {
        var scene = try Scene()
        scene.tell(.delegatedPrefixesChanged([Scene.prefix("2001:db8:77::/56")]))
        scene.attach()
        try scene.accept()
        scene.elapsed += .seconds(5)
        let actions = scene.tell(.delegatedPrefixesChanged([]))
        #expect(actions.network.first == .removeAddress(.ipv6(IPv6Address("2001:db8:77::1")!, length: 128)))
        #expect(actions.tunnels.first?.prefixes.map(\.prefix) == [Scene.ownPrefix])
        #expect(try scene.request().extensions.prefixRequests.map(\.length) == [64])
    }

    @Test("prefixes that can't be delegated, or are too many, change nothing, and are counted and logged")
    func delegatedBounds() throws {
        var scene = try Scene { $0.prefixes = [] }
        let many = (0..<1025).map { IPv6Prefix(containing: IPv6Address(high: 0x2001 << 48 | $0, low: 0), length: 64) }
        scene.tell(.delegatedPrefixesChanged(Array(many.prefix(1024)) + [many[0]]))
        scene.attach()
        #expect(try scene.request().extensions.prefixRequests.count == 1024)
        for (count, wrong) in [many, [Scene.prefix("fe80::/10")], [many[0], Scene.prefix("::/0")]].enumerated() {
            scene.elapsed += .seconds(60)
            let logged = scene.tell(.delegatedPrefixesChanged(wrong)).logged
            #expect(logged.contains { if case .discarded(.delegationRefused, _, _) = $0 { true } else { false } })
            #expect(scene.node.discardCounts[.delegationRefused] == count + 1)
            #expect(scene.node.status.prefixes.count == 1024)
        }
    }

    @Test("an agent is kept while it is heard, left when it is not, and registered with again when it has restarted")
    func agents() throws {
        var scene = try Scene()
        scene.hear(Scene.advertisement(sequenceNumber: 400))
        try scene.accept()
        scene.elapsed += .seconds(5)
        let other = Scene.ipv4("10.2.0.1")
        #expect(scene.hear(from: other).datagrams.isEmpty)
        #expect(scene.hear(Scene.advertisement(sequenceNumber: 300)).datagrams.isEmpty, "rolled over past 255")
        #expect(scene.hear(Scene.advertisement(sequenceNumber: 3)).datagrams.count == 1, "restarted")
        try scene.accept()
        // The other's advertisement is older, so it is heard once more.
        scene.elapsed += .seconds(20)
        scene.hear(Scene.advertisement(lifetime: 9000), from: other)
        let actions = scene.wait(.seconds(11))
        #expect(actions.datagrams.first?.destination == other)
    }

    @Test("a busy agent is not asked; one's own care-of address is preferred")
    func preference() throws {
        var scene = try Scene()
        #expect(scene.hear(Scene.advertisement(flags: [.foreignAgent, .busy])).datagrams.isEmpty)
        #expect(scene.hear(Scene.advertisement(lifetime: 9000)).datagrams.count == 1)
        #expect(scene.attach().datagrams.first?.destination == Scene.homeAgent)
        #expect(scene.tell(.careOfAddressGone(Scene.careOfAddress)).datagrams.first?.destination == Scene.foreignAgent)
    }

    @Test("agents are remembered up to a bound")
    func agentBound() throws {
        var scene = try Scene()
        for number in 1...100 { scene.hear(from: IPv4Address(rawValue: 0x0A00_0000 + UInt32(number))) }
        scene.tell(.careOfAddressGone(Scene.careOfAddress))
        #expect(scene.sent.count <= 100)
        scene.elapsed += .seconds(31)
        scene.tell(.deadlineReached)
        #expect(scene.node.status.phase == .unattached)
    }

    @Test("at home, heard by the home agent's advertisement or known by the address, the node deregisters once")
    func home() throws {
        for heard in [true, false] {
            var scene = try Scene.registered()
            let actions =
                heard
                ? scene.hear(Scene.advertisement(flags: .homeAgent, lifetime: 9000), from: Scene.homeAgent)
                : scene.attach(Scene.homeAddress)
            #expect(actions.network.count == 5 && actions.network.last == .removeTunnel)
            let request = try scene.request()
            #expect(request.lifetime.isZero && request.careOfAddress == Scene.homeAddress && request.flags == [])
            #expect(scene.sent.last?.source == Scene.homeAddress)
            #expect(try scene.accept(lifetime: 0).network.isEmpty)
            #expect(scene.node.status.phase == .atHome)
            #expect(scene.wait(.seconds(2000)).datagrams.isEmpty)
        }
    }
}

import MobileIP
import Testing
import Wire

@Suite("A mobile node and time")
struct MobileNodeTimingTests {
    typealias Scene = MobileNodeScene

    @Test("a request without an answer is sent again after 1, 2, 4 … up to 120 seconds, with new timestamps")
    func retransmission() throws {
        var scene = try Scene()
        scene.attach()
        var gaps: [Duration] = []
        var identifications = [try scene.request().identification]
        for _ in 0..<9 {
            let before = scene.elapsed
            #expect(try scene.waitForDeadline().datagrams.count == 1)
            gaps.append(scene.elapsed - before)
            identifications.append(try scene.request().identification)
        }
        #expect(gaps == [1, 2, 4, 8, 16, 32, 64, 120, 120].map { .seconds($0) })
        #expect(Set(identifications).count == identifications.count && identifications == identifications.sorted())
        #expect(scene.events.contains(.unanswered(homeAgent: Scene.homeAgent, transmissions: 5)))
    }

    @Test("with nonces, the same request is sent again (RFC 5944, 3.6.3)")
    func retransmissionWithNonces() throws {
        var scene = try Scene(replayProtection: .nonces)
        scene.attach()
        for _ in 0..<3 { try scene.waitForDeadline() }
        #expect(scene.sent.count == 4 && Set(scene.sent).count == 1)
        #expect(scene.elapsed == .seconds(1007))
    }

    @Test("no request waits longer than the lifetime that it asks for")
    func retransmissionWithinLifetime() throws {
        var scene = try Scene { $0.lifetime = RegistrationLifetime(seconds: 10) }
        scene.attach()
        for _ in 0..<6 { try scene.waitForDeadline() }
        #expect(scene.elapsed == .seconds(1035))
    }

    @Test("where the way is long, it waits twice the round-trip time and a tenth of a second")
    func roundTripTime() throws {
        var scene = try Scene()
        scene.attach()
        scene.elapsed += .milliseconds(900)
        try scene.accept()
        try scene.waitForDeadline()
        let renewedAt = scene.elapsed
        #expect(scene.node.deadline == renewedAt + .milliseconds(1900))
    }

    @Test("a reply to a request before the last is discarded (RFC 5944, 3.6.2.1)")
    func lateReply() throws {
        var scene = try Scene()
        scene.attach()
        let late = try scene.makeReply()
        try scene.waitForDeadline()
        #expect(try scene.deliver(late).tunnels.isEmpty)
        #expect(try scene.accept().tunnels.count == 1)
    }

    @Test("a registration is renewed before its end, and the tunnel gets the new end")
    func renewal() throws {
        for (lifetime, margin, renewal) in [(UInt16(600), 60, 1540), (600, 1, 1599), (60, 60, 1030)] {
            var scene = try Scene {
                $0.lifetime = RegistrationLifetime(seconds: lifetime)
                $0.renewalMargin = .seconds(margin)
            }
            scene.attach()
            try scene.accept()
            #expect(try scene.waitForDeadline().datagrams.count == 1)
            #expect(scene.elapsed == .seconds(renewal))
            let actions = try scene.accept()
            #expect(actions.network == actions.tunnels.map { .installTunnel($0) })
            #expect(actions.tunnels.first?.expiry == .seconds(renewal + Int(lifetime)))
        }
    }

    @Test("a registration that is not renewed ends: tunnel, addresses and routes go, and the node goes on asking")
    func expiry() throws {
        var scene = try Scene.registered()
        let actions = scene.wait(.seconds(600))
        #expect(
            actions.network == [
                .removeRoute(.ipv4(IPv4Prefix("0.0.0.0/0")!)), .removeRoute(.ipv6(Scene.prefix("::/0"))),
                .removeAddress(.ipv4(Scene.homeAddress)),
                .removeAddress(.ipv6(IPv6Address("2001:db8:1::1")!, length: 128)), .removeTunnel,
            ])
        #expect(actions.logged.contains(.expired))
        #expect(scene.node.status.phase == .registering)
        #expect(scene.wait(.seconds(120)).datagrams.count >= 1)
        #expect(try scene.accept().tunnels.count == 1)
    }

    @Test("after five requests without an answer it turns to the next home agent, and around")
    func nextHomeAgent() throws {
        var scene = try Scene { $0.homeAgents = [Scene.homeAgent, Scene.otherHomeAgent] }
        scene.attach()
        for _ in 0..<5 { try scene.waitForDeadline() }
        #expect(scene.sent.map(\.destination) == Array(repeating: Scene.homeAgent, count: 5) + [Scene.otherHomeAgent])
        #expect(scene.elapsed == .seconds(1031))
        #expect(scene.events.contains(.homeAgentChanged(Scene.otherHomeAgent)))
        for _ in 0..<20 { try scene.waitForDeadline() }
        #expect(Set(scene.sent.suffix(10).map(\.destination)).count == 2)
    }

    @Test("without link-layer hints, no two requests go out within a second (RFC 5944, 3.6)")
    func rate() throws {
        var scene = try Scene()
        scene.attach()
        try scene.accept()
        for number in 0..<20 {
            scene.tell(.delegatedPrefixesChanged([Scene.prefix("2001:db8:\(number + 10)::/64")]))
            scene.elapsed += .milliseconds(50)
        }
        #expect(scene.sent.count == 1)
        try scene.waitForDeadline()
        #expect(scene.sent.count == 2 && scene.elapsed == .seconds(1001))
    }
}

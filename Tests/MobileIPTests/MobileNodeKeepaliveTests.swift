import MobileIP
import Testing
import Wire

@Suite("A mobile node behind a NAT")
struct MobileNodeKeepaliveTests {
    typealias Scene = MobileNodeScene

    private func registered(interval: UInt16) throws -> Scene {
        var scene = try Scene { $0.lifetime = .infinite }
        scene.attach()
        try scene.accept([.udpTunnelReply(UDPTunnelReply(code: .accepted, keepaliveInterval: interval))])
        return scene
    }

    @Test(
        "N1 sends a keepalive an interval after the registration and after each answer",
        arguments: [(UInt16(0), 110), (40, 40), (3, 10)])
    func interval(told: UInt16, expected: Int) throws {
        var scene = try registered(interval: told)
        for number in 1...3 {
            #expect(try scene.waitForDeadline().keepalives == [UInt16(number)])
            #expect(scene.elapsed == .seconds(1000 + expected * number))
            scene.tell(.keepaliveAnswered(sequence: UInt16(number)))
        }
    }

    @Test("N1 four keepalives without an answer: registers anew, and keeps alive twice as often, but not below 10 s")
    func mappingLost() throws {
        var scene = try registered(interval: 30)
        let reply = MobileIPExtension.udpTunnelReply(UDPTunnelReply(code: .accepted, keepaliveInterval: 30))
        var intervals: [Duration] = []
        for _ in 0..<3 {
            let before = scene.sent.count
            var keepalives = 0
            while scene.sent.count == before { keepalives += try scene.waitForDeadline().keepalives.count }
            #expect(keepalives == 4)
            try scene.accept([reply])
            intervals.append(try #require(scene.node.status.keepaliveInterval))
        }
        #expect(intervals == [15, 10, 10].map { .seconds($0) })
        // What was learned belongs to the place (RFC 3519, 4.10).
        scene.attach(Scene.otherCareOfAddress)
        try scene.accept([reply])
        #expect(scene.node.status.keepaliveInterval == .seconds(30))
    }

    @Test("N1 an answer to any keepalive since the last answer will do; another number won't")
    func lateAnswer() throws {
        var scene = try registered(interval: 30)
        try scene.waitForDeadline()
        try scene.waitForDeadline()
        scene.tell(.keepaliveAnswered(sequence: 9))
        #expect(scene.node.deadline == scene.elapsed + .seconds(2))
        scene.tell(.keepaliveAnswered(sequence: 1))
        #expect(scene.node.deadline == scene.elapsed + .seconds(30))
    }

    @Test("N1 through a foreign agent, the first keepalive goes at once (RFC 3519, 4.4)")
    func throughAgent() throws {
        var scene = try Scene()
        scene.hear(
            Scene.advertisement(
                flags: [.foreignAgent, .registrationRequired, .udpTunneling, .reverseTunneling], lifetime: 9000))
        scene.attach()
        let actions = try scene.accept([.udpTunnelReply(UDPTunnelReply(code: .accepted))])
        #expect(actions.keepalives == [1])
    }

    @Test("without a tunnel in UDP there are none")
    func none() throws {
        var scene = try Scene { $0.lifetime = .infinite }
        scene.attach()
        try scene.accept()
        #expect(scene.node.deadline == nil)
    }
}

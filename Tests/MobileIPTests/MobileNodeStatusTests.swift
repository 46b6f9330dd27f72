import MobileIP
import Testing
import Wire

/// What a node says of itself where a registration has ended, or does not come.
@Suite("A mobile node's status")
struct MobileNodeStatusTests {
    typealias Scene = MobileNodeScene

    @Test("a revocation is the reason until a registration is accepted again, and the state has its own beginning")
    func revoked() throws {
        var scene = try Scene()
        scene.attach()
        try scene.accept([.revocationSupport(RevocationSupport(inform: false, timestamp: 5000))])
        #expect(scene.node.status.phase == .registered && scene.node.status.hindrance == nil)
        #expect(scene.node.status.phaseSince == .seconds(1000))
        scene.elapsed += .seconds(30)
        let revocation = RegistrationRevocation(
            flags: .homeAgent, homeAddress: Scene.homeAddress, homeDomainAddress: Scene.homeAgent,
            foreignDomainAddress: Scene.careOfAddress, identifier: 5001)
        scene.tell(
            .datagramReceived(
                try scene.association.sign(revocation, as: .mobileHome), from: Scene.homeAgent, port: 434))
        let status = scene.node.status
        #expect(status.phase == .waiting && status.phaseSince == .seconds(1030) && status.tunnel == nil)
        #expect(status.hindrance == .revoked(homeAgent: Scene.homeAgent) && status.hindranceSince == .seconds(1030))
        #expect(status.hindrance?.description == "192.0.2.1 has revoked the registration")
        #expect(status.prefixes.map(\.outcome) == [.pending])
        try scene.waitForDeadline()
        #expect(scene.node.status.phase == .registering && scene.node.status.phaseSince == .seconds(1040))
        #expect(scene.node.status.hindranceSince == .seconds(1030))
        try scene.accept()
        #expect(scene.node.status.hindrance == nil && scene.node.status.hindranceSince == nil)
    }

    @Test("the loss of a foreign agent is told, by silence, its own word or its interface", arguments: 0..<3)
    func agentLost(way: Int) throws {
        var scene = try Scene()
        scene.hear()
        try scene.accept()
        #expect(scene.node.status.phase == .registered && scene.node.status.hindrance == nil)
        switch way {
        case 0: scene.wait(.seconds(31))
        case 1: scene.hear(Scene.advertisement(lifetime: 0))
        default: scene.tell(.interfaceGone("wlan0"))
        }
        let status = scene.node.status
        #expect(status.phase == .unattached && status.hindrance == .agentLost(Scene.foreignAgent))
        #expect(status.phaseSince == status.hindranceSince)
        #expect(status.hindrance?.description == "the agent 10.1.0.1 is not heard any more")
        // The tunnel leads to where the node was, until the lifetime is over; why is still the same.
        #expect(status.tunnel?.careOfAddress == Scene.agentCareOfAddress && status.careOfAddress == nil)
        scene.wait(.seconds(2000))
        #expect(scene.node.status.tunnel == nil && scene.node.status.hindrance == .agentLost(Scene.foreignAgent))
        #expect(scene.node.status.phaseSince == status.phaseSince)
        scene.attach()
        try scene.accept()
        #expect(scene.node.status.phase == .registered && scene.node.status.hindrance == nil)
    }

    @Test("another agent that is lost is no reason")
    func otherAgentLost() throws {
        var scene = try Scene()
        scene.hear(Scene.advertisement(lifetime: 9000))
        try scene.accept()
        scene.hear(from: Scene.ipv4("10.1.0.2"))
        scene.wait(.seconds(31))
        #expect(scene.node.status.phase == .registered && scene.node.status.hindrance == nil)
    }

    @Test("an address that is gone, a rejection, silence and an end without any of them are told")
    func others() throws {
        var gone = try Scene.registered()
        gone.tell(.careOfAddressGone(Scene.otherCareOfAddress))
        #expect(gone.node.status.hindrance == nil)
        gone.tell(.careOfAddressGone(Scene.careOfAddress))
        #expect(gone.node.status.hindrance == .careOfAddressGone(Scene.careOfAddress))

        var rejected = try Scene()
        rejected.attach()
        try rejected.reject(.administrativelyProhibited)
        #expect(rejected.node.status.hindrance == .rejected(.administrativelyProhibited))

        var silent = try Scene.registered()
        silent.wait(.seconds(595))
        #expect(silent.node.status.phase == .registered)
        guard case .unanswered(Scene.homeAgent, let transmissions) = silent.node.status.hindrance else {
            Issue.record("\(String(describing: silent.node.status.hindrance))")
            return
        }
        #expect(transmissions % 5 == 0)
        // The reason for which it could not be renewed stays.
        silent.wait(.seconds(10))
        #expect(silent.node.status.hindrance != .expired && silent.events.contains(.expired))

        var expired = try Scene.registered { $0.lifetime = RegistrationLifetime(seconds: 5) }
        expired.elapsed += .seconds(5)
        expired.tell(.deadlineReached)
        #expect(expired.node.status.hindrance == .expired)
    }

    @Test("D1 a node that stops says whether it has deregistered, and why not")
    func stops() throws {
        var answered = try Scene.registered()
        answered.tell(.stopped)
        #expect(try answered.accept(lifetime: 0).logged == [.deregistered])

        var silent = try Scene.registered()
        silent.tell(.stopped)
        #expect(silent.wait(.seconds(20)).logged.last == .notDeregistered(.noReply))
        #expect("\(MobileNode.LogEntry.notDeregistered(.noReply))".hasPrefix("Not deregistered: no reply came."))

        var rejected = try Scene.registered()
        rejected.tell(.stopped)
        let actions = try rejected.reject(.administrativelyProhibited)
        #expect(actions.logged.last == .notDeregistered(.rejected(.administrativelyProhibited)))
        #expect(actions.last == .finish)

        var lost = try Scene.registered()
        lost.tell(.careOfAddressGone(Scene.careOfAddress))
        #expect(lost.tell(.stopped).logged == [.notDeregistered(.noWay)])

        var idle = try Scene()
        #expect(idle.tell(.stopped).logged == [.nothingToDeregister])
    }
}

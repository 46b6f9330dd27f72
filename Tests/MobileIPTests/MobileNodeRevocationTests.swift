import MobileIP
import Testing
import Wire

@Suite("A mobile node whose registration is revoked")
struct MobileNodeRevocationTests {
    typealias Scene = MobileNodeScene

    private func registered() throws -> Scene {
        var scene = try Scene()
        scene.attach()
        try scene.accept([.revocationSupport(RevocationSupport(inform: false, timestamp: 5000))])
        return scene
    }

    private func revocation(identifier: UInt32 = 5001) -> RegistrationRevocation {
        RegistrationRevocation(
            flags: .homeAgent, homeAddress: Scene.homeAddress, homeDomainAddress: Scene.homeAgent,
            foreignDomainAddress: Scene.careOfAddress, identifier: identifier)
    }

    private func deliver(_ revocation: RegistrationRevocation, to scene: inout Scene) throws -> [MobileNode.Action] {
        scene.tell(
            .datagramReceived(
                try scene.association.sign(revocation, as: .mobileHome), from: Scene.homeAgent, port: 434))
    }

    @Test("acknowledges it, takes the tunnel away, and asks again later", arguments: [UInt32(5000), 5001])
    func revoked(identifier: UInt32) throws {
        var scene = try registered()
        let actions = try deliver(revocation(identifier: identifier), to: &scene)
        #expect(actions.network.contains(.removeTunnel) && actions.logged == [.revoked(homeAgent: Scene.homeAgent)])
        let datagram = try #require(actions.datagrams.first)
        let acknowledgment = try RegistrationRevocationAcknowledgment.parse(datagram.payload)
        try scene.association.verify(acknowledgment, .mobileHome)
        #expect(acknowledgment.message.homeAddress == Scene.homeAddress)
        #expect(acknowledgment.message.identifier == identifier)
        // One that was lost is given again, and nothing else happens.
        #expect(try deliver(revocation(identifier: identifier), to: &scene).count == 1)
        #expect(try scene.waitForDeadline().datagrams.count == 1)
        #expect(scene.elapsed == .seconds(1010))
    }

    @Test("discards one that is replayed, of another binding, or not signed")
    func discarded() throws {
        var replayed = revocation()
        replayed.identifier = 4999
        var other = revocation()
        other.foreignDomainAddress = Scene.otherCareOfAddress
        var reflected = revocation()
        reflected.flags = []
        for (message, reason) in [
            (replayed, MobileNodeDiscard.revocationReplayed), (other, .bindingNotRevoked),
            (reflected, .bindingNotRevoked),
        ] {
            var scene = try registered()
            #expect(try deliver(message, to: &scene).network.isEmpty)
            #expect(scene.node.discardCounts == [reason: 1])
        }
        var scene = try registered()
        scene.tell(.datagramReceived(try revocation().write(), from: Scene.homeAgent, port: 434))
        #expect(scene.node.discardCounts == [.homeAgentAuthentication: 1])
    }

    @Test("discards all where the home agent did not say that it revokes")
    func unsupported() throws {
        var scene = try Scene.registered()
        #expect(try deliver(revocation(), to: &scene).network.isEmpty)
        #expect(scene.node.discardCounts == [.bindingNotRevoked: 1])
    }
}

// Any events in any order: replies that are right, wrong, late or mutated, movement, agents, prefixes, time. Whatever
// comes, the node has something ahead to wait for, sends no more than it may, and tells changes of the network that fit
// what it told before.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("A mobile node and chance")
struct MobileNodeRandomTests {
    typealias Scene = MobileNodeScene

    /// What was told of the host's network.
    private struct Host {
        var tunnel: MobileNode.Tunnel?
        var addresses: Set<MobileNode.Address> = []
        var routes: Set<MobileNode.Route> = []

        /// Whether each change fits.
        mutating func take(_ actions: [MobileNode.Action]) -> Bool {
            actions.allSatisfy { action in
                switch action {
                case .installTunnel(let new):
                    defer { tunnel = new }
                    return new != tunnel
                case .removeTunnel:
                    defer { tunnel = nil }
                    return tunnel != nil
                case .addAddress(let address): return addresses.insert(address).inserted
                case .removeAddress(let address): return addresses.remove(address) != nil
                case .addRoute(let route): return routes.insert(route).inserted
                case .removeRoute(let route): return routes.remove(route) != nil
                default: return true
                }
            }
        }

        var isEmpty: Bool { tunnel == nil && addresses.isEmpty && routes.isEmpty }
    }

    private static func change(_ configuration: inout MobileNodeConfiguration, _ generator: inout SeededGenerator) {
        configuration.homeAgents =
            Bool.random(using: &generator) ? [Scene.homeAgent] : [Scene.homeAgent, Scene.otherHomeAgent]
        configuration.encapsulations = [.gre, .minimal, .ipInIP].shuffled(using: &generator)
        configuration.opensLinkLocal = .random(using: &generator)
        configuration.lifetime = [.init(seconds: 5), .init(seconds: 600), .infinite].randomElement(using: &generator)!
        configuration.reverseTunneling = [.required, .preferred].randomElement(using: &generator)!
        configuration.mobileNetworks = [IPv4Prefix("10.1.0.0/16")!]
        if Bool.random(using: &generator) {
            configuration.homeAddress = nil
            configuration.identifier = NetworkAccessIdentifier("mn@home")
            configuration.assignsHomeAgent = .random(using: &generator)
        }
    }

    private static func event(_ scene: Scene, _ generator: inout SeededGenerator) throws -> MobileNode.Event {
        let addresses = [Scene.careOfAddress, Scene.otherCareOfAddress, Scene.homeAddress]
        let address = addresses.randomElement(using: &generator)!
        switch Int.random(in: 0..<20, using: &generator) {
        case 0: return .careOfAddressAvailable(address, interface: "wlan0")
        case 1: return .careOfAddressGone(address)
        case 2, 3:
            let source = [Scene.foreignAgent, Scene.otherHomeAgent].randomElement(using: &generator)!
            let advertisement = Scene.advertisement(
                flags: .init(rawValue: .random(in: 0 ... .max, using: &generator)),
                sequenceNumber: .random(in: 0...600, using: &generator),
                lifetime: .random(in: 0...60, using: &generator))
            let linkLayerAddress = LinkLayerAddress([2, 0, 0, 0, 0, .random(in: 1...2, using: &generator)])
            return .advertisementHeard(
                advertisement,
                from: .init(address: source, linkLayerAddress: linkLayerAddress, interface: "wlan0"))
        case 4:
            let number = UInt64.random(in: 0...3, using: &generator)
            return .delegatedPrefixesChanged(
                (0..<number).map { IPv6Prefix(containing: IPv6Address(high: 0x2001 << 48 | $0, low: 0), length: 64) })
        case 5: return .keepaliveAnswered(sequence: .random(in: 0...20, using: &generator))
        case 6, 7: return .deadlineReached
        default: return try datagram(scene, &generator)
        }
    }

    private static func datagram(_ scene: Scene, _ generator: inout SeededGenerator) throws -> MobileNode.Event {
        guard let sent = scene.sent.last, (try? RegistrationRequest.parse(sent.payload)) != nil else {
            return .deadlineReached
        }
        let codes = MobileNodeRejectionTests.table.map(\.code) + Array(repeating: 0, count: 60)
        let code = ReplyCode(rawValue: codes.randomElement(using: &generator)!)
        let extensions: [MobileIPExtension] = [
            .udpTunnelReply(UDPTunnelReply(code: .accepted, keepaliveInterval: 20)),
            .revocationSupport(RevocationSupport(inform: false, timestamp: 5)), .greKey(7),
            .dynamicHomeAgent(DynamicHomeAgent(role: .redirected, address: Scene.otherHomeAgent)),
        ].shuffled(using: &generator)
        let reply = try scene.makeReply(
            code, lifetime: [0, 5, 600].randomElement(using: &generator)!,
            prefixes: .init(rawValue: .random(in: 0...9, using: &generator)),
            Array(extensions.prefix(.random(in: 0...4, using: &generator))))
        var bytes = try scene.association.sign(reply, as: .mobileHome)
        if Int.random(in: 0..<5, using: &generator) == 0 { bytes = PacketMutation.mutate([bytes], using: &generator) }
        let source = [sent.destination, Scene.homeAgent, Scene.foreignAgent].randomElement(using: &generator)!
        return .datagramReceived(bytes, from: source, port: 434)
    }

    @Test("S2 D1 whatever comes, it waits for something ahead, keeps to its rate, and undoes what it did")
    func anything() throws {
        var generator = SeededGenerator(seed: RandomTest.seed(for: "mobile node"))
        for _ in 0..<RandomTest.count(150) {
            var changes = generator
            var scene = try Scene(replayProtection: Bool.random(using: &generator) ? .timestamps() : .nonces) {
                Self.change(&$0, &changes)
            }
            var host = Host()
            for _ in 0..<200 {
                scene.elapsed += .milliseconds(Int.random(in: 0...3000, using: &generator))
                let actions = scene.tell(try Self.event(scene, &generator))
                let isFitting = host.take(actions)
                #expect(isFitting && actions.datagrams.count <= 2 && actions.keepalives.count <= 1)
                if let deadline = scene.node.deadline, deadline <= scene.elapsed {
                    let isFitting = host.take(scene.tell(.deadlineReached))
                    #expect(isFitting)
                    #expect(scene.node.deadline.map { $0 > scene.elapsed } ?? true, "a deadline that stays")
                }
            }
            let isFitting = host.take(scene.tell(.stopped) + scene.wait(.seconds(1000)))
            #expect(isFitting && host.isEmpty && scene.node.status.phase == .finished)
        }
    }
}

// A mobile node, and what its host was told by it. Whatever comes, each change of the host's network fits what was told
// before, it sends no more than it may, and it has something ahead to wait for.

import MobileIP
import TestSupport
import Wire

final class MobileNodeSide {
    private let association: SecurityAssociation
    private var node: MobileNode
    private var tunnel: MobileNode.Tunnel?
    private var addresses: Set<MobileNode.Address> = []
    private var routes: Set<MobileNode.Route> = []
    private(set) var outcomes: [String: UInt64] = [:]
    private(set) var registrations: UInt64 = 0

    init(_ forge: inout MessageForge) {
        association = forge.association
        node = MobileNode(Self.configuration(&forge))
    }

    private static func configuration(_ forge: inout MessageForge) -> MobileNodeConfiguration {
        var configuration = MobileNodeConfiguration(
            homeAddress: Parties.home, homeAgents: [Parties.homeAgent], securityAssociation: forge.association)
        if forge.chance(3) {
            (configuration.homeAddress, configuration.identifier) = (nil, Parties.name)
            configuration.assignsHomeAgent = forge.chance(2)
        }
        if forge.chance(2) { configuration.homeAgents.append(Parties.otherHomeAgent) }
        configuration.prefixes = [.init(IPv6Prefix("2001:db8:1:1::/64")!), .init(IPv6Prefix("2001:db8:1:2::/63")!)]
        configuration.mobileNetworks = [IPv4Prefix("192.168.0.0/16")!]
        configuration.encapsulations = forge.pick([[.ipInIP], [.gre, .minimal, .ipInIP], [.minimal]])
        configuration.reverseTunneling = forge.pick([.required, .preferred])
        configuration.udpTunneling = forge.pick([.automatic, .forced, .off])
        configuration.foreignAgents = forge.pick([.fallback, .preferred])
        configuration.prefixTunnel = forge.pick([.careOf, .homeAddress])
        configuration.opensLinkLocal = forge.chance(2)
        configuration.lifetime = forge.pick([.init(seconds: 5), .init(seconds: 600), .infinite])
        if configuration.encapsulations.contains(.gre) { configuration.greKey = 0 }
        if forge.chance(2) { configuration.foreignSecurityAssociation = Parties.visit }
        return configuration
    }

    var deadline: Duration? { node.deadline }

    /// - Returns: what it sends.
    func handle(_ event: MobileNode.Event, _ now: MobileNode.Moment) throws(Finding) -> [MobileNode.Datagram] {
        let wasRegistered = tunnel != nil
        let actions = node.handle(event, at: now)
        var sent: [MobileNode.Datagram] = []
        var keepalives = 0
        for action in actions {
            switch action {
            case .send(let datagram):
                try ReaderCheck.checkSent(datagram.payload)
                sent.append(datagram)
            case .sendKeepalive: keepalives += 1
            default:
                guard isFitting(action) else { throw Finding("the mobile node's host can't do this: \(action)") }
            }
        }
        guard sent.count <= 2, keepalives <= 1 else { throw Finding("the mobile node sends more than it may") }
        if tunnel != nil, !wasRegistered { registrations += 1 }
        return sent
    }

    private func isFitting(_ action: MobileNode.Action) -> Bool {
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

    /// Another one in place of one that has ended, which must have undone what it did.
    func renewIfFinished(_ forge: inout MessageForge) throws(Finding) {
        guard node.status.phase == .finished else { return }
        guard tunnel == nil, addresses.isEmpty, routes.isEmpty else {
            throw Finding("the mobile node has ended, and its host still has what it made")
        }
        addOutcomes()
        node = MobileNode(Self.configuration(&forge))
    }

    /// Adds what this node has counted.
    func addOutcomes() {
        for (discard, count) in node.discardCounts { outcomes[discard.name, default: 0] += UInt64(count) }
    }
}

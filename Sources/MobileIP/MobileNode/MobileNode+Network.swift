// What the host's network is to be, as a value; what is told is the difference to what was told before. Tunnel, addresses
// and routes stay while the node is between two points of attachment, so that connections last, and go with the
// registration. At home there are none (RFC 5944, 2.4.3 and 4.2.1).

import Wire

extension MobileNode {
    /// The tunnel, and what its interface has.
    struct Network: Hashable, Sendable {
        var tunnel: Tunnel?
        var addresses: [Address] = []
        var routes: [Route] = []
    }

    private static let everyIPv4: Route = .ipv4(IPv4Prefix(address: .unspecified, length: 0)!)
    private static let everyIPv6: Route = .ipv6(IPv6Prefix(containing: .unspecified, length: 0))

    private var wantedNetwork: Network {
        guard var tunnel = registration?.tunnel, !isAtHome else { return Network() }
        // A prefix that is not delegated any more is left at once, not when the home agent has heard of it.
        let wanted = Set(wantedPrefixes.map { $0.prefix ?? .host($0.address) })
        tunnel.prefixes.removeAll { !wanted.contains($0.prefix) }
        var network = Network(tunnel: tunnel)
        network.addresses = [.ipv4(tunnel.homeAddress)] + tunnel.prefixes.map { address(of: $0.prefix) }
        if case .foreignAgent(_, let agent) = registration?.attachment {
            network.routes.append(
                .agent(AgentRoute(agent: agent, homeAddress: tunnel.homeAddress, homeAgent: tunnel.homeAgent)))
        } else if tunnel.isReverse {
            network.routes.append(Self.everyIPv4)
        }
        if tunnel.prefixes.contains(where: { !$0.prefix.address.isLinkLocal }) { network.routes.append(Self.everyIPv6) }
        return network
    }

    private func address(of prefix: IPv6Prefix) -> Address {
        if prefix.address.isLinkLocal { return .ipv6(prefix.address, length: 64) }
        let configured = configuration.prefixes.first { $0.prefix == prefix }
        return .ipv6((configured ?? MobileNodeConfiguration.Prefix(prefix)).address, length: 128)
    }

    /// Tells what has changed: what goes first, then the tunnel, then what comes.
    mutating func tellNetwork() {
        let wanted = wantedNetwork
        guard wanted != network else { return }
        let (addresses, routes) = (Set(wanted.addresses), Set(wanted.routes))
        actions += network.routes.filter { !routes.contains($0) }.map { .removeRoute($0) }
        actions += network.addresses.filter { !addresses.contains($0) }.map { .removeAddress($0) }
        if wanted.tunnel != network.tunnel {
            actions.append(wanted.tunnel.map { .installTunnel($0) } ?? .removeTunnel)
        }
        let (addressesBefore, routesBefore) = (Set(network.addresses), Set(network.routes))
        actions += wanted.addresses.filter { !addressesBefore.contains($0) }.map { .addAddress($0) }
        actions += wanted.routes.filter { !routesBefore.contains($0) }.map { .addRoute($0) }
        network = wanted
    }
}

extension MobileNode {
    /// What the node shows of itself.
    public var status: MobileNodeStatus {
        MobileNodeStatus(
            phase: phase, phaseSince: phaseSince, hindrance: hindrance?.what, hindranceSince: hindrance?.since,
            homeAddress: homeAddress, homeAgent: homeAgent, careOfAddress: careOfAddress,
            interface: interface, tunnel: network.tunnel, lifetime: registration?.lifetime,
            prefixes: wantedPrefixes.map { .init(prefix: $0, outcome: outcome(of: $0)) },
            supportsIPv6: supportsIPv6, lastCode: lastCode, keepaliveInterval: keepalive?.interval)
    }

    /// What was accepted has gone with the registration.
    private func outcome(of prefix: IPv6HomePrefix) -> MobileNodeStatus.PrefixOutcome {
        let outcome = outcomes[prefix] ?? .pending
        if registration == nil, case .accepted = outcome { return .pending }
        return outcome
    }

    private var phase: MobileNodeStatus.Phase {
        if isFinished { return .finished }
        if isStopping { return .deregistering }
        if isAtHome { return isKnownAtHome ? .atHome : .deregistering }
        if attachment == nil { return .unattached }
        // A tunnel that still leads to where the node was is no registration of where it is.
        if let registration, registration.attachment == attachment { return .registered }
        return isWaiting ? .waiting : .registering
    }

    /// Keeps why there is no registration, for whoever asks.
    mutating func hinder(_ hindrance: MobileNodeStatus.Hindrance, at now: Moment) {
        self.hindrance = (hindrance, now.elapsed)
    }

    mutating func tellStatus(at now: Moment) {
        if phase != reported?.phase { phaseSince = now.elapsed }
        let status = status
        guard status != reported else { return }
        reported = status
        actions.append(.report(status))
    }
}

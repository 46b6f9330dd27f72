// Nodes come, change and go while the home agent runs, and prefixes are delegated to them (RFC 5454, 3.7.1).

import Wire

extension HomeAgent {
    mutating func changeNodes(
        _ put: [ServedNode], _ removed: [NodeIdentity], _ now: Moment, _ actions: inout [HomeAgentAction]
    ) {
        for identity in removed {
            guard let number = nodes.number(of: identity) else { continue }
            remove(number, now, &actions)
        }
        nodes.reserve(put.count)
        for node in put {
            if let number = nodes.number(of: node.identity) {
                change(number, to: node, now, &actions)
            } else {
                add(node, &actions)
            }
        }
    }

    private mutating func add(_ node: ServedNode, _ actions: inout [HomeAgentAction]) {
        guard nodes.count < configuration.limits.nodes else {
            actions.append(.count(.nodeRefused))
            return
        }
        if let homeAddress = node.homeAddress, nodes.number(of: homeAddress) != nil {
            actions.append(.count(.nodeRefused))
            return
        }
        let number = nodes.add(node)
        take(node.homeAddress, for: number)
    }

    private mutating func remove(_ number: UInt32, _ now: Moment, _ actions: inout [HomeAgentAction]) {
        let node = nodes[number].node
        revokeBinding(number, .nodeRemoved, now, &actions)
        actions.append(.forget(node.identity))
        giveUp(node.homeAddress)
        nodes.remove(number)
    }

    /// A binding whose home address stays is kept, with those of its prefixes that the node may still have.
    private mutating func change(
        _ number: UInt32, to node: ServedNode, _ now: Moment, _ actions: inout [HomeAgentAction]
    ) {
        let old = nodes[number].node
        if old.homeAddress != node.homeAddress {
            if let new = node.homeAddress, let holder = nodes.number(of: new), holder != number {
                actions.append(.count(.nodeRefused))
                return
            }
            revokeBinding(number, .nodeRemoved, now, &actions)
            giveUp(old.homeAddress)
            nodes[number].node = node
            take(node.homeAddress, for: number)
            return
        }
        nodes[number].node = node
        reviseBinding(number, now, &actions)
    }

    private mutating func take(_ homeAddress: IPv4Address?, for number: UInt32) {
        guard let homeAddress else { return }
        nodes.assign(homeAddress, to: number)
        pools.mark(homeAddress, taken: true)
    }

    private mutating func giveUp(_ homeAddress: IPv4Address?) {
        guard let homeAddress else { return }
        nodes.assign(homeAddress, to: nil)
        pools.mark(homeAddress, taken: isOwn(homeAddress))
    }

    /// Takes from a binding what the node may not have any more, and adds implicit prefixes.
    mutating func reviseBinding(_ number: UInt32, _ now: Moment, _ actions: inout [HomeAgentAction]) {
        guard var binding = nodes[number].binding else { return }
        let node = nodes[number].node
        let permissions = permissions(of: number)
        let kept = binding.prefixes.filter { bound in
            if bound.isImplicit { return false }
            return bound.prefix.address.isLinkLocal ? node.policy.mayUseLinkLocal : permissions.permit(bound.prefix)
        }
        let maximum = Int(node.policy.maximumPrefixes)
        let implicit = implicitPrefixes(
            of: number, but: kept.map { IPv6HomePrefix($0.prefix) }, maximum: maximum, &actions)
        let prefixes = implicit + kept.prefix(maximum - implicit.count)
        let networks = binding.networks.filter { node.networks.contains($0) || node.implicitNetworks.contains($0) }
        guard prefixes != binding.prefixes || networks != binding.networks else { return }
        binding.prefixes = prefixes
        binding.networks = networks
        settle(number, binding, expiry: nodes[number].expiry, now, &actions)
    }

    // MARK: - Delegation

    /// As many as the node may have prefixes.
    mutating func delegate(
        _ prefix: IPv6Prefix, to identity: NodeIdentity, _ now: Moment, _ actions: inout [HomeAgentAction]
    ) {
        guard let number = nodes.number(of: identity), !nodes[number].delegated.contains(prefix),
            nodes[number].delegated.count < Int(nodes[number].node.policy.maximumPrefixes)
        else { return }
        nodes[number].delegated.append(prefix)
        actions.append(.store(nodes[number].record(now)))
    }

    mutating func endDelegation(
        _ prefix: IPv6Prefix, to identity: NodeIdentity, _ now: Moment, _ actions: inout [HomeAgentAction]
    ) {
        guard let number = nodes.number(of: identity),
            let place = nodes[number].delegated.firstIndex(of: prefix)
        else { return }
        nodes[number].delegated.remove(at: place)
        actions.append(.store(nodes[number].record(now)))
        reviseBinding(number, now, &actions)
    }
}

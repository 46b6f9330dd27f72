// A node's binding changes, or ends: what follows from it for prefixes, deadlines, routes, forwarder and record, in one
// place. A route is there only while the forwarder has the binding: it is added behind that, and removed before.

import Wire

extension HomeAgent {
    /// Gives a node another binding, or none. Prefixes and home address of the new one are the node's already.
    /// - Parameter former: what is to hold again where the forwarder refuses the new one.
    mutating func settle(
        _ number: UInt32, _ new: AcceptedRegistration?, expiry: UInt64, orElse former: FormerRegistration? = nil,
        _ now: Moment, _ actions: inout [HomeAgentAction]
    ) {
        let old = nodes[number].binding
        nodes[number].binding = new
        nodes[number].expiry = new == nil ? .max : expiry
        bindingCount += (new == nil ? 0 : 1) - (old == nil ? 0 : 1)
        if new != nil, expiry != .max { deadlines.set(number, to: expiry) } else { deadlines.remove(number) }
        actions.append(.store(nodes[number].record(now)))

        let change = RouteChange(from: old, to: new)
        for prefix in change.lostPrefixes { owners.takeBack(prefix) }
        for route in change.removed { actions.append(.removeRoute(route)) }
        if let old, old.homeAddress != new?.homeAddress {
            release(old.homeAddress, of: number)
            if isDataplaneThere { actions.append(.removeBinding(homeAddress: old.homeAddress)) }
        }
        if let new, isDataplaneThere { actions.append(.putBinding(new.forwarded(until: expiry, now), former: former)) }
        for route in change.added { actions.append(.addRoute(route)) }
    }

    /// Takes a node's binding away, if it has one.
    mutating func endBinding(
        _ number: UInt32, _ end: BindingEnd, _ now: Moment, _ actions: inout [HomeAgentAction]
    ) {
        guard nodes[number].binding != nil else { return }
        settle(number, nil, expiry: .max, now, &actions)
        actions.append(.count(.bindingEnded(end)))
    }

    /// Gives a home address back to its pool, unless it is the node's own.
    mutating func release(_ homeAddress: IPv4Address, of number: UInt32) {
        guard nodes[number].node.homeAddress != homeAddress else { return }
        nodes.assign(homeAddress, to: nil)
        pools.mark(homeAddress, taken: false)
    }
}

/// What is not reachable any more, and what is from now on.
private struct RouteChange {
    /// Of both families, IPv4 in its mapped form.
    private(set) var lostPrefixes: [IPv6Prefix] = []
    private(set) var removed: [HomeRoute] = []
    private(set) var added: [HomeRoute] = []

    init(from old: AcceptedRegistration?, to new: AcceptedRegistration?) {
        if old?.homeAddress != new?.homeAddress {
            if let old { removed.append(.address(old.homeAddress)) }
            if let new { added.append(.address(new.homeAddress)) }
        }
        let (oldPrefixes, newPrefixes) = (old?.prefixes ?? [], new?.prefixes ?? [])
        if oldPrefixes != newPrefixes {
            let (before, after) = (Set(oldPrefixes.map(\.prefix)), Set(newPrefixes.map(\.prefix)))
            for bound in oldPrefixes where !after.contains(bound.prefix) {
                lostPrefixes.append(bound.prefix)
                if !bound.prefix.address.isLinkLocal { removed.append(.prefix(bound.prefix)) }
            }
            for bound in newPrefixes where !before.contains(bound.prefix) && !bound.prefix.address.isLinkLocal {
                added.append(.prefix(bound.prefix))
            }
        }
        let (oldNetworks, newNetworks) = (old?.networks ?? [], new?.networks ?? [])
        guard oldNetworks != newNetworks else { return }
        let (before, after) = (Set(oldNetworks), Set(newNetworks))
        for network in oldNetworks where !after.contains(network) {
            lostPrefixes.append(IPv6Prefix(mapping: network))
            removed.append(.network(network))
        }
        for network in newNetworks where !before.contains(network) { added.append(.network(network)) }
    }
}

extension NodeState {
    /// Whole seconds until the binding ends.
    func remainingSeconds(_ now: Moment) -> UInt64 {
        expiry == .max ? .max : (max(expiry, now.nanoseconds) - now.nanoseconds) / 1_000_000_000
    }

    /// Whether a restart would lose something.
    var isWorthStoring: Bool { binding != nil || !delegated.isEmpty || replay != HomeAgentReplayState() }

    /// As it is kept over a restart.
    func record(_ now: Moment) -> StoredRegistration {
        var end: NetworkTime?
        if binding != nil, expiry != .max {
            let left = max(expiry, now.nanoseconds) - now.nanoseconds
            end = now.timeOfDay.advanced(byUnits: Int64(NetworkTime.units(of: .nanoseconds(Int64(left)))))
        }
        return StoredRegistration(
            identity: node.identity, replay: replay, delegated: delegated, binding: binding, expiry: end)
    }
}

extension AcceptedRegistration {
    /// As the forwarder is told of it.
    /// - Parameter expiry: in nanoseconds; `UInt64.max` for never.
    func forwarded(until expiry: UInt64, _ now: Moment) -> MobilityBinding {
        var lifetime: UInt32?
        if expiry != .max {
            let left = max(expiry, now.nanoseconds + 1) - now.nanoseconds
            lifetime = UInt32(clamping: (left + 999_999_999) / 1_000_000_000)
        }
        return MobilityBinding(
            homeAddress: homeAddress, tunnel: tunnel, prefixes: prefixes, networks: networks, lifetime: lifetime)
    }
}

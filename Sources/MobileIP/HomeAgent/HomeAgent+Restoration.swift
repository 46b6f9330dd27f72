// After a restart: bindings come back with what is left of their lifetimes, and with what replay protection knows. What
// has ended meanwhile, or can't be any more, is stored without its binding.

import Wire

extension HomeAgent {
    mutating func restore(
        _ records: [StoredRegistration], _ now: Moment, _ actions: inout [HomeAgentAction]
    ) {
        for record in records {
            guard let number = nodes.number(of: record.identity) else {
                actions.append(.forget(record.identity))
                continue
            }
            // Who has registered since then is not set back.
            guard nodes[number].binding == nil, nodes[number].replay == HomeAgentReplayState() else { continue }
            nodes[number].replay = record.replay
            nodes[number].delegated = Array(record.delegated.prefix(Int(nodes[number].node.policy.maximumPrefixes)))
            guard let binding = record.binding else { continue }
            guard let expiry = Self.expiry(of: record, now) else {
                actions.append(.store(nodes[number].record(now)))
                actions.append(.count(.bindingEnded(.expired)))
                continue
            }
            guard bindingCount < configuration.limits.bindings, takeHomeAddress(of: binding, for: number) else {
                actions.append(.store(nodes[number].record(now)))
                actions.append(.count(.bindingEnded(.nodeRemoved)))
                continue
            }
            settle(number, ownedPart(of: binding, number, &actions), expiry: expiry, now, &actions)
        }
    }

    /// In nanoseconds; nil where it has passed.
    private static func expiry(of record: StoredRegistration, _ now: Moment) -> UInt64? {
        guard let end = record.expiry else { return .max }
        let units = end.units(since: now.timeOfDay)
        guard units > 0 else { return nil }
        // No lifetime has more than 16 bits of seconds: a clock that was set back makes none longer.
        let seconds = min(UInt64(units) >> 32, UInt64(UInt16.max))
        let part = ((UInt64(units) & 0xFFFF_FFFF) * 1_000_000_000) >> 32
        return now.nanoseconds + seconds * 1_000_000_000 + part
    }

    private mutating func takeHomeAddress(of binding: AcceptedRegistration, for number: UInt32) -> Bool {
        let address = binding.homeAddress
        if let own = nodes[number].node.homeAddress { return own == address }
        guard pools.contains(address), nodes.number(of: address) == nil, !isOwn(address) else { return false }
        nodes.assign(address, to: number)
        pools.mark(address, taken: true)
        return true
    }

    /// The binding with those of its prefixes that nobody else has.
    mutating func ownedPart(
        of binding: AcceptedRegistration, _ number: UInt32, _ actions: inout [HomeAgentAction]
    ) -> AcceptedRegistration {
        var owned = binding
        owned.prefixes = binding.prefixes.filter { owners.give($0.prefix, to: number) }
        owned.networks = binding.networks.filter { owners.give(IPv6Prefix(mapping: $0), to: number) }
        let lost = binding.prefixes.count - owned.prefixes.count + binding.networks.count - owned.networks.count
        actions += repeatElement(.count(.configuredPrefixTaken), count: lost)
        return owned
    }
}

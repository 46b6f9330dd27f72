// Which prefixes a binding has (RFC 5454, 3.3): those that are implicit, then those that are asked for, each decided by
// itself, once. And mobile networks (RFC 5177, 6.3), of which one at least must be accepted where any is asked for.

import Wire

/// What became of the prefixes that a request asks for.
struct PrefixDecision {
    /// The binding's, implicit ones first.
    var prefixes: [RegisteredPrefix] = []
    /// One for each distinct prefix, in the order of the requests.
    var replies: [IPv6PrefixReply] = []
}

/// What became of the mobile networks that a request asks for.
struct NetworkDecision {
    /// The binding's.
    var networks: [IPv4Prefix] = []
    /// One for each distinct network.
    var acknowledgments: [MobileNetworkAcknowledgment] = []
}

extension HomeAgent {
    /// Decides of each prefix of a request that is accepted otherwise. Those that the node gets are its own from here
    /// on; those that it had and does not get any more, `settle` takes back.
    /// - Parameter room: replies that fit into the message. Without a reply a prefix is rejected (RFC 5454, 3.2).
    mutating func decidePrefixes(
        _ attempt: RegistrationAttempt, _ tunnel: TunnelDecision, room: Int, _ actions: inout [HomeAgentAction]
    ) -> PrefixDecision {
        let policy = nodes[attempt.number].node.policy
        let maximum = Int(policy.maximumPrefixes)
        var decision = PrefixDecision()
        let mode = Self.usesCareOfAddress(attempt, tunnel, policy)
        let permissions = permissions(of: attempt.number)
        let asked = attempt.fromNode.prefixes.distinct(atMost: room)
        let implicit = implicitPrefixes(of: attempt.number, but: asked, maximum: maximum, &actions)
        decision.prefixes = implicit
        decision.replies.reserveCapacity(asked.count)
        for wanted in asked {
            var accepted: RegisteredPrefix?
            var code = IPv6PrefixReplyCode.reasonUnspecified
            if wanted.length == IPv6HomePrefix.linkLocalLength {
                // Link-local traffic always goes by way of the home address (RFC 5454, 3.7.1).
                if let address = wanted.linkLocalAddress, !isTaken(linkLocal: address, but: attempt.number) {
                    if policy.mayUseLinkLocal {
                        accepted = RegisteredPrefix(.host(address), usesCareOfAddress: false)
                    } else {
                        code = .administrativelyProhibited
                    }
                }
            } else if let prefix = wanted.prefix {
                if permissions.permit(prefix), let mode {
                    accepted = RegisteredPrefix(prefix, usesCareOfAddress: mode)
                } else {
                    code = .administrativelyProhibited
                }
            }
            if let found = accepted, decision.prefixes.count < maximum, owners.give(found.prefix, to: attempt.number) {
                decision.prefixes.append(found)
                code = found.code
            }
            decision.replies.append(IPv6PrefixReply(code: code, prefix: wanted))
        }
        return decision
    }

    /// Whether IPv6 goes to the care-of address; nil where the policy allows neither way.
    private static func usesCareOfAddress(
        _ attempt: RegistrationAttempt, _ tunnel: TunnelDecision, _ policy: NodePolicy
    ) -> Bool? {
        if attempt.fromNode.hasTunnelingMode, tunnel.carriesIPv6, policy.tunnelingModes.contains(.careOfAddress) {
            return true
        }
        return policy.tunnelingModes.contains(.homeAddress) ? false : nil
    }

    /// Whether it is that of the home agent's end of a tunnel, or made of another node's home address (RFC 4213, 3.7).
    private func isTaken(linkLocal address: IPv6Address, but number: UInt32) -> Bool {
        if configuration.addresses.contains(where: { IPv6Address(linkLocalOf: $0) == address }) { return true }
        let source = IPv4Address(rawValue: UInt32(truncatingIfNeeded: address.low))
        guard IPv6Address(linkLocalOf: source) == address, let holder = nodes.number(of: source) else { return false }
        return holder != number
    }

    /// What a node may ask for.
    func permissions(of number: UInt32) -> PrefixPermissions {
        let node = nodes[number].node
        return PrefixPermissions(
            node.prefixes + node.implicitPrefixes.map { PrefixPermission($0) },
            pools: node.policy.mayUsePrefixPools ? configuration.prefixPools : [],
            delegated: nodes[number].delegated)
    }

    /// The configured prefixes that are not asked for; they are the node's own from here on.
    mutating func implicitPrefixes(
        of number: UInt32, but asked: [IPv6HomePrefix], maximum: Int, _ actions: inout [HomeAgentAction]
    ) -> [RegisteredPrefix] {
        let configured = nodes[number].node.implicitPrefixes
        if configured.isEmpty { return [] }
        let asked = Set(asked.lazy.compactMap(\.prefix))
        var result: [RegisteredPrefix] = []
        for prefix in configured where !asked.contains(prefix) && result.count < maximum {
            guard owners.give(prefix, to: number) else {
                actions.append(.count(.configuredPrefixTaken))
                continue
            }
            result.append(RegisteredPrefix(prefix, usesCareOfAddress: false, isImplicit: true))
        }
        return result
    }

    /// Decides of mobile networks. Where none is asked for the configured ones are the binding's.
    /// - Throws: 148 where the node is no mobile router, 147 where all that it asks for are rejected.
    mutating func decideNetworks(
        _ attempt: RegistrationAttempt, room: Int, _ actions: inout [HomeAgentAction]
    ) throws(Rejection) -> NetworkDecision {
        let node = nodes[attempt.number].node
        var decision = NetworkDecision()
        let maximum = Int(node.policy.maximumPrefixes)
        func add(
            _ mode: MobileNetworkAcknowledgment.Mode, _ code: MobileNetworkAcknowledgment.Code,
            _ prefix: MobileNetworkPrefix
        ) {
            decision.acknowledgments.append(MobileNetworkAcknowledgment(mode: mode, code: code, prefix: prefix))
        }
        let asked = attempt.fromNode.networks.distinct(atMost: room)
        if asked.isEmpty {
            for network in node.implicitNetworks.prefix(min(room, maximum)) {
                guard owners.give(IPv6Prefix(mapping: network), to: attempt.number) else {
                    actions.append(.count(.configuredPrefixTaken))
                    continue
                }
                decision.networks.append(network)
                add(.implicit, .success, MobileNetworkPrefix(network))
            }
            return decision
        }
        if node.networks.isEmpty, node.implicitNetworks.isEmpty { throw Rejection(.mobileNetworkDisallowed) }
        let permitted = Set(node.networks + node.implicitNetworks)
        for wanted in asked {
            guard let network = wanted.prefix, network.length > 0 else {
                add(.explicit, .invalidPrefixLength, wanted)
                continue
            }
            guard permitted.contains(network) else {
                add(.explicit, .unauthorized, wanted)
                continue
            }
            guard decision.networks.count < maximum, owners.give(IPv6Prefix(mapping: network), to: attempt.number)
            else {
                add(.explicit, .forwardingSetupFailed, wanted)
                continue
            }
            decision.networks.append(network)
            add(.explicit, .success, wanted)
        }
        guard !decision.networks.isEmpty else {
            throw Rejection(
                .mobileNetworkError, decision.acknowledgments.map { .mobileNetworkAcknowledgment($0) })
        }
        return decision
    }
}

extension Array where Element: Hashable {
    /// The elements in their order, each once; of these the first `limit`.
    func distinct(atMost limit: Int) -> [Element] {
        if count <= 1 { return Array(prefix(limit)) }
        var seen = Set<Element>(minimumCapacity: Swift.min(count, limit))
        var result: [Element] = []
        for element in self where result.count < limit {
            if seen.insert(element).inserted { result.append(element) }
        }
        return result
    }
}

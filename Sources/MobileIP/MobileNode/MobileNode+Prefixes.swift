// IPv6 prefixes of a mobile node (RFC 5454, 3.5 and 3.7), and IPv4 networks behind it (RFC 5177): which are asked for, and
// what a reply that accepts says of each.

import Wire

extension MobileNode {
    /// All that are wanted, and how they are asked for: those configured, those delegated, and the link-local address.
    var wantedPrefixes: [IPv6HomePrefix] {
        let configured = configuration.prefixes.map(\.prefix)
        let own = configured + delegatedPrefixes.filter { !configured.contains($0) }
        let prefixes = own.prefix(MobileNodeConfiguration.maximumPrefixes).map { IPv6HomePrefix($0) }
        guard configuration.opensLinkLocal, let linkLocalAddress else { return prefixes }
        return prefixes + [IPv6HomePrefix(linkLocal: linkLocalAddress)]
    }

    /// RFC 4213, 3.7: of the tunnel's end, which is the home address (RFC 5454, 3.7.1).
    private var linkLocalAddress: IPv6Address? { homeAddress.map { IPv6Address(linkLocalOf: $0) } }

    /// Those for the next request. A home agent that knows nothing of them is not asked again (RFC 5454, 3.5), and
    /// link-local traffic only when the home address is registered (3.7.1).
    var requestedPrefixes: [IPv6HomePrefix] {
        guard supportsIPv6 != false else { return [] }
        return wantedPrefixes.filter { $0.linkLocalAddress == nil || registration != nil }
    }

    /// Whether link-local traffic is to be asked for now that this request was accepted.
    func opensLinkLocalNext(after request: RegistrationRequest) -> Bool {
        guard configuration.opensLinkLocal, supportsIPv6 != false else { return false }
        return !request.extensions.contains {
            if case .ipv6PrefixRequest(let asked) = $0 { asked.prefix.linkLocalAddress != nil } else { false }
        }
    }

    mutating func takeDelegated(_ prefixes: [IPv6Prefix], at now: Moment) {
        if let obstacle = configuration.obstacle(toDelegated: prefixes) {
            return discard(.delegationRefused, obstacle, at: now)
        }
        var seen: Set<IPv6Prefix> = []
        let taken = prefixes.filter { seen.insert($0).inserted }
        guard taken != delegatedPrefixes else { return }
        delegatedPrefixes = taken
        if supportsIPv6 == false { supportsIPv6 = nil }
        requestUpdate(at: now)
    }

    /// Reads the prefix replies of an accepting reply; the outcome of each prefix is kept.
    /// - Returns: those that are accepted.
    mutating func takePrefixReplies(
        _ extensions: ArraySlice<MobileIPExtension>, to request: RegistrationRequest, homeAgent: IPv4Address
    ) -> [AcceptedPrefix] {
        var codes: [IPv6HomePrefix: IPv6PrefixReplyCode] = [:]
        for case .ipv6PrefixReply(let reply) in extensions where codes[reply.prefix] == nil {
            codes[reply.prefix] = reply.code
        }
        var asked: [IPv6HomePrefix] = []
        for case .ipv6PrefixRequest(let wanted) in request.extensions { asked.append(wanted.prefix) }
        outcomes = [:]
        guard !asked.isEmpty else { return [] }
        supportsIPv6 = !codes.isEmpty
        if codes.isEmpty { actions.append(.log(.ipv6Unsupported(homeAgent: homeAgent))) }
        var accepted: [AcceptedPrefix] = []
        for prefix in asked {
            guard let code = codes[prefix], code.isAccepted else {
                outcomes[prefix] = codes[prefix].map { .rejected($0) } ?? .unanswered
                if !codes.isEmpty { actions.append(.log(.prefixRejected(prefix, codes[prefix]))) }
                continue
            }
            let tunnel = tunnel(of: prefix, code, request)
            outcomes[prefix] = .accepted(tunnel)
            if let linkLocal = prefix.linkLocalAddress {
                accepted.append(AcceptedPrefix(prefix: .host(linkLocal), tunnel: tunnel))
            } else if let prefix = prefix.prefix {
                accepted.append(AcceptedPrefix(prefix: prefix, tunnel: tunnel))
            }
        }
        return accepted
    }

    /// RFC 5454, 3.5: code 1 means the care-of tunnel only where the care-of address is co-located. Minimal
    /// encapsulation can't carry IPv6 (3.3.2), and link-local traffic always comes by the home address (3.7.1).
    private func tunnel(
        of prefix: IPv6HomePrefix, _ code: IPv6PrefixReplyCode, _ request: RegistrationRequest
    ) -> MobileNodeConfiguration.PrefixTunnel {
        let isCareOf =
            code == .acceptedCareOfAddress && isCoLocated && prefix.linkLocalAddress == nil
            && !request.flags.contains(.minimalEncapsulation)
        return isCareOf ? .careOf : .homeAddress
    }

    /// IPv4 networks for the next request: not at a foreign agent, which delivers to home addresses alone.
    var requestedNetworks: [MobileNetworkPrefix] {
        if case .foreignAgent = attachment { return [] }
        guard !wishes.leavesOutNetworks else { return [] }
        return configuration.mobileNetworks.lazy.map { MobileNetworkPrefix($0) }
            .filter { !wishes.refusedNetworks.contains($0) }
    }

    /// RFC 5177, 5: those that were asked for and are acknowledged, and those that the home agent knows by itself.
    mutating func takeNetworkAcknowledgments(
        _ extensions: ArraySlice<MobileIPExtension>, to request: RegistrationRequest
    ) -> [IPv4Prefix] {
        var codes: [MobileNetworkPrefix: MobileNetworkAcknowledgment.Code] = [:]
        var networks: [IPv4Prefix] = []
        for case .mobileNetworkAcknowledgment(let acknowledgment) in extensions {
            switch acknowledgment.mode {
            case .explicit: codes[acknowledgment.prefix] = codes[acknowledgment.prefix] ?? acknowledgment.code
            case .implicit:
                guard acknowledgment.code == .success, let prefix = acknowledgment.prefix.prefix else { continue }
                networks.append(prefix)
            }
        }
        for case .mobileNetworkRequest(let asked) in request.extensions {
            guard codes[asked.prefix] == .success, let prefix = asked.prefix.prefix else {
                actions.append(.log(.mobileNetworkRejected(asked.prefix, codes[asked.prefix])))
                continue
            }
            if !networks.contains(prefix) { networks.append(prefix) }
        }
        return Array(networks.prefix(MobileNodeConfiguration.maximumPrefixes))
    }
}

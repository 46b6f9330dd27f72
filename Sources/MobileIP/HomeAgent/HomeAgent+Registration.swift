// Carries out a valid request, or rejects it (RFC 5944, 3.8.2.2 and 3.8.2.3). All that may reject comes before anything
// changes; what decides of prefixes comes last, and rejects those alone.

import Wire

extension HomeAgent {
    mutating func carryOut(_ attempt: RegistrationAttempt, _ now: Moment, _ actions: inout [HomeAgentAction]) {
        do throws(Rejection) {
            // Reserved bits are ignored by 3.3 of the RFC and rejected by 3.8.2.3, which is about home agents.
            if attempt.received.hasReservedBits { throw Rejection(.poorlyFormedRequest) }
            let homeAgent = try chooseHomeAgent(attempt)
            if attempt.request.isDeregistration {
                try deregister(attempt, homeAgent, now, &actions)
            } else {
                try accept(attempt, homeAgent, now, &actions)
            }
        } catch {
            reject(attempt, error, &actions)
        }
    }

    /// The home agent's address for the reply (RFC 5944, 3.8.2.1 and 3.8.3.2; RFC 4433, 5.3).
    private func chooseHomeAgent(_ attempt: RegistrationAttempt) throws(Rejection) -> IPv4Address {
        let (named, destination) = (attempt.request.homeAgent, attempt.datagram.destination)
        guard isOwn(destination) else { throw Rejection(.unknownHomeAgentAddress) }
        if isOwn(named) { return named }
        guard named == .unspecified || named.rawValue == .max else { throw Rejection(.unknownHomeAgentAddress) }
        let requested = attempt.fromNode.dynamicHomeAgent ?? attempt.fromForeignAgent.dynamicHomeAgent
        if let requested, requested.role == .requested, requested.address != destination {
            throw Rejection(.unknownHomeAgentAddress)
        }
        switch configuration.dynamicHomeAgent {
        case .refused: throw Rejection(.unknownHomeAgentAddress)
        case .accepted: return destination
        case .redirected(let address):
            throw Rejection(
                .redirectedHomeAgent, [.dynamicHomeAgent(DynamicHomeAgent(role: .redirected, address: address))])
        }
    }

    // MARK: - Binding

    private mutating func accept(
        _ attempt: RegistrationAttempt, _ homeAgent: IPv4Address, _ now: Moment,
        _ actions: inout [HomeAgentAction]
    ) throws(Rejection) {
        let number = attempt.number
        let policy = nodes[number].node.policy
        let current = nodes[number].binding
        try checkRepetition(attempt, now)
        try checkCareOfAddress(attempt)
        if current == nil, bindingCount >= configuration.limits.bindings { throw Rejection(.insufficientResources) }
        let wantsSeveral = attempt.request.flags.contains(.simultaneousBindings)
        if wantsSeveral, policy.simultaneousBindings == .refused, let current,
            current.careOfAddress != attempt.request.careOfAddress
        {
            throw Rejection(.tooManySimultaneousBindings)
        }
        let tunnel = try TunnelDecision(
            TunnelDecision.Circumstances(
                attempt: attempt, policy: policy, configuration: configuration, endpoint: homeAgent,
                currentTunnel: current?.tunnel), random: &random)
        let homeAddress = try chooseHomeAddress(attempt)
        let networks: NetworkDecision
        do throws(Rejection) {
            networks = try decideNetworks(attempt, room: RegistrationReply.roomForAcknowledgments, &actions)
        } catch {
            if current?.homeAddress != homeAddress { release(homeAddress, of: number) }
            throw error
        }
        let prefixes = decidePrefixes(
            attempt, tunnel, room: RegistrationReply.roomForPrefixes(besides: networks.acknowledgments.count),
            &actions)
        var registration = AcceptedRegistration(
            homeAddress: homeAddress, careOfAddress: attempt.request.careOfAddress, source: attempt.datagram.source,
            identification: attempt.request.identification, tunnel: tunnel.tunnel,
            reverseTunnel: attempt.request.flags.contains(.reverseTunneling), prefixes: prefixes.prefixes,
            networks: networks.networks)
        registration.revocation = agreeOnRevocation(attempt, now)
        let lifetime = grantedLifetime(attempt, policy, tunnel.tunnel, now)
        let expiry =
            attempt.isRepeated
            ? nodes[number].expiry : lifetime.duration.map { now.nanoseconds + $0.nanoseconds } ?? .max
        let former = current.map { FormerRegistration($0, expiry: nodes[number].expiry) }
        settle(
            number, registration, expiry: expiry, orElse: current?.homeAddress == homeAddress ? former : nil, now,
            &actions)
        send(
            attempt, code: wantsSeveral ? .acceptedWithoutSimultaneousBindings : .accepted, lifetime: lifetime,
            homeAddress: homeAddress, homeAgent: homeAgent,
            extensions: ReplyExtensions(attempt, registration, tunnel, prefixes, networks), &actions)
        tellFormerForeignAgent(former, registration, of: number, now, &actions)
        for reply in prefixes.replies { actions.append(.count(.prefix(reply.code))) }
    }

    /// A request that is the last accepted one again is answered again as long as its binding is there, which does not
    /// last longer for that (RFC 5944, 3.8.2.2). Later it could only be a replay.
    private func checkRepetition(_ attempt: RegistrationAttempt, _ now: Moment) throws(Rejection) {
        guard attempt.isRepeated else { return }
        let state = nodes[attempt.number]
        guard state.binding?.identification == attempt.request.identification, state.remainingSeconds(now) > 0 else {
            throw Rejection(.identificationMismatch)
        }
    }

    /// Where no tunnel can lead, the request is malformed.
    private func checkCareOfAddress(_ attempt: RegistrationAttempt) throws(Rejection) {
        let address = attempt.request.careOfAddress
        let state = nodes[attempt.number]
        let homeAddresses = [attempt.request.homeAddress, state.node.homeAddress, state.binding?.homeAddress]
        guard address.isUnicastSource, !homeAddresses.contains(address), !isOwn(address),
            !isOwn(attempt.datagram.source)
        else { throw Rejection(.poorlyFormedRequest) }
    }

    private func grantedLifetime(
        _ attempt: RegistrationAttempt, _ policy: NodePolicy, _ tunnel: MobilityTunnel, _ now: Moment
    ) -> RegistrationLifetime {
        var lifetime = min(attempt.request.lifetime, policy.maximumLifetime)
        if tunnel.udpPort != nil { lifetime = min(lifetime, configuration.udpTunnel.maximumLifetime) }
        let state = nodes[attempt.number]
        if attempt.isRepeated, state.expiry != .max {
            lifetime = min(lifetime, RegistrationLifetime(seconds: UInt16(clamping: state.remainingSeconds(now))))
        }
        return lifetime
    }

    // MARK: - The end of a binding

    /// Ends the binding of a care-of address, or of all (RFC 5944, 3.8.2.2), which is the same where there is one.
    private mutating func deregister(
        _ attempt: RegistrationAttempt, _ homeAgent: IPv4Address, _ now: Moment,
        _ actions: inout [HomeAgentAction]
    ) throws(Rejection) {
        let state = nodes[attempt.number]
        let named = attempt.request.homeAddress
        let homeAddress = state.binding?.homeAddress ?? state.node.homeAddress ?? named
        guard named == .unspecified || named == homeAddress else { throw Rejection(.administrativelyProhibited) }
        let careOfAddress = attempt.request.careOfAddress
        let endsAll = careOfAddress == homeAddress || careOfAddress == named
        if let binding = state.binding, endsAll || binding.careOfAddress == careOfAddress {
            endBinding(attempt.number, .deregistered, now, &actions)
        } else {
            actions.append(.store(nodes[attempt.number].record(now)))
        }
        var extensions = ReplyExtensions(attempt)
        if case .gre(let key?) = state.binding?.tunnel.encapsulation, attempt.requestedGREKey != nil {
            extensions.add(.greKey(key), asFrom: attempt)
        }
        send(
            attempt, code: .accepted, lifetime: .zero, homeAddress: homeAddress, homeAgent: homeAgent,
            extensions: extensions, &actions)
    }

    // MARK: - Home addresses

    /// The node's own, or one of the pools (RFC 2794; RFC 5944, 3.8.3.2), which is then taken.
    private mutating func chooseHomeAddress(_ attempt: RegistrationAttempt) throws(Rejection) -> IPv4Address {
        let named = attempt.request.homeAddress
        if let own = nodes[attempt.number].node.homeAddress {
            guard named == own || named == .unspecified else { throw Rejection(.administrativelyProhibited) }
            return own
        }
        if let current = nodes[attempt.number].binding?.homeAddress, named == current || named == .unspecified {
            return current
        }
        if named == .unspecified {
            guard let address = pools.takeFree() else { throw Rejection(.insufficientResources) }
            nodes.assign(address, to: attempt.number)
            return address
        }
        guard pools.contains(named), nodes.number(of: named) == nil, !isOwn(named) else {
            throw Rejection(.administrativelyProhibited)
        }
        pools.mark(named, taken: true)
        nodes.assign(named, to: attempt.number)
        return named
    }
}

extension Duration {
    /// None below zero, and as many as 64 bits hold at the most.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(seconds) &* 1_000_000_000 &+ UInt64(attoseconds / 1_000_000_000)
    }
}

// Registration Requests of a mobile node: their fields (RFC 5944, 3.6.1), their extensions in the order of 3.6.1.3, and
// when they are sent again (3.6.3).

import Wire

extension MobileNode {
    /// Makes a new request of what is wanted now and sends it, in place of any that is pending.
    mutating func sendRequest(at now: Moment) {
        guard attachment != nil, !(isAtHome && isKnownAtHome) else { return }
        transmit(at: now, transmissions: 1, interval: firstRetransmission)
    }

    /// Nobody has answered in time.
    mutating func retransmit(at now: Moment) {
        guard let pending else { return }
        if pending.request.isDeregistration, pending.transmissions >= Self.deregistrationTransmissions {
            actions.append(.log(.unanswered(homeAgent: homeAgent, transmissions: pending.transmissions)))
            actions.append(.log(.notDeregistered(.noReply)))
            return deregistered(at: now)
        }
        if pending.transmissions % Self.transmissionsPerHomeAgent == 0, !pending.request.isDeregistration {
            actions.append(.log(.unanswered(homeAgent: homeAgent, transmissions: pending.transmissions)))
            hinder(.unanswered(pending.agent?.address ?? homeAgent, transmissions: pending.transmissions), at: now)
            // An agent that is there answers, if only that the home agent does not (RFC 5944, 3.7.3.1).
            if pending.agent != nil, let agent = agentInUse {
                leaveAgent(agent, at: now)
                if case .foreignAgent = attachment { return }
                guard isCoLocated else { return }
                return sendRequest(at: now)
            }
            if turnToNextHomeAgent() { return sendRequest(at: now) }
        }
        let interval = min(pending.retransmissionInterval * 2, longestRetransmission(of: pending.request))
        if configuration.securityAssociation.replayProtection == .nonces {
            // RFC 5944, 3.6.3: with nonces, the same request again.
            self.pending?.sentAt = now.elapsed
            self.pending?.transmissions += 1
            self.pending?.retransmissionInterval = interval
            lastRequestAt = now.elapsed
            actions.append(.send(pending.datagram))
        } else {
            transmit(at: now, transmissions: pending.transmissions + 1, interval: interval)
        }
    }

    private mutating func transmit(at now: Moment, transmissions: Int, interval: Duration) {
        guard let datagram = makeDatagram(at: now) else {
            // Without a home agent to ask, a foreign agent must be heard first.
            (pending, isWaiting) = (nil, true)
            return
        }
        pending = Pending(
            request: datagram.request, datagram: datagram.datagram, agent: agentInUse?.location,
            sentAt: now.elapsed, transmissions: transmissions, retransmissionInterval: interval)
        lastRequestAt = now.elapsed
        isWaiting = false
        actions.append(.send(datagram.datagram))
    }

    /// RFC 5944, 3.6.3: a second at least, twice the round-trip time, and a tenth of a second.
    private var firstRetransmission: Duration {
        max(Timing.betweenRequests, (roundTripTime ?? .zero) * 2 + Timing.processing)
    }

    /// RFC 5944, 3.6.3: not above the lifetime that is asked for.
    private func longestRetransmission(of request: RegistrationRequest) -> Duration {
        guard !request.isDeregistration, let lifetime = request.lifetime.duration else {
            return Timing.longestRetransmission
        }
        return min(lifetime, Timing.longestRetransmission)
    }

    /// Whether the request is to end the registration.
    private var endsRegistration: Bool { isStopping || isAtHome }

    private mutating func makeDatagram(at now: Moment) -> (request: RegistrationRequest, datagram: Datagram)? {
        guard let interface, let end = destination else { return nil }
        let key = homeAgent ?? .unspecified
        var replay = replayStates[key] ?? MobileNodeReplayState()
        let identification = replay.makeIdentification(
            by: configuration.securityAssociation.replayProtection, at: now.timeOfDay, random: now.random)
        replayStates[key] = replay
        let request = RegistrationRequest(
            flags: flags, lifetime: endsRegistration ? .zero : requestedLifetime,
            homeAddress: homeAddress ?? .unspecified, homeAgent: homeAgentField, careOfAddress: careOfAddressField,
            identification: identification, extensions: extensions(at: now))
        return (
            request,
            Datagram(
                payload: signed(request), source: source, sourcePort: configuration.port, destination: end,
                destinationPort: RegistrationRequest.port, interface: interface,
                linkLayerAddress: linkLayerAddress(of: end))
        )
    }

    /// Of whom the request goes to on the link: an agent that was heard there.
    private func linkLayerAddress(of destination: IPv4Address) -> LinkLayerAddress? {
        if let agent = agentInUse { return agent.location.linkLayerAddress }
        guard isAtHome else { return nil }
        return agents.first { $0.isHome && $0.location.address == destination }?.location.linkLayerAddress
    }

    /// RFC 5944, 3.6.1.1.
    private var source: IPv4Address {
        if case .coLocated(let address, _) = attachment { return address }
        return homeAddress ?? .unspecified
    }

    private var destination: IPv4Address? { agentInUse?.location.address ?? homeAgent }

    /// RFC 5944, 3.6.1.2; RFC 4433, 5.1 where one is to be assigned.
    private var homeAgentField: IPv4Address {
        guard let homeAgent, !assignsHomeAgent || wishes.namesHomeAgent else { return .anyHomeAgent }
        return homeAgent
    }

    /// RFC 5944, 3.6.1.2: the home address ends all bindings. An agent passes on only what has its own address.
    private var careOfAddressField: IPv4Address {
        if endsRegistration, agentInUse == nil, let homeAddress { return homeAddress }
        return careOfAddress ?? homeAddress ?? .unspecified
    }

    private var flags: RegistrationRequest.Flags {
        var flags: RegistrationRequest.Flags = isCoLocated ? .decapsulationByMobileNode : []
        let offer = agentInUse?.advertisement.flags
        // An agent that decapsulates must have what is asked for (RFC 5944, 3.6.1.2; RFC 3024, 3.1).
        let asksAgent = isCoLocated ? nil : offer
        switch encapsulation {
        case .ipInIP: break
        case .gre: if asksAgent?.contains(.greEncapsulation) ?? true { flags.insert(.greEncapsulation) }
        case .minimal: if asksAgent?.contains(.minimalEncapsulation) ?? true { flags.insert(.minimalEncapsulation) }
        }
        if wishes.reverseTunneling || requestsUDPTunnel, asksAgent?.contains(.reverseTunneling) ?? true {
            flags.insert(.reverseTunneling)
        }
        return isAtHome ? [] : flags
    }

    /// What the next request asks for.
    var encapsulation: MobileNodeConfiguration.Encapsulation { configuration.encapsulations[wishes.encapsulation] }

    private var requestedLifetime: RegistrationLifetime {
        min(wishes.lifetime, agentInUse?.advertisement.registrationLifetime ?? .infinite)
    }

    /// RFC 3519, 4.4: with a co-located care-of address, and where an agent is in between, only if it says U.
    private var requestsUDPTunnel: Bool {
        guard isCoLocated, wishes.udpTunneling else { return false }
        return agentInUse?.advertisement.flags.contains(.udpTunneling) ?? true
    }

    private func extensions(at now: Moment) -> [MobileIPExtension] {
        var extensions: [MobileIPExtension] = []
        if let identifier = configuration.identifier { extensions.append(.mobileNodeNAI(identifier)) }
        if assignsHomeAgent, let homeAgent {
            extensions.append(.dynamicHomeAgent(DynamicHomeAgent(role: .requested, address: homeAgent)))
        }
        if requestsUDPTunnel {
            // RFC 5454, 3.9: encapsulation 0.
            extensions.append(
                .udpTunnelRequest(
                    UDPTunnelRequest(
                        force: configuration.udpTunneling == .forced,
                        registrationThroughForeignAgentRequired: agentInUse != nil)))
        }
        guard !endsRegistration else { return extensions }
        if isCoLocated, agentInUse == nil, configuration.acceptsRevocation {
            extensions.append(
                .revocationSupport(RevocationSupport(inform: false, timestamp: now.timeOfDay.seconds)))
        }
        if let key = configuration.greKey, encapsulation == .gre, isCoLocated { extensions.append(.greKey(key)) }
        extensions += requestedNetworks.map { .mobileNetworkRequest(MobileNetworkRequest(prefix: $0)) }
        let prefixes = requestedPrefixes
        extensions += prefixes.map { .ipv6PrefixRequest(IPv6PrefixRequest(prefix: $0)) }
        // RFC 5454, 3.5: exactly one, and only with a co-located care-of address; minimal encapsulation can't carry IPv6.
        let wantsCareOf = isCoLocated && configuration.prefixTunnel == .careOf && encapsulation != .minimal
        if wantsCareOf, !prefixes.isEmpty { extensions.append(.ipv6TunnelingMode) }
        return extensions
    }

    /// RFC 5944, 3.6.1.3: what is for the foreign agent stands behind the home agent's authentication.
    private func signed(_ request: RegistrationRequest) -> [UInt8] {
        do {
            let bytes = try configuration.securityAssociation.sign(request, as: .mobileHome)
            guard let association = configuration.foreignSecurityAssociation, let agent = agentInUse else {
                return bytes
            }
            let challenge = agent.advertisement.challenge.map { [MobileIPExtension.challenge($0)] } ?? []
            return try association.sign(bytes, adding: challenge, as: .mobileForeign)
        } catch {
            preconditionFailure("a request of prefixes within their bound is short enough: \(error)")
        }
    }
}

extension RegistrationRequest {
    /// Where agents listen.
    public static let port: UInt16 = 434
}

extension IPv4Address {
    /// In a request: any home agent will do (RFC 4433, ALL-ZERO-ONE-ADDR).
    static let anyHomeAgent = IPv4Address(rawValue: 0xFFFF_FFFF)
}

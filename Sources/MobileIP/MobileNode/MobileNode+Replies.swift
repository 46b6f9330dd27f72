// Registration Replies of a mobile node: the validity checks of RFC 5944, 3.6.2.1, and what an accepted one brings
// (3.6.2.2). Extensions are read only where the home agent's authentication covers them.

import Wire

extension MobileNode {
    mutating func receive(_ bytes: [UInt8], from source: IPv4Address, port: UInt16, at now: Moment) {
        do throws(MobileIPError) {
            switch try MobileIPDatagram.parse(bytes) {
            case .registrationReply(let reply): receive(reply, from: source, at: now)
            case .registrationRevocation(let revocation): receive(revocation, from: source, port: port, at: now)
            case .registrationRequest, .registrationRevocationAcknowledgment:
                discard(.messageUnexpected, "It came from \(source).", at: now)
            }
        } catch {
            discard(.messageMalformed, "From \(source): \(error.explanation)", at: now)
        }
    }

    private mutating func receive(
        _ received: ReceivedMessage<RegistrationReply>, from source: IPv4Address, at now: Moment
    ) {
        guard let pending else { return discard(.requestNotPending, "It came from \(source).", at: now) }
        let reply = received.message
        let request = pending.request
        guard MobileNodeReplayState.matches(reply: reply.identification, request: request.identification) else {
            return discard(.identificationMismatch, "It came from \(source).", at: now)
        }
        guard request.homeAddress == .unspecified || reply.homeAddress == request.homeAddress else {
            return discard(.homeAddressMismatch, "It came from \(source) for \(reply.homeAddress).", at: now)
        }
        guard isAuthentic(received, from: source, to: pending, at: now) else { return }
        if pending.transmissions == 1 { roundTripTime = now.elapsed - pending.sentAt }
        takeChallenge(of: reply)
        guard !reply.code.isFromForeignAgent else { return reject(reply, [], at: now) }
        let extensions = received.extensions(before: .mobileHome)
        replayStates[homeAgent ?? .unspecified, default: MobileNodeReplayState()].accept(
            reply: reply.identification, to: request.identification, code: reply.code,
            by: configuration.securityAssociation.replayProtection, at: now.timeOfDay)
        if reply.code.isAccepted {
            accept(reply, extensions, to: pending, at: now)
        } else {
            reject(reply, extensions, at: now)
        }
    }

    /// RFC 5944, 3.6.2.1, a and b. A foreign agent's code is believed only of the agent that the request went through;
    /// all others, those of no range among them, only of the home agent.
    private mutating func isAuthentic(
        _ received: ReceivedMessage<RegistrationReply>, from source: IPv4Address, to pending: Pending, at now: Moment
    ) -> Bool {
        let code = received.message.code
        let origin = "It came from \(source) with code \(code.rawValue)."
        if pending.agent != nil, let association = configuration.foreignSecurityAssociation {
            do throws(AuthenticationError) {
                try association.verify(received, .mobileForeign)
            } catch {
                discard(.foreignAgentAuthentication, "\(origin) \(error.explanation)", at: now)
                return false
            }
        }
        if code.isFromForeignAgent {
            guard pending.agent?.address == source else {
                discard(.foreignAgentNotAsked, origin, at: now)
                return false
            }
            return true
        }
        do throws(AuthenticationError) {
            try configuration.securityAssociation.verify(received, .mobileHome)
        } catch {
            discard(.homeAgentAuthentication, "\(origin) \(error.explanation)", at: now)
            return false
        }
        return true
    }

    /// The next request is to bear it (RFC 4721, 3.2).
    private mutating func takeChallenge(of reply: RegistrationReply) {
        guard let agent = agentInUse, let index = agents.firstIndex(of: agent) else { return }
        for case .challenge(let challenge) in reply.extensions { agents[index].advertisement.challenge = challenge }
    }

    private mutating func accept(
        _ reply: RegistrationReply, _ extensions: ArraySlice<MobileIPExtension>, to pending: Pending, at now: Moment
    ) {
        let request = pending.request
        guard request.homeAgent == reply.homeAgent || request.homeAgent == .anyHomeAgent,
            reply.homeAgent.isUnicastSource
        else { return discard(.homeAgentMismatch, "It came for \(reply.homeAgent).", at: now) }
        guard reply.homeAddress.isUnicastSource else {
            return discard(.homeAddressMismatch, "\(reply.homeAddress) can't be a home address.", at: now)
        }
        lastCode = reply.code
        self.pending = nil
        guard !request.isDeregistration else {
            actions.append(.log(.deregistered))
            return deregistered(at: now)
        }
        let lifetime = min(reply.lifetime, request.lifetime)
        guard !lifetime.isZero, let attachment else {
            actions.append(.log(.rejected(reply.code, .wait)))
            hinder(.rejected(reply.code), at: now)
            (registration, keepalive) = (nil, nil)
            return waitForNextRequest(at: now)
        }
        if configuration.homeAddress == nil { assignedHomeAddress = reply.homeAddress }
        if reply.homeAgent != homeAgent { move(to: reply.homeAgent) }
        (repairs, wait, homeAgentChanges, redirections, hindrance) = (0, Timing.firstWait, 0, [], nil)
        actions.append(.log(.registered(homeAgent: reply.homeAgent, careOfAddress: request.careOfAddress, lifetime)))
        // RFC 5944, 3.6.2.2: the lifetime counts from when the request was sent.
        let expiry = lifetime.duration.map { pending.sentAt + $0 }
        let udp = udpPorts(request, extensions)
        registration = Registration(
            tunnel: Tunnel(
                careOfAddress: request.careOfAddress, isCoLocated: isCoLocated, homeAgent: reply.homeAgent,
                homeAddress: reply.homeAddress, encapsulation: encapsulation(of: request),
                greKeys: greKeys(request, extensions), udp: udp,
                isReverse: request.flags.contains(.reverseTunneling) && wishes.reverseTunneling,
                prefixes: takePrefixReplies(extensions, to: request, homeAgent: reply.homeAgent),
                mobileNetworks: takeNetworkAcknowledgments(extensions, to: request), expiry: expiry),
            lifetime: lifetime, attachment: attachment, agent: pending.agent,
            revocationTimestamp: revocationTimestamp(extensions))
        if pending.agent != nil { resetSolicitations() }
        startKeepalive(udp == nil ? nil : extensions, sentAt: pending.sentAt, at: now)
        if let expiry, let duration = lifetime.duration {
            // What was asked for while the request was under way may come before.
            let renewal = expiry - min(configuration.renewalMargin, duration / 2)
            nextRequest = min(nextRequest ?? renewal, renewal)
        }
        // RFC 5454, 3.7.1: link-local traffic is asked for when the home address is registered.
        if opensLinkLocalNext(after: request) { requestUpdate(at: now) }
    }

    private func encapsulation(of request: RegistrationRequest) -> MobileNodeConfiguration.Encapsulation {
        if request.flags.contains(.greEncapsulation) { return .gre }
        return request.flags.contains(.minimalEncapsulation) ? .minimal : .ipInIP
    }

    /// RFC 3519, 4.4: without a reply that assents, and without having asked, there is no tunnel in UDP.
    private func udpPorts(_ request: RegistrationRequest, _ extensions: ArraySlice<MobileIPExtension>) -> UDPPorts? {
        let isRequested = request.extensions.contains { if case .udpTunnelRequest = $0 { true } else { false } }
        guard isRequested, let reply = extensions.lazy.compactMap(\.udpTunnelReply).first, reply.code.isAccepted else {
            return nil
        }
        return UDPPorts(local: configuration.port, remote: RegistrationRequest.port)
    }

    /// RFC 6245, 4.2 and 5: the home agent's key is for packets to it; where it was to assign, for both directions.
    private func greKeys(_ request: RegistrationRequest, _ extensions: ArraySlice<MobileIPExtension>) -> GREKeys? {
        guard let asked = request.extensions.lazy.compactMap(\.greKey).first,
            let told = extensions.lazy.compactMap(\.greKey).first
        else { return nil }
        return GREKeys(incoming: asked == 0 ? told : asked, outgoing: told)
    }

    private func revocationTimestamp(_ extensions: ArraySlice<MobileIPExtension>) -> UInt32? {
        guard isCoLocated, agentInUse == nil, configuration.acceptsRevocation else { return nil }
        for case .revocationSupport(let support) in extensions { return support.timestamp }
        return nil
    }

    /// The home agent has ended the registration, or will have to by itself.
    mutating func deregistered(at now: Moment) {
        guard !isStopping else { return finish() }
        (registration, pending, nextRequest, keepalive, hindrance) = (nil, nil, nil, nil, nil)
        isKnownAtHome = true
    }
}

extension MobileIPExtension {
    var udpTunnelReply: UDPTunnelReply? { if case .udpTunnelReply(let value) = self { value } else { nil } }
    var greKey: UInt32? { if case .greKey(let value) = self { value } else { nil } }
}

// Registration requests of mobile nodes (RFC 5944, 3.7.2; RFC 3024, 4.2; RFC 2794, 3): checked, and relayed or denied.

import Wire

/// Why a foreign agent denies a request.
struct Denial: Error {
    let code: ReplyCode
    init(_ code: ReplyCode) { self.code = code }
}

extension ForeignAgentStateMachine {
    mutating func receiveRequest(
        _ datagram: VisitingDatagram, _ now: Moment, _ actions: inout [ForeignAgentAction]
    ) {
        guard datagram.sourcePort != 0 else {
            actions.append(.count(.discarded(.sourcePortZero)))
            return
        }
        guard configuration.owns(datagram.destination) || !datagram.destination.isUnicastSource else {
            actions.append(.count(.discarded(.destinationNotOurs)))
            return
        }
        let received: ReceivedMessage<RegistrationRequest>
        do throws(MobileIPError) {
            guard case .registrationRequest(let message) = try MobileIPDatagram.parse(datagram.payload) else {
                actions.append(.count(.discarded(.unexpectedType)))
                return
            }
            received = message
        } catch {
            actions.append(.count(.malformed(error)))
            return
        }
        let identifier = received.message.accessIdentifier
        let associations = associations(of: received.message.homeAddress, identifier)
        var request = PendingRequest(
            datagram: datagram, request: received.message, accessIdentifier: identifier,
            association: received.association(among: associations, .mobileForeign) ?? associations.first)
        do throws(Denial) {
            guard received.authentications.contains(where: { $0.value.kind == .mobileHome }),
                !received.hasReservedBits
            else { throw Denial(.foreignPoorlyFormedRequest) }
            try checkAuthentication(of: received, associations, datagram, &actions)
            try checkAddresses(request)
            try checkTunnel(request, received)
            try checkRoom(request)
            let bytes = try relayed(received, request)
            (request.deadline, request.isOutlived) = deadline(of: request, now)
            pending.add(request)
            let source =
                configuration.careOfAddresses.first { $0 == request.request.careOfAddress }
                ?? configuration.careOfAddresses[0]
            actions.append(.relay(bytes, from: source, to: request.request.homeAgent))
            actions.append(.count(.requestRelayed))
        } catch {
            deny(request, error.code, now, &actions)
        }
    }

    private func associations(
        of homeAddress: IPv4Address, _ identifier: NetworkAccessIdentifier?
    ) -> [SecurityAssociation] {
        identifier.flatMap { nodes[.accessIdentifier($0)] } ?? nodes[.homeAddress(homeAddress)] ?? []
    }

    // MARK: - Checks

    /// RFC 5944, 3.7.2.1 has such a request discarded, and its node told so.
    private func checkAuthentication(
        of received: ReceivedMessage<RegistrationRequest>, _ associations: [SecurityAssociation],
        _ datagram: VisitingDatagram, _ actions: inout [ForeignAgentAction]
    ) throws(Denial) {
        guard let error = received.error(of: .mobileForeign, associations) else { return }
        actions.append(
            .log(
                ForeignAgentSecurityException(
                    party: .mobileNode, error: error, homeAddress: received.message.homeAddress,
                    source: datagram.source.address)))
        throw Denial(.foreignMobileNodeFailedAuthentication)
    }

    /// RFC 5944, 3.7.2 and 3.7.2.1; RFC 2794, 3; RFC 4433, 5.2.
    private func checkAddresses(_ pending: PendingRequest) throws(Denial) {
        let request = pending.request
        if request.homeAddress == .unspecified {
            guard pending.accessIdentifier != nil else { throw Denial(.foreignNonzeroHomeAddressRequired) }
        } else {
            guard request.homeAddress.isUnicastSource, !configuration.owns(request.homeAddress) else {
                throw Denial(.foreignPoorlyFormedRequest)
            }
        }
        guard request.homeAgent != .unspecified, request.homeAgent.rawValue != .max else {
            throw Denial(.foreignNonzeroHomeAgentRequired)
        }
        guard request.homeAgent.isUnicastSource, request.homeAgent != request.homeAddress else {
            throw Denial(.foreignPoorlyFormedRequest)
        }
        guard !configuration.owns(request.homeAgent) else { throw Denial(.invalidHomeAgentAddress) }
        // Tunnels are told apart by the home address: whoever has one here keeps it.
        if let visitor = visitors[request.homeAddress], visitor.homeAgent != request.homeAgent {
            throw Denial(.foreignAdministrativelyProhibited)
        }
        guard !request.isDeregistration else { return }
        guard request.lifetime <= configuration.maximumLifetime else { throw Denial(.foreignLifetimeTooLong) }
        guard pending.isCoLocated || configuration.careOfAddresses.contains(request.careOfAddress) else {
            throw Denial(.foreignInvalidCareOfAddress)
        }
    }

    /// RFC 5944, 3.4; RFC 3024, 4.2.1. What a node asks for that has its own care-of address, or asks for the end, its
    /// home agent decides.
    private func checkTunnel(
        _ pending: PendingRequest, _ received: ReceivedMessage<RegistrationRequest>
    ) throws(Denial) {
        let flags = pending.request.flags
        let wantsReverseTunnel = flags.contains(.reverseTunneling)
        if wantsReverseTunnel, pending.datagram.timeToLive != 255 { throw Denial(.foreignMobileNodeTooDistant) }
        guard !pending.isCoLocated, !pending.request.isDeregistration else { return }
        if flags.contains(.greEncapsulation), !configuration.flags.contains(.greEncapsulation) {
            throw Denial(.foreignEncapsulationUnavailable)
        }
        if flags.contains(.minimalEncapsulation), !configuration.flags.contains(.minimalEncapsulation) {
            throw Denial(.foreignEncapsulationUnavailable)
        }
        guard wantsReverseTunnel else {
            if configuration.requiresReverseTunnel { throw Denial(.foreignReverseTunnelMandatory) }
            return
        }
        guard !received.message.extensions.contains(.encapsulatingDeliveryStyle) else {
            throw Denial(.foreignDeliveryStyleNotSupported)
        }
        guard configuration.flags.contains(.reverseTunneling) else { throw Denial(.foreignReverseTunnelUnavailable) }
    }

    private mutating func checkRoom(_ request: PendingRequest) throws(Denial) {
        let isNewVisitor = !request.isCoLocated && visitors[request.request.homeAddress] == nil
        if isNewVisitor, !request.request.isDeregistration, visitors.count >= configuration.limits.visitors {
            throw Denial(.foreignInsufficientResources)
        }
        pending.makeRoom(for: request, ofNode: configuration.limits.pendingRequestsOfNode)
        guard pending.count < configuration.limits.pendingRequests else {
            throw Denial(.foreignInsufficientResources)
        }
    }

    // MARK: - Relaying

    /// What the mobile-home authentication covers and that itself, untouched; nothing that stands behind; and where a
    /// security association is shared, the agent's own, but not for the end of a registration or for a care-of address
    /// that is not the agent's (RFC 5944, 3.7.2.2 and appendix G).
    private func relayed(
        _ received: ReceivedMessage<RegistrationRequest>, _ pending: PendingRequest
    ) throws(Denial) -> [UInt8] {
        guard let bytes = received.covered(by: .mobileHome) else { throw Denial(.foreignPoorlyFormedRequest) }
        let request = pending.request
        guard !request.isDeregistration, configuration.careOfAddresses.contains(request.careOfAddress),
            let association = homeAgents[request.homeAgent]?.first
        else { return bytes }
        do throws(MobileIPError) {
            return try association.sign(bytes, as: .foreignHome)
        } catch {
            throw Denial(.foreignPoorlyFormedRequest)
        }
    }

    private func deadline(of request: PendingRequest, _ now: Moment) -> (UInt64, isOutlived: Bool) {
        let asked = request.request.isDeregistration ? nil : request.request.lifetime.duration?.nanoseconds
        if let asked, asked < Self.patience { return (now.nanoseconds + asked, true) }
        return (now.nanoseconds + Self.patience, false)
    }

    // MARK: - Denying

    /// RFC 5944, 3.7.2.3.
    mutating func deny(
        _ pending: PendingRequest, _ code: ReplyCode, _ now: Moment, _ actions: inout [ForeignAgentAction]
    ) {
        guard
            denials.admits(
                pending.datagram.source.linkLayerAddress, at: now.nanoseconds,
                capacity: configuration.limits.denialsPerSecond)
        else {
            actions.append(.count(.discarded(.denialLimit)))
            return
        }
        let request = pending.request
        let reply = RegistrationReply(
            code: code,
            lifetime: code == .foreignLifetimeTooLong ? configuration.maximumLifetime : request.lifetime,
            homeAddress: request.homeAddress, homeAgent: request.homeAgent, identification: request.identification,
            extensions: pending.accessIdentifier.map { [.mobileNodeNAI($0)] } ?? [])
        send(reply.shortBytes, to: pending, homeAddress: request.homeAddress, &actions)
        actions.append(.count(.denied(code)))
    }

    /// Sends a reply to the node, signed where a security association is shared (RFC 5944, 3.7.1).
    func send(
        _ bytes: [UInt8], to pending: PendingRequest, homeAddress: IPv4Address, _ actions: inout [ForeignAgentAction]
    ) {
        var bytes = bytes
        if let association = pending.association {
            // Where there is no room for it the node discards the reply, as it would without one.
            bytes = (try? association.sign(bytes, as: .mobileForeign)) ?? bytes
        }
        let datagram = pending.datagram
        actions.append(
            .answer(
                VisitingReply(
                    payload: bytes,
                    source: configuration.owns(datagram.destination)
                        ? datagram.destination : configuration.addresses[0],
                    destination: homeAddress == .unspecified ? IPv4Address(rawValue: .max) : homeAddress,
                    destinationPort: datagram.sourcePort, linkLayerAddress: datagram.source.linkLayerAddress)))
    }
}

extension RegistrationReply {
    /// The bytes of a reply that is known to fit: it has an identifier at the most.
    fileprivate var shortBytes: [UInt8] {
        do throws(MobileIPError) {
            return try write()
        } catch {
            preconditionFailure("a fixed part and an identifier fit in a datagram")
        }
    }
}

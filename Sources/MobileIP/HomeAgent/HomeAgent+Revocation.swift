// Revocation of registrations (RFC 3543): agreed at registration, sent by the home agent where a binding ends that the
// other side does not know to have ended, and taken from foreign agents.

import Wire

extension HomeAgent {
    // MARK: - Agreement

    /// A foreign agent offers it under its own authentication; a node with a care-of address of its own, which nobody
    /// translates, under its (RFC 3543, 4.2.1).
    func agreeOnRevocation(_ attempt: RegistrationAttempt, _ now: Moment) -> AcceptedRegistration.Revocation? {
        guard configuration.revocation.isOffered else { return nil }
        let isDirect = attempt.isCoLocated && attempt.datagram.source == attempt.request.careOfAddress
        let isForeignAgent = !attempt.isCoLocated && attempt.isForeignAgentKnown
        let offered =
            attempt.isCoLocated ? attempt.fromNode.revocationSupport : attempt.fromForeignAgent.revocationSupport
        guard isDirect || isForeignAgent, let offered else { return nil }
        let association = isForeignAgent ? attempt.foreignAssociation : attempt.association
        guard let association else { return nil }
        return AcceptedRegistration.Revocation(
            isForeignAgent: isForeignAgent, securityParameterIndex: association.securityParameterIndex,
            usesInformBit: offered.inform && isForeignAgent, theirTimestamp: offered.timestamp,
            ourTimestamp: now.timeOfDay.seconds)
    }

    // MARK: - By the home agent

    /// The operator ends a node's binding.
    mutating func revoke(_ identity: NodeIdentity, _ now: Moment, _ actions: inout [HomeAgentAction]) {
        guard let number = nodes.number(of: identity) else { return }
        revokeBinding(number, .revoked, now, &actions)
    }

    /// Ends a binding that the other side does not know to have ended.
    mutating func revokeBinding(
        _ number: UInt32, _ end: BindingEnd, _ now: Moment, _ actions: inout [HomeAgentAction]
    ) {
        guard let binding = nodes[number].binding else { return }
        let expiry = nodes[number].expiry
        endBinding(number, end, now, &actions)
        tell(
            binding, of: number, until: expiry,
            inform: !(binding.revocation?.isForeignAgent ?? false)
                || (binding.revocation?.usesInformBit ?? false) && configuration.revocation.informsNodes, now, &actions)
    }

    /// A node that has moved is no longer its former foreign agent's. It need not be told by that one. And what may
    /// still be on its way to the new one must not end the new binding.
    mutating func tellFormerForeignAgent(
        _ former: FormerRegistration?, _ new: AcceptedRegistration, of number: UInt32, _ now: Moment,
        _ actions: inout [HomeAgentAction]
    ) {
        revocations.cancel(PendingRevocation.Key(homeAddress: new.homeAddress, destination: new.source))
        guard let former, former.registration.revocation?.isForeignAgent == true,
            former.registration.source != new.source
        else { return }
        tell(former.registration, of: number, until: former.expiry, inform: false, now, &actions)
    }

    private mutating func tell(
        _ binding: AcceptedRegistration, of number: UInt32, until expiry: UInt64, inform: Bool, _ now: Moment,
        _ actions: inout [HomeAgentAction]
    ) {
        guard let agreed = binding.revocation else { return }
        let associations =
            agreed.isForeignAgent ? foreignAgents[binding.source] ?? [] : nodes[number].node.associations
        let named = associations.first { $0.securityParameterIndex == agreed.securityParameterIndex }
        guard let association = named ?? associations.first,
            revocations.count < configuration.limits.revocationsUnderWay
        else {
            actions.append(.count(.revocation(.notSent)))
            return
        }
        let revocation = PendingRevocation(
            key: PendingRevocation.Key(homeAddress: binding.homeAddress, destination: binding.source),
            homeDomainAddress: binding.tunnel.endpoint, foreignDomainAddress: binding.careOfAddress,
            association: association, authentication: agreed.isForeignAgent ? .foreignHome : .mobileHome,
            inform: inform, expiry: expiry, identifier: agreed.ourTimestamp)
        revocations.start(revocation, configuration.revocation, now, &actions)
    }

    // MARK: - By a foreign agent

    /// Takes a foreign agent's revocation (RFC 3543, 4.2.3.2). One whose binding has ended before is acknowledged too:
    /// the acknowledgment of it may have been lost.
    mutating func receiveRevocation(
        _ received: ReceivedMessage<RegistrationRevocation>, _ datagram: ReceivedDatagram, _ now: Moment,
        _ actions: inout [HomeAgentAction]
    ) {
        let message = received.message
        do throws(RevocationRefusal) {
            if message.flags.contains(.homeAgent) { throw RevocationRefusal(.revocationReflected) }
            let association = try authenticate(received, datagram)
            var inform = false
            if let number = nodes.number(of: message.homeAddress), let binding = nodes[number].binding,
                binding.names(message)
            {
                guard let agreed = binding.revocation, agreed.isForeignAgent, binding.source == datagram.source else {
                    throw RevocationRefusal(.revocationNotNegotiated)
                }
                guard RevocationClock.isEarlier(agreed.theirTimestamp, message.identifier) else {
                    throw RevocationRefusal(.revocationStale)
                }
                inform =
                    agreed.usesInformBit && message.flags.contains(.inform) && configuration.revocation.informsNodes
                endBinding(number, .revokedByForeignAgent, now, &actions)
            }
            acknowledge(message, datagram, association, inform: inform, &actions)
        } catch {
            actions.append(.count(.discarded(error.discard)))
        }
    }

    private func authenticate(
        _ received: ReceivedMessage<RegistrationRevocation>, _ datagram: ReceivedDatagram
    ) throws(RevocationRefusal) -> SecurityAssociation {
        for association in foreignAgents[datagram.source] ?? [] {
            do throws(AuthenticationError) {
                try association.verify(received, .foreignHome)
                return association
            } catch { continue }
        }
        throw RevocationRefusal(.revocationUnauthenticated)
    }

    private func acknowledge(
        _ message: RegistrationRevocation, _ datagram: ReceivedDatagram, _ association: SecurityAssociation,
        inform: Bool, _ actions: inout [HomeAgentAction]
    ) {
        let acknowledgment = RegistrationRevocationAcknowledgment(
            inform: inform, homeAddress: message.homeAddress, identifier: message.identifier)
        do throws(MobileIPError) {
            actions.append(
                .send(
                    OutgoingDatagram(
                        payload: try association.sign(acknowledgment, as: .foreignHome), source: replySource(datagram),
                        destination: datagram.source, destinationPort: datagram.sourcePort, side: datagram.side)))
        } catch { preconditionFailure("an acknowledgment has no extensions but its authentication: \(error)") }
        actions.append(.count(.revocation(.received)))
    }
}

/// A revocation is discarded.
private struct RevocationRefusal: Error {
    let discard: HomeAgentDiscard

    init(_ discard: HomeAgentDiscard) { self.discard = discard }
}

extension AcceptedRegistration {
    /// Whether it is the one that a revocation names.
    fileprivate func names(_ message: RegistrationRevocation) -> Bool {
        homeAddress == message.homeAddress && tunnel.endpoint == message.homeDomainAddress
            && careOfAddress == message.foreignDomainAddress
    }
}

// Registration replies of home agents (RFC 5944, 3.7.3; RFC 2794, 3): matched with their requests, checked, and relayed.
// What of a visitor changes, changes before its node is told.

import Wire

extension ForeignAgentStateMachine {
    mutating func receiveReply(
        _ datagram: HomeAgentDatagram, _ now: Moment, _ actions: inout [ForeignAgentAction]
    ) {
        let received: ReceivedMessage<RegistrationReply>
        do throws(MobileIPError) {
            guard case .registrationReply(let message) = try MobileIPDatagram.parse(datagram.payload) else {
                actions.append(.count(.discarded(.unexpectedType)))
                return
            }
            received = message
        } catch {
            actions.append(.count(.malformed(error)))
            return
        }
        let reply = received.message
        guard let request = pending.take(reply, reply.accessIdentifier, from: datagram.source) else {
            actions.append(.count(.discarded(.replyUnmatched)))
            return
        }
        if let error = authenticationError(of: received, to: request) {
            actions.append(.count(.discarded(.replyUnauthenticated)))
            actions.append(
                .log(
                    ForeignAgentSecurityException(
                        party: .homeAgent, error: error, homeAddress: reply.homeAddress, source: datagram.source)))
            deny(request, .foreignHomeAgentFailedAuthentication, now, &actions)
            return
        }
        do throws(Denial) {
            guard let bytes = received.covered(by: .mobileHome) else { throw Denial(.foreignPoorlyFormedReply) }
            try checkIdentity(of: reply, to: request)
            if reply.code.isAccepted { try settle(reply, to: request, now, &actions) }
            send(bytes, to: request, homeAddress: reply.homeAddress, &actions)
            actions.append(.count(.replyRelayed(reply.code)))
        } catch {
            deny(request, error.code, now, &actions)
        }
    }

    /// A request that did not arrive is denied (RFC 5944, 3.7.3 and 3.4).
    mutating func giveUp(_ error: UnreachableHomeAgent, _ now: Moment, _ actions: inout [ForeignAgentAction]) {
        guard let request = pending.take(error) else {
            actions.append(.count(.discarded(.unreachableUnmatched)))
            return
        }
        let code: ReplyCode =
            switch error.code {
            case 0: .foreignHomeNetworkUnreachable
            case 1: .foreignHomeAgentHostUnreachable
            case 3: .foreignHomeAgentPortUnreachable
            default: .foreignHomeAgentUnreachable
            }
        deny(request, code, now, &actions)
    }

    // MARK: - Checks

    /// RFC 5944, 3.7.3.1. The answer to what was not signed, the end of a registration, need not be (3.7.1).
    private func authenticationError(
        of received: ReceivedMessage<RegistrationReply>, to pending: PendingRequest
    ) -> AuthenticationError? {
        let associations = homeAgents[pending.request.homeAgent] ?? []
        let isOptional = pending.request.isDeregistration && received.message.lifetime.isZero
        if isOptional, received.authentications(of: .foreignHome).isEmpty { return nil }
        return received.error(of: .foreignHome, associations)
    }

    /// RFC 2794, 3: the reply to a node that is known by its identifier names it, and both addresses.
    private func checkIdentity(of reply: RegistrationReply, to pending: PendingRequest) throws(Denial) {
        guard pending.accessIdentifier != nil else { return }
        guard reply.accessIdentifier != nil else { throw Denial(.foreignMissingNAI) }
        guard reply.code.isAccepted else { return }
        guard reply.homeAgent != .unspecified else { throw Denial(.foreignMissingHomeAgent) }
        guard reply.homeAddress != .unspecified else { throw Denial(.foreignMissingHomeAddress) }
    }

    // MARK: - Visitors

    /// The visitor list as an accepting reply has it (RFC 5944, 3.7.3.2).
    private mutating func settle(
        _ reply: RegistrationReply, to pending: PendingRequest, _ now: Moment, _ actions: inout [ForeignAgentAction]
    ) throws(Denial) {
        let request = pending.request
        let current = visitors[reply.homeAddress]
        if let current, current.homeAgent != request.homeAgent { throw Denial(.foreignAdministrativelyProhibited) }
        if request.isDeregistration || reply.lifetime.isZero {
            let endsAll = request.careOfAddress == reply.homeAddress || request.careOfAddress == request.homeAddress
            if let current, endsAll || current.careOfAddress == request.careOfAddress {
                end(current, .deregistered, &actions)
            }
            return
        }
        guard !pending.isCoLocated else {
            // Another binding beside the one here is what S asks for, and what code 0 then grants.
            let keepsOthers = request.flags.contains(.simultaneousBindings) && reply.code == .accepted
            if let current, !keepsOthers { end(current, .coLocated, &actions) }
            return
        }
        guard reply.homeAddress.isUnicastSource, !configuration.owns(reply.homeAddress) else {
            throw Denial(.foreignPoorlyFormedReply)
        }
        guard current != nil || visitors.count < configuration.limits.visitors else {
            throw Denial(.foreignInsufficientResources)
        }
        let lifetime = min(reply.lifetime, configuration.maximumLifetime)
        let visitor = Visitor(
            homeAddress: reply.homeAddress, homeAgent: request.homeAgent, careOfAddress: request.careOfAddress,
            linkLayerAddress: pending.datagram.source.linkLayerAddress, lifetime: lifetime,
            usesReverseTunnel: request.flags.contains(.reverseTunneling))
        visitors.put(visitor, until: lifetime.duration.map { now.nanoseconds + $0.nanoseconds })
        actions.append(.putVisitor(visitor))
    }

    private mutating func end(_ visitor: Visitor, _ end: VisitorEnd, _ actions: inout [ForeignAgentAction]) {
        visitors.remove(visitor.homeAddress)
        actions.append(.removeVisitor(homeAddress: visitor.homeAddress))
        actions.append(.count(.visitorEnded(end)))
    }
}

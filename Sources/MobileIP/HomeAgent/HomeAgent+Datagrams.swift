// What comes to UDP port 434: who sent it, and to whom is it (RFC 5944, 3.8.2).

import Wire

extension HomeAgent {
    mutating func receive(_ datagram: ReceivedDatagram, _ now: Moment, _ actions: inout [HomeAgentAction]) {
        guard datagram.source.isUnicastSource, datagram.sourcePort != 0 else {
            actions.append(.count(.discarded(.sourceNotUnicast)))
            return
        }
        guard isOwn(datagram.destination) || isBroadcast(datagram.destination) else {
            actions.append(.count(.discarded(.destinationNotOurs)))
            return
        }
        do throws(MobileIPError) {
            switch try MobileIPDatagram.parse(datagram.payload) {
            case .registrationRequest(let received): register(received, datagram, now, &actions)
            case .registrationReply: actions.append(.count(.discarded(.unexpectedType)))
            case .registrationRevocation(let received): receiveRevocation(received, datagram, now, &actions)
            case .registrationRevocationAcknowledgment(let received):
                actions.append(.count(revocations.acknowledge(received, from: datagram.source)))
            }
        } catch {
            actions.append(.count(.malformed(error)))
        }
    }

    /// Whether it is one of the home agent's own.
    func isOwn(_ address: IPv4Address) -> Bool { configuration.addresses.contains(address) }

    private func isBroadcast(_ address: IPv4Address) -> Bool {
        address.rawValue == .max || configuration.broadcastAddresses.contains(address)
    }

    private mutating func register(
        _ received: ReceivedMessage<RegistrationRequest>, _ datagram: ReceivedDatagram, _ now: Moment,
        _ actions: inout [HomeAgentAction]
    ) {
        guard received.authentications.contains(where: { $0.value.kind == .mobileHome }) else {
            actions.append(.count(.discarded(.authenticationMissing)))
            return
        }
        let fromNode = RequestExtensions(received.extensions(before: .mobileHome))
        guard let number = number(of: received.message, fromNode) else {
            actions.append(.count(.discarded(.nodeUnknown)))
            return
        }
        let associations = nodes[number].node.associations
        var attempt = RegistrationAttempt(
            datagram: datagram, received: received, number: number, fromNode: fromNode,
            fromForeignAgent: RequestExtensions(received.extensions(behind: .mobileHome)),
            association: associations[0], identification: received.message.identification)
        let check = attempt.check(
            associations, foreignAgents[datagram.source] ?? [], &nodes[number].replay, at: now.timeOfDay,
            newNonce: UInt32.random(in: .min ... .max, using: &random))
        switch check {
        case .valid: carryOut(attempt, now, &actions)
        case .rejected(let code, let reason, let index):
            reject(attempt, Rejection(code), &actions)
            log(reason, index, of: attempt, &actions)
        case .discarded(let discard, let reason, let index):
            actions.append(.count(.discarded(discard)))
            log(reason, index, of: attempt, &actions)
        }
    }

    /// By its identifier, or else by its home address (RFC 2794).
    private func number(of request: RegistrationRequest, _ fromNode: RequestExtensions) -> UInt32? {
        if let identifier = fromNode.accessIdentifier, let number = nodes.number(of: identifier) { return number }
        return nodes.number(of: request.homeAddress)
    }

    private func log(
        _ reason: SecurityException.Reason, _ index: UInt32?, of attempt: RegistrationAttempt,
        _ actions: inout [HomeAgentAction]
    ) {
        actions.append(
            .log(
                SecurityException(
                    reason, node: nodes[attempt.number].node.identity, homeAddress: attempt.request.homeAddress,
                    source: attempt.datagram.source, sourcePort: attempt.datagram.sourcePort,
                    securityParameterIndex: index)))
    }
}

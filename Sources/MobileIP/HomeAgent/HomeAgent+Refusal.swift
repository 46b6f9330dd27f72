// What follows where the forwarder refuses a binding: the node has what it had, and its reply is a rejection, signed as
// the one was that is not sent. Whatever the node has asked for since then stands.

import Wire

extension HomeAgent {
    mutating func handleRefusal(
        _ refusal: BindingRefusal, _ now: Moment, _ actions: inout [HomeAgentAction]
    ) {
        guard let number = nodes.number(of: refusal.binding.homeAddress) else { return }
        if let current = nodes[number].binding, current.isForwarded(as: refusal.binding, now) {
            if let former = refusal.former, former.expiry > now.nanoseconds {
                fallBack(number, to: former, now, &actions)
            } else if refusal.replies.isEmpty {
                // The other side has been told long since that it has the binding.
                revokeBinding(number, .refusedByForwarder, now, &actions)
            } else {
                endBinding(number, .refusedByForwarder, now, &actions)
            }
        }
        for reply in refusal.replies { deny(reply, number, refusal.code, &actions) }
    }

    /// Gives a node back what the forwarder has of it. Refused once more it ends: nothing is named to fall back to.
    private mutating func fallBack(
        _ number: UInt32, to former: FormerRegistration, _ now: Moment, _ actions: inout [HomeAgentAction]
    ) {
        // The foreign agent of this one may just have been told that it ended.
        revocations.cancel(
            PendingRevocation.Key(
                homeAddress: former.registration.homeAddress, destination: former.registration.source))
        settle(
            number, ownedPart(of: former.registration, number, &actions), expiry: former.expiry, now, &actions)
        reviseBinding(number, now, &actions)
    }

    /// Sends a rejection in place of an accepting reply, with what of it stands in any reply.
    private func deny(
        _ datagram: OutgoingDatagram, _ number: UInt32, _ code: ReplyCode, _ actions: inout [HomeAgentAction]
    ) {
        guard case .registrationReply(let accepting) = try? MobileIPDatagram.parse(datagram.payload),
            let association = accepting.signer(.mobileHome, among: nodes[number].node.associations)
        else { return }
        var reply = accepting.message
        reply.code = code
        reply.extensions = accepting.extensions(before: .mobileHome).filter {
            if case .mobileNodeNAI = $0 { true } else { false }
        }
        let forForeignAgent = accepting.extensions(behind: .mobileHome).filter {
            if case .challenge = $0 { true } else { false }
        }
        send(
            reply, signedBy: association, forForeignAgent,
            signedBy: accepting.signer(.foreignHome, among: foreignAgents[datagram.destination] ?? []),
            in: datagram, &actions)
    }
}

extension ReceivedMessage {
    /// The association that its first authentication of a kind names.
    fileprivate func signer(
        _ kind: AuthenticationExtension.Kind, among associations: [SecurityAssociation]
    ) -> SecurityAssociation? {
        let index = authentications(of: kind).first?.value.securityParameterIndex
        return associations.first { $0.securityParameterIndex == index }
    }
}

extension AcceptedRegistration {
    /// Whether the forwarder was told of it in these words, for however long.
    fileprivate func isForwarded(as binding: MobilityBinding, _ now: Moment) -> Bool {
        var binding = binding
        binding.lifetime = nil
        return forwarded(until: .max, now) == binding
    }
}

// What follows where the forwarder refuses a binding. For a prefix that another's binding has: the binding without it, and
// a reply that rejects it. Else the node has what it had, and its reply is a rejection. Either is signed as the one was that
// is not sent. Whatever the node has asked for since then stands.

import Wire

extension HomeAgent {
    mutating func handleRefusal(
        _ refusal: BindingRefusal, _ now: Moment, _ actions: inout [HomeAgentAction]
    ) {
        guard let number = nodes.number(of: refusal.binding.homeAddress) else { return }
        if let current = nodes[number].binding, current.isForwarded(as: refusal.binding, now) {
            if let prefix = refusal.prefix, let rest = current.without(prefix) {
                settle(number, rest, expiry: nodes[number].expiry, orElse: refusal.former, now, &actions)
                return reject(prefix, in: refusal.replies, number, &actions)
            }
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
        sendAnew(datagram, number, &actions) { reply, forForeignAgent in
            reply.code = code
            reply.extensions.removeAll { if case .mobileNodeNAI = $0 { false } else { true } }
            forForeignAgent.removeAll { !$0.isChallenge }
        }
    }

    /// Sends replies that accept all that they did but for one prefix.
    private func reject(
        _ prefix: IPv6Prefix, in datagrams: [OutgoingDatagram], _ number: UInt32, _ actions: inout [HomeAgentAction]
    ) {
        for datagram in datagrams {
            sendAnew(datagram, number, &actions) { reply, _ in
                reply.extensions = reply.extensions.map { element in
                    guard case .ipv6PrefixReply(var told) = element, told.prefix.names(prefix) else { return element }
                    told.code = .reasonUnspecified
                    return .ipv6PrefixReply(told)
                }
            }
        }
        if !datagrams.isEmpty { actions.append(.count(.prefix(.reasonUnspecified))) }
    }

    /// Sends a reply with changes, signed as it was; not at all where the keys are not there any more.
    /// - Parameter change: of the reply, with the extensions for the node, and of those for the foreign agent.
    private func sendAnew(
        _ datagram: OutgoingDatagram, _ number: UInt32, _ actions: inout [HomeAgentAction],
        _ change: (inout RegistrationReply, inout [MobileIPExtension]) -> Void
    ) {
        guard case .registrationReply(let accepting) = try? MobileIPDatagram.parse(datagram.payload),
            let association = accepting.signer(.mobileHome, among: nodes[number].node.associations)
        else { return }
        var reply = accepting.message
        reply.extensions = Array(accepting.extensions(before: .mobileHome))
        var forForeignAgent = Array(accepting.extensions(behind: .mobileHome))
        change(&reply, &forForeignAgent)
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
    /// It without a prefix; nil where it does not have that.
    fileprivate func without(_ prefix: IPv6Prefix) -> AcceptedRegistration? {
        var rest = self
        rest.prefixes.removeAll { $0.prefix == prefix }
        return rest.prefixes.count < prefixes.count ? rest : nil
    }

    /// Whether the forwarder was told of it in these words, for however long.
    fileprivate func isForwarded(as binding: MobilityBinding, _ now: Moment) -> Bool {
        var binding = binding
        binding.lifetime = nil
        return forwarded(until: .max, now) == binding
    }
}

extension IPv6HomePrefix {
    /// Whether it is that prefix, or that link-local address, which bindings have with length 128.
    fileprivate func names(_ bound: IPv6Prefix) -> Bool {
        linkLocalAddress.map { .host($0) == bound } ?? (prefix == bound)
    }
}

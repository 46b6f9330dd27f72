// Registration replies (RFC 5944, 3.8.3): back to where the request came from, never tunneled.
//
//     fixed part │ NAI, UDP tunnel …, prefixes, networks │ mobile-home │ challenge, for the foreign agent … │ foreign-home

import Wire

/// What stands in a reply for each of the two.
struct ReplyExtensions {
    private(set) var forNode: [MobileIPExtension] = []
    private(set) var forForeignAgent: [MobileIPExtension] = []

    /// What every reply has: the node's identifier (RFC 2794, 3) and the foreign agent's challenge (RFC 4721, 3.4).
    init(_ attempt: RegistrationAttempt) {
        if let identifier = attempt.fromNode.accessIdentifier { forNode.append(.mobileNodeNAI(identifier)) }
        if let challenge = attempt.fromNode.challenge ?? attempt.fromForeignAgent.challenge {
            forForeignAgent.append(.challenge(challenge))
        }
    }

    /// What a reply that accepts has.
    init(
        _ attempt: RegistrationAttempt, _ registration: AcceptedRegistration, _ tunnel: TunnelDecision,
        _ prefixes: PrefixDecision, _ networks: NetworkDecision
    ) {
        self.init(attempt)
        if let reply = tunnel.udpReply { add(.udpTunnelReply(reply), asFrom: attempt) }
        if let key = tunnel.greKey { add(.greKey(key), asFrom: attempt) }
        if let agreed = registration.revocation {
            add(
                .revocationSupport(
                    RevocationSupport(inform: agreed.usesInformBit, timestamp: agreed.ourTimestamp)),
                asFrom: attempt)
        }
        forNode += prefixes.replies.lazy.map { .ipv6PrefixReply($0) }
        forNode += networks.acknowledgments.lazy.map { .mobileNetworkAcknowledgment($0) }
    }

    /// For the one who can have asked: the node where its care-of address is its own, else the foreign agent.
    mutating func add(_ element: MobileIPExtension, asFrom attempt: RegistrationAttempt) {
        if attempt.isCoLocated { forNode.append(element) } else { forForeignAgent.append(element) }
    }

    /// For the node.
    mutating func add(_ elements: [MobileIPExtension]) { forNode += elements }
}

extension RegistrationReply {
    /// In bytes: what is left for prefixes and networks when all else is as long as it can be.
    private static let room = maximumLength - 1200
    /// In bytes.
    private static let prefixReplyLength = 22
    private static let acknowledgmentLength = 10

    /// Acknowledgments that fit; a request can't ask for more.
    static let roomForAcknowledgments = min(maximumExtensions, room / acknowledgmentLength)

    /// Prefix replies that fit beside acknowledgments of mobile networks.
    static func roomForPrefixes(besides acknowledgments: Int) -> Int {
        (room - acknowledgments * acknowledgmentLength) / prefixReplyLength
    }
}

extension HomeAgent {
    /// Answers with a rejecting code.
    func reject(_ attempt: RegistrationAttempt, _ rejection: Rejection, _ actions: inout [HomeAgentAction]) {
        let request = attempt.request
        var extensions = ReplyExtensions(attempt)
        extensions.add(rejection.extensions)
        send(
            attempt, code: rejection.code, lifetime: request.lifetime, homeAddress: request.homeAddress,
            homeAgent: isOwn(request.homeAgent) ? request.homeAgent : replySource(attempt.datagram),
            extensions: extensions,
            &actions)
    }

    /// Answers a request.
    func send(
        _ attempt: RegistrationAttempt, code: ReplyCode, lifetime: RegistrationLifetime, homeAddress: IPv4Address,
        homeAgent: IPv4Address, extensions: ReplyExtensions, _ actions: inout [HomeAgentAction]
    ) {
        let reply = RegistrationReply(
            code: code, lifetime: lifetime, homeAddress: homeAddress, homeAgent: homeAgent,
            identification: attempt.identification, extensions: extensions.forNode)
        let datagram = OutgoingDatagram(
            payload: [], source: replySource(attempt.datagram), destination: attempt.datagram.source,
            destinationPort: attempt.datagram.sourcePort, side: attempt.datagram.side)
        send(
            reply, signedBy: attempt.association, extensions.forForeignAgent, signedBy: attempt.foreignAssociation,
            in: datagram, &actions)
    }

    /// Signs a reply for the node, and what is added for the foreign agent where an association is shared with it, and
    /// sends it the way of a datagram.
    func send(
        _ reply: RegistrationReply, signedBy association: SecurityAssociation, _ forForeignAgent: [MobileIPExtension],
        signedBy foreignAssociation: SecurityAssociation?, in datagram: OutgoingDatagram,
        _ actions: inout [HomeAgentAction]
    ) {
        var datagram = datagram
        do throws(MobileIPError) {
            datagram.payload = try association.sign(reply, as: .mobileHome)
            if let foreignAssociation {
                datagram.payload = try foreignAssociation.sign(
                    datagram.payload, adding: forForeignAgent, as: .foreignHome)
            } else if !forForeignAgent.isEmpty {
                var writer = MessageWriter(
                    continuing: datagram.payload, room: forForeignAgent.reduce(0) { $0 + $1.length })
                for element in forForeignAgent { element.write(to: &writer) }
                datagram.payload = writer.bytes
            }
            actions.append(.send(datagram))
            actions.append(.count(.replied(reply.code)))
        } catch {
            actions.append(.count(.discarded(.replyTooLong)))
        }
    }

    /// To where a message went, or where that was a broadcast, the home agent's first address.
    func replySource(_ datagram: ReceivedDatagram) -> IPv4Address {
        isOwn(datagram.destination) ? datagram.destination : configuration.addresses[0]
    }
}

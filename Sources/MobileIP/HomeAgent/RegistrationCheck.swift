// The validity of a request, in the order of RFC 5944, 3.8.2.1: the node's authentication, its identification, the
// foreign agent's authentication. Nothing is changed by it but what replay protection remembers.
//
//     foreign agent     node's authentication     identification
//     ─────────────     ─────────────────────     ──────────────
//     shares none, but authenticates ─────────────────────────────► discarded
//     wrong, or none ── wrong ────────────────────────────────────► discarded
//     right, or       ─ wrong ────────────────────────────────────► 131
//     shares none     ─ right ──────────────────── not fresh ─────► 133
//     wrong, or none ── right ──────────────────── fresh ─────────► 132
//
// A request that ends bindings needs no authentication of a foreign agent (3.5.4).

import Wire

/// A request on its way, with what was found out about it.
struct RegistrationAttempt {
    /// As it came.
    let datagram: ReceivedDatagram
    /// As it was read.
    let received: ReceivedMessage<RegistrationRequest>
    /// The node's number.
    let number: UInt32
    /// What the node added.
    let fromNode: RequestExtensions
    /// What a foreign agent added.
    let fromForeignAgent: RequestExtensions
    /// Signs the reply for the node.
    var association: SecurityAssociation
    /// Signs the reply for the foreign agent.
    var foreignAssociation: SecurityAssociation?
    /// Whether the foreign agent's authentication was right.
    var isForeignAgentKnown = false
    /// For the reply.
    var identification: UInt64
    /// Whether it is the last accepted request again.
    var isRepeated = false

    /// What is asked for.
    var request: RegistrationRequest { received.message }
    /// Whether the care-of address is the node's own.
    var isCoLocated: Bool { request.flags.contains(.decapsulationByMobileNode) }
}

/// A request is answered with a rejecting code.
struct Rejection: Error {
    let code: ReplyCode
    /// For the node, beside what every reply has.
    var extensions: [MobileIPExtension] = []

    init(_ code: ReplyCode, _ extensions: [MobileIPExtension] = []) {
        self.code = code
        self.extensions = extensions
    }
}

/// What became of the check of a request.
enum RegistrationCheck {
    /// It is to be carried out.
    case valid
    /// It is answered with this code.
    case rejected(ReplyCode, SecurityException.Reason, securityParameterIndex: UInt32?)
    /// It gets no answer.
    case discarded(HomeAgentDiscard, SecurityException.Reason, securityParameterIndex: UInt32?)
}

extension RegistrationAttempt {
    /// Checks it.
    /// - Parameters:
    ///   - associations: the node's.
    ///   - foreignAssociations: those with who sent the datagram; none where nothing is shared.
    mutating func check(
        _ associations: [SecurityAssociation], _ foreignAssociations: [SecurityAssociation],
        _ replay: inout HomeAgentReplayState, at now: NetworkTime, newNonce: UInt32
    ) -> RegistrationCheck {
        let foreignError = checkForeignAgent(foreignAssociations)
        if foreignAssociations.isEmpty, let index = index(.foreignHome) {
            return .discarded(.foreignAgentUnexpected, .foreignHomeUnexpected, securityParameterIndex: index)
        }
        if let error = checkNode(associations) {
            let isVouchedFor = foreignAssociations.isEmpty || isForeignAgentKnown
            return isVouchedFor
                ? .rejected(
                    .mobileNodeFailedAuthentication, .mobileHome(error), securityParameterIndex: index(.mobileHome))
                : .discarded(
                    .mobileNodeUnauthenticated, .mobileHome(error), securityParameterIndex: index(.mobileHome))
        }
        var newReplay = replay
        let verdict = newReplay.check(
            request.identification, by: association.replayProtection, at: now, newNonce: newNonce)
        if case .mismatch(let reply) = verdict {
            replay = newReplay
            identification = reply
            return .rejected(.identificationMismatch, .identification, securityParameterIndex: index(.mobileHome))
        }
        if let foreignError, !request.isDeregistration {
            // The identification is not used up: who cuts off a foreign agent's authentication would else be obeyed.
            return .rejected(
                .foreignAgentFailedAuthentication, .foreignHome(foreignError),
                securityParameterIndex: index(.foreignHome))
        }
        replay = newReplay
        switch verdict {
        case .fresh(let reply), .mismatch(let reply): identification = reply
        case .repeated(let reply):
            identification = reply
            isRepeated = true
        }
        return .valid
    }

    /// The index that the first authentication of a kind names.
    private func index(_ kind: AuthenticationExtension.Kind) -> UInt32? {
        received.authentications.first { $0.value.kind == kind }?.value.securityParameterIndex
    }

    private mutating func checkNode(_ associations: [SecurityAssociation]) -> AuthenticationError? {
        let index = index(.mobileHome)
        guard let named = associations.first(where: { $0.securityParameterIndex == index }) else {
            return .securityParameterIndexUnknown
        }
        do throws(AuthenticationError) { try named.verify(received, .mobileHome) } catch { return error }
        // Until here the reply is signed by the first, which the node is likely to have.
        association = named
        return nil
    }

    private mutating func checkForeignAgent(_ associations: [SecurityAssociation]) -> AuthenticationError? {
        guard let first = associations.first else { return nil }
        foreignAssociation = first
        guard let index = index(.foreignHome) else { return .authenticationMissing }
        guard let named = associations.first(where: { $0.securityParameterIndex == index }) else {
            return .securityParameterIndexUnknown
        }
        do throws(AuthenticationError) { try named.verify(received, .foreignHome) } catch { return error }
        foreignAssociation = named
        isForeignAgentKnown = true
        return nil
    }
}

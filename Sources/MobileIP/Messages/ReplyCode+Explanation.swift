// What each code says, for people.

extension ReplyCode: CustomStringConvertible {
    /// The number and what it says.
    public var description: String { "\(rawValue): \(explanation)" }

    /// A sentence for people: what became of the request.
    public var explanation: String {
        if let explanation = foreignAgentExplanation ?? homeAgentExplanation { return explanation }
        switch rawValue {
        case 0: return "Accepted."
        case 1: return "Accepted, in place of earlier bindings: simultaneous bindings are not supported."
        default:
            if isAccepted { return "Accepted, with a code that is not known." }
            if isFromForeignAgent { return "The foreign agent rejects, with a code that is not known." }
            if isFromHomeAgent { return "The home agent rejects, with a code that is not known." }
            return "Rejected, with a code of no known range."
        }
    }

    private var foreignAgentExplanation: String? {
        switch self {
        case .foreignReasonUnspecified: "The foreign agent rejects and does not say why."
        case .foreignAdministrativelyProhibited: "The foreign agent may not serve this mobile node."
        case .foreignInsufficientResources: "The foreign agent has no room left."
        case .foreignMobileNodeFailedAuthentication: "The mobile node's authentication to the foreign agent is wrong."
        case .foreignHomeAgentFailedAuthentication: "The home agent's authentication to the foreign agent is wrong."
        case .foreignLifetimeTooLong: "The lifetime is longer than the foreign agent grants; it says how long it does."
        case .foreignPoorlyFormedRequest: "The foreign agent finds the request malformed."
        case .foreignPoorlyFormedReply: "The foreign agent finds the home agent's reply malformed."
        case .foreignEncapsulationUnavailable: "The foreign agent does not have the encapsulation that is asked for."
        case .foreignReservedUnavailable: "The foreign agent does not have what a reserved bit asks for."
        case .foreignInvalidCareOfAddress: "The care-of address is not the foreign agent's."
        case .foreignRegistrationTimeout: "The home agent did not answer the foreign agent in time."
        case .foreignHomeNetworkUnreachable: "The foreign agent can't reach the home network."
        case .foreignHomeAgentHostUnreachable: "The foreign agent can't reach the home agent."
        case .foreignHomeAgentPortUnreachable: "Nothing listens at the home agent's address."
        case .foreignHomeAgentUnreachable: "The foreign agent can't reach the home agent, for another reason."
        case .invalidHomeAgentAddress: "The home agent's address in the request is not one that a home agent can have."
        case .foreignReverseTunnelUnavailable: "The foreign agent has no reverse tunnel."
        case .foreignReverseTunnelMandatory:
            "The foreign agent wants a reverse tunnel, for which the T bit was not set."
        case .foreignMobileNodeTooDistant: "The mobile node is not on a link of the foreign agent."
        case .foreignDeliveryStyleNotSupported: "The foreign agent does not have the delivery style that is asked for."
        case .foreignNonzeroHomeAgentRequired: "The foreign agent wants the home agent's address in the request."
        case .foreignNonzeroHomeAddressRequired: "The foreign agent wants a home address in the request."
        case .foreignMissingNAI: "The home agent's reply does not have the mobile node's NAI."
        case .foreignMissingHomeAgent: "The home agent's reply does not have its address."
        case .foreignMissingHomeAddress: "The home agent's reply does not have a home address."
        case .foreignUnknownChallenge: "The foreign agent did not send that challenge."
        case .foreignMissingChallenge: "The foreign agent wants its challenge in the request."
        case .foreignStaleChallenge: "The foreign agent's challenge was used before."
        case .foreignBadAAAAuthentication: "The authentication to the AAA server is wrong, says the foreign agent."
        case .foreignHomeAgentWrongChallenge: "The home agent's reply has another challenge than the request."
        default: nil
        }
    }

    private var homeAgentExplanation: String? {
        switch self {
        case .reasonUnspecified: "The home agent rejects and does not say why."
        case .administrativelyProhibited: "The home agent may not serve this mobile node so."
        case .insufficientResources: "The home agent has no room left."
        case .mobileNodeFailedAuthentication: "The mobile node's authentication to the home agent is wrong."
        case .foreignAgentFailedAuthentication: "The foreign agent's authentication to the home agent is wrong."
        case .identificationMismatch: "The identification is not fresh: a wrong clock, an old nonce or a replay."
        case .poorlyFormedRequest: "The home agent finds the request malformed."
        case .tooManySimultaneousBindings: "The mobile node has as many bindings as it may have."
        case .unknownHomeAgentAddress: "The request was not sent to the home agent's own address; the reply has it."
        case .reverseTunnelUnavailable: "The home agent has no reverse tunnel."
        case .reverseTunnelMandatory: "The home agent wants a reverse tunnel, for which the T bit was not set."
        case .encapsulationUnavailable: "The home agent does not have the encapsulation that is asked for."
        case .udpEncapsulationUnavailable: "The home agent does not have that encapsulation in UDP."
        case .redirectedHomeAgent: "Another home agent is to be asked; the reply says which."
        case .badAAAAuthentication: "The authentication to the AAA server is wrong, says the home agent."
        case .mobileNetworkError: "A mobile network can't be registered; the reply says which and why."
        case .mobileNetworkDisallowed: "The mobile node may not be a mobile router."
        default: nil
        }
    }
}

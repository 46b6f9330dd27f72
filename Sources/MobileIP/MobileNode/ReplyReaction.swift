// What a mobile node does about a reply, by its code (RFC 5944, 3.6.2.3, and the RFCs that define the codes). The table
// says what is to be tried; what is not possible, because the configuration forbids it or it was tried before, becomes
// waiting.

/// What a mobile node does about a reply. The raw value is what `explanation` says.
public enum ReplyReaction: String, Hashable, Sendable, CaseIterable {
    /// Takes the registration as made.
    case accept = "The registration is made."
    /// Asks again with the home agent's time or nonce (RFC 5944, 5.7).
    case resynchronize = "Asking again with the identification put right."
    /// Asks the home agent that the reply names (RFC 5944, 3.6.2.3).
    case askToldHomeAgent = "Asking the home agent that the reply names."
    /// Asks the home agent of the redirection extension (RFC 4433, 5.1).
    case followRedirection = "Asking the home agent that the reply redirects to."
    /// Asks without a reverse tunnel (RFC 3024, 3.4).
    case leaveOutReverseTunneling = "Asking without a reverse tunnel."
    /// Asks with a reverse tunnel (RFC 3024, 3.4).
    case askForReverseTunneling = "Asking for a reverse tunnel."
    /// Asks for the next encapsulation (RFC 3024, 3.4; RFC 3519, 4.1; RFC 6245, 4.2).
    case askForOtherEncapsulation = "Asking for another encapsulation."
    /// Asks for the lifetime that the reply grants (RFC 5944, 3.6.2.3).
    case shortenLifetime = "Asking for the lifetime that the reply grants."
    /// Asks with the newest challenge (RFC 4721, 3.2).
    case answerChallenge = "Asking with the newest challenge."
    /// Asks with the home agent's address in the request (RFC 4433, 5.2).
    case nameHomeAgent = "Asking with the home agent's address."
    /// Asks without mobile networks (RFC 5177, 5.1).
    case leaveOutMobileNetworks = "Asking without mobile networks."
    /// Asks without those mobile networks that the reply refuses (RFC 5177, 5.1).
    case leaveOutRefusedMobileNetworks = "Asking without the refused mobile networks."
    /// Turns to the next home agent.
    case askOtherHomeAgent = "Asking the next home agent."
    /// Turns to another foreign agent.
    case askOtherForeignAgent = "Asking another foreign agent."
    /// Asks the same again later.
    case wait = "Asking again later."

    /// A sentence for people: what comes next.
    public var explanation: String { rawValue }
}

extension ReplyCode {
    /// What a mobile node does about it.
    public var reaction: ReplyReaction {
        if isAccepted { return .accept }
        switch self {
        // RFC 5944.
        case .foreignLifetimeTooLong: return .shortenLifetime
        case .foreignEncapsulationUnavailable, .encapsulationUnavailable, .udpEncapsulationUnavailable:
            return .askForOtherEncapsulation
        case .foreignHomeNetworkUnreachable, .foreignHomeAgentHostUnreachable, .foreignHomeAgentPortUnreachable,
            .foreignHomeAgentUnreachable, .invalidHomeAgentAddress, .foreignRegistrationTimeout,
            .reasonUnspecified, .administrativelyProhibited, .insufficientResources, .tooManySimultaneousBindings:
            return .askOtherHomeAgent
        case .identificationMismatch: return .resynchronize
        case .unknownHomeAgentAddress: return .askToldHomeAgent
        // RFC 3024. There is one delivery style here, the direct one, so code 79 is another agent's turn, as are those
        // below.
        case .foreignReverseTunnelUnavailable, .reverseTunnelUnavailable: return .leaveOutReverseTunneling
        case .foreignReverseTunnelMandatory, .reverseTunnelMandatory: return .askForReverseTunneling
        // RFC 4433, 4721 and 5177.
        case .foreignNonzeroHomeAgentRequired: return .nameHomeAgent
        case .redirectedHomeAgent: return .followRedirection
        case .foreignUnknownChallenge, .foreignMissingChallenge, .foreignStaleChallenge: return .answerChallenge
        case .mobileNetworkDisallowed: return .leaveOutMobileNetworks
        case .mobileNetworkError: return .leaveOutRefusedMobileNetworks
        // Keys and messages do not become right by asking again, and another home agent has the same of this node.
        case .mobileNodeFailedAuthentication, .foreignAgentFailedAuthentication, .poorlyFormedRequest,
            .badAAAAuthentication:
            return .wait
        default: return isFromForeignAgent ? .askOtherForeignAgent : .wait
        }
    }
}

// Why a message that could be read gets no answer. One list makes the case, the counter's name and the sentence.

import Wire

/// Why a home agent does not answer a message.
public enum HomeAgentDiscard: CountedReason {
    // Of any message.
    case destinationNotOurs
    case sourceNotUnicast
    case unexpectedType

    // Of requests.
    case nodeUnknown
    case authenticationMissing
    case mobileNodeUnauthenticated
    case foreignAgentUnexpected

    // Of revocations and their acknowledgments.
    case revocationReflected
    case revocationUnauthenticated
    case revocationStale
    case revocationNotNegotiated
    case acknowledgmentUnmatched
    case acknowledgmentUnauthenticated

    // Of replies.
    case replyTooLong

    /// A sentence for people: why there is no answer.
    public var explanation: String {
        switch self {
        case .destinationNotOurs: "Sent to an address that is none of the home agent's."
        case .sourceNotUnicast: "Sent from an address, or port 0, to which nothing can be sent."
        case .unexpectedType: "A registration reply, which nobody has for a home agent."
        case .nodeUnknown: "A request of a node with which no security association is shared."
        case .authenticationMissing: "A request without a mobile-home authentication."
        case .mobileNodeUnauthenticated:
            "A request whose mobile-home authentication is wrong, and which the foreign agent does not vouch for."
        case .foreignAgentUnexpected:
            "A request with a foreign agent's authentication from who shares no security association."
        case .revocationReflected: "A revocation that says that a home agent sent it."
        case .revocationUnauthenticated: "A revocation without a right authentication of a known foreign agent."
        case .revocationStale: "A revocation that is older than the registration: a replay, or it came late."
        case .revocationNotNegotiated: "A revocation of a registration for which none was agreed."
        case .acknowledgmentUnmatched: "An acknowledgment of no revocation that is under way."
        case .acknowledgmentUnauthenticated: "An acknowledgment whose authentication is wrong."
        case .replyTooLong: "The reply would be longer than a UDP datagram can be."
        }
    }
}

// Why what came gets no answer. One list makes the case, the counter's name and the sentence.

import Wire

/// Why a foreign agent does not answer.
public enum ForeignAgentDiscard: CountedReason {
    // Of requests.
    case sourcePortZero
    case destinationNotOurs
    case unexpectedType
    case denialLimit

    // Of replies.
    case replyUnmatched
    case replyUnauthenticated

    // Of solicitations, and of ICMP errors.
    case advertisementLimit
    case unreachableUnmatched

    // Of pending requests.
    case requestOutlived

    /// A sentence for people: why there is no answer.
    public var explanation: String {
        switch self {
        case .sourcePortZero: "A request from UDP port 0, to which nothing can be sent."
        case .destinationNotOurs: "A request to an address that is none of the foreign agent's."
        case .unexpectedType: "A message of a type that is none of a foreign agent's on that side."
        case .denialLimit: "A request that is denied less than a second after the last of that node."
        case .replyUnmatched: "A reply to no request that is pending."
        case .replyUnauthenticated: "A reply whose foreign-home authentication is wrong; its request is denied."
        case .advertisementLimit: "A solicitation while as many advertisements were sent as there may be in a second."
        case .unreachableUnmatched: "An ICMP error of no request that is pending."
        case .requestOutlived: "A request that waited for a reply longer than the lifetime it asks for."
        }
    }
}

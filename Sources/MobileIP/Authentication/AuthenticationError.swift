// Why a message's authentication does not hold. One list makes the case, the counter's name and the sentence.

import Wire

/// What is wrong with a message's authentication.
public enum AuthenticationError: CountedReason {
    case authenticationMissing
    case authenticationRepeated
    case securityParameterIndexUnknown
    case authenticatorLength
    case authenticatorMismatch

    /// A sentence for people: what was wrong.
    public var explanation: String {
        switch self {
        case .authenticationMissing: "The message has no authentication of the kind that it must have."
        case .authenticationRepeated: "The message has two authentications of a kind that it must have once."
        case .securityParameterIndexUnknown: "The security parameter index is not that of the security association."
        case .authenticatorLength: "The authenticator does not have the algorithm's length."
        case .authenticatorMismatch: "The authenticator is wrong: another key, or the message was changed."
        }
    }
}

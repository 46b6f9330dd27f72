// Codes of Registration Replies (RFC 5944, 3.4). Who speaks is told by the range (RFC 5944, 6.3): 0 to 8 accept, 64 to 127
// are a foreign agent's, 128 to 192 the home agent's; 194, too, is a foreign agent's. A code that is not named here is
// taken by its range; one of no range rejects.

/// What became of a Registration Request.
public struct ReplyCode: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Whether the registration was accepted.
    public var isAccepted: Bool { rawValue <= 8 }
    /// Whether the home agent says so: it accepts, or rejects. Such a reply has its authentication.
    public var isFromHomeAgent: Bool { isAccepted || (128...192).contains(rawValue) }
    /// Whether a foreign agent rejects.
    public var isFromForeignAgent: Bool { (64...127).contains(rawValue) || self == .invalidHomeAgentAddress }

    // Accepted (RFC 5944, 3.4).
    public static let accepted = ReplyCode(rawValue: 0)
    public static let acceptedWithoutSimultaneousBindings = ReplyCode(rawValue: 1)

    // Rejected by a foreign agent (RFC 5944, 3.4).
    public static let foreignReasonUnspecified = ReplyCode(rawValue: 64)
    public static let foreignAdministrativelyProhibited = ReplyCode(rawValue: 65)
    public static let foreignInsufficientResources = ReplyCode(rawValue: 66)
    public static let foreignMobileNodeFailedAuthentication = ReplyCode(rawValue: 67)
    public static let foreignHomeAgentFailedAuthentication = ReplyCode(rawValue: 68)
    public static let foreignLifetimeTooLong = ReplyCode(rawValue: 69)
    public static let foreignPoorlyFormedRequest = ReplyCode(rawValue: 70)
    public static let foreignPoorlyFormedReply = ReplyCode(rawValue: 71)
    public static let foreignEncapsulationUnavailable = ReplyCode(rawValue: 72)
    public static let foreignReservedUnavailable = ReplyCode(rawValue: 73)
    public static let foreignInvalidCareOfAddress = ReplyCode(rawValue: 77)
    public static let foreignRegistrationTimeout = ReplyCode(rawValue: 78)
    public static let foreignHomeNetworkUnreachable = ReplyCode(rawValue: 80)
    public static let foreignHomeAgentHostUnreachable = ReplyCode(rawValue: 81)
    public static let foreignHomeAgentPortUnreachable = ReplyCode(rawValue: 82)
    public static let foreignHomeAgentUnreachable = ReplyCode(rawValue: 88)
    public static let invalidHomeAgentAddress = ReplyCode(rawValue: 194)
    // RFC 3024, 3.4.
    public static let foreignReverseTunnelUnavailable = ReplyCode(rawValue: 74)
    public static let foreignReverseTunnelMandatory = ReplyCode(rawValue: 75)
    public static let foreignMobileNodeTooDistant = ReplyCode(rawValue: 76)
    public static let foreignDeliveryStyleNotSupported = ReplyCode(rawValue: 79)
    // RFC 4433, 7.
    public static let foreignNonzeroHomeAgentRequired = ReplyCode(rawValue: 90)
    // RFC 2794, 5.
    public static let foreignNonzeroHomeAddressRequired = ReplyCode(rawValue: 96)
    public static let foreignMissingNAI = ReplyCode(rawValue: 97)
    public static let foreignMissingHomeAgent = ReplyCode(rawValue: 98)
    public static let foreignMissingHomeAddress = ReplyCode(rawValue: 99)
    // RFC 4721, 10.
    public static let foreignUnknownChallenge = ReplyCode(rawValue: 104)
    public static let foreignMissingChallenge = ReplyCode(rawValue: 105)
    public static let foreignStaleChallenge = ReplyCode(rawValue: 106)
    public static let foreignBadAAAAuthentication = ReplyCode(rawValue: 108)
    public static let foreignHomeAgentWrongChallenge = ReplyCode(rawValue: 109)

    // Rejected by the home agent (RFC 5944, 3.4).
    public static let reasonUnspecified = ReplyCode(rawValue: 128)
    public static let administrativelyProhibited = ReplyCode(rawValue: 129)
    public static let insufficientResources = ReplyCode(rawValue: 130)
    public static let mobileNodeFailedAuthentication = ReplyCode(rawValue: 131)
    public static let foreignAgentFailedAuthentication = ReplyCode(rawValue: 132)
    public static let identificationMismatch = ReplyCode(rawValue: 133)
    public static let poorlyFormedRequest = ReplyCode(rawValue: 134)
    public static let tooManySimultaneousBindings = ReplyCode(rawValue: 135)
    public static let unknownHomeAgentAddress = ReplyCode(rawValue: 136)
    // RFC 3024, 3.4; the last also for GRE keys (RFC 6245, 4.2).
    public static let reverseTunnelUnavailable = ReplyCode(rawValue: 137)
    public static let reverseTunnelMandatory = ReplyCode(rawValue: 138)
    public static let encapsulationUnavailable = ReplyCode(rawValue: 139)
    // RFC 3519, 3.5.
    public static let udpEncapsulationUnavailable = ReplyCode(rawValue: 142)
    // RFC 4433, 7.
    public static let redirectedHomeAgent = ReplyCode(rawValue: 143)
    // RFC 4721, 10.
    public static let badAAAAuthentication = ReplyCode(rawValue: 144)
    // RFC 5177, 11.
    public static let mobileNetworkError = ReplyCode(rawValue: 147)
    public static let mobileNetworkDisallowed = ReplyCode(rawValue: 148)
}

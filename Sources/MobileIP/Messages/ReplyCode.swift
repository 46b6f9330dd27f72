// Codes of Registration Replies (RFC 5944, 3.4), in its words or by the names that other RFCs give them. Who speaks is
// told by the range (RFC 5944, 6.3): 0 to 8 accept, 64 to 127 are a foreign agent's, 128 to 192 the home agent's; 194,
// too, is a foreign agent's. A code that is not named here is taken by its range; one of no range rejects.

/// What became of a Registration Request.
public struct ReplyCode: RawRepresentable, Hashable, Sendable {
    /// As it stands in a message.
    public var rawValue: UInt8
    /// From what stands in a message.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Whether the registration was accepted.
    public var isAccepted: Bool { rawValue <= 8 }
    /// Whether the home agent says so: it accepts, or rejects. Such a reply has its authentication.
    public var isFromHomeAgent: Bool { isAccepted || (128...192).contains(rawValue) }
    /// Whether a foreign agent rejects.
    public var isFromForeignAgent: Bool { (64...127).contains(rawValue) || self == .invalidHomeAgentAddress }

    // Accepted (RFC 5944, 3.4).
    /// Registration accepted.
    public static let accepted = ReplyCode(rawValue: 0)
    /// Registration accepted, but simultaneous mobility bindings unsupported.
    public static let acceptedWithoutSimultaneousBindings = ReplyCode(rawValue: 1)

    // Rejected by a foreign agent (RFC 5944, 3.4).
    /// Reason unspecified.
    public static let foreignReasonUnspecified = ReplyCode(rawValue: 64)
    /// Administratively prohibited.
    public static let foreignAdministrativelyProhibited = ReplyCode(rawValue: 65)
    /// Insufficient resources.
    public static let foreignInsufficientResources = ReplyCode(rawValue: 66)
    /// Mobile node failed authentication.
    public static let foreignMobileNodeFailedAuthentication = ReplyCode(rawValue: 67)
    /// Home agent failed authentication.
    public static let foreignHomeAgentFailedAuthentication = ReplyCode(rawValue: 68)
    /// Requested lifetime too long.
    public static let foreignLifetimeTooLong = ReplyCode(rawValue: 69)
    /// Poorly formed request.
    public static let foreignPoorlyFormedRequest = ReplyCode(rawValue: 70)
    /// Poorly formed reply.
    public static let foreignPoorlyFormedReply = ReplyCode(rawValue: 71)
    /// Requested encapsulation unavailable.
    public static let foreignEncapsulationUnavailable = ReplyCode(rawValue: 72)
    /// Reserved and unavailable.
    public static let foreignReservedUnavailable = ReplyCode(rawValue: 73)
    /// Invalid care-of address.
    public static let foreignInvalidCareOfAddress = ReplyCode(rawValue: 77)
    /// Registration timeout.
    public static let foreignRegistrationTimeout = ReplyCode(rawValue: 78)
    /// Home network unreachable.
    public static let foreignHomeNetworkUnreachable = ReplyCode(rawValue: 80)
    /// Home agent host unreachable.
    public static let foreignHomeAgentHostUnreachable = ReplyCode(rawValue: 81)
    /// Home agent port unreachable.
    public static let foreignHomeAgentPortUnreachable = ReplyCode(rawValue: 82)
    /// Home agent unreachable, by another ICMP error.
    public static let foreignHomeAgentUnreachable = ReplyCode(rawValue: 88)
    /// Invalid home agent address.
    public static let invalidHomeAgentAddress = ReplyCode(rawValue: 194)
    // RFC 3024, 3.4.
    /// Requested reverse tunnel unavailable.
    public static let foreignReverseTunnelUnavailable = ReplyCode(rawValue: 74)
    /// Reverse tunnel is mandatory and T bit not set.
    public static let foreignReverseTunnelMandatory = ReplyCode(rawValue: 75)
    /// Mobile node too distant.
    public static let foreignMobileNodeTooDistant = ReplyCode(rawValue: 76)
    /// Delivery style not supported.
    public static let foreignDeliveryStyleNotSupported = ReplyCode(rawValue: 79)
    // RFC 4433, 7.
    /// `NONZERO-HA-REQD`.
    public static let foreignNonzeroHomeAgentRequired = ReplyCode(rawValue: 90)
    // RFC 2794, 5.
    /// `NONZERO_HOMEADDR_REQD`.
    public static let foreignNonzeroHomeAddressRequired = ReplyCode(rawValue: 96)
    /// `MISSING_NAI`.
    public static let foreignMissingNAI = ReplyCode(rawValue: 97)
    /// `MISSING_HOME_AGENT`.
    public static let foreignMissingHomeAgent = ReplyCode(rawValue: 98)
    /// `MISSING_HOMEADDR`.
    public static let foreignMissingHomeAddress = ReplyCode(rawValue: 99)
    // RFC 4721, 10.
    /// `unknown_challenge`.
    public static let foreignUnknownChallenge = ReplyCode(rawValue: 104)
    /// `missing_challenge`.
    public static let foreignMissingChallenge = ReplyCode(rawValue: 105)
    /// `stale_challenge`.
    public static let foreignStaleChallenge = ReplyCode(rawValue: 106)
    /// `fa_bad_aaa_auth`.
    public static let foreignBadAAAAuthentication = ReplyCode(rawValue: 108)
    /// `ha_wrong_challenge`.
    public static let foreignHomeAgentWrongChallenge = ReplyCode(rawValue: 109)

    // Rejected by the home agent (RFC 5944, 3.4).
    /// Reason unspecified.
    public static let reasonUnspecified = ReplyCode(rawValue: 128)
    /// Administratively prohibited.
    public static let administrativelyProhibited = ReplyCode(rawValue: 129)
    /// Insufficient resources.
    public static let insufficientResources = ReplyCode(rawValue: 130)
    /// Mobile node failed authentication.
    public static let mobileNodeFailedAuthentication = ReplyCode(rawValue: 131)
    /// Foreign agent failed authentication.
    public static let foreignAgentFailedAuthentication = ReplyCode(rawValue: 132)
    /// Registration identification mismatch.
    public static let identificationMismatch = ReplyCode(rawValue: 133)
    /// Poorly formed request.
    public static let poorlyFormedRequest = ReplyCode(rawValue: 134)
    /// Too many simultaneous mobility bindings.
    public static let tooManySimultaneousBindings = ReplyCode(rawValue: 135)
    /// Unknown home agent address.
    public static let unknownHomeAgentAddress = ReplyCode(rawValue: 136)
    // RFC 3024, 3.4; the last also for GRE keys (RFC 6245, 4.2).
    /// Requested reverse tunnel unavailable.
    public static let reverseTunnelUnavailable = ReplyCode(rawValue: 137)
    /// Reverse tunnel is mandatory and T bit not set.
    public static let reverseTunnelMandatory = ReplyCode(rawValue: 138)
    /// Requested encapsulation unavailable.
    public static let encapsulationUnavailable = ReplyCode(rawValue: 139)
    // RFC 3519, 3.5.
    /// `ERROR_HA_UDP_ENCAP_UNAVAIL`.
    public static let udpEncapsulationUnavailable = ReplyCode(rawValue: 142)
    // RFC 4433, 7.
    /// `REDIRECT-HA-REQ`.
    public static let redirectedHomeAgent = ReplyCode(rawValue: 143)
    // RFC 4721, 10.
    /// `ha_bad_aaa_auth`.
    public static let badAAAAuthentication = ReplyCode(rawValue: 144)
    // RFC 5177, 11.
    /// `HA_MOBNET_ERROR`.
    public static let mobileNetworkError = ReplyCode(rawValue: 147)
    /// `HA_MOBNET_DISALLOWED`.
    public static let mobileNetworkDisallowed = ReplyCode(rawValue: 148)
}

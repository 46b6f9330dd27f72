// Why a message of Mobile IPv4 was not taken. RFC 5944 has it discarded silently: nobody is answered, it is counted.
// This one list makes the case, the counter's name (the case in kebab case) and the sentence for people.

import Wire

/// Why bytes are no message of Mobile IPv4, or a message can't be written.
public enum MobileIPError: CountedReason {
    // Of any message.
    case messageEmpty
    case messageTooLong
    case messageTypeUnknown
    case messageTruncated

    // Of its extensions.
    case extensionTruncated
    case extensionUnrecognized
    case extensionLength
    case tooManyExtensions

    // Of agent discovery.
    case icmpTruncated
    case icmpChecksum
    case icmpType
    case icmpCode
    case routerAddresses
    case notAgentAdvertisement

    /// A sentence for people: what was wrong with the message.
    public var explanation: String {
        switch self {
        case .messageEmpty: "The datagram has no bytes."
        case .messageTooLong: "The message is longer than a UDP datagram can be."
        case .messageTypeUnknown: "The first byte is the type of no message that is expected here."
        case .messageTruncated: "Fewer bytes than the fixed part of a message of its type."
        case .extensionTruncated: "An extension goes past the end of the message."
        case .extensionUnrecognized: "An extension that is not known and must not be skipped (types 1 to 127)."
        case .extensionLength: "An extension that must not be skipped has a length that its type can't have."
        case .tooManyExtensions: "The message has more extensions than are kept."
        case .icmpTruncated: "Fewer bytes than the ICMP message says it has."
        case .icmpChecksum: "The ICMP checksum is wrong."
        case .icmpType: "The ICMP message is of another type."
        case .icmpCode: "The code of a router advertisement is neither 0 nor 16, or that of a solicitation not 0."
        case .routerAddresses: "An entry of the router advertisement's addresses is shorter than two words."
        case .notAgentAdvertisement: "A router advertisement without a mobility agent's extension."
        }
    }
}

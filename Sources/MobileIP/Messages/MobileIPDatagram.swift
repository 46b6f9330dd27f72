// What comes to UDP port 434, told apart by its first byte. MIP Tunnel Data Messages (type 4) are packets, which the
// forwarder takes; they are no message here.

/// A message of any type that came.
public enum MobileIPDatagram: Hashable, Sendable {
    case registrationRequest(ReceivedMessage<RegistrationRequest>)
    case registrationReply(ReceivedMessage<RegistrationReply>)
    case registrationRevocation(ReceivedMessage<RegistrationRevocation>)
    case registrationRevocationAcknowledgment(ReceivedMessage<RegistrationRevocationAcknowledgment>)

    /// Reads a message.
    /// - Parameter bytes: the UDP payload.
    /// - Throws: what is wrong; the message is then to be discarded without an answer (RFC 5944, 1.8).
    public static func parse(_ bytes: [UInt8]) throws(MobileIPError) -> MobileIPDatagram {
        guard let first = bytes.first else { throw .messageEmpty }
        switch MobileIPMessageType(rawValue: first) {
        case .registrationRequest: return .registrationRequest(try RegistrationRequest.parse(bytes))
        case .registrationReply: return .registrationReply(try RegistrationReply.parse(bytes))
        case .registrationRevocation: return .registrationRevocation(try RegistrationRevocation.parse(bytes))
        case .registrationRevocationAcknowledgment:
            return .registrationRevocationAcknowledgment(try RegistrationRevocationAcknowledgment.parse(bytes))
        case nil: throw .messageTypeUnknown
        }
    }
}

// A message of Mobile IPv4 (RFC 5944, 1.8): a fixed part, and extensions up to the end of the UDP datagram. The order
// of the extensions is part of the message (RFC 5944, 3.6.1.3, 3.7.2.2 and 3.8.3.3), since an authentication covers
// what stands before it:
//
//     fixed part │ for the home agent … │ mobile-home │ for the foreign agent … │ mobile-foreign    mobile node sends
//     fixed part │ for the home agent … │ mobile-home │ of the foreign agent … │ foreign-home       foreign agent relays
//     fixed part │ for the mobile node … │ mobile-home │ for the foreign agent … │ foreign-home     home agent sends

/// The first byte of a message to or from UDP port 434.
public enum MobileIPMessageType: UInt8, Sendable, CaseIterable {
    /// RFC 5944, 3.3.
    case registrationRequest = 1
    /// RFC 5944, 3.4.
    case registrationReply = 3
    /// RFC 3543, 3.3.
    case registrationRevocation = 7
    /// RFC 3543, 3.4.
    case registrationRevocationAcknowledgment = 15
}

/// A message of Mobile IPv4 with its extensions. `parse(write(message))` gives the message again.
public protocol MobileIPMessage: Hashable, Sendable {
    /// The first byte.
    static var type: MobileIPMessageType { get }
    /// What stands before the extensions, in bytes.
    static var fixedLength: Int { get }
    /// In their order, authentication among them where the message came or was written with it.
    var extensions: [MobileIPExtension] { get set }

    /// Reads the `fixedLength` bytes that are known to be there; reserved bits are ignored.
    init(readingFixedPart reader: inout MessageReader)
    /// Writes `fixedLength` bytes; reserved bits are zero.
    func writeFixedPart(to writer: inout MessageWriter)
}

extension MobileIPMessage {
    /// The longest payload of a UDP datagram over IPv4, in bytes.
    public static var maximumLength: Int { 65507 }

    /// Extensions that are kept of one message; a message with more is malformed. Prefix requests fill a datagram
    /// before (RFC 5454, 3.1): 3274 of them.
    public static var maximumExtensions: Int { 4096 }

    /// What `write` writes, in bytes.
    public var length: Int { extensions.reduce(Self.fixedLength) { $0 + $1.length } }

    /// The message's bytes: fixed part and extensions, without more authentication than is among these.
    /// - Throws: `messageTooLong`, `tooManyExtensions`.
    public func write() throws(MobileIPError) -> [UInt8] {
        let length = length
        guard length <= Self.maximumLength else { throw .messageTooLong }
        guard extensions.count <= Self.maximumExtensions else { throw .tooManyExtensions }
        var writer = MessageWriter(capacity: length)
        writeFixedPart(to: &writer)
        for element in extensions { element.write(to: &writer) }
        return writer.bytes
    }

    /// Reads a message of this type.
    /// - Parameter bytes: the UDP payload.
    /// - Throws: what is wrong; the message is then to be discarded without an answer (RFC 5944, 1.8).
    public static func parse(_ bytes: [UInt8]) throws(MobileIPError) -> ReceivedMessage<Self> {
        try ReceivedMessage(parsing: bytes)
    }

    /// Reads a message of this type out of memory.
    public static func parse(_ bytes: RawSpan) throws(MobileIPError) -> ReceivedMessage<Self> {
        guard bytes.byteCount <= maximumLength else { throw .messageTooLong }
        return try ReceivedMessage(parsing: bytes.withUnsafeBytes { Array($0) })
    }
}

// The Registration Reply (RFC 5944, 3.4).
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-------------------------------+
//     |    Type, 3    |     Code      |           Lifetime            |
//     +---------------+---------------+-------------------------------+
//     |                         Home Address                          |
//     +---------------------------------------------------------------+
//     |                          Home Agent                           |
//     +---------------------------------------------------------------+
//     |                        Identification                         |
//     |                                                               |
//     +---------------------------------------------------------------+
//     |  Extensions …

import Wire

/// A Registration Reply.
public struct RegistrationReply: MobileIPMessage {
    /// The first byte.
    public static let type = MobileIPMessageType.registrationReply
    /// What stands before the extensions, in bytes.
    public static let fixedLength = 20

    /// Whether the request was accepted, and by whom it was not.
    public var code: ReplyCode
    /// What was granted; without a meaning where the code rejects.
    public var lifetime: RegistrationLifetime
    /// The mobile node's.
    public var homeAddress: IPv4Address
    /// The home agent's own.
    public var homeAgent: IPv4Address
    /// The lower half is that of the request, the upper half depends on the replay protection (RFC 5944, 5.7).
    public var identification: UInt64
    /// In their order.
    public var extensions: [MobileIPExtension]

    /// A message with these fields.
    public init(
        code: ReplyCode, lifetime: RegistrationLifetime, homeAddress: IPv4Address, homeAgent: IPv4Address,
        identification: UInt64, extensions: [MobileIPExtension] = []
    ) {
        self.code = code
        self.lifetime = lifetime
        self.homeAddress = homeAddress
        self.homeAgent = homeAgent
        self.identification = identification
        self.extensions = extensions
    }

    /// Reads the bytes that are known to be there; reserved bits are ignored.
    public init(readingFixedPart reader: inout MessageReader) {
        reader.skip(1)
        code = ReplyCode(rawValue: reader.readUInt8())
        lifetime = RegistrationLifetime(seconds: reader.readUInt16())
        homeAddress = reader.readIPv4Address()
        homeAgent = reader.readIPv4Address()
        identification = reader.readUInt64()
        extensions = []
    }

    /// Writes `fixedLength` bytes; reserved bits are zero.
    public func writeFixedPart(to writer: inout MessageWriter) {
        writer.write(Self.type.rawValue)
        writer.write(code.rawValue)
        writer.write(lifetime.seconds)
        writer.write(homeAddress)
        writer.write(homeAgent)
        writer.write(identification)
    }
}

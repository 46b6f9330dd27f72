// Registration Revocation and its acknowledgment (RFC 3543, 3.3 and 3.4): an agent says that a binding has ended.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-+-+---------------------------+
//     |    Type, 7    |   Reserved    |A|I|         Reserved          |
//     +---------------+---------------+-+-+---------------------------+
//     |                         Home Address                          |
//     +---------------------------------------------------------------+
//     |                      Home Domain Address                      |
//     +---------------------------------------------------------------+
//     |                    Foreign Domain Address                     |
//     +---------------------------------------------------------------+
//     |                     Revocation Identifier                     |
//     +---------------------------------------------------------------+
//     |  Extensions …
//
//     +---------------+---------------+-+-----------------------------+
//     |   Type, 15    |   Reserved    |I|          Reserved           |
//     +---------------+---------------+-+-----------------------------+
//     |                         Home Address                          |
//     +---------------------------------------------------------------+
//     |                     Revocation Identifier                     |
//     +---------------------------------------------------------------+
//     |  Extensions …

import Wire

/// A Registration Revocation.
public struct RegistrationRevocation: MobileIPMessage {
    /// What stands in the 16 bits behind the reserved byte.
    public struct Flags: OptionSet, Hashable, Sendable {
        /// As it stands in a message.
        public let rawValue: UInt16
        /// From what stands in a message.
        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// A: the home agent revokes; else the foreign agent does.
        public static let homeAgent = Flags(rawValue: 0x8000)
        /// I: the mobile node is to be told, or the home agent asked whether it is.
        public static let inform = Flags(rawValue: 0x4000)
        /// All that have a meaning.
        public static let all: Flags = [.homeAgent, .inform]
    }

    /// The first byte.
    public static let type = MobileIPMessageType.registrationRevocation
    /// What stands before the extensions, in bytes.
    public static let fixedLength = 20

    /// Who revokes, and whether the mobile node is told.
    public var flags: Flags
    /// The mobile node's.
    public var homeAddress: IPv4Address
    /// The home agent's.
    public var homeDomainAddress: IPv4Address
    /// The foreign agent's, or the co-located care-of address.
    public var foreignDomainAddress: IPv4Address
    /// A time of the clock that revocation support extensions have theirs from (RFC 3543, 3.5).
    public var identifier: UInt32
    /// In their order.
    public var extensions: [MobileIPExtension]

    /// A message with these fields.
    public init(
        flags: Flags, homeAddress: IPv4Address, homeDomainAddress: IPv4Address, foreignDomainAddress: IPv4Address,
        identifier: UInt32, extensions: [MobileIPExtension] = []
    ) {
        self.flags = flags
        self.homeAddress = homeAddress
        self.homeDomainAddress = homeDomainAddress
        self.foreignDomainAddress = foreignDomainAddress
        self.identifier = identifier
        self.extensions = extensions
    }

    /// Reads the bytes that are known to be there; reserved bits are ignored.
    public init(readingFixedPart reader: inout MessageReader) {
        reader.skip(2)
        flags = Flags(rawValue: reader.readUInt16()).intersection(.all)
        homeAddress = reader.readIPv4Address()
        homeDomainAddress = reader.readIPv4Address()
        foreignDomainAddress = reader.readIPv4Address()
        identifier = reader.readUInt32()
        extensions = []
    }

    /// Writes `fixedLength` bytes; reserved bits are zero.
    public func writeFixedPart(to writer: inout MessageWriter) {
        writer.write(Self.type.rawValue)
        writer.write(UInt8(0))
        writer.write(flags.intersection(.all).rawValue)
        writer.write(homeAddress)
        writer.write(homeDomainAddress)
        writer.write(foreignDomainAddress)
        writer.write(identifier)
    }
}

/// A Registration Revocation Acknowledgment.
public struct RegistrationRevocationAcknowledgment: MobileIPMessage {
    /// The first byte.
    public static let type = MobileIPMessageType.registrationRevocationAcknowledgment
    /// What stands before the extensions, in bytes.
    public static let fixedLength = 12
    private static let informBit: UInt16 = 0x8000

    /// I: the mobile node was told, or is to be.
    public var inform: Bool
    /// Copied from the revocation.
    public var homeAddress: IPv4Address
    /// Copied from the revocation.
    public var identifier: UInt32
    /// In their order.
    public var extensions: [MobileIPExtension]

    /// A message with these fields.
    public init(
        inform: Bool, homeAddress: IPv4Address, identifier: UInt32, extensions: [MobileIPExtension] = []
    ) {
        self.inform = inform
        self.homeAddress = homeAddress
        self.identifier = identifier
        self.extensions = extensions
    }

    /// Reads the bytes that are known to be there; reserved bits are ignored.
    public init(readingFixedPart reader: inout MessageReader) {
        reader.skip(2)
        inform = reader.readUInt16() & Self.informBit != 0
        homeAddress = reader.readIPv4Address()
        identifier = reader.readUInt32()
        extensions = []
    }

    /// Writes `fixedLength` bytes; reserved bits are zero.
    public func writeFixedPart(to writer: inout MessageWriter) {
        writer.write(Self.type.rawValue)
        writer.write(UInt8(0))
        writer.write(inform ? Self.informBit : 0)
        writer.write(homeAddress)
        writer.write(identifier)
    }
}

// The Registration Request (RFC 5944, 3.3): a mobile node asks its home agent for a binding, or for its end.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+-+-+-+-+-+-+-+-+-------------------------------+
//     |    Type, 1    |S|B|D|M|G|r|T|x|           Lifetime            |
//     +---------------+-+-+-+-+-+-+-+-+-------------------------------+
//     |                         Home Address                          |
//     +---------------------------------------------------------------+
//     |                          Home Agent                           |
//     +---------------------------------------------------------------+
//     |                        Care-of Address                        |
//     +---------------------------------------------------------------+
//     |                        Identification                         |
//     |                                                               |
//     +---------------------------------------------------------------+
//     |  Extensions …

import Wire

/// A Registration Request.
public struct RegistrationRequest: MobileIPMessage {
    /// What the mobile node asks for.
    public struct Flags: OptionSet, Hashable, Sendable {
        /// As it stands in a message.
        public let rawValue: UInt8
        /// From what stands in a message.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// S: earlier bindings are to be kept.
        public static let simultaneousBindings = Flags(rawValue: 0x80)
        /// B: broadcasts of the home network are wanted.
        public static let broadcastDatagrams = Flags(rawValue: 0x40)
        /// D: the mobile node decapsulates; its care-of address is co-located.
        public static let decapsulationByMobileNode = Flags(rawValue: 0x20)
        /// M: minimal encapsulation is wanted (RFC 2004).
        public static let minimalEncapsulation = Flags(rawValue: 0x10)
        /// G: GRE is wanted (RFC 2784).
        public static let greEncapsulation = Flags(rawValue: 0x08)
        /// T: a reverse tunnel is wanted (RFC 3024).
        public static let reverseTunneling = Flags(rawValue: 0x02)

        /// All that have a meaning.
        public static let all: Flags = [
            .simultaneousBindings, .broadcastDatagrams, .decapsulationByMobileNode, .minimalEncapsulation,
            .greEncapsulation, .reverseTunneling,
        ]
    }

    /// The first byte.
    public static let type = MobileIPMessageType.registrationRequest
    /// What stands before the extensions, in bytes.
    public static let fixedLength = 24

    /// What is asked for.
    public var flags: Flags
    /// How long the binding is to last; zero ends it.
    public var lifetime: RegistrationLifetime
    /// The mobile node's; unspecified where it asks for one (RFC 2794).
    public var homeAddress: IPv4Address
    /// The home agent's; 0.0.0.0 or 255.255.255.255 where any will do (RFC 4433).
    public var homeAgent: IPv4Address
    /// The end of the tunnel; the home address where all bindings are to end.
    public var careOfAddress: IPv4Address
    /// Matches replies to requests, and protects against replay (RFC 5944, 5.7).
    public var identification: UInt64
    /// In their order.
    public var extensions: [MobileIPExtension]

    /// A message with these fields.
    public init(
        flags: Flags = [], lifetime: RegistrationLifetime, homeAddress: IPv4Address, homeAgent: IPv4Address,
        careOfAddress: IPv4Address, identification: UInt64, extensions: [MobileIPExtension] = []
    ) {
        self.flags = flags
        self.lifetime = lifetime
        self.homeAddress = homeAddress
        self.homeAgent = homeAgent
        self.careOfAddress = careOfAddress
        self.identification = identification
        self.extensions = extensions
    }

    /// Reads the bytes that are known to be there; reserved bits are ignored.
    public init(readingFixedPart reader: inout MessageReader) {
        reader.skip(1)
        flags = Flags(rawValue: reader.readUInt8()).intersection(.all)
        lifetime = RegistrationLifetime(seconds: reader.readUInt16())
        homeAddress = reader.readIPv4Address()
        homeAgent = reader.readIPv4Address()
        careOfAddress = reader.readIPv4Address()
        identification = reader.readUInt64()
        extensions = []
    }

    /// Writes `fixedLength` bytes; reserved bits are zero.
    public func writeFixedPart(to writer: inout MessageWriter) {
        writer.write(Self.type.rawValue)
        writer.write(flags.intersection(.all).rawValue)
        writer.write(lifetime.seconds)
        writer.write(homeAddress)
        writer.write(homeAgent)
        writer.write(careOfAddress)
        writer.write(identification)
    }

    /// Whether it ends bindings.
    public var isDeregistration: Bool { lifetime.isZero }
    /// Whether it ends all bindings of the mobile node (RFC 5944, 3.8.2.2).
    public var isDeregistrationOfAll: Bool { lifetime.isZero && careOfAddress == homeAddress }
}

extension ReceivedMessage where Message == RegistrationRequest {
    /// Whether a reserved bit is set. RFC 5944 has the two bits ignored (3.3), and a request with reserved bits
    /// rejected as poorly formed (3.8.2.3); who answers it decides.
    public var hasReservedBits: Bool { bytes[1] & ~RegistrationRequest.Flags.all.rawValue != 0 }
}

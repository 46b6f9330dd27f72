// UDP Tunnel Request and Reply (RFC 3519, 3.1 and 3.2). The request may be skipped, the reply may not.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+---------------+---------------+
//     |   Type, 144   |   Length, 6   |  Sub-Type, 0  |  Reserved 1   |
//     +-+-+-----------+---------------+---------------+---------------+
//     |F|R|Reserved 2 | Encapsulation |          Reserved 3           |
//     +-+-+-----------+---------------+-------------------------------+
//
//     +---------------+---------------+---------------+---------------+
//     |   Type, 44    |   Length, 6   |  Sub-Type, 0  |  Reply Code   |
//     +-+-------------+---------------+---------------+---------------+
//     |F|          Reserved           |      Keepalive Interval       |
//     +-+-----------------------------+-------------------------------+

/// A mobile node, or a foreign agent, can tunnel in UDP.
public struct UDPTunnelRequest: Hashable, Sendable {
    static let type: UInt8 = 144
    static let dataLength = 6
    private static let forceBit: UInt8 = 0x80
    private static let registrationRequiredBit: UInt8 = 0x40

    /// F: tunnel in UDP even where no NAT is on the way.
    public var force: Bool
    /// R: the care-of address is co-located, but the registration goes by way of a foreign agent.
    public var registrationThroughForeignAgentRequired: Bool
    /// What the tunnel is to carry, numbered like the protocol field of IPv4; 0 leaves it to the request's M and G
    /// bits.
    public var encapsulation: UInt8

    /// A request; by default it leaves all to the home agent.
    public init(
        force: Bool = false, registrationThroughForeignAgentRequired: Bool = false, encapsulation: UInt8 = 0
    ) {
        self.force = force
        self.registrationThroughForeignAgentRequired = registrationThroughForeignAgentRequired
        self.encapsulation = encapsulation
    }

    /// Nil for another length or subtype, and where the third reserved field is not zero (RFC 3519, 3.1.3).
    init?(reading reader: inout MessageReader) {
        guard reader.remaining == Self.dataLength, reader.readUInt8() == 0 else { return nil }
        reader.skip(1)
        let flags = reader.readUInt8()
        force = flags & Self.forceBit != 0
        registrationThroughForeignAgentRequired = flags & Self.registrationRequiredBit != 0
        encapsulation = reader.readUInt8()
        guard reader.readUInt16() == 0 else { return nil }
    }

    func write(to writer: inout MessageWriter) {
        writer.write(Self.type)
        writer.write(UInt8(Self.dataLength))
        writer.write(UInt16(0))
        writer.write(
            (force ? Self.forceBit : 0)
                | (registrationThroughForeignAgentRequired ? Self.registrationRequiredBit : 0))
        writer.write(encapsulation)
        writer.write(UInt16(0))
    }
}

/// The home agent will tunnel in UDP, or won't.
public struct UDPTunnelReply: Hashable, Sendable {
    static let type: UInt8 = 44
    static let dataLength = 6
    private static let forcedBit: UInt16 = 0x8000

    /// Whether it will (RFC 3519, 3.2.1).
    public struct Code: RawRepresentable, Hashable, Sendable {
        /// As it stands in a message.
        public var rawValue: UInt8
        /// From what stands in a message.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// It will.
        public static let accepted = Code(rawValue: 0)
        /// It won't; the reason is not given.
        public static let declined = Code(rawValue: 64)

        /// Whether it will: codes up to 63.
        public var isAccepted: Bool { rawValue < 64 }
    }

    /// Whether it will.
    public var code: Code
    /// F: because the request forced it.
    public var isForced: Bool
    /// In seconds; 0 leaves it to the mobile node.
    public var keepaliveInterval: UInt16

    /// A reply; the interval is in seconds.
    public init(code: Code, isForced: Bool = false, keepaliveInterval: UInt16 = 0) {
        self.code = code
        self.isForced = isForced
        self.keepaliveInterval = keepaliveInterval
    }

    /// The subtype must have been read, and the length asked for.
    init(reading reader: inout MessageReader) {
        code = Code(rawValue: reader.readUInt8())
        isForced = reader.readUInt16() & Self.forcedBit != 0
        keepaliveInterval = reader.readUInt16()
    }

    func write(to writer: inout MessageWriter) {
        writer.write(Self.type)
        writer.write(UInt8(Self.dataLength))
        writer.write(UInt8(0))
        writer.write(code.rawValue)
        writer.write(isForced ? Self.forcedBit : 0)
        writer.write(keepaliveInterval)
    }
}

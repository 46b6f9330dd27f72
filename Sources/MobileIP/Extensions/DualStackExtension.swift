// The extensions of Dual-Stack Mobile IPv4 (RFC 5454, 2.1 to 2.3), type 152.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+---------------+---------------+
//     |   Type, 152   |  Length, 18   |  Subtype, 1   | Prefix Length |
//     +---------------+---------------+---------------+---------------+
//     |            Mobile IPv6 Network Prefix, sixteen bytes …
//
//     +---------------+---------------+---------------+---------------+
//     |   Type, 152   |  Length, 20   |  Subtype, 2   |     Code      |
//     +---------------+---------------+---------------+---------------+
//     | Prefix Length |   Reserved    |  Mobile IPv6 Network Prefix …
//
//     +---------------+---------------+---------------+---------------+
//     |   Type, 152   |   Length, 2   |  Subtype, 3   |   Reserved    |
//     +---------------+---------------+---------------+---------------+

/// Names and numbers that the three have in common, and reading of whichever it is.
enum DualStackExtension {
    static let type: UInt8 = 152
    static let prefixRequest: UInt8 = 1
    static let prefixReply: UInt8 = 2
    static let tunnelingMode: UInt8 = 3

    /// Nil where the subtype is not known, or the length is not the subtype's: RFC 5944, 1.8 has it skipped.
    static func read(_ reader: inout MessageReader) -> MobileIPExtension? {
        guard reader.remaining >= 1 else { return nil }
        switch (reader.readUInt8(), reader.remaining) {
        case (prefixRequest, IPv6PrefixRequest.dataLength - 1):
            return .ipv6PrefixRequest(IPv6PrefixRequest(reading: &reader))
        case (prefixReply, IPv6PrefixReply.dataLength - 1):
            return .ipv6PrefixReply(IPv6PrefixReply(reading: &reader))
        case (tunnelingMode, IPv6TunnelingMode.dataLength - 1):
            return .ipv6TunnelingMode
        default:
            return nil
        }
    }

    static func writePrefix(_ subtype: UInt8, dataLength: Int, to writer: inout MessageWriter) {
        writer.write(type)
        writer.write(UInt8(dataLength))
        writer.write(subtype)
    }
}

/// A mobile node asks for an IPv6 prefix, or for link-local traffic.
public struct IPv6PrefixRequest: Hashable, Sendable {
    static let dataLength = 18

    /// What it asks for.
    public var prefix: IPv6HomePrefix

    /// A request for that.
    public init(prefix: IPv6HomePrefix) { self.prefix = prefix }

    init(reading reader: inout MessageReader) {
        let length = reader.readUInt8()
        prefix = IPv6HomePrefix(length: length, address: reader.readIPv6Address())
    }

    func write(to writer: inout MessageWriter) {
        DualStackExtension.writePrefix(
            DualStackExtension.prefixRequest, dataLength: Self.dataLength, to: &writer)
        writer.write(prefix.length)
        writer.write(prefix.address)
    }
}

/// A home agent says what became of a prefix request.
public struct IPv6PrefixReply: Hashable, Sendable {
    static let dataLength = 20

    /// What became of it.
    public var code: IPv6PrefixReplyCode
    /// That of the request.
    public var prefix: IPv6HomePrefix

    /// A reply to a request for that.
    public init(code: IPv6PrefixReplyCode, prefix: IPv6HomePrefix) {
        self.code = code
        self.prefix = prefix
    }

    init(reading reader: inout MessageReader) {
        code = IPv6PrefixReplyCode(rawValue: reader.readUInt8())
        let length = reader.readUInt8()
        reader.skip(1)
        prefix = IPv6HomePrefix(length: length, address: reader.readIPv6Address())
    }

    func write(to writer: inout MessageWriter) {
        DualStackExtension.writePrefix(DualStackExtension.prefixReply, dataLength: Self.dataLength, to: &writer)
        writer.write(code.rawValue)
        writer.write(prefix.length)
        writer.write(UInt8(0))
        writer.write(prefix.address)
    }
}

/// What became of a prefix request (RFC 5454, 2.2 and 5): codes up to 7 accept, those from 8 on reject, known or not.
public struct IPv6PrefixReplyCode: RawRepresentable, Hashable, Sendable {
    /// As it stands in a message.
    public var rawValue: UInt8
    /// From what stands in a message.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Accepted; IPv6 goes in a tunnel to the home address.
    public static let acceptedHomeAddress = IPv6PrefixReplyCode(rawValue: 0)
    /// Accepted; IPv6 goes in a tunnel to the care-of address.
    public static let acceptedCareOfAddress = IPv6PrefixReplyCode(rawValue: 1)
    /// Rejected; the reason is not given.
    public static let reasonUnspecified = IPv6PrefixReplyCode(rawValue: 8)
    /// Rejected; the node may not have it.
    public static let administrativelyProhibited = IPv6PrefixReplyCode(rawValue: 9)

    /// Whether the prefix is registered, if the reply's own code accepts too (RFC 5454, 3.2).
    public var isAccepted: Bool { rawValue <= 7 }

    /// A sentence for people: what became of the request.
    public var explanation: String {
        switch self {
        case .acceptedHomeAddress: "Accepted; IPv6 goes in a tunnel to the home address."
        case .acceptedCareOfAddress: "Accepted; IPv6 goes in a tunnel to the care-of address."
        case .reasonUnspecified: "Rejected; the home agent does not say why."
        case .administrativelyProhibited: "Rejected; the mobile node may not have it."
        default: isAccepted ? "Accepted, with a code that is not known." : "Rejected, with a code that is not known."
        }
    }
}

/// A mobile node lets IPv6 be tunneled to its care-of address. It says nothing but that.
enum IPv6TunnelingMode {
    static let dataLength = 2

    static func write(to writer: inout MessageWriter) {
        DualStackExtension.writePrefix(DualStackExtension.tunnelingMode, dataLength: dataLength, to: &writer)
        writer.write(UInt8(0))
    }
}

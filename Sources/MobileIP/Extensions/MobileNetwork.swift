// Mobile networks over IPv4 (RFC 5177, 4): a mobile router asks for IPv4 prefixes, the home agent says what became of
// them, or which it forwards by its own configuration.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+---------------+---------------+
//     |   Type, 148   |   Length, 6   |  Sub-Type, 0  | Prefix Length |
//     +---------------+---------------+---------------+---------------+
//     |                            Prefix                             |
//     +---------------------------------------------------------------+
//
//     +---------------+---------------+---------------+---------------+
//     |   Type, 148   |   Length, 8   | Sub-Type, 1-2 |     Code      |
//     +---------------+---------------+---------------+---------------+
//     | Prefix Length |   Reserved    |   Prefix …
//     +---------------+---------------+---------------+---------------+

import Wire

/// An IPv4 prefix as these extensions have it.
public struct MobileNetworkPrefix: Hashable, Sendable {
    /// In bits. RFC 5177 has a reply for lengths that no prefix has, so these are kept as they came.
    public let length: UInt8
    /// The bits past the length are zero.
    public let address: IPv4Address

    /// As it stands in an extension; bits past the length are cleared.
    public init(length: UInt8, address: IPv4Address) {
        self.length = length
        self.address = IPv4Address(rawValue: address.rawValue & ~(UInt32.max >> UInt32(length)))
    }

    /// A prefix.
    public init(_ prefix: IPv4Prefix) { (length, address) = (prefix.length, prefix.address) }

    /// The prefix; nil where its length is above 32.
    public var prefix: IPv4Prefix? { IPv4Prefix(address: address, length: Int(length)) }
}

/// A mobile router asks for a prefix.
public struct MobileNetworkRequest: Hashable, Sendable {
    static let dataLength = 6
    static let subtype: UInt8 = 0

    /// Which.
    public var prefix: MobileNetworkPrefix

    /// A request for that.
    public init(prefix: MobileNetworkPrefix) { self.prefix = prefix }

    init(reading reader: inout MessageReader) {
        let length = reader.readUInt8()
        prefix = MobileNetworkPrefix(length: length, address: reader.readIPv4Address())
    }

    func write(to writer: inout MessageWriter) {
        MobileNetwork.writePrefix(Self.subtype, dataLength: Self.dataLength, to: &writer)
        writer.write(prefix.length)
        writer.write(prefix.address)
    }
}

/// What became of a prefix, or that the home agent forwards it without being asked.
public struct MobileNetworkAcknowledgment: Hashable, Sendable {
    static let dataLength = 8

    /// Whether it was asked for; the subtype.
    public enum Mode: UInt8, Hashable, Sendable {
        /// A request asked for it.
        case explicit = 1
        /// The home agent knows it by its configuration.
        case implicit = 2
    }

    /// What became of it (RFC 5177, 4.2).
    public struct Code: RawRepresentable, Hashable, Sendable {
        /// As it stands in a message.
        public var rawValue: UInt8
        /// From what stands in a message.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The home agent forwards it.
        public static let success = Code(rawValue: 0)
        /// No prefix has such a length.
        public static let invalidPrefixLength = Code(rawValue: 1)
        /// The mobile router may not have it.
        public static let unauthorized = Code(rawValue: 2)
        /// It could not be set up.
        public static let forwardingSetupFailed = Code(rawValue: 3)
    }

    /// Whether it was asked for.
    public var mode: Mode
    /// What became of it.
    public var code: Code
    /// That of the request.
    public var prefix: MobileNetworkPrefix

    /// An acknowledgment of that prefix.
    public init(mode: Mode, code: Code, prefix: MobileNetworkPrefix) {
        self.mode = mode
        self.code = code
        self.prefix = prefix
    }

    init(_ mode: Mode, reading reader: inout MessageReader) {
        self.mode = mode
        code = Code(rawValue: reader.readUInt8())
        let length = reader.readUInt8()
        reader.skip(1)
        prefix = MobileNetworkPrefix(length: length, address: reader.readIPv4Address())
    }

    func write(to writer: inout MessageWriter) {
        MobileNetwork.writePrefix(mode.rawValue, dataLength: Self.dataLength, to: &writer)
        writer.write(code.rawValue)
        writer.write(prefix.length)
        writer.write(UInt8(0))
        writer.write(prefix.address)
    }
}

/// What the two have in common, and reading of whichever it is.
enum MobileNetwork {
    static let type: UInt8 = 148

    /// Nil where the subtype is not known, or the length is not the subtype's.
    static func read(_ reader: inout MessageReader) -> MobileIPExtension? {
        guard reader.remaining >= 1 else { return nil }
        let subtype = reader.readUInt8()
        if subtype == MobileNetworkRequest.subtype {
            guard reader.remaining == MobileNetworkRequest.dataLength - 1 else { return nil }
            return .mobileNetworkRequest(MobileNetworkRequest(reading: &reader))
        }
        guard let mode = MobileNetworkAcknowledgment.Mode(rawValue: subtype),
            reader.remaining == MobileNetworkAcknowledgment.dataLength - 1
        else { return nil }
        return .mobileNetworkAcknowledgment(MobileNetworkAcknowledgment(mode, reading: &reader))
    }

    static func writePrefix(_ subtype: UInt8, dataLength: Int, to writer: inout MessageWriter) {
        writer.write(type)
        writer.write(UInt8(dataLength))
        writer.write(subtype)
    }
}

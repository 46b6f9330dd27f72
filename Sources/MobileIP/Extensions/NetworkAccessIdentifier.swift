// Network access identifiers: the mobile node's (RFC 2794, 2), type 131, and others' (RFC 3846, 3), type 136.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-------------------------------+
//     |   Type, 131   |    Length     |   NAI …
//     +---------------+---------------+-------------------------------+
//     |   Type, 136   |    Length     |   Sub-Type    |   NAI …
//     +---------------+---------------+---------------+---------------+

/// The name of a user or a node, such as `user@realm`. Bytes as they came: nothing says that they are text.
public struct NetworkAccessIdentifier: Hashable, Sendable {
    static let mobileNodeType: UInt8 = 131
    /// In bytes: what both extensions can carry.
    public static let maximumLength = 254

    /// 1 to `maximumLength` of them.
    public let bytes: [UInt8]

    /// Nil where it is empty or longer than `maximumLength`.
    public init?(bytes: [UInt8]) {
        guard (1...Self.maximumLength).contains(bytes.count) else { return nil }
        self.bytes = bytes
    }

    /// Nil where it is empty or longer than `maximumLength` bytes of UTF-8.
    public init?(_ text: String) { self.init(bytes: Array(text.utf8)) }

    func writeAsMobileNode(to writer: inout MessageWriter) {
        writer.write(Self.mobileNodeType)
        writer.write(UInt8(bytes.count))
        writer.write(bytes)
    }
}

extension NetworkAccessIdentifier: CustomStringConvertible {
    /// For people and logs: UTF-8 as it is read. What can't be seen, what changes how others are seen (such as the order of
    /// writing), the backslash, and all bytes above 0x7F where they are no UTF-8, as `\x00`.
    public var description: String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return bytes.reduce(into: "") { $0 += Self.text(of: Unicode.Scalar($1), isText: false) }
        }
        return text.unicodeScalars.reduce(into: "") { $0 += Self.text(of: $1, isText: true) }
    }

    private static func text(of scalar: Unicode.Scalar, isText: Bool) -> String {
        if scalar.isASCII ? scalar.isSeen : isText && scalar.isSeen { return String(scalar) }
        let bytes = isText ? Array(String(scalar).utf8) : [UInt8(scalar.value)]
        return bytes.reduce(into: "") { text, byte in
            text += "\\x" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16)
        }
    }
}

/// An extension that carries the NAI of another than the mobile node.
public struct CarriedNetworkAccessIdentifier: Hashable, Sendable {
    static let type: UInt8 = 136

    /// Whose; the numbers are those of the subtype.
    public struct Subtype: RawRepresentable, Hashable, Sendable {
        /// As it stands in a message.
        public var rawValue: UInt8
        /// From what stands in a message.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The home agent's (RFC 3846, 4).
        public static let homeAgent = Subtype(rawValue: 1)
        /// The AAA server's in the home network (RFC 3846, 5).
        public static let homeAAAServer = Subtype(rawValue: 2)
    }

    /// Whose it is.
    public var subtype: Subtype
    /// Its name.
    public var identifier: NetworkAccessIdentifier

    /// An extension with the name of a node of that kind.
    public init(subtype: Subtype, identifier: NetworkAccessIdentifier) {
        self.subtype = subtype
        self.identifier = identifier
    }

    /// Nil for a length that the extension can't have.
    init?(reading reader: inout MessageReader) {
        guard reader.remaining >= 1 else { return nil }
        subtype = Subtype(rawValue: reader.readUInt8())
        guard let identifier = NetworkAccessIdentifier(bytes: reader.readRest()) else { return nil }
        self.identifier = identifier
    }

    /// Type and length bytes included.
    var length: Int { 3 + identifier.bytes.count }

    func write(to writer: inout MessageWriter) {
        writer.write(Self.type)
        writer.write(UInt8(1 + identifier.bytes.count))
        writer.write(subtype.rawValue)
        writer.write(identifier.bytes)
    }
}

extension Unicode.Scalar {
    /// Whether it shows itself as what it is, and nothing else as what that is not.
    fileprivate var isSeen: Bool {
        if isASCII { return (0x20...0x7E).contains(value) && self != "\\" }
        if properties.isDefaultIgnorableCodePoint { return false }
        return switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            false
        default: true
        }
    }
}

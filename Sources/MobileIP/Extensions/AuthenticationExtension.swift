// Authentication extensions (RFC 5944, 3.5.2 to 3.5.4), and the generalized one (RFC 4721, 5), which is kept as it is.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-------------------------------+
//     | Type, 32 - 34 |    Length     |   SPI …
//     +---------------+---------------+-------------------------------+
//           … SPI (cont.)             |   Authenticator …
//     +-------------------------------+-------------------------------+
//
//     +---------------+---------------+-------------------------------+
//     |   Type, 36    |    Subtype    |            Length             |
//     +---------------+---------------+-------------------------------+
//     |                              SPI                              |
//     +---------------------------------------------------------------+
//     |   Authenticator …

/// An authentication extension.
public struct AuthenticationExtension: Hashable, Sendable {
    /// Between whom; the extension's type.
    public enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// Of mobile node and home agent.
        case mobileHome = 32
        /// Of mobile node and foreign agent.
        case mobileForeign = 33
        /// Of foreign agent and home agent.
        case foreignHome = 34
    }

    /// What stands before the authenticator and is covered by it, in bytes: type, length, security parameter index.
    static let prefixLength = 6
    /// In bytes: the length's byte counts the security parameter index too.
    public static let maximumAuthenticatorLength = 251

    /// Between whom.
    public let kind: Kind
    /// Which of their security associations (SPI).
    public let securityParameterIndex: UInt32
    /// As the algorithm of the security association gives it.
    public let authenticator: [UInt8]

    /// - Parameter authenticator: `maximumAuthenticatorLength` bytes at the most.
    public init(kind: Kind, securityParameterIndex: UInt32, authenticator: [UInt8]) {
        precondition(
            authenticator.count <= Self.maximumAuthenticatorLength, "an authenticator has 251 bytes at the most")
        self.kind = kind
        self.securityParameterIndex = securityParameterIndex
        self.authenticator = authenticator
    }

    /// Nil for a length that the extension can't have.
    init?(_ kind: Kind, reading reader: inout MessageReader) {
        guard reader.remaining >= 4 else { return nil }
        self.kind = kind
        securityParameterIndex = reader.readUInt32()
        authenticator = reader.readRest()
    }

    /// Type and length bytes included.
    var length: Int { Self.prefixLength + authenticator.count }

    func write(to writer: inout MessageWriter) {
        Self.writePrefix(kind, securityParameterIndex, authenticatorLength: authenticator.count, to: &writer)
        writer.write(authenticator)
    }

    /// Writes what stands before the authenticator.
    static func writePrefix(
        _ kind: Kind, _ securityParameterIndex: UInt32, authenticatorLength: Int, to writer: inout MessageWriter
    ) {
        writer.write(kind.rawValue)
        writer.write(UInt8(4 + authenticatorLength))
        writer.write(securityParameterIndex)
    }
}

/// A generalized authentication extension; its authenticator is not checked here.
public struct GeneralizedAuthenticationExtension: Hashable, Sendable {
    static let type: UInt8 = 36
    /// In bytes (RFC 4721, 5).
    public static let minimumAuthenticatorLength = 16
    /// In bytes: what is left of a 16-bit length.
    public static let maximumAuthenticatorLength = 0xFFFF - 4

    /// 1 is mobile-AAA authentication (RFC 4721, 6).
    public let subtype: UInt8
    /// Which security association.
    public let securityParameterIndex: UInt32
    /// Not checked.
    public let authenticator: [UInt8]

    /// - Parameter authenticator: from `minimumAuthenticatorLength` to `maximumAuthenticatorLength` bytes.
    public init(subtype: UInt8, securityParameterIndex: UInt32, authenticator: [UInt8]) {
        precondition(
            (Self.minimumAuthenticatorLength...Self.maximumAuthenticatorLength).contains(authenticator.count),
            "an authenticator of 16 to 65531 bytes")
        self.subtype = subtype
        self.securityParameterIndex = securityParameterIndex
        self.authenticator = authenticator
    }

    /// Nil for a length that the extension can't have.
    init?(subtype: UInt8, reading reader: inout MessageReader) {
        guard reader.remaining >= 4 + Self.minimumAuthenticatorLength else { return nil }
        self.subtype = subtype
        securityParameterIndex = reader.readUInt32()
        authenticator = reader.readRest()
    }

    /// Type, subtype and length bytes included.
    var length: Int { 8 + authenticator.count }

    func write(to writer: inout MessageWriter) {
        writer.write(Self.type)
        writer.write(subtype)
        writer.write(UInt16(4 + authenticator.count))
        writer.write(securityParameterIndex)
        writer.write(authenticator)
    }
}

// A mobility security association (RFC 5944, 1.6 and 5.1): what two nodes share to know each other's messages. It makes
// authentication extensions and checks them. The key never appears in text.

import Crypto

/// A mobility security association.
public struct SecurityAssociation: Sendable {
    /// The lowest index that may be used; those below are reserved (RFC 5944, 1.6).
    public static let minimumSecurityParameterIndex: UInt32 = 256
    /// In bytes: the 128 bits of RFC 5944, 5.1.
    public static let minimumKeyLength = 16

    /// Names the association between its two nodes (SPI).
    public let securityParameterIndex: UInt32
    /// How authenticators are made.
    public let algorithm: AuthenticationAlgorithm
    /// How replays are told.
    public let replayProtection: ReplayProtection
    private let key: SymmetricKey

    /// - Parameters:
    ///   - key: any bytes, `minimumKeyLength` at least.
    /// - Throws: what is wrong with the index or the key.
    public init(
        securityParameterIndex: UInt32, algorithm: AuthenticationAlgorithm = .hmacMD5, key: [UInt8],
        replayProtection: ReplayProtection = .timestamps()
    ) throws(SecurityAssociationError) {
        guard securityParameterIndex >= Self.minimumSecurityParameterIndex else {
            throw .reservedSecurityParameterIndex(securityParameterIndex)
        }
        guard key.count >= Self.minimumKeyLength else { throw .shortKey(bytes: key.count) }
        self.securityParameterIndex = securityParameterIndex
        self.algorithm = algorithm
        self.replayProtection = replayProtection
        self.key = SymmetricKey(data: key)
    }

    /// Writes a message and appends its authentication.
    /// - Returns: the whole message's bytes.
    /// - Throws: `messageTooLong`, `tooManyExtensions`.
    public func sign(
        _ message: some MobileIPMessage, as kind: AuthenticationExtension.Kind
    ) throws(MobileIPError) -> [UInt8] {
        try sign(message.write(), as: kind)
    }

    /// Appends extensions to a message, and an authentication of all that stands before it.
    /// - Parameter bytes: a message, which may have authentications already.
    /// - Returns: the whole message's bytes.
    /// - Throws: `messageTooLong`.
    public func sign(
        _ bytes: [UInt8], adding extensions: [MobileIPExtension] = [], as kind: AuthenticationExtension.Kind
    ) throws(MobileIPError) -> [UInt8] {
        let authenticatorLength = algorithm.authenticatorLength
        let added = extensions.reduce(AuthenticationExtension.prefixLength + authenticatorLength) { $0 + $1.length }
        guard bytes.count + added <= RegistrationRequest.maximumLength else { throw .messageTooLong }
        var writer = MessageWriter(continuing: bytes, room: added)
        for element in extensions { element.write(to: &writer) }
        AuthenticationExtension.writePrefix(
            kind, securityParameterIndex, authenticatorLength: authenticatorLength, to: &writer)
        writer.write(algorithm.authenticator(of: writer.bytes[...], key: key))
        return writer.bytes
    }

    /// Checks a message's authentication of that kind, of which it must have exactly one (RFC 5944, 3.6.2.1 and
    /// 3.8.2.1).
    /// - Throws: what is wrong with it.
    public func verify<Message>(
        _ received: ReceivedMessage<Message>, _ kind: AuthenticationExtension.Kind
    ) throws(AuthenticationError) {
        let authentications = received.authentications(of: kind)
        guard let authentication = authentications.first else { throw .authenticationMissing }
        guard authentications.count == 1 else { throw .authenticationRepeated }
        let value = authentication.value
        guard value.securityParameterIndex == securityParameterIndex else { throw .securityParameterIndexUnknown }
        guard value.authenticator.count == algorithm.authenticatorLength else { throw .authenticatorLength }
        let covered = received.bytes[..<authentication.coveredLength]
        guard algorithm.verifies(value.authenticator, of: covered, key: key) else { throw .authenticatorMismatch }
    }
}

extension SecurityAssociation: Hashable {
    /// Whether all is the same; keys are compared in constant time.
    public static func == (left: Self, right: Self) -> Bool {
        left.securityParameterIndex == right.securityParameterIndex && left.algorithm == right.algorithm
            && left.replayProtection == right.replayProtection && left.key == right.key
    }

    /// The key does not go into it.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(securityParameterIndex)
        hasher.combine(algorithm)
        hasher.combine(replayProtection)
    }
}

extension SecurityAssociation: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// All but the key.
    public var description: String {
        "SPI \(securityParameterIndex), \(algorithm.rawValue), key of \(key.bitCount) bits, \(replayProtection)"
    }
    /// All but the key.
    public var debugDescription: String { description }
    /// Nothing, so that no dump shows the key.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Why a security association can't be made.
public enum SecurityAssociationError: Error, Hashable, Sendable, CustomStringConvertible {
    case reservedSecurityParameterIndex(UInt32)
    case shortKey(bytes: Int)

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .reservedSecurityParameterIndex(let index):
            "security parameter index \(index) is reserved (RFC 5944, 1.6); use one from 256 on"
        case .shortKey(let bytes):
            "a key of \(bytes) bytes is too short; use 16 random bytes or more (RFC 5944, 5.1)"
        }
    }
}

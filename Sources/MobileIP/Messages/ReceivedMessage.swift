// A message that came, with what checking its authentication needs: its bytes, and where each authentication extension
// stands. An authenticator covers the message from its first byte to the authenticator's own (RFC 5944, 3.5.1), padding
// and extensions that were skipped included. What stands behind the mobile-home authentication is not covered by it, so
// the home agent honours of it only what the foreign agent may add (RFC 5454, 3.1; RFC 5944, 3.7.2.2).

/// A message that came.
public struct ReceivedMessage<Message: MobileIPMessage>: Hashable, Sendable {
    /// The fixed part, and all extensions that were understood.
    public let message: Message
    /// All bytes of the message.
    public let bytes: [UInt8]
    /// Where authentication extensions (types 32 to 34) stand, in the message's order.
    public let authentications: [ReceivedAuthentication]
    /// Extensions that were not understood and may be skipped.
    public let skipped: SkippedExtensions

    init(
        message: Message, bytes: [UInt8], authentications: [ReceivedAuthentication], skipped: SkippedExtensions
    ) {
        self.message = message
        self.bytes = bytes
        self.authentications = authentications
        self.skipped = skipped
    }

    /// The authentication extensions of one kind.
    public func authentications(of kind: AuthenticationExtension.Kind) -> [ReceivedAuthentication] {
        authentications.filter { $0.value.kind == kind }
    }

    /// The extensions that the first authentication of that kind covers; none where there is no such authentication.
    public func extensions(before kind: AuthenticationExtension.Kind) -> ArraySlice<MobileIPExtension> {
        guard let first = authentications(of: kind).first else { return [] }
        return message.extensions[..<first.index]
    }

    /// The extensions behind the first authentication of that kind, up to the next authentication of any kind; none
    /// where there is no such authentication.
    public func extensions(behind kind: AuthenticationExtension.Kind) -> ArraySlice<MobileIPExtension> {
        guard let place = authentications.firstIndex(where: { $0.value.kind == kind }) else { return [] }
        let start = authentications[place].index + 1
        let end = place + 1 < authentications.count ? authentications[place + 1].index : message.extensions.count
        return message.extensions[start..<end]
    }
}

/// An authentication extension in a message that came.
public struct ReceivedAuthentication: Hashable, Sendable {
    /// What it says.
    public let value: AuthenticationExtension
    /// Its place among the message's extensions.
    public let index: Int
    /// How many bytes from the message's beginning the authenticator covers.
    public let coveredLength: Int
}

/// How many extensions of a message were passed over, by type: those of unknown types from 128 on, and those of known
/// ones whose subtype is unknown or whose length is wrong (RFC 5944, 1.8).
public struct SkippedExtensions: Hashable, Sendable {
    /// By the first byte of the extension.
    public private(set) var countByType: [UInt8: Int] = [:]

    /// None.
    public init() {}

    /// Of all types.
    public var count: Int { countByType.values.reduce(0, +) }

    mutating func add(_ type: UInt8) { countByType[type, default: 0] += 1 }
}

// How two nodes tell a fresh registration from a replayed one (RFC 5944, 5.7): by the time of day, which every node
// knows, or by nonces, which the home agent makes and the mobile node returns.

/// The style of replay protection of a security association.
public enum ReplayProtection: Hashable, Sendable {
    /// By timestamps that may differ from the home agent's clock by as much as `tolerance`.
    case timestamps(tolerance: Duration = ReplayProtection.defaultTolerance)
    /// By nonces.
    case nonces

    /// Seven seconds (RFC 5944, 5.7.1).
    public static let defaultTolerance: Duration = .seconds(7)
}

extension ReplayProtection: CustomStringConvertible {
    /// As `timestamps within 7.0 seconds`, or `nonces`.
    public var description: String {
        switch self {
        case .timestamps(let tolerance): "timestamps within \(tolerance)"
        case .nonces: "nonces"
        }
    }
}

/// What an identification is made of (RFC 5944, 5.7).
enum Identification {
    /// The upper half: seconds, or the home agent's nonce.
    static func high(_ identification: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: identification >> 32) }
    /// The lower half: a fraction of a second, or the mobile node's nonce.
    static func low(_ identification: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: identification) }
    static func joined(high: UInt32, low: UInt32) -> UInt64 { UInt64(high) << 32 | UInt64(low) }
}

// Times as the Network Time Protocol writes them: 32 bits of seconds since 1900 and 32 bits of their fraction, which is
// what an identification with timestamps is (RFC 5944, 5.7.1). The seconds begin anew in 2036, so two times are
// compared by the shorter way from one to the other; that holds for times less than 68 years apart.

/// A time of day in 64 bits.
public struct NetworkTime: Hashable, Sendable {
    /// Seconds in the upper half, the fraction in the lower.
    public var rawValue: UInt64

    /// From 64 bits as they stand in a message.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Seconds from 1900 to 1970.
    private static let unixEpoch: UInt32 = 2_208_988_800

    /// A time of the Unix clock.
    /// - Parameter nanoseconds: below a thousand million.
    public init(secondsSince1970 seconds: Int64, nanoseconds: UInt32 = 0) {
        precondition(nanoseconds < 1_000_000_000, "nanoseconds of less than a second")
        rawValue =
            UInt64(UInt32(truncatingIfNeeded: seconds) &+ Self.unixEpoch) << 32
            | UInt64(nanoseconds) << 32 / 1_000_000_000
    }

    /// Since 1900; begins anew in 2036.
    public var seconds: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
    /// Of a second, in units of 2⁻³² seconds.
    public var fraction: UInt32 { UInt32(truncatingIfNeeded: rawValue) }

    /// From `earlier` to this, in units of 2⁻³² seconds; negative where this is the earlier.
    public func units(since earlier: NetworkTime) -> Int64 { Int64(bitPattern: rawValue &- earlier.rawValue) }

    /// Whether this is the later of the two.
    public func isLater(than other: NetworkTime) -> Bool { units(since: other) > 0 }

    /// The time that many units of 2⁻³² seconds later.
    public func advanced(byUnits units: Int64) -> NetworkTime {
        NetworkTime(rawValue: rawValue &+ UInt64(bitPattern: units))
    }
}

extension NetworkTime {
    /// A duration in units of 2⁻³² seconds; none below zero, and half of what 64 bits hold at the most.
    static func units(of duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        guard seconds < 1 << 31 else { return UInt64(Int64.max) }
        return UInt64(seconds) << 32 | UInt64(attoseconds / 1_000_000_000) << 32 / 1_000_000_000
    }
}

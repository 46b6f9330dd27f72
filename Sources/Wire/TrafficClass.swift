// The six bits of DSCP (RFC 2474) and two of ECN (RFC 3168) that IPv4's TOS octet and IPv6's traffic class hold alike,
// and what becomes of ECN where a tunnel ends (RFC 6040, figure 4).

/// IPv4's TOS octet, or IPv6's traffic class.
public struct TrafficClass: Hashable, Sendable, BitwiseCopyable {
    /// DSCP in the upper six bits, ECN in the lower two.
    public var rawValue: UInt8

    /// From the octet.
    @inlinable @inline(__always)
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// From its two fields.
    @inlinable @inline(__always)
    public init(dscp: UInt8, ecn: ECN) { rawValue = dscp << 2 | ecn.rawValue }

    /// 0 to 63.
    @inlinable @inline(__always)
    public var dscp: UInt8 { rawValue >> 2 }

    /// The ECN field.
    @inlinable @inline(__always)
    public var ecn: ECN { ECN(rawValue: rawValue & 3) }
}

/// The ECN field (RFC 3168, 5).
public struct ECN: Hashable, Sendable, BitwiseCopyable {
    /// 0 to 3.
    public let rawValue: UInt8

    @inlinable @inline(__always)
    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The sender does not take part.
    public static let notCapable = ECN(rawValue: 0b00)
    /// ECT(1).
    public static let capable1 = ECN(rawValue: 0b01)
    /// ECT(0).
    public static let capable0 = ECN(rawValue: 0b10)
    /// Congestion experienced.
    public static let congestionExperienced = ECN(rawValue: 0b11)

    /// What the inner field becomes when the outer header is taken off (RFC 6040, 4.2); nil where the packet must be
    /// dropped: congestion was marked on a packet whose sender can't be told.
    @inlinable @inline(__always)
    public static func decapsulated(inner: ECN, outer: ECN) -> ECN? {
        // Sixteen cells of four bits, the cell of (inner, outer) at 4 * (4 * inner + outer); 4 says drop. Outer
        // columns, from the right: Not-ECT, ECT(1), ECT(0), CE.
        //        inner:     CE     ECT(0)  ECT(1) Not-ECT
        let table: UInt64 = 0x3333__3212__3111__4000
        let cell = UInt8(truncatingIfNeeded: table >> UInt64((inner.rawValue << 2 | outer.rawValue) << 2)) & 7
        return cell == 4 ? nil : ECN(rawValue: cell)
    }
}

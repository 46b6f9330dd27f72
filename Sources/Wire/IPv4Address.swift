/// An IPv4 address.
public struct IPv4Address: Hashable, Sendable, BitwiseCopyable {
    /// The address as a number, most significant octet first (host order in memory).
    public var rawValue: UInt32

    /// An address from its number: `0xC000_0201` is 192.0.2.1.
    @inlinable @inline(__always)
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// 0.0.0.0.
    @inlinable public static var unspecified: IPv4Address { IPv4Address(rawValue: 0) }

    /// Whether a datagram may bear it as its source: not "this network" (0.0.0.0/8), loopback, multicast, reserved
    /// or limited broadcast (RFC 1122, 3.2.1.3).
    @inlinable @inline(__always)
    public var isUnicastSource: Bool {
        let firstOctet = rawValue >> 24
        return firstOctet != 0 && firstOctet != 127 && firstOctet < 224
    }
}

extension IPv4Address: LosslessStringConvertible {
    /// Four decimal octets without leading zeroes; nil for anything else.
    public init?(_ description: String) {
        var value: UInt32 = 0
        var octet: UInt32 = 0
        var digits = 0
        var octets = 0
        for character in description.utf8 {
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if digits > 0 && octet == 0 { return nil }
                octet = octet * 10 + UInt32(character - UInt8(ascii: "0"))
                digits += 1
                if octet > 255 { return nil }
            case UInt8(ascii: "."):
                guard digits > 0, octets < 3 else { return nil }
                value = value << 8 | octet
                (octet, digits, octets) = (0, 0, octets + 1)
            default:
                return nil
            }
        }
        guard digits > 0, octets == 3 else { return nil }
        self.init(rawValue: value << 8 | octet)
    }

    /// Dotted decimal.
    public var description: String {
        "\(rawValue >> 24).\(rawValue >> 16 & 255).\(rawValue >> 8 & 255).\(rawValue & 255)"
    }
}

extension IPv4Address: Comparable {
    /// In the order of their numbers.
    public static func < (left: IPv4Address, right: IPv4Address) -> Bool { left.rawValue < right.rawValue }
}

extension IPv4Address {
    /// The address that is known to stand in its IPv4-mapped form.
    @inlinable @inline(__always)
    public init(unmapping address: IPv6Address) { self.init(rawValue: UInt32(truncatingIfNeeded: address.low)) }
}

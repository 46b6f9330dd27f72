// Prefixes: an address whose bits past the length are zero, and that length. Both families print and parse as
// `address/length`, and refuse host bits that are set rather than clear them: a typing error in a prefix is better
// reported than guessed at.

/// An IPv6 prefix.
public struct IPv6Prefix: Hashable, Sendable, BitwiseCopyable {
    /// The first address of the prefix; the bits past `length` are zero.
    public let address: IPv6Address
    /// In bits, 0 to 128.
    public let length: UInt8

    /// The prefix of that length that holds `address`. The length must be 128 or less.
    @inlinable
    public init(containing address: IPv6Address, length: UInt8) {
        precondition(length <= 128, "a prefix length is 0 to 128")
        let mask = Self.mask(length)
        self.address = IPv6Address(high: address.high & mask.high, low: address.low & mask.low)
        self.length = length
    }

    /// The prefix that holds one address.
    public static func host(_ address: IPv6Address) -> IPv6Prefix { IPv6Prefix(containing: address, length: 128) }

    /// All link-local addresses (RFC 4291, 2.5.6).
    public static var linkLocal: IPv6Prefix {
        IPv6Prefix(containing: IPv6Address(high: 0xFE80 << 48, low: 0), length: 10)
    }

    /// Nil where the length is above 128 or a bit past it is set.
    public init?(address: IPv6Address, length: Int) {
        guard (0...128).contains(length) else { return nil }
        self.init(containing: address, length: UInt8(length))
        if self.address != address { return nil }
    }

    /// The IPv4 prefix of which this is the IPv4-mapped form; nil where it is none.
    public var mappedIPv4: IPv4Prefix? {
        guard length >= 96, let address = address.mappedIPv4 else { return nil }
        return IPv4Prefix(address: address, length: Int(length) - 96)
    }

    /// Whether `address` lies in the prefix.
    @inlinable
    public func contains(_ address: IPv6Address) -> Bool {
        let mask = Self.mask(length)
        return (address.high ^ self.address.high) & mask.high | (address.low ^ self.address.low) & mask.low == 0
    }

    /// Whether the two have an address in common: one of them then holds the other.
    public func overlaps(_ other: IPv6Prefix) -> Bool {
        length <= other.length ? contains(other.address) : other.contains(address)
    }

    /// An address with the first `length` bits set.
    @inlinable @inline(__always)
    static func mask(_ length: UInt8) -> IPv6Address {
        // Swift's shift by 64 or more gives zero, which is what is wanted here.
        IPv6Address(high: ~(UInt64.max >> UInt64(length)), low: length <= 64 ? 0 : ~(UInt64.max >> UInt64(length - 64)))
    }
}

extension IPv6Prefix: LosslessStringConvertible {
    /// `2001:db8::/32`; nil for anything else, set host bits included.
    public init?(_ description: String) {
        guard let (address, length) = splitPrefix(description), let address = IPv6Address(address) else { return nil }
        self.init(address: address, length: length)
    }

    /// As `2001:db8::/32`.
    public var description: String { "\(address)/\(length)" }
}

extension IPv6Prefix: Comparable {
    /// By address, and the shorter first.
    public static func < (left: IPv6Prefix, right: IPv6Prefix) -> Bool {
        (left.address, left.length) < (right.address, right.length)
    }
}

/// An IPv4 prefix.
public struct IPv4Prefix: Hashable, Sendable, BitwiseCopyable {
    /// The first address of the prefix; the bits past `length` are zero.
    public let address: IPv4Address
    /// In bits, 0 to 32.
    public let length: UInt8

    /// Nil where the length is above 32 or a bit past it is set.
    public init?(address: IPv4Address, length: Int) {
        guard (0...32).contains(length), address.rawValue & (UInt32.max >> UInt32(length)) == 0 else { return nil }
        self.address = address
        self.length = UInt8(length)
    }

    /// The IPv4-mapped form (RFC 4291, 2.5.5.2): that of each of its addresses lies in it, and no other.
    public var mapped: IPv6Prefix { IPv6Prefix(containing: IPv6Address(mapping: address), length: length + 96) }

    /// Whether `address` lies in the prefix.
    public func contains(_ address: IPv4Address) -> Bool {
        (address.rawValue ^ self.address.rawValue) & ~(UInt32.max >> UInt32(length)) == 0
    }
}

extension IPv4Prefix: LosslessStringConvertible {
    /// `192.0.2.0/24`; nil for anything else, set host bits included.
    public init?(_ description: String) {
        guard let (address, length) = splitPrefix(description), let address = IPv4Address(address) else { return nil }
        self.init(address: address, length: length)
    }

    /// As `192.0.2.0/24`.
    public var description: String { "\(address)/\(length)" }
}

/// An IPv6 address with the length of the prefix that is on its link, as an interface bears it: `2001:db8::1/64`.
public struct IPv6InterfaceAddress: Hashable, Sendable, LosslessStringConvertible {
    /// The address.
    public let address: IPv6Address
    /// The length of the on-link prefix, in bits.
    public let length: UInt8

    /// `2001:db8::1/64`; nil for anything else. Without a length, 128.
    public init?(_ description: String) {
        guard let (text, length) = splitPrefix(description.contains("/") ? description : description + "/128"),
            let address = IPv6Address(text), (0...128).contains(length)
        else { return nil }
        self.address = address
        self.length = UInt8(length)
    }

    /// As `2001:db8::1/64`.
    public var description: String { "\(address)/\(length)" }
}

/// Splits `address/length`. The length has one to three decimal digits and no leading zero.
private func splitPrefix(_ text: String) -> (address: String, length: Int)? {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (48...57).contains($0) }),
        parts[1] == "0" || !parts[1].hasPrefix("0"), let length = Int(parts[1])
    else { return nil }
    return (String(parts[0]), length)
}

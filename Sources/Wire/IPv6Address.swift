/// An IPv6 address.
public struct IPv6Address: Hashable, Sendable, BitwiseCopyable {
    /// Bits 0 to 63, the first being the most significant (host order in memory).
    public var high: UInt64
    /// Bits 64 to 127.
    public var low: UInt64

    /// An address from its two halves.
    @inlinable @inline(__always)
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// `::`.
    @inlinable public static var unspecified: IPv6Address { IPv6Address(high: 0, low: 0) }

    /// The IPv4-mapped form of an IPv4 address (RFC 4291, 2.5.5.2).
    @inlinable @inline(__always)
    public init(mapping address: IPv4Address) {
        high = 0
        low = 0xFFFF_0000_0000 | UInt64(address.rawValue)
    }

    /// The address that this is the IPv4-mapped form of; nil for any other.
    @inlinable @inline(__always)
    public var mappedIPv4: IPv4Address? {
        high == 0 && low >> 32 == 0xFFFF ? IPv4Address(rawValue: UInt32(truncatingIfNeeded: low)) : nil
    }

    /// `ff00::/8`.
    @inlinable @inline(__always)
    public var isMulticast: Bool { high >> 56 == 0xFF }

    /// `fe80::/10`.
    @inlinable @inline(__always)
    public var isLinkLocal: Bool { high >> 54 == 0xFE80 >> 6 }

    /// The scope of a multicast address (RFC 4291, 2.7), 0 to 15: 1 an interface, 2 a link, 14 everywhere.
    @inlinable @inline(__always)
    public var multicastScope: UInt8 { UInt8(truncatingIfNeeded: high >> 48) & 0xF }

    /// The scope of a link.
    public static let linkLocalScope: UInt8 = 2

    /// `ff02::/16` and the like: multicast that does not leave its link.
    @inlinable @inline(__always)
    public var isLinkLocalMulticast: Bool { isMulticast && multicastScope == 2 }

    /// The link-local address of a tunnel whose end is at an IPv4 address (RFC 4213, 3.7).
    @inlinable @inline(__always)
    public init(linkLocalOf tunnelEnd: IPv4Address) {
        high = 0xFE80 << 48
        low = UInt64(tunnelEnd.rawValue)
    }

    /// `::`.
    @inlinable @inline(__always)
    public var isUnspecified: Bool { high | low == 0 }

    /// An address that no packet from a tunnel may bear as its source (RFC 4213, 3.6): multicast, unspecified,
    /// loopback, IPv4-compatible (`::/96`) or IPv4-mapped (`::ffff:0:0/96`).
    @inlinable @inline(__always)
    public var isForbiddenTunnelSource: Bool {
        isMulticast || (high == 0 && (low >> 32 == 0 || low >> 32 == 0xFFFF))
    }
}

extension IPv6Address: LosslessStringConvertible {
    /// The text forms of RFC 4291, 2.2, with dotted decimal in the last 32 bits allowed; nil for anything else, a
    /// zone identifier included.
    public init?(_ description: String) {
        var groups: [UInt16] = []
        var compressionAt: Int?
        var rest = Substring(description)
        if rest.hasPrefix("::") {
            compressionAt = 0
            rest = rest.dropFirst(2)
        } else if rest.hasPrefix(":") {
            return nil
        }
        while !rest.isEmpty {
            let end = rest.firstIndex(of: ":") ?? rest.endIndex
            let field = rest[..<end]
            if end == rest.endIndex, field.contains(".") {
                guard let dotted = IPv4Address(String(field)) else { return nil }
                groups += [UInt16(dotted.rawValue >> 16), UInt16(truncatingIfNeeded: dotted.rawValue)]
                rest = ""
                break
            }
            guard (1...4).contains(field.utf8.count), !field.hasPrefix("+"), !field.hasPrefix("-"),
                let group = UInt16(field, radix: 16), groups.count < 8
            else { return nil }
            groups.append(group)
            rest = rest[end...].dropFirst()
            guard end != description.endIndex else { break }
            if rest.hasPrefix(":") {
                guard compressionAt == nil else { return nil }
                compressionAt = groups.count
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil  // a lone colon at the end
            }
        }
        if let compressionAt {
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: compressionAt)
        }
        guard groups.count == 8 else { return nil }
        self.init(
            high: groups[..<4].reduce(0) { $0 << 16 | UInt64($1) },
            low: groups[4...].reduce(0) { $0 << 16 | UInt64($1) })
    }

    /// The form of RFC 5952: lower case, no leading zeroes, the longest run of two or more zero groups (the first of
    /// equals) as `::`, and dotted decimal for IPv4-mapped addresses.
    public var description: String {
        if high == 0, low >> 32 == 0xFFFF {
            return "::ffff:\(IPv4Address(rawValue: UInt32(truncatingIfNeeded: low)))"
        }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> (48 - 16 * ($0 % 4))) }
        var longest = 0..<0
        var index = 0
        while index < 8 {
            let end = groups[index...].firstIndex { $0 != 0 } ?? 8
            if end - index > max(longest.count, 1) { longest = index..<end }
            index = max(end, index + 1)
        }
        func text(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        return longest.isEmpty ? text(0..<8) : "\(text(0..<longest.lowerBound))::\(text(longest.upperBound..<8))"
    }
}

extension IPv6Address: Comparable {
    /// In the order of their bits.
    public static func < (left: IPv6Address, right: IPv6Address) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

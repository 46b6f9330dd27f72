// Addresses and prefixes of either family, as routes and interfaces bear them.

import Glibc
import Wire

/// IPv4 or IPv6.
public enum AddressFamily: Sendable, Hashable, CaseIterable {
    /// IPv4.
    case v4
    /// IPv6.
    case v6

    /// AF_INET or AF_INET6.
    var number: UInt8 { UInt8(self == .v4 ? AF_INET : AF_INET6) }

    /// Of an address, in bytes.
    var addressLength: Int { self == .v4 ? 4 : 16 }

    /// Nil for a family that is neither.
    init?(number: UInt8) {
        switch Int32(number) {
        case AF_INET: self = .v4
        case AF_INET6: self = .v6
        default: return nil
        }
    }
}

/// An address of either family.
public enum IPAddress: Sendable, Hashable, CustomStringConvertible {
    /// Of IPv4.
    case v4(IPv4Address)
    /// Of IPv6.
    case v6(IPv6Address)

    /// Its family.
    public var family: AddressFamily {
        switch self {
        case .v4: .v4
        case .v6: .v6
        }
    }

    /// As its family prints it.
    public var description: String {
        switch self {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }

    /// Whether an interface can bear it: one host's, and neither unspecified nor, for IPv4, loopback.
    public var isInterfaceAddress: Bool {
        switch self {
        case .v4(let address): address.isUnicastSource
        case .v6(let address): !address.isUnspecified && !address.isMulticast
        }
    }
}

/// A prefix of either family.
public enum IPPrefix: Sendable, Hashable, CustomStringConvertible {
    /// Of IPv4.
    case v4(IPv4Prefix)
    /// Of IPv6.
    case v6(IPv6Prefix)

    /// The prefix that holds this address alone.
    public static func host(_ address: IPv4Address) -> IPPrefix {
        guard let prefix = IPv4Prefix(address: address, length: 32) else { preconditionFailure("32 bits are all bits") }
        return .v4(prefix)
    }

    /// Its family.
    public var family: AddressFamily {
        switch self {
        case .v4: .v4
        case .v6: .v6
        }
    }

    /// The first address.
    public var address: IPAddress {
        switch self {
        case .v4(let prefix): .v4(prefix.address)
        case .v6(let prefix): .v6(prefix.address)
        }
    }

    /// In bits.
    public var length: UInt8 {
        switch self {
        case .v4(let prefix): prefix.length
        case .v6(let prefix): prefix.length
        }
    }

    /// As `address/length`.
    public var description: String { "\(address)/\(length)" }

    /// Whether `address`, of either family, lies in the prefix.
    public func contains(_ address: IPAddress) -> Bool {
        switch (self, address) {
        case (.v4(let prefix), .v4(let address)): prefix.contains(address)
        case (.v6(let prefix), .v6(let address)): prefix.contains(address)
        default: false
        }
    }

    /// Nil where the length is too large for the family or a bit past it is set.
    init?(address: IPAddress, length: UInt8) {
        switch address {
        case .v4(let address):
            guard let prefix = IPv4Prefix(address: address, length: Int(length)) else { return nil }
            self = .v4(prefix)
        case .v6(let address):
            guard let prefix = IPv6Prefix(address: address, length: Int(length)) else { return nil }
            self = .v6(prefix)
        }
    }
}

extension IPPrefix: LosslessStringConvertible {
    /// `192.0.2.0/24` or `2001:db8::/32`; nil for anything else, set host bits included.
    public init?(_ description: String) {
        if let prefix = IPv6Prefix(description) {
            self = .v6(prefix)
        } else if let prefix = IPv4Prefix(description) {
            self = .v4(prefix)
        } else {
            return nil
        }
    }
}

/// An address of either family with the length of the prefix that is on its link, as an interface bears it.
public struct IPInterfaceAddress: Sendable, Hashable, LosslessStringConvertible {
    /// The address.
    public let address: IPAddress
    /// The length of the on-link prefix, in bits.
    public let length: UInt8

    /// `192.0.2.7/24` or `2001:db8::1/64`; nil for anything else. Without a length, all bits.
    public init?(_ description: String) {
        if let v6 = IPv6InterfaceAddress(description) {
            (address, length) = (.v6(v6.address), v6.length)
            return
        }
        let text = description.prefix { $0 != "/" }
        // The length is read as that of a prefix, whose host bits are none of this address's business.
        let length = description.dropFirst(text.count)
        guard let address = IPv4Address(String(text)),
            let network = IPv4Prefix(length.isEmpty ? "\(address)/32" : "0.0.0.0\(length)")
        else { return nil }
        (self.address, self.length) = (.v4(address), network.length)
    }

    /// As `192.0.2.7/24`.
    public var description: String { "\(address)/\(length)" }

    /// The prefix on its link.
    public var network: IPPrefix {
        switch address {
        case .v4(let address):
            let bits = address.rawValue & ~(UInt32.max >> UInt32(length))
            guard let prefix = IPv4Prefix(address: IPv4Address(rawValue: bits), length: Int(length)) else {
                preconditionFailure("no bit past the length is set")
            }
            return .v4(prefix)
        case .v6(let address): return .v6(IPv6Prefix(containing: address, length: length))
        }
    }
}

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

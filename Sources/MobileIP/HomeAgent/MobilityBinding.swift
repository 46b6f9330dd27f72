// A binding as the forwarder is told of it. The service turns it into the control protocol's, field by field.

import Wire

/// What is to be forwarded to a node, and how.
public struct MobilityBinding: Hashable, Sendable {
    /// The node's, and the binding's name: a node has one binding.
    public var homeAddress: IPv4Address
    /// How packets reach it.
    public var tunnel: MobilityTunnel
    /// IPv6 prefixes, a link-local address among them as a prefix of length 128.
    public var prefixes: [RegisteredPrefix]
    /// IPv4 networks behind the node (RFC 5177), reached as the home address is.
    public var networks: [IPv4Prefix]
    /// Seconds until it ends, from now on, rounded up; nil means for ever. The home agent removes it by itself; the
    /// forwarder does so where it has lost its home agent.
    public var lifetime: UInt32?

    /// The binding's name for the forwarder.
    public var id: String { Self.id(of: homeAddress) }

    /// The name of the binding of a home address.
    public static func id(of homeAddress: IPv4Address) -> String { homeAddress.description }

    /// What of it is to be reachable from the home network (RFC 5454, 3.3.1), without link-local addresses.
    public var routes: [HomeRoute] {
        [.address(homeAddress)] + prefixes.lazy.filter { !$0.prefix.address.isLinkLocal }.map { .prefix($0.prefix) }
            + networks.lazy.map { .network($0) }
    }
}

/// The IPv4 tunnel of a binding.
public struct MobilityTunnel: Hashable, Sendable {
    /// What the outer header is followed by; in UDP, what follows the tunnel data header.
    public enum Encapsulation: Hashable, Sendable {
        /// RFC 2003; IPv6 by RFC 4213.
        case ipInIP
        /// RFC 2784, with the key of both directions.
        case gre(key: UInt32?)
        /// RFC 2004.
        case minimal
    }

    /// Where it starts: the home agent's address.
    public var endpoint: IPv4Address
    /// Where it leads; behind a NAT, the NAT's address.
    public var careOfAddress: IPv4Address
    /// What it is made of.
    public var encapsulation: Encapsulation
    /// The node's port as it is seen from here, where the tunnel is in UDP (RFC 3519); else nil.
    public var udpPort: UInt16?

    /// A tunnel with these fields.
    public init(
        endpoint: IPv4Address, careOfAddress: IPv4Address, encapsulation: Encapsulation = .ipInIP,
        udpPort: UInt16? = nil
    ) {
        self.endpoint = endpoint
        self.careOfAddress = careOfAddress
        self.encapsulation = encapsulation
        self.udpPort = udpPort
    }
}

/// An IPv6 prefix of a binding.
public struct RegisteredPrefix: Hashable, Sendable {
    /// A link-local address has length 128.
    public var prefix: IPv6Prefix
    /// Whether it is reached by the care-of address directly; else by way of the home address.
    public var usesCareOfAddress: Bool
    /// Whether it was not asked for, but configured.
    public var isImplicit: Bool

    /// A prefix with these fields.
    public init(_ prefix: IPv6Prefix, usesCareOfAddress: Bool, isImplicit: Bool = false) {
        self.prefix = prefix
        self.usesCareOfAddress = usesCareOfAddress
        self.isImplicit = isImplicit
    }

    /// What the reply says of it.
    public var code: IPv6PrefixReplyCode { usesCareOfAddress ? .acceptedCareOfAddress : .acceptedHomeAddress }
}

/// What the home network is to send to the forwarder (RFC 5454, 3.3.1; RFC 3963, 6.3).
public enum HomeRoute: Hashable, Sendable {
    /// A home address.
    case address(IPv4Address)
    /// An IPv6 prefix.
    case prefix(IPv6Prefix)
    /// An IPv4 network behind a mobile router.
    case network(IPv4Prefix)
}

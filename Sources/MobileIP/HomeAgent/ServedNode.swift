// A mobile node that the home agent serves, and what it may do. It is known by its home address, by its network access
// identifier (RFC 2794), or by both.

import Wire

/// By which a node is known. Where it has a network access identifier, that is its identity.
public enum NodeIdentity: Hashable, Sendable {
    case homeAddress(IPv4Address)
    case accessIdentifier(NetworkAccessIdentifier)
}

extension NodeIdentity: CustomStringConvertible {
    /// The address or the identifier.
    public var description: String {
        switch self {
        case .homeAddress(let address): address.description
        case .accessIdentifier(let identifier): identifier.description
        }
    }
}

/// A mobile node that the home agent serves.
public struct ServedNode: Sendable {
    /// What it is known by.
    public let identity: NodeIdentity
    /// Its home address; nil where it gets one of a pool for as long as it has a binding.
    public let homeAddress: IPv4Address?
    /// Shared with it, by their indices. The first signs replies to requests that name none of them. Not empty.
    public var associations: [SecurityAssociation]
    /// What it may ask for.
    public var policy = NodePolicy()
    /// IPv6 prefixes that it may ask for, beside those of pools.
    public var prefixes: [PrefixPermission] = []
    /// IPv6 prefixes that belong to each of its bindings without being asked for, by way of the home address.
    public var implicitPrefixes: [IPv6Prefix] = []
    /// IPv4 networks that it may ask for (RFC 5177); without any, nor implicit ones, it is no mobile router.
    public var networks: [IPv4Prefix] = []
    /// IPv4 networks of a binding whose request names none (RFC 5177, 6.3).
    public var implicitNetworks: [IPv4Prefix] = []

    /// A node with a home address of its own, and perhaps an identifier.
    public init(
        homeAddress: IPv4Address, accessIdentifier: NetworkAccessIdentifier? = nil,
        associations: [SecurityAssociation]
    ) {
        precondition(!associations.isEmpty, "a node without an association can't register")
        identity = accessIdentifier.map { .accessIdentifier($0) } ?? .homeAddress(homeAddress)
        self.homeAddress = homeAddress
        self.associations = associations
    }

    /// A node that gets its home address from a pool.
    public init(accessIdentifier: NetworkAccessIdentifier, associations: [SecurityAssociation]) {
        precondition(!associations.isEmpty, "a node without an association can't register")
        identity = .accessIdentifier(accessIdentifier)
        homeAddress = nil
        self.associations = associations
    }
}

/// Prefixes that may be registered: those of some lengths within one.
public struct PrefixPermission: Hashable, Sendable {
    /// They lie in it.
    public var range: IPv6Prefix
    /// In bits, not shorter than the range.
    public var lengths: ClosedRange<UInt8>

    /// Prefixes of these lengths within a range.
    public init(within range: IPv6Prefix, lengths: ClosedRange<UInt8>) {
        precondition(lengths.lowerBound >= range.length && lengths.upperBound <= 128, "no such prefix lies within")
        self.range = range
        self.lengths = lengths
    }

    /// That prefix alone.
    public init(_ prefix: IPv6Prefix) { self.init(within: prefix, lengths: prefix.length...prefix.length) }

    /// Whether it is one of them.
    public func permits(_ prefix: IPv6Prefix) -> Bool {
        lengths.contains(prefix.length) && range.contains(prefix.address)
    }
}

/// What a node may ask for.
public struct NodePolicy: Hashable, Sendable {
    /// How IPv6 may be tunneled (RFC 5454, 3.3).
    public struct TunnelingModes: OptionSet, Hashable, Sendable {
        /// The set as bits.
        public let rawValue: UInt8
        /// A set from bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// To the care-of address, where the node agrees to it.
        public static let careOfAddress = TunnelingModes(rawValue: 1)
        /// By way of the home address.
        public static let homeAddress = TunnelingModes(rawValue: 2)
    }

    /// Encapsulations beside IP-in-IP, which every home agent has (RFC 5944, 4.1).
    public struct Encapsulations: OptionSet, Hashable, Sendable {
        /// The set as bits.
        public let rawValue: UInt8
        /// A set from bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// GRE.
        public static let gre = Encapsulations(rawValue: 1)
        /// Minimal encapsulation.
        public static let minimal = Encapsulations(rawValue: 2)
        /// In UDP, whatever it is.
        public static let udp = Encapsulations(rawValue: 4)
    }

    /// Reverse tunnels (RFC 3024).
    public enum ReverseTunnel: Hashable, Sendable {
        /// Code 137 to who asks for one.
        case refused
        /// It is had by who asks for it.
        case allowed
        /// Code 138 to who does not ask for one.
        case required
    }

    /// What to do where a node wants to keep an earlier binding beside a new one (the S bit). There is one at a time.
    public enum SimultaneousBindings: Hashable, Sendable {
        /// The new one takes its place, and code 1 says so.
        case replaced
        /// Code 135.
        case refused
    }

    /// How IPv6 may be tunneled. Where both are possible, it is as the node asks.
    public var tunnelingModes: TunnelingModes = [.careOfAddress, .homeAddress]
    /// Which tunnels it may have.
    public var encapsulations: Encapsulations = [.gre, .minimal, .udp]
    /// Reverse tunnels.
    public var reverseTunnel = ReverseTunnel.allowed
    /// Several bindings.
    public var simultaneousBindings = SimultaneousBindings.replaced
    /// The longest that it is granted.
    public var maximumLifetime = RegistrationLifetime(seconds: 36000)
    /// IPv6 prefixes and IPv4 networks of its binding at the most, each by itself; implicit ones count, and come first.
    /// The forwarder takes no more than 1024 prefixes.
    public var maximumPrefixes: UInt16 = 64
    /// Whether it may have any prefix of the home agent's pools.
    public var mayUsePrefixPools = false
    /// Whether it may have link-local traffic, as prefix delegation needs (RFC 5454, 3.7.1).
    public var mayUseLinkLocal = true
    /// Which multicast groups it may listen to (RFC 5454, 3.3.3).
    public var multicast = MulticastPolicy()

    /// The defaults.
    public init() {}
}

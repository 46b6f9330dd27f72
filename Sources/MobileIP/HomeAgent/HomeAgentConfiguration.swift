// What a home agent is configured with, apart from the nodes it serves (ServedNode). Plain values: who reads them from a
// file checks there what people get wrong; what is asked for here is a precondition.

import Wire

/// The configuration of a home agent.
public struct HomeAgentConfiguration: Sendable {
    /// Its own unicast addresses. The first answers what came to a broadcast address. Not empty.
    public var addresses: [IPv4Address]
    /// Broadcast addresses of its networks beside 255.255.255.255, to which nodes send that look for it (RFC 5944,
    /// 3.8.2.1).
    public var broadcastAddresses: [IPv4Address] = []
    /// Home addresses for nodes that have none of their own (RFC 2794).
    public var homeAddressPools: [IPv4Prefix] = []
    /// Prefixes for nodes with `NodePolicy.mayUsePrefixPools`.
    public var prefixPools: [PrefixPermission] = []
    /// Foreign agents with which it shares a security association.
    public var foreignAgents: [ForeignAgent] = []
    /// What it does where a node leaves the choice of its home agent to the network.
    public var dynamicHomeAgent = DynamicHomeAgentPolicy.refused
    /// Tunnels in UDP.
    public var udpTunnel = UDPTunnelPolicy()
    /// Care-of addresses that can't be reached from here. A node that has one behind a NAT, and no tunnel in UDP, is
    /// rejected.
    public var privateRanges: [IPv4Prefix] = Self.defaultPrivateRanges
    /// Revocation of registrations.
    public var revocation = RevocationPolicy()
    /// What it holds at the most.
    public var limits = HomeAgentLimits()

    /// A home agent with these addresses.
    public init(addresses: [IPv4Address]) {
        precondition(!addresses.isEmpty, "a home agent has an address")
        self.addresses = addresses
    }

    /// RFC 1918, and RFC 6598 for carriers' NATs.
    public static let defaultPrivateRanges = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"]
        .map { IPv4Prefix($0)! }
}

/// A foreign agent and what it shares with the home agent.
public struct ForeignAgent: Sendable {
    /// From which it sends.
    public var address: IPv4Address
    /// By their indices. The first signs where nothing says which is in use. Not empty.
    public var associations: [SecurityAssociation]

    /// A foreign agent with its security associations.
    public init(address: IPv4Address, associations: [SecurityAssociation]) {
        precondition(!associations.isEmpty, "a foreign agent without an association need not be named")
        self.address = address
        self.associations = associations
    }
}

/// What to do with a request whose home agent field is 0.0.0.0 or 255.255.255.255 (RFC 4433, 5.3).
public enum DynamicHomeAgentPolicy: Hashable, Sendable {
    /// Code 136, which tells the address.
    case refused
    /// This home agent serves.
    case accepted
    /// Code 143: the node is to ask there.
    case redirected(IPv4Address)
}

/// Tunnels in UDP (RFC 3519). Which nodes may use them, `NodePolicy.encapsulations` says.
public struct UDPTunnelPolicy: Hashable, Sendable {
    /// Whether a node may force one where no NAT is on the way.
    public var mayBeForced = true
    /// In seconds (RFC 3519, 4.9); 0 leaves it to the node.
    public var keepaliveInterval: UInt16 = 110
    /// The longest that such a binding is granted: the mapping that a NAT had may be another's then (RFC 3519, 5.2).
    public var maximumLifetime = RegistrationLifetime(seconds: 600)

    /// The defaults.
    public init() {}
}

/// Revocation of registrations (RFC 3543).
public struct RevocationPolicy: Hashable, Sendable {
    /// Whether it is agreed to where the other side offers it.
    public var isOffered = true
    /// Whether foreign agents that leave it to the home agent are to tell their nodes of revocations (the I bit).
    public var informsNodes = true
    /// How often a revocation is sent until it is acknowledged, at the most.
    public var attempts = 5
    /// From the first to the second attempt, in seconds; then each time twice as long. One at least (RFC 3543, 3.3).
    public var firstInterval = 2

    /// The defaults.
    public init() {}
}

/// Bounds of what a home agent holds. What is beyond is refused, never dropped from what is there.
public struct HomeAgentLimits: Hashable, Sendable {
    /// Nodes it knows; where a change names more, those that are last are not taken.
    public var nodes = 1 << 20
    /// Bindings at a time; beyond, code 130.
    public var bindings = 1 << 20
    /// Prefixes and mobile networks of all bindings; beyond, each is rejected by itself.
    public var prefixes = 1 << 21
    /// Revocations that wait for an acknowledgment; beyond, one is not sent, and the tunnel's other end keeps its
    /// binding until that ends by itself.
    public var revocationsUnderWay = 65536

    /// The defaults.
    public init() {}
}

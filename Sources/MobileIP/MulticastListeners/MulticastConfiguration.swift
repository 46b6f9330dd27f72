// What the multicast router is configured with (RFC 3810, 9), and the link that each node's tunnel is to it.

import Wire

/// Timers and bounds of a multicast router.
public struct MulticastConfiguration: Hashable, Sendable {
    /// Seconds between two general queries to a node (RFC 3810, 9.2).
    public var queryInterval: UInt64 = 125
    /// Seconds in which a node is to answer one, less than the query interval (9.3).
    public var responseInterval: UInt64 = 10
    /// How often what may be lost is sent (9.1), 2 to 7.
    public var robustness: UInt8 = 2
    /// Memberships at the most, of all nodes; beyond, a report is not followed.
    public var memberships = 65536

    /// Seconds between queries about a group that a node may have left (9.8), which is also the time to answer.
    static let lastListenerInterval: UInt64 = 1

    /// The defaults.
    public init() {}

    /// A nanosecond is what times are told in.
    private static let second: UInt64 = 1_000_000_000

    /// How long a report is believed, in nanoseconds (9.4); as long a node of version 1 is taken to be there (9.13).
    var listeningInterval: UInt64 { (UInt64(robustness) * queryInterval + responseInterval) * Self.second }
    /// From a general query to the next, in nanoseconds.
    var generalInterval: UInt64 { queryInterval * Self.second }
    /// The same while a node is new (9.6).
    var startupInterval: UInt64 { generalInterval / 4 }
    /// From a query about a group to the next, in nanoseconds.
    var groupInterval: UInt64 { Self.lastListenerInterval * Self.second }
    /// From a leave to its end, in nanoseconds (9.10).
    var lastListenerTime: UInt64 { groupInterval * UInt64(robustness) }
}

/// What a node may listen to.
public struct MulticastPolicy: Hashable, Sendable {
    /// A group must be in one of them.
    public var groups: [IPv6Prefix] = Self.all
    /// At a time.
    public var maximumGroups: UInt16 = 32

    /// Every group.
    public static let all = [IPv6Prefix("ff00::/8")!]

    /// The defaults.
    public init() {}

    func permits(_ group: IPv6Address) -> Bool { groups.contains { $0.contains(group) } }
}

/// A node's tunnel by way of its home address, which is a link with one listener (RFC 5454, 3.3.3).
public struct MulticastLink: Hashable, Sendable {
    /// The node's.
    public var homeAddress: IPv4Address
    /// The tunnel's end here.
    public var endpoint: IPv4Address
    /// What the node may listen to.
    public var policy: MulticastPolicy

    /// A link.
    public init(homeAddress: IPv4Address, endpoint: IPv4Address, policy: MulticastPolicy = MulticastPolicy()) {
        self.homeAddress = homeAddress
        self.endpoint = endpoint
        self.policy = policy
    }

    /// Of this end (RFC 4213, 3.7).
    var source: IPv6Address { IPv6Address(linkLocalOf: endpoint) }
}

/// A node that is a member of a group.
public struct MulticastMembership: Hashable, Sendable {
    /// The group.
    public var group: IPv6Address
    /// The node's.
    public var homeAddress: IPv4Address

    /// A membership.
    public init(_ group: IPv6Address, of homeAddress: IPv4Address) {
        self.group = group
        self.homeAddress = homeAddress
    }
}

// What a foreign agent is configured with. Plain values: who reads them checks what people get wrong; what is asked for
// here is a precondition.

import Wire

/// The configuration of a foreign agent.
public struct ForeignAgentConfiguration: Sendable {
    /// Its own unicast addresses. The first is that of the visited link. Not empty.
    public var addresses: [IPv4Address]
    /// Where its tunnels end. Not empty, `AgentAdvertisement.maximumCareOfAddresses` at the most.
    public var careOfAddresses: [IPv4Address]
    /// What it advertises. Without G or M, what asks for GRE or minimal encapsulation is denied; without T, what asks for
    /// a reverse tunnel is. B is added while there is no room for another visitor.
    public var flags: AgentAdvertisement.Flags = [.foreignAgent, .reverseTunneling]
    /// Whether visitors must have a reverse tunnel.
    public var requiresReverseTunnel = false
    /// The longest that it offers.
    public var maximumLifetime = RegistrationLifetime(seconds: 1800)
    /// The longest between two advertisements that nobody asked for, in seconds, 4 to 1800; they come up to a quarter
    /// earlier, at random (RFC 1256, 4.1). Nil: only who asks is answered.
    public var advertisementInterval: Int? = 600
    /// Mobile nodes with which it shares a security association.
    public var nodes: [AssociatedNode] = []
    /// Home agents with which it shares a security association.
    public var homeAgents: [AssociatedHomeAgent] = []
    /// What it holds at the most.
    public var limits = ForeignAgentLimits()

    /// A foreign agent with these addresses.
    public init(addresses: [IPv4Address], careOfAddresses: [IPv4Address]) {
        precondition(!addresses.isEmpty, "a foreign agent has an address on the visited link")
        precondition(
            (1...AgentAdvertisement.maximumCareOfAddresses).contains(careOfAddresses.count),
            "as many care-of addresses as an advertisement can carry")
        self.addresses = addresses
        self.careOfAddresses = careOfAddresses
    }

    func owns(_ address: IPv4Address) -> Bool { addresses.contains(address) || careOfAddresses.contains(address) }
}

/// A mobile node and what it shares with the foreign agent.
public struct AssociatedNode: Sendable {
    /// By its identifier where its requests have one, else by its home address.
    public var identity: NodeIdentity
    /// By their indices. The first signs denials of requests that name none. Not empty.
    public var associations: [SecurityAssociation]

    /// A node with its security associations.
    public init(identity: NodeIdentity, associations: [SecurityAssociation]) {
        precondition(!associations.isEmpty, "a node without an association need not be named")
        self.identity = identity
        self.associations = associations
    }
}

/// A home agent and what it shares with the foreign agent.
public struct AssociatedHomeAgent: Sendable {
    /// As requests name it.
    public var address: IPv4Address
    /// By their indices. The first signs requests. Not empty.
    public var associations: [SecurityAssociation]

    /// A home agent with its security associations.
    public init(address: IPv4Address, associations: [SecurityAssociation]) {
        precondition(!associations.isEmpty, "a home agent without an association need not be named")
        self.address = address
        self.associations = associations
    }
}

/// Bounds of what a foreign agent holds. What is beyond is denied, never dropped from what is there.
public struct ForeignAgentLimits: Hashable, Sendable {
    /// Visitors at a time; beyond, code 66.
    public var visitors = 256
    /// Requests that wait for a reply; beyond, code 66. They wait for seven seconds (RFC 5944, 3.7.1).
    public var pendingRequests = 64
    /// Of these, of one node, by its link-layer address; beyond, its oldest gives way.
    public var pendingRequestsOfNode = 4
    /// Advertisements in a second, to who asked for them.
    public var advertisementsPerSecond = 20
    /// Nodes that are denied in a second. Each is denied once a second (RFC 5944, 3.7.2); beyond, nobody is answered.
    public var denialsPerSecond = 256

    /// The defaults.
    public init() {}
}

// What a home agent keeps of a node over a restart: the binding, and what replay protection needs.

import Wire

/// The record of a node.
public struct StoredRegistration: Hashable, Sendable {
    /// Names the record.
    public var identity: NodeIdentity
    /// What was accepted last.
    public var replay: HomeAgentReplayState
    /// Prefixes that were delegated to it; for replay protection alone it may have none.
    public var delegated: [IPv6Prefix]
    /// Nil where it has none.
    public var binding: AcceptedRegistration?
    /// When the binding ends, by the time of day; nil means never.
    public var expiry: NetworkTime?

    /// A record with these fields.
    public init(
        identity: NodeIdentity, replay: HomeAgentReplayState, delegated: [IPv6Prefix] = [],
        binding: AcceptedRegistration? = nil, expiry: NetworkTime? = nil
    ) {
        self.identity = identity
        self.replay = replay
        self.delegated = delegated
        self.binding = binding
        self.expiry = expiry
    }
}

/// A registration that was accepted: the entry of RFC 5944, 3.8.1.
public struct AcceptedRegistration: Hashable, Sendable {
    /// Whom revocation was agreed with, and where it was registered from (RFC 3543, 3.2).
    public struct Revocation: Hashable, Sendable {
        /// Whether it is a foreign agent; else the node itself.
        public var isForeignAgent: Bool
        /// Which of the security associations with it was in use.
        public var securityParameterIndex: UInt32
        /// Whether both sides use the I bit.
        public var usesInformBit: Bool
        /// The other side's clock when it registered.
        public var theirTimestamp: UInt32
        /// The home agent's clock in the reply.
        public var ourTimestamp: UInt32

        /// An agreement with these fields.
        public init(
            isForeignAgent: Bool, securityParameterIndex: UInt32, usesInformBit: Bool, theirTimestamp: UInt32,
            ourTimestamp: UInt32
        ) {
            self.isForeignAgent = isForeignAgent
            self.securityParameterIndex = securityParameterIndex
            self.usesInformBit = usesInformBit
            self.theirTimestamp = theirTimestamp
            self.ourTimestamp = ourTimestamp
        }
    }

    /// The node's.
    public var homeAddress: IPv4Address
    /// The care-of address of the request, which behind a NAT is not that of the tunnel.
    public var careOfAddress: IPv4Address
    /// Where the request came from.
    public var source: IPv4Address
    /// The request's identification.
    public var identification: UInt64
    /// How packets reach the node.
    public var tunnel: MobilityTunnel
    /// Whether the node has a reverse tunnel.
    public var reverseTunnel: Bool
    /// IPv6 prefixes, implicit ones first.
    public var prefixes: [RegisteredPrefix]
    /// IPv4 networks behind it.
    public var networks: [IPv4Prefix]
    /// Nil where no revocation was agreed.
    public var revocation: Revocation?

    /// A registration with these fields.
    public init(
        homeAddress: IPv4Address, careOfAddress: IPv4Address, source: IPv4Address, identification: UInt64,
        tunnel: MobilityTunnel, reverseTunnel: Bool = false, prefixes: [RegisteredPrefix] = [],
        networks: [IPv4Prefix] = [], revocation: Revocation? = nil
    ) {
        self.homeAddress = homeAddress
        self.careOfAddress = careOfAddress
        self.source = source
        self.identification = identification
        self.tunnel = tunnel
        self.reverseTunnel = reverseTunnel
        self.prefixes = prefixes
        self.networks = networks
        self.revocation = revocation
    }
}

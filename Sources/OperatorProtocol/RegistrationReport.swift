/// A registration.
public struct RegistrationReport: Codable, Sendable {
    /// A prefix of it.
    public struct Prefix: Codable, Sendable {
        /// Address and length.
        public var prefix: String
        /// `care-of` or `home-address`.
        public var tunnel: String
        /// Whether it is configured, and was not asked for.
        public var isImplicit: Bool

        /// A prefix.
        public init(prefix: String, tunnel: String, isImplicit: Bool) {
            self.prefix = prefix
            self.tunnel = tunnel
            self.isImplicit = isImplicit
        }
    }

    /// A multicast group that the node listens to.
    public struct Group: Codable, Sendable {
        /// Its address.
        public var group: String
        /// For how long it is believed, in seconds.
        public var remaining: UInt64
        /// Of Multicast Listener Discovery, as the node speaks it of this group.
        public var version: UInt8

        /// A group.
        public init(group: String, remaining: UInt64, version: UInt8) {
            self.group = group
            self.remaining = remaining
            self.version = version
        }
    }

    /// What the node is known by: its access identifier or its home address.
    public var node: String
    /// Its home address.
    public var homeAddress: String
    /// As it was registered.
    public var careOfAddress: String
    /// Where the tunnel begins.
    public var endpoint: String
    /// Where it ends; behind a NAT, at the NAT.
    public var tunnelEnd: String
    /// `ip-in-ip`, `gre` or `minimal`.
    public var encapsulation: String
    /// Of GRE, where it has one.
    public var greKey: UInt32?
    /// The node's, where the tunnel is in UDP.
    public var udpPort: UInt16?
    /// Whether it has a reverse tunnel.
    public var hasReverseTunnel: Bool
    /// What is tunneled to it.
    public var prefixes: [Prefix]
    /// What is left, in seconds; absent for ever.
    public var lifetime: UInt64?
    /// Whether revocation was agreed: with the `node`, or with its `foreign-agent`.
    public var revocation: String?
    /// What it listens to; absent where nodes are not asked for it.
    public var groups: [Group]?

    /// A registration with these fields.
    public init(
        node: String, homeAddress: String, careOfAddress: String, endpoint: String, tunnelEnd: String,
        encapsulation: String, greKey: UInt32?, udpPort: UInt16?, hasReverseTunnel: Bool, prefixes: [Prefix],
        lifetime: UInt64?, revocation: String?
    ) {
        self.node = node
        self.homeAddress = homeAddress
        self.careOfAddress = careOfAddress
        self.endpoint = endpoint
        self.tunnelEnd = tunnelEnd
        self.encapsulation = encapsulation
        self.greKey = greKey
        self.udpPort = udpPort
        self.hasReverseTunnel = hasReverseTunnel
        self.prefixes = prefixes
        self.lifetime = lifetime
        self.revocation = revocation
    }
}

/// A node that is served.
public struct NodeReport: Codable, Sendable {
    /// A security association, without its key.
    public struct Association: Codable, Sendable {
        /// Names it.
        public var securityParameterIndex: UInt32
        /// As the configuration names it.
        public var algorithm: String
        /// `timestamps` or `nonces`.
        public var replay: String
        /// By how much timestamps may differ, in seconds; absent with nonces.
        public var tolerance: Int64?

        /// An association.
        public init(securityParameterIndex: UInt32, algorithm: String, replay: String, tolerance: Int64?) {
            self.securityParameterIndex = securityParameterIndex
            self.algorithm = algorithm
            self.replay = replay
            self.tolerance = tolerance
        }
    }

    /// What it is known by.
    public var node: String
    /// Its own; absent where it gets one of a pool.
    public var homeAddress: String?
    /// What is shared with it.
    public var associations: [Association]
    /// The name of its policy.
    public var policy: String?
    /// Prefixes that it may ask for by its own name; where they are parts of one, with its shortest and longest lengths
    /// behind a comma.
    public var prefixes: [String]
    /// Prefixes of each of its bindings.
    public var implicitPrefixes: [String]
    /// IPv4 networks that it may ask for.
    public var networks: [String]
    /// IPv4 networks of each of its bindings.
    public var implicitNetworks: [String]
    /// Whether it has a binding.
    public var isRegistered: Bool
    /// Its file in the directory of nodes, where it stands alone in one, and so can be removed by an operator.
    public var file: String?

    /// A node with these fields.
    public init(
        node: String, homeAddress: String?, associations: [Association], policy: String?, prefixes: [String],
        implicitPrefixes: [String], networks: [String], implicitNetworks: [String], isRegistered: Bool, file: String?
    ) {
        self.node = node
        self.homeAddress = homeAddress
        self.associations = associations
        self.policy = policy
        self.prefixes = prefixes
        self.implicitPrefixes = implicitPrefixes
        self.networks = networks
        self.implicitNetworks = implicitNetworks
        self.isRegistered = isRegistered
        self.file = file
    }
}

/// A node that is to be served, with the names that a file of nodes has, and one security association. The home agent
/// checks it as it checks a file.
public struct NodeDefinition: Codable, Hashable, Sendable {
    /// Prefixes that it may register.
    public struct Permission: Codable, Hashable, Sendable {
        /// Address and length.
        public var within: String
        /// The shortest and the longest; absent for the prefix itself.
        public var lengths: [UInt8]?

        /// Prefixes of these lengths within one, or that one.
        public init(within: String, lengths: [UInt8]? = nil) {
            self.within = within
            self.lengths = lengths
        }
    }

    private enum CodingKeys: String, CodingKey {
        case homeAddress = "home-address", accessIdentifier = "access-identifier", securityParameterIndex = "spi"
        case key, algorithm, replay, tolerance, policy, prefixes, implicitPrefixes = "implicit-prefixes"
        case networks, implicitNetworks = "implicit-networks"
    }

    /// Its own; nil where it gets one of a pool.
    public var homeAddress: String?
    /// Its NAI; by one of the two it is known.
    public var accessIdentifier: String?
    /// Of the association.
    public var securityParameterIndex: UInt32
    /// In hexadecimal digits.
    public var key: String
    /// `hmac-md5` and so on; nil for the default, as with all below.
    public var algorithm: String?
    /// `timestamps` or `nonces`.
    public var replay: String?
    /// In seconds.
    public var tolerance: Int?
    /// The name of one.
    public var policy: String?
    /// What it may register.
    public var prefixes: [Permission] = []
    /// IPv6 prefixes of each of its bindings.
    public var implicitPrefixes: [String] = []
    /// IPv4 networks that it may register.
    public var networks: [String] = []
    /// IPv4 networks of each of its bindings.
    public var implicitNetworks: [String] = []

    /// A node with this association and nothing else.
    public init(securityParameterIndex: UInt32, key: String) {
        self.securityParameterIndex = securityParameterIndex
        self.key = key
    }
}

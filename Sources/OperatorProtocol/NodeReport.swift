/// A node that is served.
public struct NodeReport: Codable, Sendable {
    /// What it is known by.
    public var node: String
    /// Its own; absent where it gets one of a pool.
    public var homeAddress: String?
    /// Of its security associations.
    public var securityParameterIndexes: [UInt32]
    /// Prefixes that it may ask for by its own name, as ranges.
    public var prefixes: [String]
    /// Prefixes of each of its bindings.
    public var implicitPrefixes: [String]
    /// Whether it has a binding.
    public var isRegistered: Bool

    /// A node with these fields.
    public init(
        node: String, homeAddress: String?, securityParameterIndexes: [UInt32], prefixes: [String],
        implicitPrefixes: [String], isRegistered: Bool
    ) {
        self.node = node
        self.homeAddress = homeAddress
        self.securityParameterIndexes = securityParameterIndexes
        self.prefixes = prefixes
        self.implicitPrefixes = implicitPrefixes
        self.isRegistered = isRegistered
    }
}

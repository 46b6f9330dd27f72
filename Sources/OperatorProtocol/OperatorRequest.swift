// What operators ask a home agent over its Unix socket: one line of JSON, answered by one line of JSON; lines are
// answered in their order, and are no longer than `lineLimit`. Lists come in pages: `next` is where the next one begins.
//
//     {"request":"registrations","position":0}
//     {"registrations":[…],"next":256}

/// What is asked.
public struct OperatorRequest: Codable, Sendable {
    /// The questions there are.
    public enum Kind: String, Codable, Sendable {
        /// What runs.
        case status
        /// All counters.
        case counters
        /// A page of registrations.
        case registrations
        /// That of `node`.
        case registration
        /// End that of `node`.
        case revoke
        /// A page of nodes.
        case nodes
        /// `node`, whether it is registered or not.
        case node
        /// Serve a node, as `definition` has it.
        case addNode = "add-node"
        /// Serve `node` no more.
        case removeNode = "remove-node"
    }

    /// Of a line, in bytes: of a request.
    public static let lineLimit = 1 << 16

    /// What is asked.
    public var request: Kind
    /// A home address or an access identifier.
    public var node: String?
    /// Where a page begins; 0 where it is absent.
    public var position: Int?
    /// A node that is to be served. It has a key: the socket's mode keeps it between the two.
    public var definition: NodeDefinition?

    /// A request.
    public init(
        _ request: Kind, node: String? = nil, position: Int? = nil, definition: NodeDefinition? = nil
    ) {
        self.request = request
        self.node = node
        self.position = position
        self.definition = definition
    }
}

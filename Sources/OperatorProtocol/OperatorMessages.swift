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
    }

    /// Of a line, in bytes: of a request.
    public static let lineLimit = 4096

    /// What is asked.
    public var request: Kind
    /// A home address or an access identifier.
    public var node: String?
    /// Where a page begins; 0 where it is absent.
    public var position: Int?

    /// A request.
    public init(_ request: Kind, node: String? = nil, position: Int? = nil) {
        self.request = request
        self.node = node
        self.position = position
    }
}

/// What is answered: what belongs to the request, or an error.
public struct OperatorReply: Codable, Sendable {
    /// Why there is no answer, for people.
    public var error: String?
    /// Whether what was asked for is not there, where there is an error.
    public var isAbsent: Bool?
    /// To `status`.
    public var status: StatusReport?
    /// To `counters`.
    public var counters: [String: UInt64]?
    /// To `registrations`, `registration` and `revoke`.
    public var registrations: [RegistrationReport]?
    /// To `nodes`.
    public var nodes: [NodeReport]?
    /// Where the next page begins; absent at the end.
    public var next: Int?

    /// An empty reply.
    public init() {}

    /// An error.
    public init(error: String, isAbsent: Bool = false) {
        self.error = error
        self.isAbsent = isAbsent
    }
}

/// What a home agent runs.
public struct StatusReport: Codable, Sendable {
    /// Of the program.
    public var version: String
    /// Of the process.
    public var processID: Int32
    /// Since when, in seconds.
    public var uptime: UInt64
    /// The home agent's addresses.
    public var addresses: [String]
    /// How registrations come: `forwarder` or `udp`.
    public var listen: String
    /// Nodes that are served.
    public var nodes: Int
    /// Nodes that have a binding.
    public var bindings: Int
    /// How many may have one.
    public var bindingLimit: Int
    /// mooringd's socket.
    public var forwarderSocket: String
    /// Whether mooringd has all bindings: `synchronized`, `connected` or `absent`.
    public var forwarder: String
    /// Why it is absent.
    public var forwarderReason: String?
    /// The database.
    public var database: String
    /// The device that routes lead to, where there are any.
    public var routeDevice: String?

    /// A report with these fields.
    public init(
        version: String, processID: Int32, uptime: UInt64, addresses: [String], listen: String, nodes: Int,
        bindings: Int, bindingLimit: Int, forwarderSocket: String, forwarder: String, forwarderReason: String?,
        database: String, routeDevice: String?
    ) {
        self.version = version
        self.processID = processID
        self.uptime = uptime
        self.addresses = addresses
        self.listen = listen
        self.nodes = nodes
        self.bindings = bindings
        self.bindingLimit = bindingLimit
        self.forwarderSocket = forwarderSocket
        self.forwarder = forwarder
        self.forwarderReason = forwarderReason
        self.database = database
        self.routeDevice = routeDevice
    }
}

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

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
    /// Addresses that are no endpoints of mooringd, so that no registration comes to them; absent where all are.
    public var unheardAddresses: [String]?
    /// The database.
    public var database: String
    /// Why registrations can't be stored, so that none is answered; absent where they can.
    public var storeFailure: String?
    /// The device that routes lead to, where there are any.
    public var routeDevice: String?
    /// Memberships of nodes in multicast groups; absent where nodes are not asked for them.
    public var memberships: Int?
    /// How many there may be.
    public var membershipLimit: Int?

    /// A report with these fields.
    public init(
        version: String, processID: Int32, uptime: UInt64, addresses: [String], listen: String, nodes: Int,
        bindings: Int, bindingLimit: Int, forwarderSocket: String, forwarder: String, forwarderReason: String?,
        unheardAddresses: [String]?, database: String, storeFailure: String?, routeDevice: String?,
        memberships: Int?, membershipLimit: Int?
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
        self.unheardAddresses = unheardAddresses
        self.database = database
        self.storeFailure = storeFailure
        self.routeDevice = routeDevice
        self.memberships = memberships
        self.membershipLimit = membershipLimit
    }
}

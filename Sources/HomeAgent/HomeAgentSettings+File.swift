// The configuration file, in TOML. Keys are kebab case; one that is not known is an error that says where it stands.
// docs/man/mooring-ha.8 describes them. Paths are relative to the directory of the file that names them.

import Bindings
import ConfigurationFile
import Glibc
import MobileIP
import RouteNetlink
import Wire

/// All that files say.
public struct HomeAgentFiles: Sendable {
    /// Of the configuration file.
    public var settings: HomeAgentSettings
    /// Of the configuration file, the nodes file and the directory of nodes, in their order.
    public var nodes: [ServedNode]
    /// By their names.
    var policies = ["default": NodePolicy()]
    /// Where operators' nodes are kept; nil for nowhere.
    var directory: NodeDirectory?
    /// The names of files of the directory, by the nodes that stand alone in one.
    var ownFiles: [NodeIdentity: String] = [:]

    /// Keys of the configuration file's root; the manual has the same.
    public static let keys = [
        "addresses", "broadcast-addresses", "listen", "forwarder-socket", "socket", "socket-group", "database",
        "durability", "log-level", "home-networks", "home-address-pools", "private-ranges", "dynamic-home-agent",
        "prefix-pool", "routes", "multicast", "udp-tunnel", "revocation", "limits", "foreign-agent", "policy",
        "nodes-file", "nodes-directory", "node",
    ]

    /// As if files had said so.
    init(settings: HomeAgentSettings, nodes: [ServedNode]) {
        self.settings = settings
        self.nodes = nodes
    }

    /// Reads a configuration file and what it names.
    /// - Throws: what is wrong, and where.
    public init(contentsOf path: String) throws(StrictJSON.Failure) {
        self = try StrictTOML.read(path) { root throws(StrictJSON.Failure) in
            try HomeAgentFiles(root, ConfigurationOrigin(path))
        }
    }

    init(_ root: StrictJSON.Value, _ origin: ConfigurationOrigin) throws(StrictJSON.Failure) {
        let object = try root.object(keys: Self.keys)
        settings = try HomeAgentSettings(object, origin)
        for value in try object["policy"]?.array() ?? [] {
            let (name, policy) = try NodePolicy.named(value)
            guard policies.updateValue(policy, forKey: name) == nil || name == "default" else {
                throw value.failure("the policy \(StrictJSON.quoted(name)) stands twice")
            }
        }
        var reader = NodeReader(
            policies, limit: settings.homeAgent.limits.nodes, agentAddresses: settings.homeAgent.addresses)
        for value in try object["node"]?.array() ?? [] { try reader.add(value, origin) }
        if let file = try object["nodes-file"]?.string() { try reader.add(contentsOf: origin.path(of: file)) }
        if let path = try object["nodes-directory"]?.string() {
            let directory = NodeDirectory(path: origin.path(of: path))
            for name in try directory.names(limit: settings.homeAgent.limits.nodes) {
                let count = reader.nodes.count
                try reader.add(contentsOf: directory.path(of: name))
                if reader.nodes.count == count + 1 { ownFiles[reader.nodes[count].identity] = name }
            }
            self.directory = directory
        }
        try reader.checkImplicitPrefixes()
        nodes = reader.nodes
    }
}

/// A file of the configuration.
struct ConfigurationOrigin {
    /// The file's.
    let path: String
    /// Whether nobody but its owner can use the file, so that keys may stand in it.
    let isPrivate: Bool

    init(_ path: String) {
        self.path = path
        var status = stat()
        isPrivate = stat(path, &status) == 0 && status.st_mode & 0o077 == 0
    }

    /// A path that stands in the file.
    func path(of text: String) -> String {
        if text.hasPrefix("/") { return text }
        guard let end = path.lastIndex(of: "/") else { return text }
        return path[...end] + text
    }
}

extension HomeAgentSettings {
    fileprivate init(
        _ object: StrictJSON.Object, _ origin: ConfigurationOrigin
    ) throws(StrictJSON.Failure) {
        let place = try object.required("addresses")
        let addresses = try place.unicastAddresses()
        guard !addresses.isEmpty else { throw place.failure("is empty, where a home agent has an address") }
        self.init(homeAgent: HomeAgentConfiguration(addresses: addresses))
        homeAgent.broadcastAddresses = try object["broadcast-addresses"]?.broadcastAddresses(besides: addresses) ?? []
        if let value = object["listen"] { listen = try value.choice(of: ListenMode.self) }
        if let value = object["forwarder-socket"] { forwarderSocket = try value.socketPath(origin.path(of:)) }
        if let value = object["socket"] { socket = try value.socketPath(origin.path(of:)) }
        socketGroup = try object["socket-group"]?.string()
        if let value = object["database"] { database = origin.path(of: try value.string()) }
        if let value = object["durability"] { durability = try value.choice(of: StoreDurability.self) }
        if let value = object["log-level"] {
            logLevel = try value.string()
            let levels = ["trace", "debug", "info", "notice", "warning", "error", "critical"]
            guard levels.contains(logLevel) else { throw value.failure("is none of \(levels.joined(separator: ", "))") }
        }
        homeNetworks = try object["home-networks"]?.unicastNetworks() ?? []
        if let value = object["home-address-pools"] { homeAgent.homeAddressPools = try value.pools() }
        if let value = object["private-ranges"] { homeAgent.privateRanges = try value.networks() }
        homeAgent.prefixPools = try object["prefix-pool"]?.permissions() ?? []
        if let value = object["dynamic-home-agent"] {
            homeAgent.dynamicHomeAgent = try DynamicHomeAgentPolicy(value, addresses: addresses)
        }
        routes = try object["routes"].flatMap { value throws(StrictJSON.Failure) in try HomeRouteSettings.read(value) }
        multicast = try object["multicast"].flatMap { value throws(StrictJSON.Failure) in
            try MulticastConfiguration.read(value)
        }
        if let value = object["udp-tunnel"] { homeAgent.udpTunnel = try UDPTunnelPolicy(value) }
        if let value = object["revocation"] { homeAgent.revocation = try RevocationPolicy(value) }
        if let value = object["limits"] { homeAgent.limits = try HomeAgentLimits(value) }
        for value in try object["foreign-agent"]?.array() ?? [] {
            let agent = try value.object(keys: ["address"] + SecurityAssociation.keys + ["associations"])
            let address = try agent.required("address").address()
            if addresses.contains(address) {
                throw value.failure("\(address) is an address of the home agent itself, which is no foreign agent")
            }
            if homeAgent.foreignAgents.contains(where: { $0.address == address }) {
                throw value.failure("\(address) stands twice; further keys of an agent go into its associations")
            }
            homeAgent.foreignAgents.append(
                ForeignAgent(
                    address: address,
                    associations: try SecurityAssociation.all(of: agent, value, origin)))
        }
    }
}

extension HomeRouteSettings {
    /// Nil where they are switched off.
    fileprivate static func read(_ value: StrictJSON.Value) throws(StrictJSON.Failure) -> HomeRouteSettings? {
        let object = try value.object(keys: ["enabled", "device", "table", "metric"])
        var settings = HomeRouteSettings(device: try object["device"]?.deviceName() ?? "mooring-home")
        if let table = object["table"] { settings.table = RouteTable(rawValue: try table.integer(in: 1...UInt32.max)) }
        if let metric = object["metric"] { settings.metric = try metric.integer(in: 0...UInt32.max) }
        return try object["enabled"]?.bool() ?? true ? settings : nil
    }
}

extension MulticastConfiguration {
    /// Nil where it is switched off.
    fileprivate static func read(_ value: StrictJSON.Value) throws(StrictJSON.Failure) -> MulticastConfiguration? {
        let object = try value.object(
            keys: ["enabled", "query-interval", "response-interval", "robustness", "memberships"])
        var configuration = MulticastConfiguration()
        if let value = object["query-interval"] { configuration.queryInterval = try value.integer(in: 4...3600) }
        if let value = object["response-interval"] { configuration.responseInterval = try value.integer(in: 1...32) }
        if let value = object["robustness"] { configuration.robustness = try value.integer(in: 2...7) }
        if let value = object["memberships"] { configuration.memberships = try value.integer(in: 1...1 << 24) }
        guard configuration.responseInterval < configuration.queryInterval else {
            throw value.failure(
                "has a response-interval of \(configuration.responseInterval) seconds, which must be shorter than the "
                    + "query-interval of \(configuration.queryInterval)")
        }
        return try object["enabled"]?.bool() ?? true ? configuration : nil
    }
}

extension DynamicHomeAgentPolicy {
    /// - Parameter addresses: the home agent's own.
    fileprivate init(_ value: StrictJSON.Value, addresses: [IPv4Address]) throws(StrictJSON.Failure) {
        switch try value.string() {
        case "refused": self = .refused
        case "accepted": self = .accepted
        default:
            let address = try value.parsed(IPv4Address.self, "\"refused\", \"accepted\" or an IPv4 address")
            guard address.isUnicastSource else { throw value.failure("\(address) is no unicast address") }
            if addresses.contains(address) {
                throw value.failure(
                    "\(address) is an address of this home agent, which would send nodes to itself; say \"accepted\" to "
                        + "serve them here")
            }
            self = .redirected(address)
        }
    }
}

extension UDPTunnelPolicy {
    fileprivate init(_ value: StrictJSON.Value) throws(StrictJSON.Failure) {
        self.init()
        let object = try value.object(keys: ["may-be-forced", "keepalive-interval", "maximum-lifetime"])
        if let value = object["may-be-forced"] { mayBeForced = try value.bool() }
        if let value = object["keepalive-interval"] { keepaliveInterval = try value.integer(in: 0...UInt16.max) }
        if let value = object["maximum-lifetime"] { maximumLifetime = try value.lifetime() }
    }
}

extension RevocationPolicy {
    fileprivate init(_ value: StrictJSON.Value) throws(StrictJSON.Failure) {
        self.init()
        let object = try value.object(keys: ["offered", "inform-nodes", "attempts", "first-interval"])
        if let value = object["offered"] { isOffered = try value.bool() }
        if let value = object["inform-nodes"] { informsNodes = try value.bool() }
        if let value = object["attempts"] { attempts = try value.integer(in: 1...20) }
        if let value = object["first-interval"] { firstInterval = try value.integer(in: 1...60) }
    }
}

extension HomeAgentLimits {
    fileprivate init(_ value: StrictJSON.Value) throws(StrictJSON.Failure) {
        self.init()
        let object = try value.object(keys: ["nodes", "bindings", "prefixes", "revocations"])
        let range = 1...1 << 24
        if let value = object["nodes"] { nodes = try value.integer(in: range) }
        if let value = object["bindings"] { bindings = try value.integer(in: range) }
        if let value = object["prefixes"] { prefixes = try value.integer(in: range) }
        if let value = object["revocations"] { revocationsUnderWay = try value.integer(in: range) }
    }
}

extension StrictJSON.Value {
    func address() throws(StrictJSON.Failure) -> IPv4Address {
        let address = try parsed(IPv4Address.self, "an IPv4 address")
        guard address.isUnicastSource else { throw failure("\(address) is no unicast address") }
        return address
    }

    /// Addresses that can be a home agent's, each once.
    func unicastAddresses() throws(StrictJSON.Failure) -> [IPv4Address] {
        try distinct { value throws(StrictJSON.Failure) in try value.address() }
    }

    /// Addresses to which datagrams are sent without knowing whose they are, each once.
    /// - Parameter own: the home agent's, which are others.
    func broadcastAddresses(besides own: [IPv4Address]) throws(StrictJSON.Failure) -> [IPv4Address] {
        try distinct { value throws(StrictJSON.Failure) in
            let address = try value.parsed(IPv4Address.self, "an IPv4 address")
            guard address.isUnicastSource || address.rawValue == .max else {
                throw value.failure("\(address) is no broadcast address of a network")
            }
            if own.contains(address) {
                throw value.failure("\(address) is one of addresses, which are not for all home agents of a network")
            }
            return address
        }
    }

    /// Networks whose hosts have unicast addresses.
    func unicastNetworks() throws(StrictJSON.Failure) -> [IPv4Prefix] {
        try distinct { value throws(StrictJSON.Failure) in
            let network = try value.network()
            if let obstacle = network.unicastObstacle { throw value.failure(obstacle) }
            return network
        }
    }

    /// The elements of an array, none of which may stand in it twice.
    func distinct<Element: Hashable>(
        _ read: (StrictJSON.Value) throws(StrictJSON.Failure) -> Element
    ) throws(StrictJSON.Failure) -> [Element] {
        var elements: [Element] = []
        var seen: Set<Element> = []
        for value in try array() {
            let element = try read(value)
            guard seen.insert(element).inserted else { throw value.failure("\(element) stands twice") }
            elements.append(element)
        }
        return elements
    }

    func network() throws(StrictJSON.Failure) -> IPv4Prefix {
        try parsed(IPv4Prefix.self, "an IPv4 prefix without host bits")
    }

    func networks() throws(StrictJSON.Failure) -> [IPv4Prefix] {
        try array().map { value throws(StrictJSON.Failure) in try value.network() }
    }

    func pools() throws(StrictJSON.Failure) -> [IPv4Prefix] {
        try distinct { value throws(StrictJSON.Failure) in
            let pool = try value.network()
            guard pool.length >= 8 else { throw value.failure("\(pool) is larger than a pool may be, which is a /8") }
            if let obstacle = pool.unicastObstacle { throw value.failure(obstacle) }
            return pool
        }
    }

    func lifetime() throws(StrictJSON.Failure) -> RegistrationLifetime {
        RegistrationLifetime(seconds: try integer(in: 1...UInt16.max))
    }

    func prefix() throws(StrictJSON.Failure) -> IPv6Prefix {
        try parsed(IPv6Prefix.self, "an IPv6 prefix without host bits")
    }

    /// A prefix that a node can have.
    func homePrefix() throws(StrictJSON.Failure) -> IPv6Prefix {
        let prefix = try prefix()
        if let obstacle = prefix.homePrefixObstacle { throw failure(obstacle) }
        return prefix
    }

    /// Prefixes that may be registered: texts, or objects with a range and lengths.
    func permissions() throws(StrictJSON.Failure) -> [PrefixPermission] {
        try array().map { value throws(StrictJSON.Failure) in
            if (try? value.string()) != nil { return PrefixPermission(try value.homePrefix()) }
            let object = try value.object(keys: ["within", "lengths"])
            let range = try object.required("within").homePrefix()
            let lengths = try object.required("lengths").array().map { length throws(StrictJSON.Failure) in
                try length.integer(in: range.length...128)
            }
            guard let shortest = lengths.first, let longest = lengths.last, lengths.count <= 2, shortest <= longest
            else {
                throw value.failure("has lengths of other than the shortest and the longest, such as [56, 64]")
            }
            return PrefixPermission(within: range, lengths: shortest...longest)
        }
    }
}

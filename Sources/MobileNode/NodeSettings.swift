// What mooring-mn is told: the mobile node's own configuration, and where on this host it works. It comes from a TOML file;
// the key stands in a file of its own (KeyFile).

import Bindings
import ConfigurationFile
import MobileIP
import Wire

/// What a mobile node on this host is told.
public struct NodeSettings: Hashable, Sendable {
    /// What the state machine is told.
    public var node: MobileNodeConfiguration
    /// By which care-of addresses may be used, in order of preference; empty for any.
    public var interfaces: [String] = []
    /// The TUN device of mooringd's home side, which has the home address.
    public var homeDevice = "mooring-home"
    /// mooringd's socket.
    public var forwarder = "/run/mooring/mooringd.sock"
    /// Where mooring-mn itself can be asked.
    public var socket = NodeSettings.defaultSocket
    /// The routing table for what goes by the tunnel; no one else's.
    public var table: UInt32 = 435
    /// The tunnel's MTU; nil for mooringd's.
    public var tunnelMTU: UInt16?
    /// As swift-log names it.
    public var logLevel = LogLevel.info

    /// Where mooring-mn can be asked, unless it is told otherwise.
    public static let defaultSocket = "/run/mooring/mooring-mn.sock"
    /// Interfaces that may be named.
    public static let maximumInterfaces = 64

    /// How much is written to the log.
    public enum LogLevel: String, Hashable, Sendable, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }

    /// Settings with defaults for all but the node's own configuration.
    public init(node: MobileNodeConfiguration) { self.node = node }
}

extension NodeSettings {
    /// Reads a file and the key that it names, and checks all of it.
    /// - Throws: the first that is wrong, with its place.
    public init(contentsOf path: String) throws(StrictJSON.Failure) {
        self = try StrictTOML.read(path) { root throws(StrictJSON.Failure) in try NodeSettings(root) }
    }

    private static let keys = [
        "homeAddress", "identifier", "homeAgents", "assignsHomeAgent", "securityAssociation",
        "foreignSecurityAssociation", "prefixes", "opensLinkLocal", "prefixTunnel", "encapsulations",
        "reverseTunneling", "greKey", "mobileNetworks", "lifetime", "renewalMargin", "udpTunneling",
        "keepaliveInterval", "acceptsRevocation", "port", "foreignAgents", "interfaces", "homeDevice", "forwarder",
        "socket", "table", "tunnelMTU", "logLevel",
    ]

    private init(_ root: StrictJSON.Value) throws(StrictJSON.Failure) {
        let object = try root.object(keys: Self.keys)
        let association = try SecurityAssociation(reading: object.required("securityAssociation"))
        var node = MobileNodeConfiguration(
            homeAddress: try object["homeAddress"]?.parsed(IPv4Address.self, "an IPv4 address"),
            homeAgents: try object["homeAgents"].parsedList("an IPv4 address") ?? [], securityAssociation: association)
        if let value = object["identifier"] {
            guard let identifier = NetworkAccessIdentifier(try value.string()) else {
                throw value.failure("is no name of 1 to \(NetworkAccessIdentifier.maximumLength) bytes")
            }
            node.identifier = identifier
        }
        if let value = object["foreignSecurityAssociation"] {
            node.foreignSecurityAssociation = try SecurityAssociation(reading: value)
        }
        try node.take(object)
        self.init(node: node)
        try take(object)
        do throws(MobileNodeConfiguration.Problem) {
            try node.validate()
        } catch {
            throw StrictJSON.Failure(error.place, error.problem)
        }
    }

    private mutating func take(_ object: StrictJSON.Object) throws(StrictJSON.Failure) {
        if let value = object["interfaces"] {
            let elements = try value.array()
            guard !elements.isEmpty else {
                throw value.failure("is empty, so that none may be used: name one, or leave this out to use any")
            }
            for element in elements { interfaces.append(try element.deviceName()) }
            guard interfaces.count <= Self.maximumInterfaces else {
                throw value.failure("has more than \(Self.maximumInterfaces) interfaces")
            }
        }
        if let value = object["homeDevice"] { homeDevice = try value.deviceName() }
        if let value = object["forwarder"] { forwarder = try value.socketPath() }
        if let value = object["socket"] { socket = try value.socketPath() }
        if let value = object["table"] {
            table = try value.integer(in: 1...UInt32.max)
            if (253...255).contains(table) { throw value.failure("\(table) is a table of the kernel's; take 435") }
        }
        if let value = object["tunnelMTU"] { tunnelMTU = try value.integer(in: BindingLimits.tunnelMTU) }
        if let value = object["logLevel"] { logLevel = try value.choice(of: LogLevel.self) }
    }
}

extension MobileNodeConfiguration {
    fileprivate mutating func take(_ object: StrictJSON.Object) throws(StrictJSON.Failure) {
        for value in try object["prefixes"]?.array() ?? [] { prefixes.append(try Prefix(reading: value)) }
        mobileNetworks =
            try object["mobileNetworks"].parsedList("an IPv4 prefix without host bits") ?? mobileNetworks
        if let value = object["encapsulations"] {
            encapsulations = []
            for element in try value.array() { encapsulations.append(try element.choice(of: Encapsulation.self)) }
        }
        if let value = object["assignsHomeAgent"] { assignsHomeAgent = try value.bool() }
        if let value = object["opensLinkLocal"] { opensLinkLocal = try value.bool() }
        if let value = object["prefixTunnel"] { prefixTunnel = try value.choice(of: PrefixTunnel.self) }
        if let value = object["reverseTunneling"] { reverseTunneling = try value.choice(of: ReverseTunneling.self) }
        if let value = object["udpTunneling"] { udpTunneling = try value.choice(of: UDPTunneling.self) }
        if let value = object["greKey"] { greKey = try value.integer(in: 0...UInt32.max) }
        if let value = object["lifetime"] {
            lifetime = RegistrationLifetime(seconds: try value.integer(in: Self.minimumLifetime.seconds...UInt16.max))
        }
        if let value = object["renewalMargin"] {
            let margin: Int = try value.integer(in: 1...32_767)
            if !lifetime.isInfinite, margin > lifetime.seconds / 2 {
                throw value.failure(
                    "\(margin) is more than half of the lifetime of \(lifetime.seconds) seconds: take "
                        + "\(lifetime.seconds / 2) at the most, or a longer lifetime")
            }
            renewalMargin = .seconds(margin)
        }
        if let value = object["keepaliveInterval"] {
            keepaliveInterval = .seconds(try value.integer(in: 10...65_535) as Int)
        }
        if let value = object["acceptsRevocation"] { acceptsRevocation = try value.bool() }
        if let value = object["foreignAgents"] { foreignAgents = try value.choice(of: ForeignAgentUse.self) }
        if let value = object["port"] { port = try value.integer(in: 1...UInt16.max) }
    }
}

extension MobileNodeConfiguration.Prefix {
    fileprivate init(reading value: StrictJSON.Value) throws(StrictJSON.Failure) {
        let object = try value.object(keys: ["prefix", "address"])
        self.init(
            try object.required("prefix").parsed(IPv6Prefix.self, "an IPv6 prefix without host bits"),
            address: try object["address"]?.parsed(IPv6Address.self, "an IPv6 address"))
    }
}

extension SecurityAssociation {
    fileprivate init(reading value: StrictJSON.Value) throws(StrictJSON.Failure) {
        let object = try value.object(keys: [
            "securityParameterIndex", "keyFile", "algorithm", "replayProtection", "tolerance",
        ])
        var replayProtection = ReplayProtection.timestamps()
        if let value = object["tolerance"] {
            replayProtection = .timestamps(tolerance: .seconds(try value.integer(in: 1...86_400) as Int))
        }
        if let value = object["replayProtection"] {
            switch try value.string() {
            case "timestamps": break
            case "nonces":
                if object["tolerance"] != nil { throw value.failure("\"nonces\" have no tolerance") }
                replayProtection = .nonces
            default: throw value.failure("is neither \"timestamps\" nor \"nonces\"")
            }
        }
        let key = try KeyFile.read(object.required("keyFile").string())
        let index: UInt32 = try object.required("securityParameterIndex").integer(in: 0...UInt32.max)
        let algorithm = try object["algorithm"]?.choice(of: AuthenticationAlgorithm.self) ?? .hmacMD5
        do throws(SecurityAssociationError) {
            try self.init(
                securityParameterIndex: index, algorithm: algorithm, key: key, replayProtection: replayProtection)
        } catch {
            throw value.failure("\(error)")
        }
    }
}

extension StrictJSON.Value? {
    /// What the strings of an array mean; nil where there is none.
    fileprivate func parsedList<Element: LosslessStringConvertible>(
        _ meaning: String
    ) throws(StrictJSON.Failure) -> [Element]? {
        guard let self else { return nil }
        var elements: [Element] = []
        for value in try self.array() { elements.append(try value.parsed(Element.self, meaning)) }
        return elements
    }
}

// Nodes, and what they may do, as the configuration file and the nodes file have them.
//
//     [[node]]
//     home-address = "198.51.100.7"
//     spi = 1000
//     key-file = "keys/mn1"
//     prefixes = ["2001:db8:1::/48"]
//
// A key stands in a file of its own, or as `key` in a file that only its owner can read.

import Bindings
import ConfigurationFile
import Glibc
import MobileIP
import Wire

/// Reads nodes, none of which may have another's address or identifier.
struct NodeReader {
    static let keys =
        ["home-address", "access-identifier"] + SecurityAssociation.keys + [
            "associations", "policy", "prefixes", "implicit-prefixes",
        ]

    private let policies: [String: NodePolicy]
    private(set) var nodes: [ServedNode] = []
    private var identities: Set<NodeIdentity> = []
    private var homeAddresses: Set<IPv4Address> = []

    init(_ policies: [String: NodePolicy]) { self.policies = policies }

    mutating func add(_ value: StrictJSON.Value, _ origin: ConfigurationOrigin) throws(StrictJSON.Failure) {
        let object = try value.object(keys: Self.keys)
        let associations = try SecurityAssociation.all(of: object, value, origin)
        let homeAddress = try object["home-address"]?.address()
        let name = try object["access-identifier"].map { value throws(StrictJSON.Failure) in
            try value.accessIdentifier()
        }
        var node: ServedNode
        switch (homeAddress, name) {
        case (let homeAddress?, let name):
            node = ServedNode(homeAddress: homeAddress, accessIdentifier: name, associations: associations)
        case (nil, let name?): node = ServedNode(accessIdentifier: name, associations: associations)
        case (nil, nil): throw value.failure("lacks \"home-address\" or \"access-identifier\", by which it is known")
        }
        if let policy = object["policy"] {
            guard let found = policies[try policy.string()] else {
                throw policy.failure("\(StrictJSON.quoted(try policy.string())) is the name of no policy")
            }
            node.policy = found
        } else {
            node.policy = policies["default"] ?? NodePolicy()
        }
        node.prefixes = try object["prefixes"]?.permissions() ?? []
        node.implicitPrefixes =
            try object["implicit-prefixes"]?.array().map { value throws(StrictJSON.Failure) in
                try value.prefix()
            } ?? []
        guard identities.insert(node.identity).inserted else {
            throw value.failure("\(node.identity) is another node's identity already")
        }
        if let homeAddress, !homeAddresses.insert(homeAddress).inserted {
            throw value.failure("\(homeAddress) is another node's home address already")
        }
        nodes.append(node)
    }
}

extension StrictJSON.Value {
    fileprivate func accessIdentifier() throws(StrictJSON.Failure) -> NetworkAccessIdentifier {
        guard let identifier = NetworkAccessIdentifier(try string()) else {
            throw failure("an access identifier has 1 to \(NetworkAccessIdentifier.maximumLength) bytes")
        }
        return identifier
    }
}

extension SecurityAssociation {
    static let keys = ["spi", "key-file", "key", "algorithm", "replay", "tolerance"]

    /// The one that stands in the object itself, and those of its `associations`.
    static func all(
        of object: StrictJSON.Object, _ value: StrictJSON.Value, _ origin: ConfigurationOrigin
    ) throws(StrictJSON.Failure) -> [SecurityAssociation] {
        var all: [SecurityAssociation] = []
        if object["spi"] != nil { all.append(try SecurityAssociation(object, value, origin)) }
        for further in try object["associations"]?.array() ?? [] {
            all.append(try SecurityAssociation(further.object(keys: keys), further, origin))
        }
        guard !all.isEmpty else { throw value.failure("lacks \"spi\" and a key, or \"associations\"") }
        guard Set(all.map(\.securityParameterIndex)).count == all.count else {
            throw value.failure("has two associations of one SPI")
        }
        return all
    }

    private init(
        _ object: StrictJSON.Object, _ value: StrictJSON.Value, _ origin: ConfigurationOrigin
    ) throws(StrictJSON.Failure) {
        let algorithm = try object["algorithm"]?.choice(of: AuthenticationAlgorithm.self) ?? .hmacMD5
        let replay: ReplayProtection
        switch try object["replay"]?.choice(of: ReplayStyle.self) ?? .timestamps {
        case .nonces:
            if let tolerance = object["tolerance"] { throw tolerance.failure("stands only beside timestamps") }
            replay = .nonces
        case .timestamps:
            let tolerance = try object["tolerance"]?.integer(in: 1...3600) ?? 7
            replay = .timestamps(tolerance: .seconds(tolerance))
        }
        let index = try object.required("spi").integer(in: 0...UInt32.max)
        let key = try Self.key(object, value, origin)
        do throws(SecurityAssociationError) {
            try self.init(
                securityParameterIndex: index, algorithm: algorithm, key: key, replayProtection: replay)
        } catch {
            throw value.failure("\(error)")
        }
    }

    private static func key(
        _ object: StrictJSON.Object, _ value: StrictJSON.Value, _ origin: ConfigurationOrigin
    ) throws(StrictJSON.Failure) -> [UInt8] {
        switch (object["key-file"], object["key"]) {
        case (let file?, nil): return try KeyFile.read(origin.path(of: try file.string()))
        case (nil, let key?):
            var status = stat()
            guard stat(origin.path, &status) == 0, status.st_mode & 0o077 == 0 else {
                throw key.failure(
                    "stands in a file that others can use; chmod 600 it, or name a file of its own by \"key-file\"")
            }
            guard let bytes = KeyFile.bytes(ofDigits: Array(try key.string().utf8)[...]) else {
                throw key.failure("is no key: hexadecimal digits, two a byte, as openssl rand -hex 16 makes it")
            }
            return bytes
        default: throw value.failure("has one of \"key-file\" and \"key\"")
        }
    }
}

/// Names of `ReplayProtection`.
private enum ReplayStyle: String, CaseIterable {
    case timestamps
    case nonces
}

extension NodePolicy {
    private static let keys = [
        "name", "tunneling-modes", "encapsulations", "reverse-tunnel", "simultaneous-bindings", "maximum-lifetime",
        "maximum-prefixes", "prefix-pools", "link-local",
    ]

    private enum TunnelingMode: String, CaseIterable { case careOf = "care-of", homeAddress = "home-address" }
    private enum EncapsulationName: String, CaseIterable { case gre, minimal, udp }
    private enum ReverseTunnelName: String, CaseIterable { case refused, allowed, required }
    private enum SimultaneousName: String, CaseIterable { case replaced, refused }

    /// A policy with its name.
    static func named(_ value: StrictJSON.Value) throws(StrictJSON.Failure) -> (String, NodePolicy) {
        let object = try value.object(keys: keys)
        var policy = NodePolicy()
        if let modes = object["tunneling-modes"] {
            policy.tunnelingModes = []
            for mode in try modes.array() {
                switch try mode.choice(of: TunnelingMode.self) {
                case .careOf: policy.tunnelingModes.insert(.careOfAddress)
                case .homeAddress: policy.tunnelingModes.insert(.homeAddress)
                }
            }
        }
        if let encapsulations = object["encapsulations"] {
            policy.encapsulations = []
            for encapsulation in try encapsulations.array() {
                switch try encapsulation.choice(of: EncapsulationName.self) {
                case .gre: policy.encapsulations.insert(.gre)
                case .minimal: policy.encapsulations.insert(.minimal)
                case .udp: policy.encapsulations.insert(.udp)
                }
            }
        }
        switch try object["reverse-tunnel"]?.choice(of: ReverseTunnelName.self) {
        case .refused: policy.reverseTunnel = .refused
        case .required: policy.reverseTunnel = .required
        case .allowed, nil: break
        }
        switch try object["simultaneous-bindings"]?.choice(of: SimultaneousName.self) {
        case .refused: policy.simultaneousBindings = .refused
        case .replaced, nil: break
        }
        if let value = object["maximum-lifetime"] { policy.maximumLifetime = try value.lifetime() }
        if let value = object["maximum-prefixes"] { policy.maximumPrefixes = try value.integer(in: 0...1024) }
        if let value = object["prefix-pools"] { policy.mayUsePrefixPools = try value.bool() }
        if let value = object["link-local"] { policy.mayUseLinkLocal = try value.bool() }
        return (try object.required("name").string(), policy)
    }
}

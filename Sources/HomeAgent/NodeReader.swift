// Nodes, and what they may do, as the configuration file, the nodes file and files of the directory of nodes have them.
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
import MobileIP
import Wire

/// Reads nodes, none of which may have another's address or identifier, and as many as there may be.
struct NodeReader {
    static let keys =
        ["home-address", "access-identifier"] + SecurityAssociation.keys + [
            "associations", "policy", "prefixes", "implicit-prefixes", "networks", "implicit-networks",
        ]

    private let policies: [String: NodePolicy]
    private let limit: Int
    private let agentAddresses: [IPv4Address]
    private(set) var nodes: [ServedNode] = []
    private var identities: Set<NodeIdentity> = []
    private var homeAddresses: Set<IPv4Address> = []

    /// - Parameters:
    ///   - limit: of nodes.
    ///   - agentAddresses: the home agent's, which no node may have.
    init(_ policies: [String: NodePolicy], limit: Int, agentAddresses: [IPv4Address] = []) {
        self.policies = policies
        self.limit = limit
        self.agentAddresses = agentAddresses
    }

    /// Adds the nodes of a file that has nothing else.
    mutating func add(contentsOf path: String) throws(StrictJSON.Failure) {
        let origin = ConfigurationOrigin(path)
        try StrictTOML.readTables("node", of: path) { tables throws(StrictJSON.Failure) in
            for value in tables { try add(value, origin) }
        }
    }

    mutating func add(_ value: StrictJSON.Value, _ origin: ConfigurationOrigin) throws(StrictJSON.Failure) {
        guard nodes.count < limit else { throw value.failure("is one more than the \(limit) of limits.nodes") }
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
            try object["implicit-prefixes"]?.distinct { value throws(StrictJSON.Failure) in try value.homePrefix() }
            ?? []
        node.networks = try networks(object["networks"], of: homeAddress)
        node.implicitNetworks = try networks(object["implicit-networks"], of: homeAddress)
        guard identities.insert(node.identity).inserted else {
            throw value.failure("\(node.identity) is another node's identity already")
        }
        if let homeAddress, agentAddresses.contains(homeAddress) {
            throw value.failure("\(homeAddress) is an address of the home agent itself")
        }
        if let homeAddress, !homeAddresses.insert(homeAddress).inserted {
            throw value.failure("\(homeAddress) is another node's home address already")
        }
        nodes.append(node)
    }

    /// Throws where two nodes' bindings would have overlapping prefixes by themselves. Costs one sort of all of them.
    func checkImplicitPrefixes() throws(StrictJSON.Failure) {
        let all = nodes.indices.lazy.flatMap { index in
            nodes[index].implicitPrefixes.lazy.map { OwnedPrefix(prefix: $0, owner: index) }
        }
        guard let (holder, held) = OwnedPrefix.firstOverlap(of: Array(all)) else { return }
        throw StrictJSON.Failure(
            "implicit-prefixes of node \(nodes[held.owner].identity)",
            "\(held.prefix) overlaps \(holder.prefix) of node \(nodes[holder.owner].identity)")
    }

    /// Networks behind a node.
    private func networks(
        _ value: StrictJSON.Value?, of homeAddress: IPv4Address?
    ) throws(StrictJSON.Failure) -> [IPv4Prefix] {
        try value?.distinct { value throws(StrictJSON.Failure) in
            let network = try value.network()
            if let obstacle = network.mobileNetworkObstacle(homeAddress: homeAddress, homeAgents: agentAddresses) {
                throw value.failure(obstacle)
            }
            return network
        } ?? []
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

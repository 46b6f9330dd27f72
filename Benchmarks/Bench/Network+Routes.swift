// Routes by which the kernels of home agent and node pass IPv6 to each other without a tunnel, or with one that their
// devices' hooks make.

extension Network {
    /// Has super-frames cut before they go to the node, as a network card does that knows none: what comes there is what is
    /// on a wire, and may be counted.
    func cutFramesToNode() throws {
        // Whatever is around them: the kernel cuts where a card does not know all of it.
        try run(in: "agent", ["ethtool", "-K", "node", "tso", "off", "gso", "off", "tx-udp-segmentation", "off"])
    }

    private static let prefix = "2001:db8:1::/48"
    // Neither address is anybody's: the entries below say what link address each has.
    private static let (agentGateway, nodeGateway) = ("fe80::1:1", "fe80::1:2")

    /// Has the home agent's kernel forward to the node.
    /// - Parameter mtu: of the route, where a tunnel makes packets larger.
    func forwardToNode(mtu: Int? = nil) throws {
        try switchOnForwarding(in: "agent")
        let address = Self.linkAddress(of: "node")
        try ip("agent", "neighbour add \(Self.nodeGateway) lladdr \(address) dev node nud permanent")
        try ip("agent", "route add \(Self.prefix) via \(Self.nodeGateway) dev node" + Self.option(mtu))
    }

    /// Has the node's kernel throw packets to the sink away for the least that it can: by an interface that is not
    /// connected. For a route that leads nowhere (`blackhole`) it makes an entry for each packet, whose end thousands of them
    /// later holds up the forwarder on the same processor for a third of a millisecond.
    func makeSink() throws {
        try switchOnForwarding(in: "node")
        try ip("node", "link add sink type veth peer name sink-end")
        try ip("node", "link set sink up")
        for (gateway, destination) in [("192.0.2.254", "\(Self.sinkAddress)/32"), ("fe80::1:3", Self.sinkPrefix)] {
            try ip("node", "neighbour add \(gateway) lladdr \(Self.linkAddress(of: "agent")) dev sink nud permanent")
            try ip("node", "route add \(destination) via \(gateway) dev sink onlink")
        }
    }

    /// Gives the node's kernel its address and a way back.
    /// - Parameter mtu: of the route, where a tunnel makes packets larger.
    func forwardFromNode(mtu: Int? = nil) throws {
        let address = Self.linkAddress(of: "agent")
        try ip("node", "address add \(Self.nodeAddress)/128 dev lo nodad")
        try ip("node", "neighbour add \(Self.agentGateway) lladdr \(address) dev agent nud permanent")
        try ip("node", "route add ::/0 via \(Self.agentGateway) dev agent src \(Self.nodeAddress)" + Self.option(mtu))
    }

    /// Of both families.
    func switchOnForwarding(in role: String) throws {
        for family in ["ipv4", "ipv6"] { try run(in: role, ["sysctl", "-qw", "net.\(family).conf.all.forwarding=1"]) }
    }

    /// Waits until the correspondent has an answer from an address.
    func waitUntilReached(_ address: String) throws {
        try waitUntil("\(address) answers") {
            (try? run(in: "correspondent", ["ping", "-6", "-q", "-c", "1", "-W", "1", address])) != nil
        }
    }

    private static func option(_ mtu: Int?) -> String { mtu.map { " mtu \($0)" } ?? "" }
}

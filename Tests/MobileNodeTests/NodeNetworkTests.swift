import MobileIP
import NetworkNamespace
import RouteNetlink
import Testing
import Wire

@testable import MobileNode

@Suite("The host's network of a mobile node", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"))
struct NodeNetworkTests {
    /// A host with an access network and the tunnel's device.
    private static func host<Value: Sendable>(
        _ body: @escaping @Sendable (inout NodeNetwork) throws -> Value
    ) async throws -> Value {
        try await NetworkNamespace.run {
            try NetworkNamespace.shell(
                "ip link add dev eth type veth peer name peer && ip link set dev peer up && ip link set dev eth up && "
                    + "ip addr add 203.0.113.9/24 dev eth && ip route add default via 203.0.113.1 && "
                    + "ip tuntap add dev moor mode tun && ip link set moor up")
            var network = try NodeNetwork(device: "moor", table: RouteTable(rawValue: 435), tunnelMTU: 1280)
            return try body(&network)
        }
    }

    private static let home: MobileNode.Address = .ipv4(IPv4Address("198.51.100.7")!)
    private static let everyIPv4: MobileNode.Route = .ipv4(IPv4Prefix("0.0.0.0/0")!)
    private static let everyIPv6: MobileNode.Route = .ipv6(IPv6Prefix("::/0")!)

    private static func way(to address: String) throws -> String? {
        try NetworkNamespace.json("ip -j route get \(address)").first?["dev"] as? String
    }

    @Test("what has no better way goes by the tunnel, but to the home agent and to neighbours")
    func routes() async throws {
        try await Self.host { network in
            #expect(try Self.way(to: "198.18.0.1") == "eth")
            try network.exempt(IPv4Address("192.0.2.1")!)
            try network.add(Self.home)
            try network.add(Self.everyIPv4)
            #expect(try Self.way(to: "198.18.0.1") == "moor")
            #expect(try Self.way(to: "192.0.2.1") == "eth")
            #expect(try Self.way(to: "203.0.113.77") == "eth")
            #expect(
                try NetworkNamespace.json("ip -j route get 198.18.0.1").first?["prefsrc"] as? String == "198.51.100.7")
            // No more than the tunnel carries.
            #expect(try NetworkNamespace.shell("ip route get 198.18.0.1").contains("mtu 1280"))
            // Another home agent, such as one that a reply names.
            try network.exempt(IPv4Address("192.0.2.2")!)
            #expect(try Self.way(to: "192.0.2.2") == "eth")
            try network.remove(Self.everyIPv4)
            #expect(try Self.way(to: "198.18.0.1") == "eth")
            try network.remove(Self.home)
            try network.remove(Self.home)
        }
    }

    @Test("nothing stays: rules go with the last route, and what an earlier run left goes at the start")
    func nothingStays() async throws {
        try await Self.host { network in
            var socket = try RouteSocket()
            let before = try (socket.rules(.v4), socket.rules(.v6))
            try network.exempt(IPv4Address("192.0.2.1")!)
            try network.add(Self.everyIPv4)
            try network.add(Self.everyIPv6)
            #expect(try socket.rules(.v4).count == before.0.count + 3)
            #expect(try socket.rules(.v6).count == before.1.count + 2)
            var next = try NodeNetwork(device: "moor", table: RouteTable(rawValue: 435), tunnelMTU: 1280)
            try next.removeAll()
            #expect(try socket.rules(.v4) == before.0)
            #expect(try socket.rules(.v6) == before.1)
            try network.remove(Self.everyIPv4)
            try network.remove(Self.everyIPv6)
        }
    }

    @Test("at a foreign agent IPv4 goes by it, the tunnel to the home agent too, and nothing of that stays")
    func foreignAgent() async throws {
        try await Self.host { network in
            try NetworkNamespace.shell("ip route del default && ip addr del 203.0.113.9/24 dev eth")
            let settings = ["arp_ignore", "arp_announce", "forwarding"].map { "net.ipv4.conf.eth.\($0)" }
            func state() throws -> [String] {
                try [
                    "ip rule", "ip -4 route show table all", "ip -4 neigh show",
                    "sysctl \(settings.joined(separator: " "))",
                ]
                .map { try NetworkNamespace.shell($0) }
            }
            let before = try state()
            let agent = MobileNode.AgentLocation(
                address: IPv4Address("203.0.113.1")!, linkLayerAddress: LinkLayerAddress([2, 0, 0, 0, 0, 1]),
                interface: "eth")
            let route = MobileNode.Route.agent(
                .init(
                    agent: agent, homeAddress: IPv4Address("198.51.100.7")!, homeAgent: IPv4Address("192.0.2.1")!))
            try network.exempt(IPv4Address("192.0.2.1")!)
            try network.add(Self.home)
            try network.add(route)
            for address in ["198.18.0.1", "192.0.2.1 from 198.51.100.7"] {
                let way = try #require(try NetworkNamespace.json("ip -j route get \(address)").first)
                #expect(way["dev"] as? String == "eth" && way["gateway"] as? String == "203.0.113.1")
                #expect(way["prefsrc"] as? String ?? way["from"] as? String == "198.51.100.7", "\(way)")
            }
            let neighbors = try NetworkNamespace.json("ip -j neigh show dev eth nud permanent")
            #expect(neighbors.map { $0["lladdr"] as? String } == ["02:00:00:00:00:01"])
            #expect(try state().last != before.last)
            // An interface that was down has lost its routes.
            try NetworkNamespace.shell("ip link set eth down && ip link set eth up")
            #expect(throws: (any Error).self) { try Self.way(to: "198.18.0.1") }
            try network.keepAgentRoute()
            #expect(try Self.way(to: "198.18.0.1") == "eth")

            try network.remove(route)
            try network.remove(Self.home)
            #expect(try state() == before)
            // Of a run that was killed.
            try network.add(Self.home)
            try network.add(route)
            var next = try NodeNetwork(device: "moor", table: RouteTable(rawValue: 435), tunnelMTU: 1280)
            try next.removeAll()
            try network.remove(Self.home)
            #expect(try Array(state().dropLast()) == Array(before.dropLast()))
        }
    }

    @Test("what a device that was down has lost is made again, and nothing of others'")
    func deviceDownAndUp() async throws {
        try await Self.host { network in
            try network.exempt(IPv4Address("192.0.2.1")!)
            try network.add(Self.home)
            try network.add(.ipv6(IPv6Address("2001:db8:1::1")!, length: 64))
            for route in [Self.everyIPv4, Self.everyIPv6] { try network.add(route) }
            func state() throws -> [String] {
                try ["ip addr show dev moor", "ip -4 route show table 435", "ip -6 route show table 435"]
                    .map { try NetworkNamespace.shell($0) }
            }
            let before = try state()
            #expect(try network.keepDevice() == 0)
            #expect(try state() == before)

            try NetworkNamespace.shell("ip link set moor down")
            #expect(try network.keepDevice() == 0)
            // What comes while it is down is told to be missing, and not forgotten.
            #expect(throws: RouteError.self) { try network.add(.ipv4(IPv4Prefix("198.51.100.0/24")!)) }
            try NetworkNamespace.shell("ip link set moor up")
            #expect(try state() != before)
            #expect(try network.keepDevice() == 4)
            #expect(try network.keepDevice() == 0)
            #expect(try NetworkNamespace.shell("ip route show table 435").contains("198.51.100.0/24"))
            try network.remove(.ipv4(IPv4Prefix("198.51.100.0/24")!))
            #expect(try state() == before)

            // One of somebody else's that came first stays, and is not told of again and again.
            try NetworkNamespace.shell(
                "ip link set moor down && ip link set moor up && ip route add default dev eth table 435")
            #expect(try network.keepDevice() == 2)
            #expect(try network.keepDevice() == 0)
            #expect(try NetworkNamespace.shell("ip -4 route show table 435").contains("dev eth"))
        }
    }

    @Test("all is made again on a device that was made anew")
    func restore() async throws {
        try await Self.host { network in
            try network.add(Self.home)
            try network.add(.ipv6(IPv6Address("2001:db8:1::1")!, length: 128))
            try network.add(Self.everyIPv6)
            try NetworkNamespace.shell("ip link del moor")
            #expect(throws: RouteError.self) { try network.restore() }
            try NetworkNamespace.shell("ip tuntap add dev moor mode tun && ip link set moor up")
            try network.restore()
            try network.restore()
            #expect(try Self.way(to: "2001:db8:9::9") == "moor")
            let shown = try NetworkNamespace.json("ip -j addr show dev moor")
            let addresses = shown.first?["addr_info"] as? [[String: Any]]
            #expect(
                Set((addresses ?? []).compactMap { $0["local"] as? String })
                    .isSuperset(of: ["198.51.100.7", "2001:db8:1::1"]))
        }
    }
}

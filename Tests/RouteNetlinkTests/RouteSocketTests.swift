// The client against the kernel, in a namespace of its own for each test; `ip -j` tells independently what came of it.

import NetworkNamespace
import Testing
import Wire

@testable import RouteNetlink

@Suite("rtnetlink", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"))
struct RouteSocketTests {
    static func namespace<Value: Sendable>(
        _ body: @escaping @Sendable (inout RouteSocket, Link) throws -> Value
    ) async throws -> Value {
        try await NetworkNamespace.run {
            try NetworkNamespace.shell("ip tuntap add dev moor0 mode tun && ip link set moor0 up")
            var socket = try RouteSocket()
            let link = try #require(try socket.link(named: "moor0"))
            return try body(&socket, link)
        }
    }

    static func reason(_ body: () throws -> Void) -> RouteError.Reason? {
        do { try body() } catch { return (error as? RouteError)?.reason }
        return nil
    }

    @Test("Links are found by name and number, and changed")
    func links() async throws {
        try await Self.namespace { socket, link in
            #expect(link.isUp)
            #expect(link.mtu == 1500)
            #expect(link.hardwareType == Link.bareIP)
            #expect(try socket.link(index: link.index) == link)
            #expect(Set(try socket.links().map(\.name)) == ["lo", "moor0"])
            try socket.setMTU(1400, link: link)
            try socket.setTransmitQueueLength(4096, link: link)
            try socket.setUp(false, link: link)
            let shown = try NetworkNamespace.json("ip -j link show dev moor0")
            #expect(shown.first?["mtu"] as? Int == 1400)
            #expect(shown.first?["txqlen"] as? Int == 4096)
            #expect((shown.first?["flags"] as? [String])?.contains("UP") == false)
            let changed = try #require(try socket.link(named: "moor0"))
            #expect((changed.mtu, changed.transmitQueueLength, changed.isUp) == (1400, 4096, false))
            try socket.setUp(true, link: changed)
            #expect(try socket.link(named: "moor0")?.isUp == true)
        }
    }

    @Test("What the kernel dropped on the way in by a device is told")
    func receiveDropped() async throws {
        try await Self.namespace { socket, _ in
            try NetworkNamespace.shell(
                "ip link add veth0 type veth peer name veth1 && ip link set veth0 up && ip link set veth1 up")
            let index = try #require(try socket.link(named: "veth1")).index
            let before = try #require(try socket.receiveDropped(link: index))
            // Frames of a protocol that nobody has (EtherType for experiments, RFC 9542).
            let send = """
                import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("veth0", 0))
                for _ in range(3): s.send(bytes([255] * 12 + [0x88, 0xB5]) + bytes(50))
                """
            try NetworkNamespace.shell("/usr/bin/python3 -c '\(send)'")
            // IPv6 of the pair itself may be among them, where it is off.
            let after = try #require(try socket.receiveDropped(link: index))
            #expect(after >= before + 3)
            let shown = try NetworkNamespace.json("ip -j -s link show dev veth1")
            let statistics = shown.first?["stats64"] as? [String: [String: Any]]
            #expect((statistics?["rx"]?["dropped"] as? Int).map(UInt64.init) ?? 0 >= after)
            #expect(try socket.receiveDropped(link: index + 1000) == nil)
        }
    }

    @Test(
        "A device that is not there is nil to look at and an error to change",
        arguments: ["moor1", "", "longer-than-15-bytes"])
    func missingLink(name: String) async throws {
        try await Self.namespace { socket, link in
            #expect(try socket.link(named: name) == nil)
            #expect(try socket.link(index: 4711) == nil)
            try NetworkNamespace.shell("ip link del moor0")
            #expect(Self.reason { try socket.setMTU(1400, link: link) } == .noDevice)
        }
    }

    @Test("Addresses of both families are added, listed and deleted")
    func addresses() async throws {
        try await Self.namespace { socket, link in
            let v4 = InterfaceAddress(
                link: link.index, address: .v4(try #require(IPv4Address("203.0.113.9"))), prefixLength: 24)
            let v6 = InterfaceAddress(
                link: link.index, address: .v6(try #require(IPv6Address("2001:db8:1::1"))), prefixLength: 64,
                skipsDuplicateDetection: true)
            try socket.add(v4)
            try socket.add(v6)
            #expect(Self.reason { try socket.add(v6) } == .alreadyExists)
            #expect(try socket.addresses(family: .v4, link: link) == [v4])
            #expect(try socket.addresses(family: .v6).contains(v6))
            #expect(try !socket.addresses(link: link).contains { $0.link != link.index })
            let shown = try NetworkNamespace.json("ip -j addr show dev moor0").first?["addr_info"] as? [[String: Any]]
            #expect(
                shown?.contains { $0["local"] as? String == "203.0.113.9" && $0["prefixlen"] as? Int == 24 } == true)
            #expect(
                shown?.contains {
                    $0["local"] as? String == "2001:db8:1::1" && $0["prefixlen"] as? Int == 64
                        && $0["nodad"] as? Bool == true && $0["tentative"] == nil
                } == true)
            try socket.delete(v4)
            try socket.delete(v6)
            #expect(Self.reason { try socket.delete(v4) } == .notFound)
            #expect(try !socket.addresses(link: link).contains { [v4.address, v6.address].contains($0.address) })
        }
    }

    @Test("Routes of both families, in any table, are added, replaced, listed and deleted")
    func routes() async throws {
        try await Self.namespace { socket, link in
            try NetworkNamespace.shell("ip addr add 203.0.113.9/24 dev moor0")
            let high = RouteTable(rawValue: 100_000)
            let onLink = Route(
                to: .v4(try #require(IPv4Prefix("192.0.2.1/32"))), link: link.index, table: RouteTable(rawValue: 434),
                origin: .mooring)
            let byGateway = Route(
                to: .v4(try #require(IPv4Prefix("198.51.100.0/24"))), link: link.index,
                gateway: .v4(try #require(IPv4Address("203.0.113.1"))), table: high, origin: .static, metric: 7)
            let v6 = Route(
                to: .v6(try #require(IPv6Prefix("2001:db8:1::/64"))), link: link.index, origin: .mooring, metric: 77)
            let v6Default = Route(
                to: .v6(try #require(IPv6Prefix("::/0"))), link: link.index, table: high, origin: .mooring, metric: 1024
            )
            for route in [onLink, byGateway, v6, v6Default] { try socket.add(route) }
            #expect(Self.reason { try socket.add(onLink) } == .alreadyExists)
            #expect(try socket.routes(RouteFilter(family: .v4, table: onLink.table)) == [onLink])
            #expect(try socket.routes(RouteFilter(family: .v4, table: high)) == [byGateway])
            #expect(
                Set(try socket.routes(RouteFilter(family: .v6, link: link.index, origin: .mooring))) == [v6, v6Default])
            #expect(try socket.routes(RouteFilter(family: .v4, origin: .mooring)) == [onLink])
            #expect(try socket.routes(RouteFilter(family: .v6, table: RouteTable(rawValue: 9999))) == [])

            let shown = try NetworkNamespace.json("ip -j route show table 434")
            #expect(shown.count == 1)
            #expect(shown.first?["dst"] as? String == "192.0.2.1")
            #expect(shown.first?["dev"] as? String == "moor0")
            #expect(shown.first?["protocol"] as? String == "54")
            #expect(shown.first?["scope"] as? String == "link")
            let gateways = try NetworkNamespace.json("ip -j route show table 100000")
            #expect(gateways.first?["gateway"] as? String == "203.0.113.1")
            #expect(gateways.first?["metric"] as? Int == 7)
            #expect(try NetworkNamespace.json("ip -j -6 route show table 100000").first?["dst"] as? String == "default")

            var replaced = byGateway
            replaced.gateway = .v4(try #require(IPv4Address("203.0.113.2")))
            try socket.replace(replaced)
            #expect(try socket.routes(RouteFilter(family: .v4, table: high)) == [replaced])
            for route in [onLink, replaced, v6, v6Default] { try socket.delete(route) }
            #expect(Self.reason { try socket.delete(onLink) } == .notFound)
            #expect(try socket.routes(RouteFilter(family: .v4, origin: .mooring)).isEmpty)
            #expect(try socket.routes(RouteFilter(family: .v6, origin: .mooring)).isEmpty)
        }
    }

    @Test("A route of the same destination by another origin or device is not deleted in its stead")
    func deletesOnlyThatRoute() async throws {
        try await Self.namespace { socket, link in
            try NetworkNamespace.shell("ip route add 192.0.2.1/32 dev moor0 proto 99")
            let ours = Route(
                to: .host(try #require(IPv4Address("192.0.2.1"))), link: link.index, origin: .mooring)
            #expect(Self.reason { try socket.delete(ours) } == .notFound)
            #expect(try NetworkNamespace.json("ip -j route show 192.0.2.1").count == 1)
        }
    }

    @Test("Routes with several next hops, or none, are listed without a link")
    func listsOtherRoutes() async throws {
        try await Self.namespace { socket, _ in
            try NetworkNamespace.shell(
                """
                ip addr add 203.0.113.9/24 dev moor0
                ip route add table 5 198.51.100.0/24 nexthop via 203.0.113.1 nexthop via 203.0.113.2
                ip route add table 5 blackhole 198.51.101.0/24
                """)
            let routes = try socket.routes(RouteFilter(family: .v4, table: RouteTable(rawValue: 5)))
            #expect(routes.map(\.destination.description) == ["198.51.100.0/24", "198.51.101.0/24"])
            #expect(routes.allSatisfy { $0.link == nil })
        }
    }

    @Test("A refused route comes with the kernel's own words")
    func kernelWords() async throws {
        try await Self.namespace { socket, link in
            let route = Route(
                to: .v4(try #require(IPv4Prefix("198.51.100.0/24"))), link: link.index,
                gateway: .v4(try #require(IPv4Address("203.0.113.1"))), origin: .static)
            #expect {
                try socket.add(route)
            } throws: {
                "\($0)".contains("add the route 198.51.100.0/24 via 203.0.113.1")
                    && "\($0)".contains("(Nexthop has invalid gateway)")
            }
            try socket.setUp(false, link: link)
            let direct = Route(
                to: .v4(try #require(IPv4Prefix("198.51.100.0/24"))), link: link.index, origin: .static)
            #expect(Self.reason { try socket.add(direct) } == .deviceDown)
            // After an error the socket serves on.
            #expect(try socket.link(named: "moor0")?.isUp == false)
        }
    }

    @Test("Rules are added, listed in their order and deleted", arguments: AddressFamily.allCases)
    func rules(family: AddressFamily) async throws {
        try await Self.namespace { socket, _ in
            let before = try socket.rules(family)
            #expect(before.first?.table == .local)
            let diverting = RoutingRule(
                family: family, priority: 0, ipProtocol: 41, table: RouteTable(rawValue: 434), origin: .mooring)
            let byDevice = RoutingRule(
                family: family, priority: 12, inputInterface: "moor0", table: RouteTable(rawValue: 100_000),
                origin: .static)
            let toPort = RoutingRule(
                family: family, priority: 13, ipProtocol: 17, destinationPort: 434, table: RouteTable(rawValue: 434),
                origin: .mooring)
            try socket.add(byDevice)
            try socket.add(diverting)
            try socket.add(toPort)
            #expect(Self.reason { try socket.add(diverting) } == .alreadyExists)
            let rules = try socket.rules(family)
            #expect(Array(rules[..<4]) == [before[0], diverting, byDevice, toPort])
            #expect(rules.count == before.count + 3)
            let shown = try NetworkNamespace.json("ip -j -\(family == .v4 ? 4 : 6) rule show")
            #expect(shown.map { $0["priority"] as? Int }.prefix(4) == [0, 0, 12, 13])
            #expect(shown.count > 2 && shown[1]["ipproto"] as? String == "ipv6")
            #expect(shown.count > 2 && shown[1]["table"] as? String == "434")
            #expect(shown.count > 2 && shown[2]["iif"] as? String == "moor0")
            #expect(shown.count > 3 && shown[3]["ipproto"] as? String == "udp" && shown[3]["dport"] as? Int == 434)
            var toAnotherPort = toPort
            toAnotherPort.destinationPort = 435
            #expect(Self.reason { try socket.delete(toAnotherPort) } == .notFound)
            try socket.delete(diverting)
            try socket.delete(byDevice)
            try socket.delete(toPort)
            #expect(Self.reason { try socket.delete(byDevice) } == .notFound)
            #expect(try socket.rules(family) == before)
        }
    }

    @Test(
        "A rule with any condition that is not known here says so",
        arguments: [
            "fwmark 3", "tos 0x10", "ipproto tcp dport 80-81", "sport 5", "uidrange 0-0",
            "oif moor0", "not iif moor0", "not to 192.0.2.0/24", "not from 192.0.2.0/24",
        ])
    func otherConditions(condition: String) async throws {
        try await Self.namespace { socket, _ in
            try NetworkNamespace.shell("ip rule add pref 5 \(condition) lookup 7")
            let rule = try #require(try socket.rules(.v4).first { $0.priority == 5 })
            #expect(rule.hasOtherConditions)
            #expect(!rule.isUnconditional)
        }
    }

    @Test("Rules to a destination, and such that leave default routes out, are made, listed and deleted")
    func selectors() async throws {
        try await Self.namespace { socket, _ in
            let toAgent = RoutingRule(
                family: .v4, priority: 21, destination: IPPrefix("192.0.2.1/32"), table: .main, origin: .mooring)
            let withoutDefault = RoutingRule(
                family: .v4, priority: 22, suppressedPrefixLength: 0, table: .main, origin: .mooring)
            let fromNode = RoutingRule(
                family: .v4, priority: 23, source: IPPrefix("198.51.100.0/25"), table: .main, origin: .mooring)
            for rule in [toAgent, withoutDefault, fromNode] { try socket.add(rule) }
            let rules = try socket.rules(.v4).filter { (21...23).contains($0.priority) }
            #expect(rules == [toAgent, withoutDefault, fromNode])
            #expect(rules.allSatisfy { !$0.isUnconditional && $0.hasSelectors && !$0.hasOtherConditions })
            let shown = try NetworkNamespace.json("ip -j -4 rule show").filter { $0["priority"] as? Int ?? 0 > 20 }
            #expect(shown.first?["dst"] as? String == "192.0.2.1")
            #expect(shown.dropFirst().first?["suppress_prefixlen"] as? Int == 0)
            #expect(shown.last { $0["priority"] as? Int == 23 }?["src"] as? String == "198.51.100.0")
            var elsewhere = toAgent
            elsewhere.destination = IPPrefix("192.0.2.2/32")
            #expect(Self.reason { try socket.delete(elsewhere) } == .notFound)
            for rule in [toAgent, withoutDefault, fromNode] { try socket.delete(rule) }
            #expect(try socket.rules(.v4).allSatisfy { !(21...23).contains($0.priority) })
        }
    }

    @Test("A neighbour stays with the address it was given, until it is forgotten")
    func neighbors() async throws {
        try await Self.namespace { socket, _ in
            try NetworkNamespace.shell("ip link add ether0 type veth peer name ether1 && ip link set ether0 up")
            let link = try #require(try socket.link(named: "ether0"))
            var neighbor = Neighbor(
                link: link.index, address: .v4(IPv4Address("192.0.2.9")!), linkLayerAddress: [2, 0, 0, 0, 0, 1])
            for last in [1, 2] as [UInt8] {
                neighbor.linkLayerAddress[5] = last
                try socket.replace(neighbor)
                let shown = try NetworkNamespace.json("ip -j -4 neigh show dev ether0")
                #expect(shown.map { $0["lladdr"] as? String } == ["02:00:00:00:00:0\(last)"])
                #expect(shown.first?["state"] as? [String] == ["PERMANENT"])
            }
            try socket.delete(neighbor)
            #expect(Self.reason { try socket.delete(neighbor) } == .notFound)
        }
    }

    @Test("A monitor hears of addresses, routes and links that change")
    func monitor() async throws {
        try await Self.namespace { _, _ in
            let monitor = try RouteMonitor()
            for change in [
                "ip addr add 192.0.2.7/24 dev moor0", "ip route add 198.51.100.0/24 dev moor0",
                "ip link set moor0 mtu 1400", "ip addr del 192.0.2.7/24 dev moor0",
            ] {
                try NetworkNamespace.shell(change)
                try monitor.waitForChange()
            }
        }
    }

    @Test("A port number serves as a lock, within one namespace")
    func portIsALock() async throws {
        try await Self.namespace { _, _ in
            do {
                let holder = try RouteSocket(port: 4_000_000_000)
                #expect(Self.reason { _ = try RouteSocket(port: 4_000_000_000) } == .portTaken)
                _ = consume holder
            }
            // Free again once its holder is gone.
            _ = try RouteSocket(port: 4_000_000_000)
        }
    }

    @Test("A table above the bound is refused; one route of it is still found")
    func boundedDump() async throws {
        try await Self.namespace { socket, link in
            let count = RouteSocket.maximumEntries + 1
            try NetworkNamespace.shell(
                """
                seq 0 \(count - 1) | awk '{ printf "route add 10.%d.%d.%d dev moor0 table 5\\n", $1/65536, $1/256%256, $1%256 }' \
                | ip -batch -
                ip route add 192.0.2.1/32 dev moor0 proto 54
                """)
            #expect(Self.reason { _ = try socket.routes(RouteFilter(family: .v4)) } == .tooMany)
            #expect(try socket.routes(RouteFilter(family: .v4, origin: .mooring)).map(\.link) == [link.index])
            // What is left of the refused dump does not disturb.
            #expect(try socket.routes(RouteFilter(family: .v4, table: .main)).count == 1)
        }
    }
}

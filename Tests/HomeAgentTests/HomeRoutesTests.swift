// Routes on a device that goes down and comes up, against the kernel, in a namespace of their own; `ip -j` tells
// independently what came of them.

import ControlTestServer
import MobileIP
import NIOCore
import NIOPosix
import NetworkNamespace
import RouteNetlink
import Testing
import Wire

@testable import HomeAgent

@Suite("Routes of the home agent", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"))
struct HomeRoutesTests {
    private static let address = HomeRoute.address(IPv4Address("198.51.100.7")!)
    private static let prefix = HomeRoute.prefix(IPv6Prefix("2001:db8:1::/48")!)
    private static let table = RouteTable(rawValue: 100)

    /// A host with a home device and another one, and the log of what is told.
    private static func host(
        _ body: @escaping @Sendable (HomeRoutes, RecordedLog) async throws -> Void
    ) async throws {
        try await NetworkNamespace.run {
            try NetworkNamespace.shell(
                "ip tuntap add dev other mode tun && ip link set other up && ip tuntap add dev moor mode tun && "
                    + "ip link set moor up")
            let log = RecordedLog()
            let routes = try HomeRoutes(HomeRouteSettings(device: "moor", table: table), logger: log.logger)
            try await body(routes, log)
        }
    }

    private static func change(
        _ routes: HomeRoutes, removing: [HomeRoute] = [], adding: [HomeRoute] = []
    ) async throws -> Int {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        return try await routes.change(removing: removing, adding: adding, on: eventLoop).get()
    }

    /// Destinations in the table, with their devices.
    private static func stand() throws -> Set<String> {
        var destinations: Set<String> = []
        for family in ["-4", "-6"] {
            // A table comes into being with its first route.
            let command = "shown=$(ip -j \(family) route show table 100 2>/dev/null) && echo \"$shown\" || true"
            for route in try NetworkNamespace.json(command) {
                destinations.insert("\(route["dst"] ?? "") \(route["dev"] ?? "")")
            }
        }
        return destinations
    }

    private static func wait(for expected: Set<String>) async throws {
        #expect(try await eventually { try stand() == expected }, "\(expected.count) routes")
    }

    @Test(
        "a device that was down for a moment gets its routes back, with those that came meanwhile, and one line is logged"
    )
    func downAndUp() async throws {
        try await Self.host { routes, log in
            #expect(try routes.removeStale(keeping: []) == 0)
            #expect(try await Self.change(routes, adding: [Self.address, Self.prefix]) == 0)
            let both: Set = ["198.51.100.7 moor", "2001:db8:1::/48 moor"]
            #expect(try Self.stand() == both)
            try NetworkNamespace.shell("ip link set moor down && ip link set moor up")
            try await Self.wait(for: both)

            // While it is down one goes and one comes, which can't be made.
            try NetworkNamespace.shell("ip link set moor down")
            let later = HomeRoute.network(IPv4Prefix("203.0.113.0/24")!)
            #expect(try await Self.change(routes, removing: [Self.address], adding: [later]) == 1)
            try NetworkNamespace.shell("ip link set moor up")
            try await Self.wait(for: ["203.0.113.0/24 moor", "2001:db8:1::/48 moor"])
            func lines() -> [Substring] {
                log.entries(from: .notice).filter { $0.contains("its routes are put back") }.map { $0.suffix(19) }
            }
            #expect(try await eventually { lines() == ["count=2 device=moor", "count=2 device=moor"] }, "\(lines())")
            #expect(try await Self.change(routes, removing: [later, Self.prefix]) == 0)
            #expect(try Self.stand() == [])
        }
    }

    @Test("routes of others are left alone, of those too that came while the device was down")
    func others() async throws {
        try await Self.host { routes, log in
            #expect(try await Self.change(routes, adding: [Self.address, Self.prefix]) == 0)
            try NetworkNamespace.shell(
                "ip link set moor down && ip route add 198.51.100.7 dev other table 100 && "
                    + "ip route add 192.0.2.0/24 dev other table 100 && ip link set moor up")
            let expected: Set = ["198.51.100.7 other", "192.0.2.0/24 other", "2001:db8:1::/48 moor"]
            try await Self.wait(for: expected)
            let isTold = try await eventually {
                log.entries(from: .error).contains { $0.contains("somebody else's") && $0.contains("198.51.100.7") }
            }
            #expect(isTold)
            // Named again, and gone.
            #expect(try await Self.change(routes, adding: [Self.address]) == 1)
            #expect(try await Self.change(routes, removing: [Self.address, Self.prefix]) == 0)
            #expect(try Self.stand() == ["198.51.100.7 other", "192.0.2.0/24 other"])
        }
    }

    @Test("more routes than are put back at a time come back, though the device goes down again meanwhile")
    func many() async throws {
        try await Self.host { routes, _ in
            let count = 2 * HomeRoutes.restoredAtOnce + 1
            let all = (0..<count).map { HomeRoute.address(IPv4Address(rawValue: 0x0A00_0000 + UInt32($0))) }
            #expect(try await Self.change(routes, adding: all) == 0)
            for _ in 0..<5 {
                try NetworkNamespace.shell("ip link set moor down && ip link set moor up")
                try await Task.sleep(for: .milliseconds(3))
            }
            try await Self.wait(
                for: Set((0..<count).map { "\(IPv4Address(rawValue: 0x0A00_0000 + UInt32($0))) moor" }))
        }
    }

    @Test(
        "routes of a device that was removed are not put on the next of its name, whose forwarder has no bindings yet")
    func removed() async throws {
        try await Self.host { routes, log in
            #expect(try await Self.change(routes, adding: [Self.address]) == 0)
            try NetworkNamespace.shell(
                "ip link del moor && ip tuntap add dev moor mode tun && ip link set moor up")
            #expect(try await Self.change(routes, adding: [Self.prefix]) == 0)
            #expect(try Self.stand() == ["2001:db8:1::/48 moor"])
            #expect(log.entries(from: .notice).isEmpty)
        }
    }
}

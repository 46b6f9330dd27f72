// What the home network hears of registered prefixes: a route by a routing daemon that is not ours (BIRD), and nothing in
// router advertisements. mooring-ha has registered a node that a script plays (registrant.py).

import Foundation
import Testing

extension EndToEnd {
    @Suite("Home network", .serialized)
    struct HomeNetworkTests {
        private static let key = "0102030405060708090a0b0c0d0e0f10"

        @Test("H8 BIRD tells a neighbour of a registered prefix and home address, and takes them back with the binding")
        func redistributed() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                try await topology.startMooringd(.node)
                let agent = try await topology.startHomeAgent()
                try await topology.putNodeBinding()
                // The correspondent knows no way to the node but what it is told.
                try await topology.ip(.correspondent, "-6 route del default")
                try await topology.ip(.correspondent, "-4 route del default")
                let daemons = [
                    try Self.startBIRD(topology, .homeAgent, Self.homeAgent),
                    try Self.startBIRD(topology, .correspondent, Self.neighbor),
                ]
                try await Self.expectSessions(topology, daemons)
                #expect(try await Self.routes(topology, "-6") == "")
                #expect(try await Self.routes(topology, "-4") == "")

                try await topology.register(Self.key, [Topology.nodePrefix + ",care-of"])
                try await poll(for: "routes at the neighbour; \(daemons.map(\.errorOutput))") {
                    let (six, four) = (try await Self.routes(topology, "-6"), try await Self.routes(topology, "-4"))
                    return six.contains("\(Topology.nodePrefix) via 2001:db8:c::1 ")
                        && four.contains("\(Topology.nodeIPv4Address) via 192.0.2.137 ")
                }
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                // Without the prefix it goes alone; with the binding all does.
                try await topology.register(Self.key, [])
                try await poll(for: "end of the prefix's route") { try await Self.routes(topology, "-6") == "" }
                #expect(try await Self.routes(topology, "-4").contains(Topology.nodeIPv4Address))
                try await topology.register(Self.key, [Topology.nodePrefix])
                try await poll(for: "the prefix's route again") {
                    try await Self.routes(topology, "-6").contains(Topology.nodePrefix)
                }
                try await topology.register(Self.key, [], lifetime: 0)
                try await poll(for: "end of all routes") {
                    let (six, four) = (try await Self.routes(topology, "-6"), try await Self.routes(topology, "-4"))
                    return six == "" && four == ""
                }
                for daemon in daemons { await daemon.end() }
                await agent.end()
            }
        }

        /// As the manual page of mooring-ha says, and a session of each family.
        private static let homeAgent = """
            router id 192.0.2.1;
            protocol device {}
            protocol kernel { learn; kernel table 100; scan time 1; ipv6 { import where krt_source = 55; }; }
            protocol kernel { learn; kernel table 100; scan time 1; ipv4 { import where krt_source = 55; }; }
            protocol bgp six {
                local 2001:db8:c::1 as 65001; neighbor 2001:db8:c::2 as 65002;
                ipv6 { import none; export all; next hop self; };
            }
            protocol bgp four {
                local 192.0.2.137 as 65001; neighbor 192.0.2.138 as 65002;
                ipv4 { import none; export all; next hop self; };
            }
            """
        private static let neighbor = """
            router id 192.0.2.138;
            protocol device {}
            protocol kernel { scan time 1; ipv6 { import none; export all; }; }
            protocol kernel { scan time 1; ipv4 { import none; export all; }; }
            protocol bgp six {
                local 2001:db8:c::2 as 65002; neighbor 2001:db8:c::1 as 65001; connect delay time 1;
                ipv6 { import all; export none; };
            }
            protocol bgp four {
                local 192.0.2.138 as 65002; neighbor 192.0.2.137 as 65001; connect delay time 1;
                ipv4 { import all; export none; };
            }
            """

        private static func startBIRD(
            _ topology: Topology, _ role: Role, _ configuration: String
        ) throws -> ChildProcess {
            let path = topology.directory.appendingPathComponent("bird-\(role.rawValue)").path
            try "log stderr all;\n\(configuration)\n".write(toFile: path + ".conf", atomically: false, encoding: .utf8)
            return try topology.start(
                in: role, ["bird", "-f", "-c", path + ".conf", "-s", path + ".socket", "-P", path + ".pid"])
        }

        /// Waits until both sessions are there.
        private static func expectSessions(_ topology: Topology, _ daemons: [ChildProcess]) async throws {
            let socket = topology.directory.appendingPathComponent("bird-correspondent.socket").path
            try await poll(for: "sessions of BIRD; \(daemons.map(\.errorOutput))", within: .seconds(60)) {
                for daemon in daemons where !daemon.isRunning {
                    throw EndToEndFailure("bird has ended: \(daemon.errorOutput)")
                }
                let asking = try topology.start(in: .correspondent, ["birdc", "-s", socket, "show", "protocols"])
                try await asking.wait()
                return asking.output.components(separatedBy: "Established").count == 3
            }
        }

        /// What the neighbour's BIRD has told its kernel.
        private static func routes(_ topology: Topology, _ family: String) async throws -> String {
            try await topology.run(in: .correspondent, ["ip", family, "route", "show", "proto", "bird"])
        }

        @Test("H7 while prefixes are registered no router advertises them, asked or not, and they are on no other link")
        func notAdvertised() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                try await topology.startMooringd(.node, ["--home-address", "fe80::c000:247/64"])
                let agent = try await topology.startHomeAgent(nodes: Self.otherNode)
                let captures = [
                    try await topology.startCapture(at: .correspondent, interface: "home-agent", filter: "icmp6"),
                    try await topology.startCapture(at: .homeAgent, interface: "mooring-home", filter: "icmp6"),
                ]
                try await topology.register(Self.key, [Topology.nodePrefix])
                try await topology.register(
                    Self.key, ["2001:db8:1:2::/64"], home: "192.0.2.72", careOf: Topology.careOfAddressB)
                #expect(try await topology.routes("-6").contains("2001:db8:1:2::/64"))

                // A host of the home network and one behind mooringd look for routers; a router beside it tells of its own
                // prefix after that, which is the one advertisement that there is.
                let script = Topology.script("home_network.py")
                let own = "2001:db8:c::/64"
                for (role, interface) in [(Role.correspondent, "home-agent"), (.homeAgent, "mooring-home")] {
                    try await topology.run(
                        in: role, ["/usr/bin/python3", script, "solicit", interface, "fe80::77"])
                    try await topology.ping(from: .correspondent, to: "2001:db8:c::1")
                    try await topology.run(
                        in: role, ["/usr/bin/python3", script, "advertise", interface, "fe80::77", own])
                }
                for capture in captures {
                    let advertised = try await poll(for: "the router's advertisement") {
                        let advertised = try await capture.decoded(
                            "icmpv6.type == 134", fields: ["ipv6.src", "icmpv6.opt.prefix"])
                        return advertised.isEmpty ? nil : advertised
                    }
                    #expect(advertised == [["fe80::77", "2001:db8:c::"]])
                    #expect(try await capture.decoded("icmpv6.type == 133 and ipv6.src == fe80::77").count == 3)
                    // Nor does anybody say that it is a registered address, which is what being on a link would need.
                    let named = try await capture.decoded(
                        "icmpv6.nd.na.target_address == 2001:db8:1::/48 or icmpv6.nd.rd.target_address == 2001:db8:1::/48"
                    )
                    #expect(named == [])
                }
                // The kernel has no address of them, answers for none, and no way to them but into the tunnel.
                #expect(try await topology.ip(.homeAgent, "-6 neigh show proxy") == "")
                #expect(!(try await topology.ip(.homeAgent, "-6 address show")).contains("2001:db8:1:"))
                let routes = try await topology.ip(.homeAgent, "-6 route show table all root 2001:db8:1::/48")
                for route in routes.split(separator: "\n") { #expect(route.contains("dev mooring-home"), "\(route)") }
                await agent.end()
            }
        }

        private static let otherNode = """
            [[node]]
            home-address = "192.0.2.72"
            spi = 1000
            key-file = "key"
            prefixes = ["2001:db8:1:2::/64"]
            """
    }
}

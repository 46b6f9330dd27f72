// An operator who sets up devices, routes and sysctls without mooringd.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Set-up", .serialized)
    struct SetUpTests {
        @Test(
            "the commands that --check prints are all that --no-setup needs",
            arguments: [[], ["--home-device", "mooring", "--access-device", "mooring"]])
        func check(devices: [String]) async throws {
            try await Topology.run { topology in
                for role in [Role.homeAgent, .node] {
                    let commands = try await topology.run(
                        in: role, topology.mooringd(role, devices + ["--check"]), status: 1)
                    #expect(!commands.isEmpty)
                    try await topology.run(in: role, ["sh", "-ec", commands])
                    let rest = try await topology.run(in: role, topology.mooringd(role, devices + ["--check"]))
                    #expect(rest.isEmpty, "still missing at \(role.rawValue): \(rest)")
                }
                let before = try await topology.networkState(.node)
                try await topology.startBoth(devices + ["--no-setup"])
                try await expectTraffic(topology)
                await topology.daemons[.node]?.end()
                // What the operator made is not mooringd's to remove. A device that nobody reads has no carrier.
                let after = try await topology.networkState(.node)
                #expect(
                    after.count == before.count,
                    "left: \(after.subtracting(before)), gone: \(before.subtracting(after))")
            }
        }

        @Test(
            "devices that were set down are set up again when they come up",
            arguments: ["mooring-home", "mooring-access"])
        func downAndUp(device: String) async throws {
            try await Topology.run { topology in
                try await topology.startBoth()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                let daemon = try #require(topology.daemons[.homeAgent])
                try await topology.ip(.homeAgent, "link set \(device) down")
                try await poll(for: "a word about it") { daemon.errorOutput.contains("a device is down") }
                try await topology.ip(.homeAgent, "link set \(device) up")
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                try await topology.ping(from: .node, to: Topology.correspondentAddress)
            }
        }

        @Test("SIGHUP makes the settings that do not hold any more")
        func hangup() async throws {
            try await Topology.run { topology in
                try await topology.startBoth()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                try await topology.ip(.homeAgent, "route del \(Topology.endpoint)/32 dev mooring-access")
                topology.daemons[.homeAgent]?.send(SIGHUP)
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                try await topology.ping(from: .node, to: Topology.correspondentAddress)
            }
        }
    }
}

// An operator who sets up devices, routes and sysctls without mooringd.

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
    }
}

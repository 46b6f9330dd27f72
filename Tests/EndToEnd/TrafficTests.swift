// What a tunnel is for, in each way mooringd can be run.

import Testing

extension EndToEnd {
    @Suite("Traffic", .serialized)
    struct TrafficTests {
        @Test("ping and TCP pass both ways", arguments: IO.allCases)
        func pingAndTCP(io: IO) async throws {
            try await Topology.run { topology in
                try await topology.requireIO(io)
                try await topology.startBoth(["--io", io.rawValue])
                let way = try await topology.status(.homeAgent)["io"] as? String
                #expect(way == io.rawValue)
                try await expectTraffic(topology)
            }
        }

        @Test("one device can serve both sides", arguments: IO.allCases)
        func oneDevice(io: IO) async throws {
            try await Topology.run { topology in
                try await topology.requireIO(io)
                try await topology.startBoth([
                    "--io", io.rawValue, "--home-device", "mooring", "--access-device", "mooring",
                ])
                try await expectTraffic(topology)
            }
        }

        @Test("the endpoint answers echo requests")
        func echo() async throws {
            try await Topology.run { topology in
                try await topology.startBoth()
                let before = try await topology.counters(.homeAgent)
                try await topology.ping(from: .networkA, to: Topology.endpoint)
                let after = try await topology.counters(.homeAgent)
                #expect(after.absorbed >= before.absorbed + 5)
                #expect(after.generated["access"]! >= before.generated["access"]! + 5)
            }
        }

        @Test("without a binding, the correspondent is told that there is no route")
        func noBinding() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                let output = try await poll(for: "answer of the home agent") {
                    let ping = try topology.start(
                        in: .correspondent, ["ping", "-n", "-c", "1", "-W", "1", Topology.nodeAddress])
                    try await ping.wait()
                    return ping.output.contains("Destination unreachable") ? ping.output : nil
                }
                #expect(output.contains("From 2001:db8:ffff::1"))
                let counters = try await topology.counters(.homeAgent)
                #expect(counters.dropped("no-binding")! > 0)
                #expect(counters.transmitted["access"] == 0)
            }
        }
    }
}

/// Expects ping and TCP in both directions, started from either end, and that both daemons moved it.
func expectTraffic(_ topology: Topology) async throws {
    try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
    try await topology.ping(from: .node, to: Topology.correspondentAddress)
    try await topology.transfer(from: .correspondent, to: .node, Topology.nodeAddress)
    try await topology.transfer(from: .node, to: .correspondent, Topology.correspondentAddress)
    for role in [Role.homeAgent, .node] {
        let counters = try await topology.counters(role)
        // 2 MB in packets of 1280 bytes, each way.
        for side in ["home", "access"] {
            #expect(counters.received[side]! > 2_000, "\(role.rawValue), \(side)")
            #expect(counters.transmitted[side]! > 2_000, "\(role.rawValue), \(side)")
        }
    }
}

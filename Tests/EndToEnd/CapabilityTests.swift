// What mooringd may do while it runs, as the kernel tells it of every thread, and that it is enough.

import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("Capabilities", .serialized)
    struct CapabilityTests {
        private static let networkAdministration: UInt64 = 1 << 12

        /// Expects of each thread of the home agent's daemon that it has these in effect, workers nothing, and no way to more.
        private func expectFewRights(_ topology: Topology, _ expected: UInt64) async throws {
            let process = try #require(try await topology.status(.homeAgent)["processID"] as? Int)
            let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")
            var workers = 0
            for thread in threads {
                // One of a pool may have ended since.
                guard
                    let text = try? String(contentsOfFile: "/proc/\(process)/task/\(thread)/status", encoding: .utf8)
                else { continue }
                func value(_ name: String) throws -> UInt64 {
                    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("\(name):") })
                    return try #require(
                        UInt64(line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces), radix: 16))
                }
                let isWorker = text.hasPrefix("Name:\tmooring-fwd-")
                if isWorker { workers += 1 }
                for set in ["CapEff", "CapPrm"] {
                    #expect(try value(set) == (isWorker ? 0 : expected), "\(set): \(text)")
                }
                for set in ["CapBnd", "CapInh", "CapAmb"] { #expect(try value(set) == 0, "\(set): \(text)") }
                #expect(try value("NoNewPrivs") == 1, "\(text)")
            }
            #expect(workers == 1)
            // The daemon tells the same of itself.
            let name = expected == 0 ? "none" : "CAP_NET_ADMIN"
            let status = try await topology.status(.homeAgent)
            #expect(status["capabilities"] as? String == name && status["workerCapabilities"] as? String == "none")
            let shown = try await topology.mooring(.homeAgent, ["status"])
            #expect(status["accessReceiveDropped"] as? UInt64 == 0)
            #expect(shown.contains("  dropped by the kernel on the way in by mooring-access: 0\n"), "\(shown)")
            #expect(shown.contains("  capabilities: \(name), of workers none\n"), "\(shown)")
        }

        private func homeAgentRoutes(_ topology: Topology) async throws -> String {
            try await topology.run(in: .homeAgent, ["ip", "-6", "route"])
                + topology.run(in: .homeAgent, ["ip", "route"])
        }

        @Test(
            "with CAP_NET_ADMIN alone packets flow, routes follow the bindings, and it reloads, hands over and cleans up",
            arguments: IO.allCases)
        func setUp(io: IO) async throws {
            try await Topology.run { topology in
                try await topology.requireIO(io)
                let before = try await topology.networkState(.homeAgent)
                let options = ["--io", io.rawValue]
                try await topology.startBoth(options)
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                try await expectFewRights(topology, Self.networkAdministration)

                try await topology.mooring(
                    .homeAgent, ["binding", "put", "other", "--care-of", "203.0.113.9", "--endpoint", "203.0.113.77"])
                #expect(try await homeAgentRoutes(topology).contains("203.0.113.77 dev mooring-access"))

                // What an operator has taken away by mistake.
                let daemon = try #require(topology.daemons[.homeAgent])
                try await topology.run(in: .homeAgent, ["ip", "-6", "route", "del", Topology.homePrefix])
                try await topology.run(in: .homeAgent, ["sysctl", "-qw", "net.ipv4.conf.mooring-access.forwarding=0"])
                daemon.send(SIGHUP)
                try await poll(for: "reload") { daemon.errorOutput.contains("configuration read again") }
                #expect(try await homeAgentRoutes(topology).contains(Topology.homePrefix))
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                let successor = try await topology.startMooringd(.homeAgent, options + ["--take-over"])
                #expect(try await daemon.wait() == 0, "\(daemon.errorOutput)")
                try await expectFewRights(topology, Self.networkAdministration)
                try await topology.mooring(.homeAgent, ["binding", "remove", "other"])
                #expect(try await !homeAgentRoutes(topology).contains("203.0.113.77"))
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                successor.send(SIGTERM)
                #expect(try await successor.wait() == 0, "\(successor.errorOutput)")
                #expect(!successor.errorOutput.contains("not undone"), "\(successor.errorOutput)")
                #expect(try await topology.networkState(.homeAgent) == before)
            }
        }

        @Test("where an operator sets up the host nothing is kept, and packets flow")
        func noSetUp() async throws {
            try await Topology.run { topology in
                let daemon = try await topology.startMooringd(.homeAgent, ["--no-setup"])
                try await expectFewRights(topology, 0)
                let missing = try await topology.run(
                    in: .homeAgent, topology.mooringd(.homeAgent, ["--check"]), status: 1)
                try await topology.run(in: .homeAgent, ["sh", "-ec", missing])
                try await topology.startMooringd(.node)
                try await topology.putHomeAgentBinding()
                try await topology.putNodeBinding()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                let successor = try await topology.startMooringd(.homeAgent, ["--no-setup", "--take-over"])
                #expect(try await daemon.wait() == 0, "\(daemon.errorOutput)")
                try await expectFewRights(topology, 0)
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                successor.send(SIGTERM)
                #expect(try await successor.wait() == 0, "\(successor.errorOutput)")
            }
        }
    }
}

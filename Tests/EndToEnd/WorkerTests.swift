// Several workers forward, each the packets of its queues: every flow keeps its order, both ways, in fragments and in tunnels
// with sequence numbers, and all is counted.

import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("Workers", .serialized)
    struct WorkerTests {
        private static let count = 300
        private static let nodes = 8

        private static func careOfAddress(_ node: Int) -> String { "203.0.113.\(100 + node)" }
        private static func prefix(_ node: Int) -> String { "2001:db8:1:\(node + 16)::/64" }
        private static func address(_ node: Int) -> String { "2001:db8:1:\(node + 16)::1" }

        private func start(_ topology: Topology, _ options: [String]) async throws {
            try await topology.startWorkers(2, options)
        }

        /// Leaves out what only quotes a packet, in answer to it.
        private static let numbered = "udp.dstport == 4300 && !icmp && !icmpv6"

        /// The numbers that came of each flow, in the order in which they came.
        private func flows(_ capture: Capture, _ filter: String, packets: Int) async throws -> [UInt32: [UInt32]] {
            var (seen, times) = (0, 0)
            let payloads = try await poll(for: "\(packets) packets") { () async throws -> [[String]]? in
                let lines = try await capture.decoded("(\(filter)) && \(Self.numbered)", fields: ["data.data"])
                (seen, times) = (lines.count, lines.count == seen ? times + 1 : 0)
                // On a busy host a queue or the capture may lose some, which says nothing of the order of the rest.
                return lines.count >= packets || (times > 20 && lines.count > packets / 2) ? lines : nil
            }
            var flows: [UInt32: [UInt32]] = [:]
            for payload in payloads.map({ $0[0] }) {
                let flow = try #require(UInt32(payload.prefix(8), radix: 16))
                flows[flow, default: []].append(try #require(UInt32(payload.suffix(8), radix: 16)))
            }
            return flows
        }

        private func expectOrder(_ flows: [UInt32: [UInt32]], count: Int, _ what: Comment) {
            #expect(flows.keys.sorted() == Array(0..<UInt32(count)), what)
            for (flow, numbers) in flows {
                let wrong = zip(numbers, numbers.dropFirst()).first { $0 >= $1 }
                #expect(wrong == nil, "\(what): neighbours of flow \(flow)")
                #expect(numbers.count > Self.count / 2, "\(what): flow \(flow)")
            }
        }

        /// Expects that both workers had a part in it, and that they sum up.
        private func expectBothWorked(_ topology: Topology) async throws {
            try await topology.expectConservation(at: .homeAgent)
            let workers = try #require(try await topology.counters(.homeAgent).workers)
            #expect(workers.count == 2)
            for worker in workers {
                for side in ["home", "access"] {
                    #expect(worker.received[side]! > UInt64(Self.count) / 2, "\(workers)")
                    #expect(worker.transmitted[side]! > UInt64(Self.count) / 2, "\(workers)")
                }
            }
            let status = try await topology.status(.homeAgent)
            #expect(status["workers"] as? Int == 2)
            let process = try #require(status["processID"] as? Int)
            let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").map {
                try String(contentsOfFile: "/proc/\(process)/task/\($0)/comm", encoding: .utf8)
            }
            #expect(threads.filter { $0.hasPrefix("mooring-fwd-") }.sorted() == ["mooring-fwd-0\n", "mooring-fwd-1\n"])
        }

        @Test("each flow of many nodes keeps its order, both ways, in fragments too", arguments: IO.allCases)
        func order(io: IO) async throws {
            try await Topology.run { topology in
                try await topology.requireIO(io)
                let before = try await topology.networkState(.homeAgent)
                // What leaves whole is captured whole, and is not counted by packets.
                try await start(topology, ["--io", io.rawValue, "--offload", "split"])
                for node in 0..<Self.nodes {
                    try await topology.mooring(
                        .homeAgent,
                        [
                            "binding", "put", "node-\(node)", "--care-of", Self.careOfAddress(node), "--prefix",
                            Self.prefix(node),
                        ])
                }
                // A kernel that is asking for a neighbour lets packets wait, which others then overtake.
                let ping = ["ping", "-n", "-c", "1", "-W", "10"]
                try await topology.run(in: .homeAgent, ping + [Topology.correspondentAddress])
                try await topology.run(in: .networkA, ping + [Topology.endpoint])
                let out = try await topology.startCapture(at: .networkA, interface: "home-agent", filter: "ip proto 41")
                let home = try await topology.startCapture(
                    at: .correspondent, interface: "home-agent", filter: "ip6 and udp port 4300")
                let toNodes = try topology.start(
                    in: .correspondent,
                    ["python3", Topology.script("flows.py"), "plain", "\(Self.count)"]
                        + (0..<Self.nodes).map(Self.address))
                let fromNodes = try topology.start(
                    in: .networkA,
                    [
                        "python3", Topology.script("flows.py"), "tunnel", "ip-in-ip", "\(Self.count)",
                        Topology.endpoint, Topology.correspondentAddress,
                    ] + (0..<Self.nodes).map { "\(Self.careOfAddress($0)),\(Self.address($0))" })
                for sender in [toNodes, fromNodes] {
                    #expect(try await sender.wait() == 0, "\(sender.errorOutput)")
                }
                let packets = Self.nodes * Self.count
                expectOrder(
                    try await flows(out, "ip.src == \(Topology.endpoint)", packets: packets), count: Self.nodes,
                    "to the nodes")
                expectOrder(
                    try await flows(home, "ipv6.dst == \(Topology.correspondentAddress)", packets: packets),
                    count: Self.nodes, "from the nodes")
                try await expectBothWorked(topology)
                for node in 0..<Self.nodes {
                    let text = try await topology.mooring(.homeAgent, ["binding", "show", "node-\(node)", "--json"])
                    #expect(text.contains("\(Self.count)"), "\(text)")
                }
                let table = try await topology.mooring(.homeAgent, ["counters", "--workers"])
                #expect(table.split(separator: "\n").count == 3, "\(table)")

                let daemon = try #require(topology.daemons[.homeAgent])
                daemon.send(SIGTERM)
                #expect(try await daemon.wait() == 0, "\(daemon.errorOutput)")
                #expect(try await topology.networkState(.homeAgent) == before)
            }
        }

        @Test("the numbers of a GRE tunnel leave in their order, whichever workers its packets come to")
        func sequence() async throws {
            try await Topology.run { topology in
                try await start(topology, [])
                try await topology.mooring(
                    .homeAgent,
                    ["binding", "put", "mn1", "--care-of", Topology.careOfAddressA, "--encapsulation", "gre"]
                        + ["--gre-sequence"] + (0..<Self.nodes).flatMap { ["--prefix", Self.prefix($0)] })
                let out = try await topology.startCapture(at: .networkA, interface: "home-agent", filter: "ip proto 47")
                let home = try await topology.startCapture(
                    at: .correspondent, interface: "home-agent", filter: "ip6 and udp port 4300")
                try await topology.run(
                    in: .correspondent,
                    ["python3", Topology.script("flows.py"), "plain", "\(Self.count)"]
                        + (0..<Self.nodes).map(Self.address))
                let packets = Self.nodes * Self.count
                expectOrder(
                    try await flows(out, "ip.src == \(Topology.endpoint)", packets: packets), count: Self.nodes,
                    "to the node")
                let numbers = try await out.decoded(
                    "ip.src == \(Topology.endpoint) && \(Self.numbered)", fields: ["gre.sequence_number"])
                #expect(numbers.compactMap { UInt32($0[0]) } == Array(0..<UInt32(packets)))
                // The packets of all prefixes come to both workers, and one sends them all.
                let workers = try #require(try await topology.counters(.homeAgent).workers)
                #expect(workers.allSatisfy { $0.received["home"]! > 0 })
                #expect(workers.map { $0.transmitted["access"]! }.min() == 0, "\(workers)")

                try await topology.run(
                    in: .networkA,
                    [
                        "python3", Topology.script("flows.py"), "tunnel", "gre", "\(Self.count)", Topology.endpoint,
                        Topology.correspondentAddress, "\(Topology.careOfAddressA),\(Self.address(0))",
                    ])
                expectOrder(
                    try await flows(
                        home, "ipv6.dst == \(Topology.correspondentAddress)", packets: Self.count), count: 1,
                    "from the node")
            }
        }

        @Test("ping and TCP pass both ways, on one device too", arguments: [false, true])
        func traffic(isOneDevice: Bool) async throws {
            try await Topology.run { topology in
                let devices = isOneDevice ? ["--home-device", "mooring", "--access-device", "mooring"] : []
                try await start(topology, devices)
                try await topology.startMooringd(.node, ["--workers", "2"] + devices)
                try await topology.putHomeAgentBinding()
                try await topology.putNodeBinding()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                try await topology.ping(from: .node, to: Topology.correspondentAddress)
                try await topology.transfer(from: .correspondent, to: .node, Topology.nodeAddress)
                try await topology.transfer(from: .node, to: .correspondent, Topology.correspondentAddress)
            }
        }

        @Test("where one worker can't go on, all end and the daemon with them")
        func end() async throws {
            try await Topology.run { topology in
                try await start(topology, [])
                let daemon = try #require(topology.daemons[.homeAgent])
                try await topology.ip(.homeAgent, "link delete mooring-access")
                #expect(try await daemon.wait() == 1)
                #expect(daemon.errorOutput.contains("was deleted while in use"))
            }
        }
    }
}

extension Topology {
    /// Starts the home agent's daemon with so many workers. Where several can't be had, since their devices need a program in
    /// the kernel, the test is cancelled.
    @discardableResult
    func startWorkers(_ count: Int, _ options: [String]) async throws -> ChildProcess {
        do { return try await startMooringd(.homeAgent, ["--workers", "\(count)"] + options) } catch {
            guard "\(error)".contains("CAP_BPF") else { throw error }
            daemons[.homeAgent] = nil
            throw CannotBeHere(reason: "\(error)")
        }
    }
}

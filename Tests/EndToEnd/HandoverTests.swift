// The node changes its network under running traffic. How many packets are lost depends on how close together the two
// ends change and is printed, not judged.

import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("Handover", .serialized)
    struct HandoverTests {
        @Test("ping goes on in both directions, by the other network", arguments: IO.allCases)
        func ping(io: IO) async throws {
            try await Topology.run { topology in
                try await topology.requireIO(io)
                try await topology.startBoth(["--io", io.rawValue])
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                let pings = [
                    try topology.startPing(from: .correspondent, to: Topology.nodeAddress),
                    try topology.startPing(from: .node, to: Topology.correspondentAddress),
                ]
                for ping in pings { try await poll(for: "answers before the move") { answers(ping).count > 20 } }

                let capture = try await topology.startCapture(at: .networkB, interface: "node", filter: "ip proto 41")
                try await topology.move(to: Topology.careOfAddressB)
                for ping in pings {
                    let before = answers(ping).count
                    try await poll(for: "answers after the move") { answers(ping).count > before + 50 }
                }
                let (toNode, fromNode) = (
                    "ip.src == \(Topology.endpoint) && ip.dst == \(Topology.careOfAddressB)",
                    "ip.src == \(Topology.careOfAddressB) && ip.dst == \(Topology.endpoint)"
                )
                for way in [toNode, fromNode] {
                    try await poll(for: "packets in network B, \(way)") {
                        try await capture.decoded("\(way) && ipv6").count > 50
                    }
                }

                for (ping, direction) in zip(pings, ["to the node", "from the node"]) {
                    ping.send(SIGINT)
                    try await ping.wait()
                    let answers = answers(ping)
                    let lost = (answers.max() ?? 0) - Set(answers).count
                    print("handover, \(io.rawValue): \(lost) of \(answers.max() ?? 0) lost, ping \(direction)")
                }
            }
        }

        @Test("TCP goes on through six moves")
        func transfer() async throws {
            try await Topology.run { topology in
                try await topology.startBoth()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                let server = try await topology.startLoadServer(at: .node)
                let client = try topology.start(
                    in: .correspondent, ["iperf3", "-c", Topology.nodeAddress, "-t", "120", "-J"])
                for careOfAddress in [Topology.careOfAddressB, Topology.careOfAddressA].repeated(3) {
                    try await topology.move(to: careOfAddress)
                    let before = try await topology.counters(.node).transmitted["home"]!
                    try await poll(for: "a thousand packets after the move to \(careOfAddress)") {
                        try await topology.counters(.node).transmitted["home"]! > before + 1_000
                    }
                    #expect(client.isRunning, "\(client.output)")
                }
                client.send(SIGINT)
                try await client.wait()
                await server.end()
            }
        }

        /// Sequence numbers that were answered. A test's ping sends fewer than 65536.
        private func answers(_ ping: ChildProcess) -> [Int] {
            ping.output.split(separator: "\n").compactMap { line in
                guard line.contains("bytes from"), let found = line.firstMatch(of: /icmp_seq=(\d+)/) else { return nil }
                return Int(found.1)
            }
        }
    }
}

extension Array {
    fileprivate func repeated(_ times: Int) -> [Element] { (0..<times).flatMap { _ in self } }
}

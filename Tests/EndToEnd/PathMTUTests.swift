// The static tunnel MTU (RFC 4213, 3.2.1): a sender whose packets are too large is told with ICMPv6 Packet Too Big
// (RFC 4443, 3.2), and its kernel believes it (RFC 8201).

import Foundation
import Testing

extension EndToEnd {
    @Suite("Path MTU", .serialized)
    struct PathMTUTests {
        @Test("T4 a correspondent learns the tunnel MTU", arguments: [1280, 1400])
        func packetTooBig(tunnelMTU: Int) async throws {
            try await Topology.run { topology in
                try await topology.startBoth(["--tunnel-mtu", "\(tunnelMTU)"])
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                // 1448 bytes of IPv6, not to be fragmented by the sender.
                let answer = try await poll(for: "Packet Too Big") {
                    let ping = try topology.start(
                        in: .correspondent,
                        ["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", Topology.nodeAddress])
                    let status = try await ping.wait()
                    #expect(status != 0, "\(ping.output)")
                    return ping.output.contains("Packet too big") ? ping.output : nil
                }
                #expect(answer.contains("From 2001:db8:ffff::1"))
                #expect(answer.contains("mtu=\(tunnelMTU)"))
                let route = try await topology.ip(.correspondent, "-6 route get \(Topology.nodeAddress)")
                #expect(route.contains("mtu \(tunnelMTU)"), "\(route)")
                let counters = try await topology.counters(.homeAgent)
                #expect(counters.dropped("packet-too-big")! >= 1)
                #expect(counters.generated["home"]! >= 1)
                // The kernel now fragments what is larger.
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress, ["-s", "1400"])
            }
        }

        @Test("TCP finds the tunnel MTU by itself, in each way of super-frames", arguments: Offload.allCases)
        func tcp(offload: Offload) async throws {
            try await Topology.run { topology in
                try await topology.requireOffload(offload)
                try await topology.startBoth(offload.options)
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                // Both ends' links carry 1500 bytes, so the first full segments do not fit.
                try await topology.transfer(from: .correspondent, to: .node, Topology.nodeAddress)
                let sending = try await topology.counters(.homeAgent)
                #expect(sending.dropped("packet-too-big")! >= 1)
                let route = try await topology.ip(.correspondent, "-6 route get \(Topology.nodeAddress)")
                #expect(route.contains("mtu 1280"), "\(route)")
            }
        }
    }
}

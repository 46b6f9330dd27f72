// What comes out of reverse tunnels (RFC 3024, 4.3; RFC 5454, 4): of both families, of a node that mooring-ha has
// registered, made by hand in the access network (reverse_tunnel.py).

import Testing

extension EndToEnd {
    @Suite("Reverse tunnels", .serialized)
    struct ReverseTunnelTests {
        private static let key = "0102030405060708090a0b0c0d0e0f10"
        private static let (stranger, foreignAddress) = ("203.0.113.77", "203.0.113.78")

        /// A packet of a reverse tunnel: the innermost source, and outer ones from the outermost on.
        private struct Sent {
            let family: Family
            let inner: String
            let outer: [String]
            /// Where it is counted; nil where it passes.
            let reason: String?
        }

        private enum Family { case ipv4, ipv6 }

        /// What the modes have in common: IPv4, and what the outer source says.
        private static let common = [
            Sent(family: .ipv4, inner: Topology.nodeIPv4Address, outer: [stranger], reason: "outer-source-mismatch"),
            Sent(
                family: .ipv4, inner: "192.0.2.99", outer: [Topology.careOfAddressA],
                reason: "inner-source-unregistered"),
            Sent(family: .ipv4, inner: Topology.nodeIPv4Address, outer: [Topology.careOfAddressA], reason: nil),
        ]
        private static let byCareOf = [
            Sent(family: .ipv6, inner: Topology.nodeAddress, outer: [stranger], reason: "outer-source-mismatch"),
            Sent(
                family: .ipv6, inner: "2001:db8:bad::1", outer: [Topology.careOfAddressA],
                reason: "inner-source-unregistered"),
            Sent(family: .ipv6, inner: Topology.nodeAddress, outer: [Topology.careOfAddressA], reason: nil),
        ]
        private static let byHomeAddress = [
            Sent(
                family: .ipv6, inner: Topology.nodeAddress, outer: [stranger, Topology.nodeIPv4Address],
                reason: "outer-source-mismatch"),
            Sent(
                family: .ipv6, inner: Topology.nodeAddress, outer: [Topology.careOfAddressA, foreignAddress],
                reason: "outer-source-mismatch"),
            Sent(
                family: .ipv6, inner: "2001:db8:bad::1", outer: [Topology.careOfAddressA, Topology.nodeIPv4Address],
                reason: "inner-source-unregistered"),
            Sent(
                family: .ipv6, inner: Topology.nodeAddress, outer: [Topology.careOfAddressA, Topology.nodeIPv4Address],
                reason: nil),
        ]

        @Test(
            "S1 H13 H14 of both families only what the node may send leaves its reverse tunnel, while it is registered",
            arguments: [",care-of", ""])
        func checked(mode: String) async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                let agent = try await topology.startHomeAgent()
                try await topology.register(Self.key, [Topology.nodePrefix + mode])
                let capture = try await topology.startCapture(
                    at: .correspondent, interface: "home-agent", filter: "udp port 4300")
                let all = Self.common + (mode.isEmpty ? Self.byHomeAddress : Self.byCareOf)
                var expected: [[String]] = []
                for sent in all {
                    let before = try await topology.counters(.homeAgent)
                    try await Self.send(topology, sent)
                    if let reason = sent.reason {
                        try await poll(for: "\(sent) under \(reason)") {
                            try await topology.counters(.homeAgent).dropped(reason)! == before.dropped(reason)! + 3
                        }
                    } else {
                        expected += Array(repeating: Self.fields(sent), count: 3)
                        try await poll(for: "\(sent) at the correspondent") {
                            try await Self.received(capture).count >= expected.count
                        }
                    }
                }
                // And nothing of what was dropped.
                #expect(try await Self.received(capture) == expected)

                try await topology.register(Self.key, [], lifetime: 0)
                for sent in all where sent.reason == nil {
                    let before = try await topology.counters(.homeAgent)
                    try await Self.send(topology, sent)
                    try await poll(for: "\(sent), of nobody") {
                        try await topology.counters(.homeAgent).dropped("inner-source-unregistered")!
                            == before.dropped("inner-source-unregistered")! + 3
                    }
                }
                #expect(try await Self.received(capture).count == expected.count)
                await agent.end()
            }
        }

        private static func send(_ topology: Topology, _ sent: Sent) async throws {
            let destination =
                sent.family == .ipv4 ? Topology.correspondentIPv4Address : Topology.correspondentAddress
            try await topology.run(
                in: .networkA,
                [
                    "/usr/bin/python3", Topology.script("reverse_tunnel.py"), "3", destination, sent.inner,
                    Topology.endpoint,
                ] + sent.outer)
        }

        private static func fields(_ sent: Sent) -> [String] {
            sent.family == .ipv4 ? [sent.inner, "", "1"] : ["", sent.inner, "1"]
        }

        private static func received(_ capture: Capture) async throws -> [[String]] {
            try await capture.decoded("udp.port == 4300", fields: ["ip.src", "ipv6.src", "udp.checksum.status"])
        }
    }
}

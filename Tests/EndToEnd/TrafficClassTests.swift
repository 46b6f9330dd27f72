// DSCP and ECN between inner and outer header (RFC 2983, RFC 6040), seen on the wire. The tables themselves are tested
// with the forwarder.

import Testing

extension EndToEnd {
    @Suite("Traffic class", .serialized)
    struct TrafficClassTests {
        @Test(
            "T8 T9 DSCP and ECN stand in the outer header as in the inner",
            arguments: [UInt8](arrayLiteral: 0xB8, 0xBA, 0x29, 0x03))
        func copiedOut(trafficClass: UInt8) async throws {
            try await Topology.run { topology in
                try await topology.startBoth()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                let capture = try await topology.startCapture(at: .networkA, interface: "node", filter: "ip proto 41")
                // The kernel answers an echo request with the request's class.
                try await topology.ping(
                    from: .correspondent, to: Topology.nodeAddress, ["-Q", "\(trafficClass)"])
                let hexadecimal = "0x" + String(trafficClass, radix: 16)
                for type in ["128", "129"] {
                    try await poll(for: "six echo messages of type \(type) with class \(hexadecimal)") {
                        try await capture.decoded(
                            """
                            icmpv6.type == \(type) && ip.dsfield == \(hexadecimal) && ipv6.tclass == \(hexadecimal)
                            """
                        ).count >= 6
                    }
                }
                let others = try await capture.decoded(
                    "icmpv6.type in {128, 129} && (ip.dsfield != \(hexadecimal) || ipv6.tclass != \(hexadecimal))")
                #expect(others.isEmpty)
            }
        }

        @Test(
            "T8 congestion that the access network marked reaches the correspondent, in each way of super-frames",
            arguments: Offload.allCases)
        func congestionExperienced(offload: Offload) async throws {
            try await Topology.run { topology in
                try await topology.requireOffload(offload)
                try await topology.startBoth(offload.options)
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                let capture = try await topology.startCapture(
                    at: .correspondent, interface: "home-agent", filter: "udp port 4300")
                // Outer: EF, congestion experienced. Inner: EF, ECT(0), and then not ECN-capable.
                for inner: UInt8 in [0xBA, 0xB8] {
                    try await topology.sendProtocol41(
                        from: .node, outer: (Topology.careOfAddressA, Topology.endpoint, 0xBB),
                        inner: (Topology.nodeAddress, Topology.correspondentAddress, inner), count: 3)
                }
                try await poll(for: "three packets marked, three dropped") {
                    let marked = try await capture.decoded("ipv6.tclass == 0xbb && udp.checksum.status == 1")
                    let counters = try await topology.counters(.homeAgent)
                    return marked.count == 3 && counters.dropped("ecn-not-capable") == 3
                }
                #expect(try await capture.decoded("udp").count == 3)
            }
        }
    }
}

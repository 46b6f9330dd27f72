// What another implementation says of our packets, captured in the access network: tshark decodes them.

import Testing

extension EndToEnd {
    @Suite("Captures", .serialized)
    struct CaptureTests {
        @Test(
            "the access network carries nothing but correct IPv6 in IPv4", arguments: IO.allCases,
            [Offload.split, .push])
        func decodedByTshark(io: IO, offload: Offload) async throws {
            try await Topology.run { topology in
                try await topology.requireIO(io)
                try await topology.requireOffload(offload)
                try await topology.startMooringd(.homeAgent, ["--io", io.rawValue] + offload.options)
                // What comes to its access device is to have its checksums there already.
                try await topology.startMooringd(
                    .node, ["--io", io.rawValue, "--offload", "split", "--access-offload", "off"])
                // Super-frames that leave whole pass links between namespaces whole. The node's device gets segments, of which
                // the kernel made the headers.
                let capture =
                    offload == .push
                    ? try await topology.startCapture(at: .node, interface: "mooring-access", filter: "ip")
                    : try await topology.startCapture(at: .networkA, interface: "node", filter: "ip")
                try await topology.putHomeAgentBinding()
                try await topology.putNodeBinding()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                try await topology.ping(from: .node, to: Topology.correspondentAddress, ["-s", "1200"])
                try await topology.transfer(from: .correspondent, to: .node, Topology.nodeAddress, bytes: 300_000)

                let ends = [Topology.endpoint, Topology.careOfAddressA]
                let good = """
                    ip.version == 4 && ip.hdr_len == 20 && ip.proto == 41 && ip.ttl <= 64 && ip.flags.df == 0
                    && ip.checksum.status == 1 && ipv6.version == 6
                    && ((ip.src == \(ends[0]) && ip.dst == \(ends[1])) || (ip.src == \(ends[1]) && ip.dst == \(ends[0])))
                    && (tcp.checksum.status == 1 || icmpv6.checksum.status == 1)
                    """.replacing("\n", with: " ")
                // Several hundred segments of TCP; the last acknowledgements may still be on their way to the file.
                try await poll(for: "decoded packets") {
                    let tcp = try await capture.decoded("\(good) && tcp").count
                    let icmpv6 = try await capture.decoded("\(good) && icmpv6").count
                    return tcp > 400 && icmpv6 >= 24
                }
                await capture.end()
                let wrong = try await capture.decoded("!(\(good))", fields: ["frame.number", "_ws.col.Info"])
                #expect(wrong.isEmpty)

                // Packets of the home agent bear identifications of their own (RFC 6864 asks no more of fragmentable
                // ones than that they do not repeat within their lifetime).
                let identifications = try await capture.decoded(
                    "ip.src == \(ends[0])", fields: ["ip.id"]
                ).map { $0[0] }
                #expect(Set(identifications).count == identifications.count)
            }
        }
    }
}

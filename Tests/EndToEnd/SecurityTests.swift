// Packets that their sender had no right to send (RFC 5454, 3.3): made by hand in the access network.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Source checks", .serialized)
    struct SecurityTests {
        @Test("H13 an inner source of no binding is dropped, counted and told")
        func spoofedInnerSource() async throws {
            try await expectDropped(
                outerSource: Topology.careOfAddressA, innerSource: "2001:db8:bad::1",
                reason: "inner-source-unregistered")
        }

        @Test("H14 an outer source that is not the binding's is dropped, counted and told")
        func spoofedOuterSource() async throws {
            try await expectDropped(
                outerSource: "203.0.113.77", innerSource: Topology.nodeAddress, reason: "outer-source-mismatch")
        }

        private func expectDropped(outerSource: String, innerSource: String, reason: String) async throws {
            try await Topology.run { topology in
                try await topology.startBoth()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                let watch = try topology.start(
                    in: .homeAgent, topology.mooringCommand(.homeAgent, ["watch", "--json"]))
                let capture = try await topology.startCapture(
                    at: .correspondent, interface: "home-agent", filter: "udp port 4300")
                let before = try await topology.counters(.homeAgent)

                // Until the watcher, which may have begun to watch too late for the first, has seen one.
                var sent: UInt64 = 0
                try await poll(for: "event of \(reason); mooring watch wrote: \(watch.output)\(watch.errorOutput)") {
                    try await topology.sendProtocol41(
                        from: .networkA, outer: (outerSource, Topology.endpoint, 0),
                        inner: (innerSource, Topology.correspondentAddress, 0), count: 10)
                    sent += 10
                    return events(watch).contains { $0.contains(reason) }
                }
                let event = try #require(events(watch).first { $0.contains(reason) })
                #expect(event.contains(outerSource), "\(event)")
                #expect(event.contains(innerSource), "\(event)")

                try await poll(for: "count of \(sent) under \(reason)") {
                    try await topology.counters(.homeAgent).dropped(reason)! >= before.dropped(reason)! + sent
                }
                let after = try await topology.counters(.homeAgent)
                #expect(after.dropped(reason)! == before.dropped(reason)! + sent)
                for other in ["inner-source-unregistered", "outer-source-mismatch"] where other != reason {
                    #expect(after.dropped(other) == before.dropped(other))
                }

                // A packet of the node's own comes after them and passes, so they would have passed before it.
                try await topology.sendProtocol41(
                    from: .node, outer: (Topology.careOfAddressA, Topology.endpoint, 0),
                    inner: (Topology.nodeAddress, Topology.correspondentAddress, 0), count: 1)
                let passed = try await poll(for: "the node's own packet") {
                    let packets = try await capture.decoded("udp", fields: ["ipv6.src", "udp.checksum.status"])
                    return packets.isEmpty ? nil : packets
                }
                #expect(passed == [[Topology.nodeAddress, "1"]])
            }
        }

        private func events(_ watch: ChildProcess) -> [String] {
            watch.output.split(separator: "\n").map(String.init)
        }
    }
}

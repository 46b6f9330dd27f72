// Packets that are wrong in every way, for the whole forwarder, in memory that ends where they end.

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Fuzz of the forwarder")
struct ForwarderFuzzTests {
    static let vectors = ForwardingVectors.all

    @Test(
        "whatever comes, every packet has one end, and what leaves is a whole packet of its side",
        arguments: [false, true], [false, true])
    func mutations(_ singleDevice: Bool, ofAllTunnels: Bool) throws {
        let seed = RandomTest.seed(for: "fuzz of the forwarder, \(singleDevice ? "one device" : "two devices")")
        var generator = SeededGenerator(seed: seed)
        var settings = TestForwarder.settings
        settings.singleDevice = singleDevice
        settings.endpoints = [Self.vectors.endpoint, Self.vectors.otherEndpoint].map { IPv4Address($0)! }
        let forwarder = try TestForwarder(ofAllTunnels ? TunnelVectors.makeTable() : nil, settings: settings)
        let corpus = (ofAllTunnels ? TunnelVectors.all.packets : Self.vectors.packets).map(\.bytes)
        var (received, now) = (UInt64(0), UInt64(0))
        for _ in 0..<RandomTest.count(500) {
            let packets: [Given] = (0..<Int.random(in: 1...128, using: &generator)).map { _ in
                let bytes = Array(PacketMutation.mutate(corpus, using: &generator).prefix(GuardedSlots.packetCapacity))
                return Bool.random(using: &generator) ? .home(bytes) : .access(bytes)
            }
            let before = forwarder.counters
            let outcomes = forwarder.process(packets, now: now)
            let generated = forwarder.generated.map(\.outcome)
            let after = forwarder.counters
            received += UInt64(packets.count)
            now += .random(in: 0...50_000_000, using: &generator)
            #expect(after.isConserved, "seed \(seed)")
            #expect(after.received.sum == received)
            let sent = outcomes.count { $0 != .released } + generated.count
            #expect(after.transmitted.sum - before.transmitted.sum == UInt64(sent))
            let bytes = (outcomes + generated).reduce(0) { $0 + ($1.bytes?.count ?? 0) }
            #expect(after.transmittedBytes.sum - before.transmittedBytes.sum == UInt64(bytes))
            for outcome in generated {
                if let wrong = wrong(outcome) { Issue.record("\(wrong), made by the forwarder, seed \(seed)") }
            }
            for (given, outcome) in zip(packets, outcomes) {
                if let wrong = wrong(outcome) {
                    Issue.record("\(wrong): \(hexadecimal(given.bytes)) from \(given.side), seed \(seed)")
                }
            }
        }
        // Or the test would look at drops alone.
        #expect(forwarder.counters.transmitted.home > 0 && forwarder.counters.transmitted.access > 0)
    }

    /// What is wrong with a packet that left.
    private func wrong(_ outcome: Outcome) -> String? {
        switch outcome {
        case .released: return nil
        case .superFrame, .joined: return "a super-frame, which nobody asked for"
        case .home(let bytes):
            // An IP packet to its last byte, with nothing behind it.
            if bytes.count >= 20, bytes[0] >> 4 == 4 {
                let headerLength = Int(bytes[0] & 15) * 4
                guard headerLength >= 20, headerLength <= bytes.count,
                    PacketMutation.onesComplementSum(bytes[..<headerLength]) == 0xFFFF
                else { return "a wrong IPv4 header to the home side" }
                return Int(bytes[2]) << 8 + Int(bytes[3]) == bytes.count ? nil : "a wrong length to the home side"
            }
            guard bytes.count >= 40, bytes[0] >> 4 == 6 else { return "no IP to the home side" }
            return 40 + Int(bytes[4]) << 8 + Int(bytes[5]) == bytes.count ? nil : "a wrong length to the home side"
        case .access(let bytes):
            guard bytes.count >= 20, bytes[0] == 0x45 else { return "no plain IPv4 header to the access side" }
            // Minimal encapsulation, within UDP too, is itself what is fragmented; of later fragments nothing tells.
            let isLater = bytes[6] & 0x1F != 0 || bytes[7] != 0
            let isMinimal = bytes[9] == 55 || (bytes[9] == 17 && (isLater || (bytes.count > 29 && bytes[29] == 55)))
            guard Int(bytes[2]) << 8 + Int(bytes[3]) == bytes.count else { return "a wrong length to the access side" }
            guard PacketMutation.onesComplementSum(bytes[..<20]) == 0xFFFF else {
                return "a wrong checksum to the access side"
            }
            guard isMinimal || (bytes[6] & 0xBF == 0 && bytes[7] == 0) else { return "a fragment to the access side" }
            guard [1, 4, 17, 41, 47, 55].contains(bytes[9]) else { return "protocol \(bytes[9]) to the access side" }
            return nil
        }
    }
}

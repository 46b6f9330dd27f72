// ICMPv4 errors from the path, as scapy makes them and what they become (Tests/Vectors/tunnels.py).

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Errors from the path")
struct PathErrorTests {
    static let vectors = TunnelVectors.all

    private func makeForwarder(_ change: (inout ForwarderSettings) -> Void = { _ in }) throws -> TestForwarder {
        var settings = TestForwarder.settings
        change(&settings)
        return try TestForwarder(TunnelVectors.makeTable(), settings: settings, firstIdentification: 1)
    }

    @Test("T6 the source of the packet in the tunnel is told", arguments: vectors.pathErrors)
    func told(_ vector: TunnelVectors.Passage) throws {
        let forwarder = try makeForwarder()
        let outcome = forwarder.process(.access(vector.in.bytes))
        #expect(outcome == .home(vector.out.bytes), "\(hexadecimal(outcome.bytes ?? [])) \(forwarder.dropped)")
        let counters = forwarder.counters
        #expect(counters.absorbed == 1)
        #expect(counters.generated == BySide(home: 1, access: 0))
        #expect(forwarder.dropped == [:])
        #expect(counters.isConserved)
    }

    @Test("T6 what can't be told on, or must not, is dropped", arguments: vectors.untold)
    func untold(_ vector: TunnelVectors.Unanswered) throws {
        let forwarder = try makeForwarder()
        #expect(forwarder.process(.access(vector.in.bytes)) == .released)
        #expect(forwarder.dropped == [.icmpv4Ignored: 1])
        #expect(forwarder.counters.generated.sum == 0)
        #expect(forwarder.counters.isConserved)
    }

    @Test("T6 every cut of an error is told on or dropped, and nothing is read behind it")
    func cuts() throws {
        let forwarder = try makeForwarder { $0.errorBurst = 1_000_000 }
        for vector in Self.vectors.pathErrors {
            for length in 28..<vector.in.bytes.count {
                var packet = Array(vector.in.bytes[..<length])
                packet.replaceSubrange(2..<4, with: [UInt8(length >> 8), UInt8(length & 0xFF)])
                packet.replaceSubrange(22..<24, with: [0, 0])
                let sum = ~PacketMutation.onesComplementSum(packet[20...])
                packet.replaceSubrange(22..<24, with: [UInt8(sum >> 8), UInt8(sum & 0xFF)])
                PacketMutation.mendIPv4Checksum(&packet)
                _ = forwarder.process(.access(packet))
            }
        }
        let counters = forwarder.counters
        #expect(counters.isConserved)
        #expect(Set(forwarder.dropped.keys) == [.icmpv4Ignored])
        #expect(counters.generated.home > 0)
    }

    @Test("T6 errors are limited in rate, and without a source for them none is sent")
    func limited() throws {
        let error = try #require(Self.vectors.pathErrors.first).in.bytes
        let limited = try makeForwarder { ($0.errorsPerSecond, $0.errorBurst) = (1, 3) }
        let outcomes = (0..<5).map { _ in limited.process(.access(error)) }
        #expect(outcomes.map { $0 == .released } == [false, false, false, true, true])
        #expect(limited.counters.absorbed == 5)
        #expect(limited.counters.suppressedErrors == 2)
        #expect(limited.counters.isConserved)
        let silent = try makeForwarder { $0.errorSource = nil }
        #expect(silent.process(.access(error)) == .released)
        #expect(silent.counters.absorbed == 1)
        #expect(silent.counters.suppressedErrors == 1)
        #expect(silent.counters.isConserved)
    }
}

// Datagrams of a UDP tunnel that leave in one write. What the kernel makes of a train is what leaves where each segment of the
// super-frame had come by itself, which other tests look at; and the counters can't tell the two apart.

import Forwarding
import TestSupport
import Testing
import Wire

@Suite("Trains of datagrams")
struct TrainTests {
    private typealias Kind = SuperFrameTests.Kind
    private static let kinds: [SuperFrameTests.Kind] = [.udp, .udpHomeAddress, .greInUDP, .minimalInUDP]

    /// The datagrams that the kernel makes of a train (linux: __udp_gso_segment), without their checksums.
    private static func cut(_ outcome: Outcome) -> [[UInt8]] {
        guard case .superFrame(let bytes, let kind, let size, let offset, let count) = outcome else {
            return outcome.bytes.map { [$0] } ?? []
        }
        #expect(kind == 5 && offset == 20 && bytes.count <= 65_535 && count <= 64)
        let payload = Array(bytes[28...])
        #expect(payload.count > (Int(count) - 1) * Int(size) && payload.count <= Int(count) * Int(size))
        #expect(word(bytes, at: 2) == bytes.count && word(bytes, at: 24) == bytes.count - 20)
        #expect(sum(Array(bytes[..<20])) == 0xFFFF)
        // Of the pseudo-header (RFC 768), as the kernel wants it: both addresses, protocol and length.
        let pseudo = Array(bytes[12..<20]) + [0, 17] + Array(bytes[24..<26])
        #expect(word(bytes, at: 26) == sum(pseudo))
        return (0..<Int(count)).map { number in
            let part = payload[number * Int(size)..<min((number + 1) * Int(size), payload.count)]
            var datagram = Array(bytes[..<28]) + part
            store(datagram.count, in: &datagram, at: 2)
            store(word(bytes, at: 4) + number, in: &datagram, at: 4)
            store(datagram.count - 20, in: &datagram, at: 24)
            store(0, in: &datagram, at: 26)
            PacketMutation.mendIPv4Checksum(&datagram)
            return datagram
        }
    }

    private static func word(_ bytes: [UInt8], at offset: Int) -> Int {
        Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
    }

    private static func store(_ value: Int, in bytes: inout [UInt8], at offset: Int) {
        bytes.replaceSubrange(offset..<offset + 2, with: [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)])
    }

    private static func sum(_ bytes: [UInt8]) -> Int {
        let sum = stride(from: 0, to: bytes.count, by: 2).reduce(0) { $0 + word(bytes, at: $1) }
        return sum & 0xFFFF + sum >> 16
    }

    @Test(
        "A train becomes the datagrams of single segments, and counts the same", arguments: kinds,
        SuperFrameVectors.all.cases.filter { !$0.name.contains("too big") && !$0.name.contains("group") })
    func trains(_ kind: SuperFrameTests.Kind, _ vector: SuperFrameVectors.Case) throws {
        let whole = try SuperFrameTests.forwarder(kind, sendsTrains: true)
        let single = try SuperFrameTests.forwarder(kind)
        let outcome = SuperFrameTests.sent(whole, [SuperFrameTests.given(vector)])
        let expected = vector.segments.flatMap { SuperFrameTests.sent(single, [.home($0.bytes)]) }.compactMap(\.bytes)
        #expect(outcome.flatMap(Self.cut) == expected)
        // As many at once as a kernel takes.
        let most = min(64, (65_535 - 28) / (expected[0].count - 28))
        let rounds = (expected.count + 511) / 512
        #expect(outcome.count <= (expected.count + most - 1) / most + rounds - 1)
        SuperFrameTests.compare(whole, single, "\(kind)")
    }

    @Test("Only datagrams leave so, and only where all go whole into the tunnel")
    func others() throws {
        let vector = SuperFrameVectors.named("TCP over IPv6, the last shorter")
        for kind in [Kind.direct, .homeAddress, .gre, .greWithAll, .minimal] {
            let forwarder = try SuperFrameTests.forwarder(kind, sendsTrains: true)
            let outcome = SuperFrameTests.sent(forwarder, [SuperFrameTests.given(vector)])
            #expect(outcome.count == vector.segments.count, "\(kind)")
        }
        // Fragments have the lengths that they have.
        let large = SuperFrameVectors.named("UDP over IPv4, too big, may be fragmented")
        let forwarder = try SuperFrameTests.forwarder(.udp, sendsTrains: true)
        let outcome = SuperFrameTests.sent(forwarder, [SuperFrameTests.given(large)])
        #expect(outcome.allSatisfy { if case .access = $0 { true } else { false } })
        #expect(outcome.count > large.segments.count)
    }

    @Test("With minimal encapsulation, whose header is the packet's own, one with a reserved flag leaves in no train")
    func reservedFlag() throws {
        let vector = SuperFrameVectors.named("UDP over IPv4")
        var bytes = vector.frame.bytes
        bytes[6] |= 0x80
        PacketMutation.mendIPv4Checksum(&bytes)
        let given = Given.superFrame(
            bytes, kind: vector.kind, size: vector.segmentSize, transportOffset: vector.transportOffset,
            count: UInt16(vector.segments.count))
        let forwarder = try SuperFrameTests.forwarder(.minimalInUDP, sendsTrains: true)
        let outcome = SuperFrameTests.sent(forwarder, [given])
        #expect(outcome.count == vector.segments.count)
        #expect(outcome.allSatisfy { if case .access(let packet) = $0 { packet[6] & 0x80 != 0 } else { false } })
        #expect(forwarder.counters.isConserved)
    }

    @Test("A train goes before the kernel's own way, of UDP alone")
    func pushed() throws {
        let vector = SuperFrameVectors.named("TCP over IPv6, the last shorter")
        for (kind, isTrain) in [(Kind.udp, true), (.direct, false), (.gre, false)] {
            let forwarder = try SuperFrameTests.forwarder(kind, sendsSuperFrames: true, sendsTrains: true)
            let outcome = SuperFrameTests.sent(forwarder, [SuperFrameTests.given(vector)])
            try #require(outcome.count == 1)
            if case .superFrame = outcome[0] { #expect(isTrain) } else { #expect(!isTrain) }
        }
    }
}

// Super-frames out of a tunnel that came whole. Whatever becomes of the segments when each comes by itself becomes of them when
// they come as one, and the counters can't tell the two apart. Frames and segments are scapy's (Tests/Vectors/superframes.py,
// wholeframes.py).

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Super-frames out of a tunnel")
struct WholeFrameTests {
    /// The shape of Tests/Vectors/wholeframes.json.
    struct Vectors: Decodable, Sendable {
        struct Case: Decodable, Sendable, CustomStringConvertible {
            let inner: String
            let tunnel: String
            let tos: UInt8
            let headers: Hex
            let segmentHeaders: [Hex]
            var description: String { "\(inner), \(tunnel), TOS \(tos)" }

            var frame: SuperFrameVectors.Case { .init(named: inner) }

            /// As the kernel hands it over.
            func given(_ change: (inout [UInt8]) -> Void = { _ in }) -> Given {
                var bytes = headers.bytes + frame.frame.bytes
                change(&bytes)
                return .superFrame(
                    bytes, kind: frame.kind, size: frame.segmentSize,
                    transportOffset: UInt16(frame.transportOffset) + UInt16(headers.bytes.count),
                    count: UInt16(frame.segments.count), from: .access)
            }

            /// Each by itself.
            var givenSegments: [Given] {
                zip(segmentHeaders, frame.segments).map { .access($0.bytes + $1.bytes) }
            }
        }
        let cases: [Case]
        static let all: Vectors = TestSupport.Vectors.load("wholeframes")

        static func first(_ inner: String, _ tunnel: String = "direct") -> Case {
            all.cases.first { $0.inner == inner && $0.tunnel == tunnel }!
        }
    }

    private static func forwarder(
        _ tunnel: String, careOf: String = "203.0.113.9", joins: Bool = false
    ) throws -> TestForwarder {
        let table = try BindingTable(BindingTable.Configuration())
        var binding = Binding(
            id: "mn1", careOfAddress: IPv4Address(careOf)!,
            prefixes: [BoundPrefix(IPv6Prefix("2001:db8:cccc::/48")!, tunnel: .careOf)])
        binding.endpoint = IPv4Address("192.0.2.1")!
        binding.homeAddress = IPv4Address("192.0.2.200")!
        if tunnel != "direct" {
            binding.encapsulation = .gre
            binding.gre = GREOptions(key: tunnel == "greWithKey" ? 0x00C0_FFEE : nil, sequence: false, checksum: false)
        }
        _ = try table.put([binding], now: 0)
        var settings = TestForwarder.settings
        (settings.joinsSegments, settings.joinsDatagrams) = (joins, joins)
        return try TestForwarder(table, settings: settings)
    }

    private static func expectSameCounters(
        _ whole: TestForwarder, _ single: TestForwarder, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(whole.counters.isConserved, sourceLocation: sourceLocation)
        #expect(whole.counters == single.counters, sourceLocation: sourceLocation)
        let traffic = [whole, single].map { $0.table.state(of: "mn1", now: 0)?.traffic }
        #expect(traffic[0] == traffic[1], sourceLocation: sourceLocation)
    }

    @Test("Segments leave as if each had come by itself, as one", arguments: Vectors.all.cases)
    func segments(_ vector: Vectors.Case) throws {
        let (whole, single) = (try Self.forwarder(vector.tunnel), try Self.forwarder(vector.tunnel))
        let outcome = whole.process(vector.given())
        guard case .superFrame(_, let kind, let size, let offset, let count) = outcome else {
            Issue.record("it left as \(outcome)")
            return
        }
        let frame = vector.frame
        #expect(
            kind == frame.kind && size == frame.segmentSize && offset == frame.transportOffset
                && Int(count) == frame.segments.count)
        #expect(outcome.cut == single.process(vector.givenSegments).map { $0.bytes })
        Self.expectSameCounters(whole, single)
    }

    @Test("What is refused counts as its segments", arguments: ["another place", "another tunnel", "not capable"])
    func refused(_ reason: String) throws {
        let vector = Vectors.all.cases.first { $0.tos == 0x2B && $0.tunnel == "direct" && $0.inner.contains("CWR") }!
        let (tunnel, careOf) = (
            reason == "another tunnel" ? "gre" : "direct", reason == "another place" ? "203.0.113.10" : "203.0.113.9"
        )
        let (whole, single) = (
            try Self.forwarder(tunnel, careOf: careOf), try Self.forwarder(tunnel, careOf: careOf)
        )
        // Of the inner traffic class the congestion bits, of which a node says that it knows none.
        func change(_ bytes: inout [UInt8]) { if reason == "not capable" { bytes[21] &= 0xCF } }
        #expect(whole.process(vector.given(change)) == .released)
        _ = single.process(
            vector.givenSegments.map { given in
                var bytes = given.bytes
                change(&bytes)
                return .access(bytes)
            })
        Self.expectSameCounters(whole, single)
        let expected: DropReason =
            switch reason {
            case "another place": .outerSourceMismatch
            case "another tunnel": .tunnelMismatch
            default: .ecnNotCapable
            }
        #expect(whole.dropped == [expected: UInt64(vector.frame.segments.count)])
    }

    @Test("It keeps its place in its flow: what comes behind it is not joined to what came before")
    func order() throws {
        let vector = Vectors.first("UDP over IPv6, small")
        let forwarder = try Self.forwarder("direct", joins: true)
        let segments = vector.givenSegments
        let outcomes = forwarder.process([segments[0], segments[1], vector.given(), segments[2], segments[3]])
        #expect(
            outcomes.map { $0.cut.count } == [2, 0, vector.frame.segments.count, 2, 0],
            "two are joined, then comes the whole, then two that are joined")
        #expect(forwarder.counters.isConserved)
    }

    @Test(
        "What the kernel would not hand over so is dropped",
        arguments: [
            "a fragment", "more fragments", "padding", "a shorter outer packet", "a checksum in GRE", "a number in GRE",
            "minimal encapsulation", "an inner fragment", "another transport offset", "another kind",
        ])
    func malformed(_ what: String) throws {
        let isGRE = what.hasSuffix("in GRE")
        let isIPv4 = what == "an inner fragment"
        let vector = Vectors.first(
            isIPv4 ? "TCP over IPv4, identifications that wrap" : "TCP over IPv6, the last as long",
            isGRE ? "gre" : "direct")
        let forwarder = try Self.forwarder(isGRE ? "gre" : "direct")
        var given = vector.given { bytes in
            switch what {
            case "a fragment": bytes[7] = 5
            case "more fragments": bytes[6] |= 0x20
            case "padding":
                bytes += [0, 0, 0, 0]
                bytes[3] += 4
            case "a shorter outer packet": bytes[3] &-= 8
            case "a checksum in GRE": bytes[20] |= 0x80
            case "a number in GRE": bytes[20] |= 0x10
            case "minimal encapsulation": bytes[9] = 55
            case "an inner fragment": bytes[26] |= 0x20
            default: return
            }
            PacketMutation.mendIPv4Checksum(&bytes)
            if isIPv4 {
                var inner = Array(bytes[20...])
                PacketMutation.mendIPv4Checksum(&inner)
                bytes.replaceSubrange(20..., with: inner)
            }
        }
        if case .superFrame(let bytes, let kind, let size, let offset, let count, let side) = given {
            switch what {
            case "another transport offset":
                given = .superFrame(bytes, kind: kind, size: size, transportOffset: 56, count: count, from: side)
            case "another kind":
                given = .superFrame(
                    bytes, kind: SegmentKind.tcpIPv4.rawValue, size: size, transportOffset: offset, count: count,
                    from: side)
            default: break
            }
        }
        #expect(forwarder.process(given) == .released)
        #expect(forwarder.dropped == [.superFrameMalformed: UInt64(vector.frame.segments.count)])
        #expect(forwarder.counters.isConserved)
    }
}

extension SuperFrameVectors.Case {
    fileprivate init(named name: String) { self = SuperFrameVectors.named(name) }
}

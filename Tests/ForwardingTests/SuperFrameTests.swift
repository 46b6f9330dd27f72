// Super-frames through the forwarder. Whatever becomes of the segments when each comes by itself, which other tests look
// at, becomes of them when they come as one; and the counters can't tell the two apart.

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Super-frames to be sent")
struct SuperFrameTests {
    /// A tunnel of each kind.
    enum Kind: String, CaseIterable {
        case direct, homeAddress, gre, greWithAll, udp, udpHomeAddress, greInUDP, minimal, minimalInUDP
    }

    private static let group = IPv6Address("ff3e::1234")!

    private static func binding(_ kind: Kind, _ id: String = "mn1", careOf: String = "203.0.113.9") -> Binding {
        var binding = Binding(
            id: id, careOfAddress: IPv4Address(careOf)!,
            prefixes: id == "mn1"
                ? [
                    BoundPrefix(
                        IPv6Prefix("2001:db8:1::/48")!,
                        tunnel: [.homeAddress, .udpHomeAddress, .minimal, .minimalInUDP].contains(kind)
                            ? .homeAddress : .careOf)
                ] : [])
        binding.homeAddress = id == "mn1" ? IPv4Address("198.51.100.7") : nil
        switch kind {
        case .direct, .homeAddress: break
        case .gre: binding.encapsulation = .gre
        case .greWithAll:
            binding.encapsulation = .gre
            binding.gre = GREOptions(key: 7, sequence: true, checksum: true)
        case .udp, .udpHomeAddress, .greInUDP, .minimalInUDP:
            binding.encapsulation = .udp
            binding.udpPort = 40_000
            if kind == .greInUDP { binding.udpEncapsulation = .gre }
            if kind == .minimalInUDP { binding.udpEncapsulation = .minimal }
        case .minimal: binding.encapsulation = .minimal
        }
        return binding
    }

    static func forwarder(
        _ kind: Kind, groupMembers: Int = 0, errors: Bool = false, sendsSuperFrames: Bool = false,
        sendsTrains: Bool = false
    ) throws -> TestForwarder {
        var configuration = BindingTable.Configuration()
        configuration.endpoint = IPv4Address("192.0.2.1")!
        configuration.tunnelMTU = 1280
        let table = try BindingTable(configuration)
        _ = try table.put([binding(kind)], now: 0)
        for member in 0..<groupMembers {
            _ = try table.put([binding(kind, "member\(member)", careOf: "203.0.113.\(20 + member)")], now: 0)
            _ = try table.join(group, ["member\(member)"])
        }
        var settings = TestForwarder.settings
        if !errors { settings.errorsPerSecond = 0 }
        settings.sendsSuperFrames = sendsSuperFrames
        settings.sendsTrains = sendsTrains
        return try TestForwarder(table, settings: settings)
    }

    static func given(_ vector: SuperFrameVectors.Case) -> Given {
        .superFrame(
            vector.frame.bytes, kind: vector.kind, size: vector.segmentSize, transportOffset: vector.transportOffset,
            count: UInt16(vector.segments.count))
    }

    /// All that leaves, in its order.
    static func sent(_ forwarder: TestForwarder, _ packets: [Given]) -> [Outcome] {
        let outcomes = forwarder.process(packets)
        var all: [Outcome] = []
        for place in 0...packets.count {
            all += forwarder.generated.filter { $0.place == place }.map(\.outcome)
            if place < packets.count, outcomes[place] != .released { all.append(outcomes[place]) }
        }
        return all
    }

    /// Counters beside those of what is made here: copies and fragments of segments count as those of packets do.
    static func compare(
        _ whole: TestForwarder, _ single: TestForwarder, _ comment: Comment,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(whole.counters.isConserved, comment, sourceLocation: sourceLocation)
        #expect(whole.counters == single.counters, comment, sourceLocation: sourceLocation)
        let traffic = [whole, single].map { $0.table.state(of: "mn1", now: 0)?.traffic }
        #expect(traffic[0] == traffic[1], comment, sourceLocation: sourceLocation)
    }

    @Test(
        "Segments go as if each had come by itself, in every kind of tunnel",
        arguments: Kind.allCases, SuperFrameVectors.all.cases.filter { !$0.name.contains("too big") })
    func segments(_ kind: Kind, _ vector: SuperFrameVectors.Case) throws {
        let (whole, single) = (try Self.forwarder(kind), try Self.forwarder(kind))
        let outcome = Self.sent(whole, [Self.given(vector)])
        let expected = vector.segments.flatMap { Self.sent(single, [.home($0.bytes)]) }
        #expect(outcome == expected)
        if !vector.name.contains("group") { #expect(outcome.count == vector.segments.count) }
        Self.compare(whole, single, "\(kind)")
        #expect((whole.resumptions > 0) == (vector.segments.count > PacketBatch.generatedCapacity))
    }

    @Test(
        "One that leaves whole becomes the same segments, and counts the same", arguments: [Kind.direct, .gre],
        SuperFrameVectors.all.cases.filter { !$0.name.contains("too big") && !$0.name.contains("group") })
    func whole(_ kind: Kind, _ vector: SuperFrameVectors.Case) throws {
        let (whole, single) = (try Self.forwarder(kind, sendsSuperFrames: true), try Self.forwarder(kind))
        let outer = [Kind.direct: 20, .gre: 24][kind]!
        let outcome = Self.sent(whole, [Self.given(vector)]).compactMap(\.bytes)
        let expected = vector.segments.flatMap { Self.sent(single, [.home($0.bytes)]) }.compactMap(\.bytes)
        let cut = outcome.flatMap { packet in
            packet.count - outer <= vector.segments[0].bytes.count
                ? [packet]
                : TunnelledFrame.cut(
                    packet, outer: outer, isTCP: vector.kind != SegmentKind.udp.rawValue,
                    size: Int(vector.segmentSize), transportOffset: Int(vector.transportOffset) + outer)
        }
        #expect(cut == expected)
        // Of the largest some leave before it by themselves: with its headers it would be more than a packet can be.
        let isLargest = vector.frame.bytes.count + outer > 65_535
        #expect(outcome.count == (isLargest ? 2 : 1))
        #expect(outcome.allSatisfy { $0.count <= 65_535 })
        Self.compare(whole, single, "\(kind)")
    }

    @Test("In tunnels whose headers differ from packet to packet, or of two, none leaves whole")
    func notWhole() throws {
        let vector = SuperFrameVectors.named("TCP over IPv6, the last shorter")
        for kind in [Kind.homeAddress, .greWithAll, .udp, .udpHomeAddress, .greInUDP, .minimal, .minimalInUDP] {
            let forwarder = try Self.forwarder(kind, sendsSuperFrames: true)
            #expect(Self.sent(forwarder, [Self.given(vector)]).count == vector.segments.count, "\(kind)")
        }
    }

    @Test("What is before and behind it in its batch keeps its place")
    func order() throws {
        let vector = SuperFrameVectors.named("TCP over IPv6, more than a batch has room for")
        let other = SuperFrameVectors.named("UDP over IPv6, the last shorter")
        let (whole, single) = (try Self.forwarder(.greWithAll), try Self.forwarder(.greWithAll))
        let packets: [Given] = [.home(other.segments[0].bytes), Self.given(vector), .home(other.segments[1].bytes)]
        var outcome: [Outcome] = []
        outcome = Self.sent(whole, packets + [Self.given(other)])
        let expected = [other.segments[0]] + vector.segments + [other.segments[1]] + other.segments
        // Those of an unfinished batch come out by the rounds in which they leave, so numbers are compared, not places.
        let sequences = { (outcomes: [Outcome]) in outcomes.compactMap(\.bytes).map { Array($0[32..<36]) } }
        let singles = expected.flatMap { Self.sent(single, [.home($0.bytes)]) }
        #expect(Set(sequences(outcome)) == Set(sequences(singles)))
        #expect(outcome.count == singles.count)
        Self.compare(whole, single, "")
    }

    @Test("Segments that are too big: their source is told once, and all are dropped", arguments: [6, 4])
    func tooBig(_ version: Int) throws {
        let vector = SuperFrameVectors.named("TCP over IPv\(version), too big")
        let forwarder = try Self.forwarder(.direct, errors: true)
        let outcome = Self.sent(forwarder, [Self.given(vector)])
        #expect(outcome.count == 1)
        guard case .home(let answer) = outcome.first else {
            Issue.record("no answer")
            return
        }
        // Packet Too Big, or destination unreachable because it must not be fragmented.
        #expect(version == 6 ? answer[40...41] == [2, 0] : answer[20...21] == [3, 4])
        #expect(forwarder.dropped == [.packetTooBig: UInt64(vector.segments.count)])
        #expect(forwarder.counters.generated.home == 1)
        #expect(forwarder.counters.isConserved)
    }

    @Test("Segments of TCP that are too big and may be fragmented are made smaller")
    func smaller() throws {
        let vector = SuperFrameVectors.named("TCP over IPv4, too big, may be fragmented")
        let forwarder = try Self.forwarder(.direct)
        let inner = Self.sent(forwarder, [Self.given(vector)]).compactMap(\.bytes).map { Array($0[20...]) }
        // Of 1280 bytes 40 are headers.
        #expect(inner.map(\.count) == [1280, 1280, 1280, 1280, 5000 - 4 * 1240 + 40])
        #expect(inner.flatMap { $0[40...] } == vector.segments.flatMap { $0.bytes[40...] })
        for (number, segment) in inner.enumerated() {
            let sequence = segment[24..<28].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            #expect(sequence == 0xFFFF_F000 &+ UInt32(number * 1240))
            var sum = segment[20...].enumerated().reduce(UInt32(6 + segment.count - 20)) {
                $0 + UInt32($1.element) << ($1.offset.isMultiple(of: 2) ? 8 : 0)
            }
            for index in stride(from: 12, to: 20, by: 2) {
                sum += UInt32(segment[index]) << 8 + UInt32(segment[index + 1])
            }
            while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
            #expect(sum == 0xFFFF, "the checksum of segment \(number)")
        }
        let counters = forwarder.counters
        #expect(counters.isConserved)
        #expect(counters.received.home == 4 && counters.generated.access == 1 && counters.transmitted.access == 5)
    }

    @Test(
        "Datagrams that are too big and may be fragmented are", arguments: [Kind.direct, .gre, .minimal], [false, true])
    func fragments(_ kind: Kind, sendsSuperFrames: Bool) throws {
        let vector = SuperFrameVectors.named("UDP over IPv4, too big, may be fragmented")
        let (whole, single) = (
            try Self.forwarder(kind, sendsSuperFrames: sendsSuperFrames), try Self.forwarder(kind)
        )
        let outcome = Self.sent(whole, [Self.given(vector)])
        let expected = vector.segments.flatMap { Self.sent(single, [.home($0.bytes)]) }
        #expect(outcome == expected)
        #expect(outcome.count > vector.segments.count)
        Self.compare(whole, single, "\(kind)")
    }

    @Test("Without a binding its source is told once, and all are dropped")
    func noBinding() throws {
        let vector = SuperFrameVectors.named("TCP over IPv6, the last shorter")
        let forwarder = try Self.forwarder(.direct, errors: true)
        _ = forwarder.table.remove(["mn1"])
        let outcome = Self.sent(forwarder, [Self.given(vector)])
        #expect(outcome.count == 1)
        #expect(forwarder.dropped == [.noBinding: UInt64(vector.segments.count)])
        #expect(forwarder.counters.isConserved)
    }

    @Test("The members of a group get copies of each segment", arguments: [1, 2, 200])
    func members(_ count: Int) throws {
        let vector = SuperFrameVectors.named("UDP over IPv6, to a group")
        let (whole, single) = (
            try Self.forwarder(.direct, groupMembers: count), try Self.forwarder(.direct, groupMembers: count)
        )
        let outcome = Self.sent(whole, [Self.given(vector)])
        let expected = vector.segments.flatMap { Self.sent(single, [.home($0.bytes)]) }
        #expect(outcome.count == count * vector.segments.count)
        #expect(outcome == expected)
        Self.compare(whole, single, "")
    }

    @Test("One whose count is not that of its segments is dropped, and counted as it came")
    func contradiction() throws {
        let vector = SuperFrameVectors.named("TCP over IPv6, the last shorter")
        let forwarder = try Self.forwarder(.direct)
        var bytes = vector.frame.bytes
        // The payload length of a packet that ends before the second segment.
        (bytes[4], bytes[5]) = (0x03, 0x00)
        let given = Given.superFrame(
            bytes, kind: vector.kind, size: vector.segmentSize, transportOffset: vector.transportOffset,
            count: UInt16(vector.segments.count))
        #expect(Self.sent(forwarder, [given]) == [])
        #expect(forwarder.dropped == [.superFrameMalformed: UInt64(vector.segments.count)])
        #expect(forwarder.counters.isConserved)
    }

    @Test(
        "Headers between that of IPv6 and that of TCP may be as long as they like",
        arguments: [Kind.direct, .gre, .udp, .minimal], [208, 232, 248, 600])
    func longHeaders(_ kind: Kind, _ length: Int) throws {
        let vector = SuperFrameVectors.named("TCP over IPv6, odd lengths")
        // Destination options (RFC 8200, 4.6), of padding alone.
        var padding: [UInt8] = [6, UInt8(length / 8 - 1), 1, 4, 0, 0, 0, 0]
        while padding.count < length { padding += [1, 6, 0, 0, 0, 0, 0, 0] }
        func inserted(_ packet: [UInt8]) -> [UInt8] {
            let payload = packet.count - 40 + length
            var result = packet
            result.replaceSubrange(4..<7, with: [UInt8(payload >> 8), UInt8(payload & 0xFF), 60])
            result.insert(contentsOf: padding, at: 40)
            return result
        }
        let given = Given.superFrame(
            inserted(vector.frame.bytes), kind: vector.kind, size: vector.segmentSize,
            transportOffset: vector.transportOffset + UInt16(length), count: UInt16(vector.segments.count))
        let single = try Self.forwarder(kind)
        let expected = vector.segments.flatMap { Self.sent(single, [.home(inserted($0.bytes))]) }.compactMap(\.bytes)
        #expect(expected.count == vector.segments.count)
        let split = try Self.forwarder(kind)
        #expect(Self.sent(split, [given]).compactMap(\.bytes) == expected)
        Self.compare(split, single, "\(kind)")
        guard let outer = [Kind.direct: 20, .gre: 24][kind] else { return }
        let pushing = try Self.forwarder(kind, sendsSuperFrames: true)
        let whole = Self.sent(pushing, [given]).compactMap(\.bytes)
        try #require(whole.count == 1)
        let cut = TunnelledFrame.cut(
            whole[0], outer: outer, isTCP: true, size: Int(vector.segmentSize),
            transportOffset: Int(vector.transportOffset) + length + outer)
        #expect(cut == expected)
        Self.compare(pushing, single, "\(kind)")
    }

    @Test("One whose IPv4 header has options where TCP or UDP is said to begin is dropped")
    func options() throws {
        let vector = SuperFrameVectors.named("UDP over IPv4")
        var bytes = vector.frame.bytes
        bytes[0] = 0x47
        PacketMutation.mendIPv4Checksum(&bytes)
        let given = Given.superFrame(
            bytes, kind: vector.kind, size: vector.segmentSize, transportOffset: vector.transportOffset,
            count: UInt16(vector.segments.count))
        for kind in Kind.allCases {
            let forwarder = try Self.forwarder(kind, sendsSuperFrames: true, sendsTrains: true)
            #expect(Self.sent(forwarder, [given]) == [], "\(kind)")
            #expect(forwarder.dropped == [.superFrameMalformed: UInt64(vector.segments.count)], "\(kind)")
            #expect(forwarder.counters.isConserved)
        }
    }
}

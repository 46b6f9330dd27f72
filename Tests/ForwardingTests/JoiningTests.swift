// Packets that leave a tunnel and are joined into super-frames. Which may be is scapy's to say (Tests/Vectors/joining.py),
// and so is what a super-frame looks like (superframes.py); that nothing is lost or overtakes its like is seen by cutting
// what was joined again.

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Joining of segments")
struct JoiningTests {
    /// The shape of Tests/Vectors/joining.json.
    struct Vectors: Decodable, Sendable {
        struct Case: Decodable, Sendable, CustomStringConvertible {
            let name: String
            let packets: [Hex]
            let frames: [[Int]]
            var description: String { name }
        }
        let cases: [Case]
        static let all: Vectors = TestSupport.Vectors.load("joining")
    }

    /// A mobile node's forwarder, to which its home agent sends whatever there is.
    private static func node(joins: Bool = true, joinsDatagrams: Bool = true) throws -> TestForwarder {
        let table = try BindingTable(BindingTable.Configuration())
        var binding = Binding(
            id: "ha", careOfAddress: IPv4Address("203.0.113.1")!,
            prefixes: [BoundPrefix(IPv6Prefix("::/0")!, tunnel: .careOf)])
        binding.role = .mobileNode
        binding.endpoint = IPv4Address("192.0.2.1")!
        binding.homeAddress = IPv4Address("198.51.100.7")!
        binding.networks = [IPv4Prefix("0.0.0.0/0")!]
        _ = try table.put([binding], now: 0)
        var settings = TestForwarder.settings
        (settings.joinsSegments, settings.joinsDatagrams) = (joins, joinsDatagrams)
        return try TestForwarder(table, settings: settings)
    }

    /// A packet in the tunnel, whose header says of congestion what its own says.
    private static func tunnelled(_ packet: [UInt8]) -> Given {
        let isIPv4 = packet[0] >> 4 == 4
        var header = IPv4Header(
            protocol: isIPv4 ? IPProtocol.ipv4 : IPProtocol.ipv6, source: IPv4Address("203.0.113.1")!,
            destination: IPv4Address("192.0.2.1")!)
        header.totalLength = UInt16(20 + packet.count)
        header.trafficClass = TrafficClass(rawValue: isIPv4 ? packet[1] : packet[0] << 4 | packet[1] >> 4)
        var bytes = [UInt8](repeating: 0, count: 20)
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        return .access(bytes + packet)
    }

    @Test(
        "Segments become the super-frame that scapy has of them",
        arguments: SuperFrameVectors.all.cases.filter { vector in
            vector.segments.count <= 128 && !["CWR", "options", "group"].contains { vector.name.contains($0) }
        })
    func superFrames(_ vector: SuperFrameVectors.Case) throws {
        let forwarder = try Self.node()
        let outcomes = forwarder.process(vector.segments.map { Self.tunnelled($0.bytes) })
        #expect(
            outcomes.first
                == .superFrame(
                    vector.frame.bytes, kind: vector.kind, size: vector.segmentSize,
                    transportOffset: vector.transportOffset, count: UInt16(vector.segments.count)))
        #expect(outcomes.dropFirst().allSatisfy { $0 == .joined })
        let counters = forwarder.counters
        #expect(counters.isConserved)
        // Packets count, whatever they leave in.
        #expect(counters.transmitted.home == UInt64(vector.segments.count))
        #expect(counters.transmittedBytes.home == UInt64(vector.segments.reduce(0) { $0 + $1.bytes.count }))
    }

    @Test("What may be joined is, and nothing else", arguments: Vectors.all.cases)
    func rules(_ vector: Vectors.Case) throws {
        let forwarder = try Self.node()
        let outcomes = forwarder.process(vector.packets.map { Self.tunnelled($0.bytes) })
        let joined = Set(vector.frames.flatMap { $0.dropFirst() })
        let first = Dictionary(uniqueKeysWithValues: vector.frames.map { ($0[0], $0) })
        for (place, outcome) in outcomes.enumerated() {
            if let places = first[place] {
                guard case .superFrame(_, _, _, _, let count) = outcome else {
                    Issue.record("packet \(place) is joined to none")
                    continue
                }
                #expect(Int(count) == places.count, "from packet \(place) on")
                let expected = places.map { vector.packets[$0].bytes }
                // Identifications of what may not be fragmented may change.
                if vector.name != "identifications of what must not be fragmented" {
                    #expect(outcome.cut == expected, "from packet \(place) on")
                }
            } else {
                #expect(
                    outcome == (joined.contains(place) ? .joined : .home(vector.packets[place].bytes)),
                    "packet \(place)")
            }
        }
        #expect(forwarder.counters.isConserved)
    }

    @Test("Without it, or where the kernel knows none of their kind, each leaves by itself", arguments: [true, false])
    func off(joins: Bool) throws {
        let vector = SuperFrameVectors.named("UDP over IPv6, small")
        let forwarder = try Self.node(joins: joins, joinsDatagrams: false)
        let outcomes = forwarder.process(vector.segments.map { Self.tunnelled($0.bytes) })
        #expect(outcomes == vector.segments.map { .home($0.bytes) })
    }

    @Test(
        "Of streams that come by turns, with losses and other packets between, each keeps its packets and their order")
    func streams() throws {
        let seed = RandomTest.seed(for: "joining")
        var generator = SeededGenerator(seed: seed)
        let streams =
            SuperFrameVectors.all.cases.map { $0.segments.map(\.bytes) }
            + Vectors.all.cases.map { $0.packets.map(\.bytes) }
        let (joining, single) = (try Self.node(), try Self.node(joins: false))
        var frames = 0
        for round in 0..<300 {
            var left = (0..<Int.random(in: 1...6, using: &generator)).map { _ in
                ArraySlice(streams.randomElement(using: &generator)!.filter { $0.count < 3000 }.prefix(40))
            }
            var batch: [[UInt8]] = []
            while batch.count < 128, left.contains(where: { !$0.isEmpty }) {
                let number = left.indices.randomElement(using: &generator)!
                // In runs, as they come from a sender.
                for _ in 0..<Int.random(in: 1...8, using: &generator) where batch.count < 128 {
                    guard let packet = left[number].popFirst() else { break }
                    if !Int.random(in: 0..<20, using: &generator).isMultiple(of: 19) { batch.append(packet) }
                }
            }
            let given = batch.map { Self.tunnelled($0) }
            let outcomes = joining.process(given)
            let singles = single.process(given)
            frames += outcomes.count { if case .superFrame = $0 { true } else { false } }
            let cut = outcomes.flatMap(\.cut).map(Self.normalised)
            let expected = singles.flatMap(\.cut).map(Self.normalised)
            #expect(
                Dictionary(grouping: cut, by: Self.flow) == Dictionary(grouping: expected, by: Self.flow),
                "round \(round), seed \(seed)")
        }
        #expect(frames > 300)
        #expect(joining.counters == single.counters)
    }

    /// Without the identification of what must not be fragmented, which may change (RFC 6864, 4.1).
    private static func normalised(_ packet: [UInt8]) -> [UInt8] {
        guard packet[0] >> 4 == 4, packet[6] & 0x40 != 0 else { return packet }
        var packet = packet
        packet.replaceSubrange(4..<6, with: [0, 0])
        PacketMutation.mendIPv4Checksum(&packet)
        return packet
    }

    /// Addresses, protocol and the first bytes behind the header: of what has ports, the flow.
    private static func flow(_ packet: [UInt8]) -> [UInt8] {
        packet[0] >> 4 == 4 ? Array(packet[12..<24]) + [packet[9]] : Array(packet[8..<44]) + [packet[6]]
    }
}

// Packets that are joined before they go into a tunnel. What the kernel cuts of them must be what each would have been by
// itself, and so must the counters be; which may be joined is scapy's to say (Tests/Vectors/joining.py), as out of a tunnel.

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Joining into tunnels")
struct JoiningIntoTunnelsTests {
    /// A tunnel that carries super-frames.
    enum Tunnel: String, CaseIterable {
        case direct, gre, greWithKey

        /// Of its headers, in bytes.
        var headerLength: Int { [.direct: 20, .gre: 24, .greWithKey: 28][self]! }

        func apply(to binding: inout Binding) {
            switch self {
            case .direct: break
            case .gre: binding.encapsulation = .gre
            case .greWithKey:
                binding.encapsulation = .gre
                binding.gre = GREOptions(key: 7)
            }
        }
    }

    static let group = IPv6Address("ff3e::1234")!

    static func binding(_ tunnel: Tunnel = .direct) -> Binding {
        var binding = Binding(
            id: "mn1", careOfAddress: IPv4Address("203.0.113.9")!,
            prefixes: [BoundPrefix(IPv6Prefix("2001:db8:1::/48")!, tunnel: .careOf)])
        binding.homeAddress = IPv4Address("198.51.100.7")!
        tunnel.apply(to: &binding)
        return binding
    }

    static func forwarder(
        _ bindings: [Binding] = [binding()], joins: Bool = true, joinsDatagrams: Bool = true,
        outOfTunnels: Bool = false,
        tunnelMTU: UInt16 = 1480, worker: WorkerPlace = WorkerPlace()
    ) throws -> TestForwarder {
        var configuration = BindingTable.Configuration()
        configuration.endpoint = IPv4Address("192.0.2.1")!
        configuration.tunnelMTU = tunnelMTU
        let table = try BindingTable(configuration)
        _ = try table.put(bindings, now: 0)
        var settings = TestForwarder.settings
        (settings.sendsSuperFrames, settings.joinsDatagrams) = (joins, joinsDatagrams)
        settings.joinsSegments = outOfTunnels
        return try TestForwarder(table, settings: settings, place: worker)
    }

    /// What leaves a node's forwarder, of each place in the batch as on a wire.
    static func cut(_ outcome: Outcome, _ tunnel: Tunnel) -> [[UInt8]] {
        guard case .superFrame(let bytes, let kind, let size, let offset, let count) = outcome else {
            return outcome.bytes.map { [$0] } ?? []
        }
        let cut = TunnelledFrame.cut(
            bytes, outer: tunnel.headerLength, isTCP: kind != SegmentKind.udp.rawValue, size: Int(size),
            transportOffset: Int(offset))
        return cut.count == Int(count) ? cut : []
    }

    /// Without identifications that may be others: the outer one, and that of what must not be fragmented.
    static func normalised(_ packet: [UInt8], _ tunnel: Tunnel) -> [UInt8] {
        var outer = Array(packet[..<20])
        outer.replaceSubrange(4..<6, with: [0, 0])
        PacketMutation.mendIPv4Checksum(&outer)
        var inner = Array(packet[tunnel.headerLength...])
        if inner.count >= 20, inner[0] >> 4 == 4, inner[6] & 0x40 != 0 {
            inner.replaceSubrange(4..<6, with: [0, 0])
            PacketMutation.mendIPv4Checksum(&inner)
        }
        return outer + packet[20..<tunnel.headerLength] + inner
    }

    func compare(_ joining: TestForwarder, _ single: TestForwarder, _ comment: Comment) {
        #expect(joining.counters.isConserved, comment)
        #expect(joining.counters == single.counters, comment)
        let traffic = [joining, single].map { $0.table.state(of: "mn1", now: 0)?.traffic }
        #expect(traffic[0] == traffic[1], comment)
    }

    /// Has a batch processed with and without, and compares.
    /// - Parameter frames: the places of packets that are joined.
    func expect(
        _ packets: [Given], joined frames: [[Int]], _ joining: TestForwarder, _ single: TestForwarder,
        _ comment: Comment = "", tunnel: Tunnel = .direct
    ) {
        let outcomes = joining.process(packets)
        let made = joining.generated.map(\.outcome)
        let expected = single.process(packets)
        let others = Set(frames.flatMap { $0.dropFirst() })
        let first = Dictionary(uniqueKeysWithValues: frames.map { ($0[0], $0) })
        for place in packets.indices {
            if let places = first[place] {
                guard case .superFrame(_, _, _, _, let count) = outcomes[place] else {
                    Issue.record("packet \(place) is joined to none: \(comment)")
                    continue
                }
                #expect(Int(count) == places.count, "from packet \(place) on: \(comment)")
                let cut = Self.cut(outcomes[place], tunnel).map { Self.normalised($0, tunnel) }
                let alone = places.compactMap { expected[$0].bytes }.map { Self.normalised($0, tunnel) }
                #expect(cut == alone, "from packet \(place) on: \(comment)")
                #expect(outcomes[place].bytes!.count <= 65_535)
            } else if others.contains(place) {
                #expect(outcomes[place] == .joined, "packet \(place): \(comment)")
            } else if case .access(let bytes) = outcomes[place], case .access(let alone) = expected[place] {
                #expect(Self.normalised(bytes, tunnel) == Self.normalised(alone, tunnel), "packet \(place): \(comment)")
            } else {
                #expect(outcomes[place] == expected[place], "packet \(place): \(comment)")
            }
        }
        #expect(made.count == single.generated.count)
        // No outer packet has the identification of another to its destination.
        let numbers = (outcomes.flatMap { Self.cut($0, tunnel) } + made.compactMap(\.bytes)).filter {
            $0[0] >> 4 == 4 && $0[16..<19] == [203, 0, 113]
        }.map { Array($0[4..<6] + $0[16..<20]) }
        #expect(Set(numbers).count == numbers.count, comment)
        compare(joining, single, comment)
    }

    @Test(
        "Segments become the super-frame that scapy has of them, behind one set of outer headers",
        arguments: Tunnel.allCases,
        SuperFrameVectors.all.cases.filter { vector in
            vector.segments.count <= 128
                && !["CWR", "options", "group", "as large"].contains { vector.name.contains($0) }
        })
    func superFrames(_ tunnel: Tunnel, _ vector: SuperFrameVectors.Case) throws {
        let (joining, single) = (
            try Self.forwarder([Self.binding(tunnel)]), try Self.forwarder([Self.binding(tunnel)], joins: false)
        )
        let packets = vector.segments.map { Given.home($0.bytes) }
        guard case .superFrame(let bytes, let kind, let size, let offset, let count) = joining.process(packets)[0]
        else {
            Issue.record("nothing is joined")
            return
        }
        #expect(Array(bytes[tunnel.headerLength...]) == vector.frame.bytes)
        #expect(kind == vector.kind && size == vector.segmentSize && Int(count) == vector.segments.count)
        #expect(Int(offset) == Int(vector.transportOffset) + tunnel.headerLength)
        _ = single.process(packets)
        compare(joining, single, "\(tunnel)")
        expect(packets, joined: [Array(packets.indices)], joining, single, tunnel: tunnel)
    }

    @Test(
        "What may be joined is, and nothing else",
        arguments: JoiningTests.Vectors.all.cases.filter { $0.packets.allSatisfy { $0.bytes.count <= 1480 } })
    func rules(_ vector: JoiningTests.Vectors.Case) throws {
        let (joining, single) = (try Self.forwarder(), try Self.forwarder(joins: false))
        expect(vector.packets.map { .home($0.bytes) }, joined: vector.frames, joining, single)
    }

    @Test("A frame has 65,535 bytes at the most with its outer headers", arguments: Tunnel.allCases)
    func largest(_ tunnel: Tunnel) throws {
        let (joining, single) = (
            try Self.forwarder([Self.binding(tunnel)]), try Self.forwarder([Self.binding(tunnel)], joins: false)
        )
        let rest = 65_535 - tunnel.headerLength - 48 - 46 * 1400
        for (last, count) in [(rest, 47), (rest + 1, 46)] {
            let packets = (0..<47).map { Given.home(TunnelledFrame.datagram($0, size: $0 == 46 ? last : 1400)) }
            expect(packets, joined: [Array(0..<count)], joining, single, "\(last) bytes at last", tunnel: tunnel)
        }
        let vector = SuperFrameVectors.named("TCP over IPv6, as large as can be")
        let segments = vector.segments.map { Given.home($0.bytes) }
        expect(segments, joined: [Array(0..<(segments.count - 1))], joining, single, "TCP", tunnel: tunnel)
    }

    @Test("Of several workers each leaves out identifications of its own")
    func workers() throws {
        let place = WorkerPlace(1, of: Handovers(workers: 4))
        let (joining, single) = (try Self.forwarder(worker: place), try Self.forwarder(joins: false, worker: place))
        for round in 0..<3 {
            let packets = (0..<8).map { Given.home(TunnelledFrame.datagram($0, port: $0 < 6 ? 5201 : 9 + UInt16($0))) }
            expect(packets, joined: [Array(0..<6)], joining, single, "round \(round)")
        }
    }

    @Test("Where datagrams may not be joined, segments of TCP are")
    func withoutDatagrams() throws {
        let (joining, single) = (try Self.forwarder(joinsDatagrams: false), try Self.forwarder(joins: false))
        let tcp = SuperFrameVectors.named("TCP over IPv6, the last as long").segments.map { Given.home($0.bytes) }
        expect(tcp + (0..<4).map { .home(TunnelledFrame.datagram($0)) }, joined: [Array(tcp.indices)], joining, single)
    }

    @Test("In tunnels whose headers differ from packet to packet, or of two, none is joined")
    func otherTunnels() throws {
        let changes: [(inout Binding) -> Void] = [
            { $0.prefixes[0].tunnel = .homeAddress },
            {
                $0.encapsulation = .gre; $0.gre = GREOptions(sequence: true)
            },
            {
                $0.encapsulation = .gre; $0.gre = GREOptions(checksum: true)
            },
            {
                $0.encapsulation = .udp; $0.udpPort = 9
            },
            {
                $0.encapsulation = .udp; $0.udpPort = 9; $0.udpEncapsulation = .gre
            },
            {
                $0.encapsulation = .minimal; $0.prefixes[0].tunnel = .homeAddress
            },
        ]
        for (number, change) in changes.enumerated() {
            var binding = Self.binding()
            change(&binding)
            let (joining, single) = (try Self.forwarder([binding]), try Self.forwarder([binding], joins: false))
            let packets = (0..<4).map { Given.home(TunnelledFrame.datagram($0)) }
            #expect(joining.process(packets) == single.process(packets), "\(number)")
            compare(joining, single, "\(number)")
        }
    }

    @Test("What is too big, is refused or has no binding is joined to none, and keeps what is before and behind apart")
    func notSent() throws {
        let loop = IPv4Address("203.0.113.9")!
        let batches: [(name: String, packets: [[UInt8]], frames: [[Int]])] = [
            ("too big", (0..<4).map { TunnelledFrame.datagram($0, size: 1300) }, []),
            (
                "fragments between",
                [0, 1].map { TunnelledFrame.datagram($0, version: 4, mayBeFragmented: true) }
                    + [TunnelledFrame.datagram(2, size: 1300, version: 4, mayBeFragmented: true)]
                    + (3..<6).map { TunnelledFrame.datagram($0, version: 4, mayBeFragmented: true) },
                [[0, 1], [3, 4, 5]]
            ),
            ("the tunnel's own end", (0..<4).map { TunnelledFrame.datagram($0, version: 4, from: loop) }, []),
            (
                "without a binding",
                (0..<4).map {
                    var packet = TunnelledFrame.datagram($0)
                    packet[29] = 9
                    return packet
                }, []
            ),
            ("large as can be", (0..<4).map { TunnelledFrame.datagram($0, size: 1280 - 48) }, [[0, 1, 2, 3]]),
            ("one byte larger", (0..<4).map { TunnelledFrame.datagram($0, size: 1281 - 48) }, []),
        ]
        for batch in batches {
            let (joining, single) = (
                try Self.forwarder(tunnelMTU: 1280), try Self.forwarder(joins: false, tunnelMTU: 1280)
            )
            expect(batch.packets.map { .home($0) }, joined: batch.frames, joining, single, "\(batch.name)")
        }
    }

    @Test("What lies behind the IP packet is left out")
    func padding() throws {
        let (joining, single) = (try Self.forwarder(), try Self.forwarder(joins: false))
        let packets = (0..<4).map { Given.home(TunnelledFrame.datagram($0) + [UInt8](repeating: 0xEE, count: 3 + $0)) }
        expect(packets, joined: [[0, 1, 2, 3]], joining, single)
    }

    @Test("One that comes as a super-frame is not overtaken")
    func superFrameBetween() throws {
        let vector = SuperFrameVectors.named("UDP over IPv6, small")
        let whole = Given.superFrame(
            vector.frame.bytes, kind: vector.kind, size: vector.segmentSize, transportOffset: vector.transportOffset,
            count: UInt16(vector.segments.count))
        let single = vector.segments.map { Given.home($0.bytes) }
        let forwarder = try Self.forwarder()
        let outcomes = forwarder.process([single[0], whole, single[1], single[2]])
        #expect(outcomes[0].bytes?.count == vector.segments[0].bytes.count + 20)
        #expect(outcomes[1].bytes?.count == vector.frame.bytes.count + 20)
        #expect(Self.cut(outcomes[2], .direct).map { Array($0[20...]) } == [1, 2].map { vector.segments[$0].bytes })
        #expect(outcomes[3] == .joined)
        #expect(forwarder.counters.isConserved)
    }

    @Test("A group's members get copies of each")
    func group() throws {
        let vector = SuperFrameVectors.named("UDP over IPv6, to a group")
        let (joining, single) = (try Self.forwarder(), try Self.forwarder(joins: false))
        for forwarder in [joining, single] { _ = try forwarder.table.join(Self.group, ["mn1"]) }
        let packets = vector.segments.map { Given.home($0.bytes) }
        #expect(joining.process(packets) == single.process(packets))
        compare(joining, single, "")
    }

    @Test("A mobile node's own are joined too, but not what is of its link")
    func mobileNode() throws {
        var binding = Binding(
            id: "mn1", careOfAddress: IPv4Address("203.0.113.1")!,
            prefixes: [
                BoundPrefix(IPv6Prefix("::/0")!, tunnel: .careOf),
                BoundPrefix(IPv6Prefix("fe80::/10")!, tunnel: .homeAddress),
            ])
        binding.role = .mobileNode
        binding.endpoint = IPv4Address("192.0.2.1")!
        binding.homeAddress = IPv4Address("198.51.100.9")!
        let (joining, single) = (try Self.forwarder([binding]), try Self.forwarder([binding], joins: false))
        let linkLocal = (0..<3).map { number -> Given in
            var packet = TunnelledFrame.datagram(number)
            for first in [8, 24] { packet.replaceSubrange(first..<(first + 8), with: [0xFE, 0x80, 0, 0, 0, 0, 0, 0]) }
            return .home(packet)
        }
        expect(
            (0..<3).map { .home(TunnelledFrame.datagram($0)) } + linkLocal, joined: [[0, 1, 2]], joining, single)
    }
}

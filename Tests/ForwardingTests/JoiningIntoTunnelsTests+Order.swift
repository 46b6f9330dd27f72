// That nothing overtakes its like where packets are joined into tunnels.

import Bindings
import PacketBuffer
import TestSupport
import Testing
import Wire

extension JoiningIntoTunnelsTests {
    @Test("Bindings that share a place: the first one's are joined, and nothing overtakes its like")
    func sharedPlace() throws {
        let bindings = (0...1024).map { number -> Binding in
            let prefix = IPv6Prefix("2001:db8:\(String(number + 1, radix: 16))::/48")!
            return Binding(
                id: number == 0 ? "mn1" : "\(number)",
                careOfAddress: IPv4Address(rawValue: 0xCB00_7100 + UInt32(number)),
                prefixes: [BoundPrefix(prefix, tunnel: .careOf)])
        }
        let (joining, single) = (try Self.forwarder(bindings), try Self.forwarder(bindings, joins: false))
        // By turns to the first and to the last.
        let packets = (0..<16).map { number -> [UInt8] in
            var packet = TunnelledFrame.datagram(number / 2)
            if number.isMultiple(of: 2) { return packet }
            // 2001:db8:401::, and the checksum that follows (RFC 1624).
            packet[28] = 4
            let sum = UInt32(packet[46]) << 8 + UInt32(packet[47])
            let changed = sum >= 0x400 ? sum - 0x400 : sum + 0xFFFF - 0x400
            (packet[46], packet[47]) = (UInt8(changed >> 8), UInt8(changed & 0xFF))
            return packet
        }
        let even = Array(stride(from: 0, to: 16, by: 2))
        expect(packets.map { .home($0) }, joined: [even], joining, single)
        // Each by itself is joined, so it is the place that they share.
        let odd = packets.enumerated().filter { !$0.offset.isMultiple(of: 2) }.map { Given.home($0.element) }
        expect(odd, joined: [Array(0..<8)], joining, single)
    }

    @Test("In a batch that is unfinished they keep their place")
    func unfinished() throws {
        let vector = SuperFrameVectors.named("TCP over IPv6, more than a batch has room for")
        let whole = Given.superFrame(
            vector.frame.bytes, kind: vector.kind, size: vector.segmentSize, transportOffset: vector.transportOffset,
            count: UInt16(vector.segments.count))
        var binding = Self.binding()
        var other = Binding(
            id: "other", careOfAddress: IPv4Address("203.0.113.10")!, prefixes: binding.prefixes)
        binding.prefixes = []
        // Its super-frames are cut here.
        other.encapsulation = .gre
        other.gre = GREOptions(checksum: true)
        let forwarder = try Self.forwarder([binding, other])
        let joined = (0..<4).map { number -> Given in
            .home(TunnelledFrame.datagram(number, version: 4))
        }
        for place in 0...4 {
            let packets = Array(joined[..<place]) + [whole] + joined[place...]
            let outcomes = forwarder.process(packets)
            #expect(forwarder.resumptions > 0)
            #expect(forwarder.generated.count == vector.segments.count)
            let first = place == 0 ? 1 : 0
            #expect(
                Self.cut(outcomes[first], .direct).map { Array($0[28...]) } == joined.map { Array($0.bytes[8...]) })
            for index in packets.indices where index != place && index != first { #expect(outcomes[index] == .joined) }
            #expect(forwarder.counters.isConserved)
        }
    }

    @Test("What comes out of a tunnel in the same batch is joined by itself")
    func bothDirections() throws {
        let forwarder = try Self.forwarder(outOfTunnels: true)
        let toNode = (0..<4).map { TunnelledFrame.datagram($0) }
        // The other way round the checksum is the same.
        let fromNode = (4..<8).map { number in
            let packet = TunnelledFrame.datagram(number)
            return Array(packet[..<8] + packet[24..<40] + packet[8..<24] + packet[40...])
        }
        let packets = zip(toNode, fromNode).flatMap { toNode, fromNode -> [Given] in
            var outer: [UInt8] = [0x45, 0x2A, 0, UInt8(20 + fromNode.count), 0, 0, 0, 0, 64, 41, 0, 0]
            outer += [203, 0, 113, 9, 192, 0, 2, 1]
            PacketMutation.mendIPv4Checksum(&outer)
            return [.home(toNode), .access(outer + fromNode)]
        }
        let outcomes = forwarder.process(packets)
        #expect(Self.cut(outcomes[0], .direct).map { Array($0[20...]) } == toNode)
        #expect(outcomes[1].cut == fromNode)
        #expect(outcomes.dropFirst(2).allSatisfy { $0 == .joined })
        #expect(forwarder.counters.isConserved)
    }

    @Test(
        "Of streams that come by turns, with losses and broken packets between, each keeps its packets and their order")
    func streams() throws {
        let seed = RandomTest.seed(for: "joining into tunnels")
        var generator = SeededGenerator(seed: seed)
        let streams =
            SuperFrameVectors.all.cases.map { $0.segments.map(\.bytes) }
            + JoiningTests.Vectors.all.cases.map { $0.packets.map(\.bytes) }
            + (1..<9).map { host in (0..<20).map { TunnelledFrame.datagram($0, host: UInt8(host)) } }
        let bindings = (0..<20).map { number -> Binding in
            var binding = Binding(
                id: number == 0 ? "mn1" : "\(number)",
                careOfAddress: IPv4Address(rawValue: 0xCB00_7109 + UInt32(number)),
                prefixes: [
                    BoundPrefix(IPv6Prefix("2001:db8:1::\(String(number + 1, radix: 16))/128")!, tunnel: .careOf)
                ])
            if number == 0 { binding.homeAddress = IPv4Address("198.51.100.7")! }
            return binding
        }
        let (joining, single) = (try Self.forwarder(bindings), try Self.forwarder(bindings, joins: false))
        var frames = 0
        for round in 0..<RandomTest.count(300) {
            var left = (0..<Int.random(in: 1...6, using: &generator)).map { _ in
                ArraySlice(streams.randomElement(using: &generator)!.filter { $0.count <= 1480 }.prefix(40))
            }
            var batch: [[UInt8]] = []
            while batch.count < 128, left.contains(where: { !$0.isEmpty }) {
                let number = left.indices.randomElement(using: &generator)!
                for _ in 0..<Int.random(in: 1...8, using: &generator) where batch.count < 128 {
                    guard let packet = left[number].popFirst() else { break }
                    switch Int.random(in: 0..<20, using: &generator) {
                    case 0: break
                    case 1, 2: batch.append(PacketMutation.mutate([packet], using: &generator))
                    default: batch.append(packet)
                    }
                }
            }
            let outcomes = joining.process(batch.map { .home($0) })
            let singles = single.process(batch.map { .home($0) })
            frames += outcomes.count { if case .superFrame = $0 { true } else { false } }
            func flows(_ outcomes: [Outcome]) -> [[UInt8]: [[UInt8]]] {
                let packets = outcomes.flatMap { Self.cut($0, .direct) }.filter { [4, 41].contains($0[9]) }
                return Dictionary(grouping: packets.map { Self.normalised($0, .direct) }) { packet in
                    let inner = Array(packet[20...])
                    return inner[0] >> 4 == 4
                        ? inner.dropFirst(12).prefix(12) + [inner[9]] : inner.dropFirst(8).prefix(36) + [inner[6]]
                }
            }
            #expect(flows(outcomes) == flows(singles), "round \(round), seed \(seed)")
        }
        #expect(frames > 100)
        #expect(joining.counters == single.counters)
    }
}

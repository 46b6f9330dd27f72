// Packets that are joined leave in one write, for both ports: what the kernel gets is scapy's super-frame
// (Tests/Vectors/superframes.py).

import Glibc
import NetworkNamespace
import PacketBuffer
import TestSupport
import Testing

@testable import PacketIO

@Suite(
    "Joined packets on a device", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"),
    .timeLimit(.minutes(5)))
struct JoinedWriteTests {
    private static let vector = SuperFrameVectors.named("UDP over IPv4")

    /// Has the segments come by a side, in one batch between two packets, and joins them as a forwarder does.
    private static func forward(_ network: inout PortNetwork, from side: Side) throws {
        let segments = vector.segments.map(\.bytes)
        let others = [PortNetwork.packet(1), PortNetwork.packet(2)]
        for packet in [others[0]] + segments + [others[1]] { try network.tap(side).send(packet) }
        let deadline = ContinuousClock.now + PortNetwork.patience
        var packets: [[UInt8]] = []
        // Other sizes of batches come where the kernel is slow to hand over.
        try network.port.receive(into: &network.batch, wait: false)
        while network.batch.count < segments.count + 2, ContinuousClock.now < deadline {
            for index in 0..<network.batch.count { packets.append(Array(network.batch[index].bytes)) }
            network.port.complete(&network.batch)
            for packet in packets { try network.tap(side).send(packet) }
            packets = []
            try network.port.receive(into: &network.batch, wait: false)
        }
        try #require(network.batch.count == segments.count + 2)
        let header = Int(vector.transportOffset) + 8
        for index in 0..<network.batch.count {
            switch index {
            case 0, segments.count + 1:
                network.batch[index].verdict = side == .access ? .transmitHome : .transmitAccess
            case 1:
                network.batch[index].start.copyMemory(from: vector.frame.bytes, byteCount: header)
                network.batch[index].verdict = .transmitJoined
                network.batch[index].segmentKind = vector.kind
                network.batch[index].segmentSize = vector.segmentSize
                network.batch[index].transportOffset = vector.transportOffset
                network.batch[index].segmentCount = UInt16(segments.count)
                network.batch.beginJoining(index)
            default:
                network.batch[index].removeFirst(header)
                network.batch[index].verdict = .joined
                network.batch.join(index, behind: index - 1)
            }
        }
        network.port.complete(&network.batch)
    }

    @Test("They leave as one, in their place, and their slots come back", arguments: PortNetwork.kinds, Side.allCases)
    func leave(kind: IOChoice, from side: Side) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, homeOffload: .superFrames, accessOffload: .header)
            // As often as it takes to have every slot and vector used more than once.
            for _ in 0..<30 {
                try Self.forward(&network, from: side)
                #expect(try network.allSlotsComeBack())
                #expect(
                    network.tap(side.opposite).received()
                        == [PortNetwork.packet(1), Self.vector.frame.bytes, PortNetwork.packet(2)])
            }
            #expect(network.port.transmitFailures == PortFailures())
        }
    }

    @Test("Where the kernel refuses them each counts", arguments: PortNetwork.kinds, Side.allCases)
    func refused(kind: IOChoice, from side: Side) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, homeOffload: .superFrames, accessOffload: .header)
            try NetworkNamespace.shell("ip link set \(side.opposite) down")
            try Self.forward(&network, from: side)
            #expect(try network.allSlotsComeBack())
            var expected = PortFailures()
            let count = UInt64(Self.vector.segments.count + 2)
            if side == .access { expected.home = count } else { expected.access = count }
            #expect(network.port.transmitFailures == expected)
        }
    }
}

// Trains on a real access device, for both ports: one that leaves is the super-frame of UDP that scapy makes
// (Tests/Vectors/superframes.py), and one that comes is its datagrams.

import NetworkNamespace
import PacketBuffer
import TestSupport
import Testing
import Wire

@testable import PacketIO

@Suite(
    "Trains on a device", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"),
    .timeLimit(.minutes(5)))
struct TrainPortTests {
    private static let vector = SuperFrameVectors.named("UDP over IPv4")

    /// Before the frame (struct virtio_net_hdr of linux/virtio_net.h).
    private static let header: [UInt8] = [
        1, 5, 28, 0, UInt8(vector.segmentSize & 0xFF), UInt8(vector.segmentSize >> 8), 20, 0, 6, 0,
    ]

    /// The datagrams of which the checksum is left out.
    private static let datagrams = vector.segments.map { segment in
        var bytes = segment.bytes
        bytes.replaceSubrange(26..<28, with: [0, 0])
        return bytes
    }

    private static func network(_ kind: IOChoice, batchCapacity: Int = 16) throws -> PortNetwork {
        try PortNetwork(kind, batchCapacity: batchCapacity, homeOffload: .superFrames, accessOffload: .datagrams)
    }

    /// Sends a train that is made from a packet of the home side, between two others.
    private static func send(_ network: inout PortNetwork, _ memory: UnsafeMutablePointer<UInt8>) throws {
        try network.home.send(PortNetwork.packet(1))
        let deadline = ContinuousClock.now + PortNetwork.patience
        while network.batch.isEmpty, ContinuousClock.now < deadline {
            try network.port.receive(into: &network.batch, wait: false)
        }
        try #require(network.batch.count == 1)
        var start = UnsafeMutableRawPointer(memory) + VirtioNetHeader.length
        var parts = [Array(vector.frame.bytes[..<(28 + Int(vector.segmentSize))])]
        var rest = vector.frame.bytes[parts[0].count...]
        while !rest.isEmpty {
            parts.append(Array(rest.prefix(Int(vector.segmentSize))))
            rest = rest.dropFirst(Int(vector.segmentSize))
        }
        for (number, part) in ([PortNetwork.packet(2)] + parts + [PortNetwork.packet(3)]).enumerated() {
            start.copyMemory(from: part, byteCount: part.count)
            network.batch.appendGenerated(start: start, length: part.count, madeFrom: 0, verdict: .transmitAccess)
            var packet = network.batch.generatedPacket(at: number)
            if number == 1 {
                packet.verdict = .transmitJoined
                packet.segmentKind = vector.kind
                packet.segmentSize = vector.segmentSize
                packet.transportOffset = vector.transportOffset
                packet.segmentCount = UInt16(parts.count)
            } else if (2...parts.count).contains(number) {
                packet.verdict = .joined
            }
            network.batch.replaceGenerated(at: number, by: packet)
            start += 2048
        }
        network.batch[0].verdict = .release
        network.port.complete(&network.batch)
    }

    @Test("They leave as one, in their place", arguments: PortNetwork.kinds)
    func leave(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try Self.network(kind)
            let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: 16 * 2048)
            defer { memory.deallocate() }
            // As often as it takes to have every vector used more than once.
            for _ in 0..<200 {
                try Self.send(&network, memory)
                #expect(try network.allSlotsComeBack())
                #expect(
                    network.access.received()
                        == [PortNetwork.packet(2), Self.vector.frame.bytes, PortNetwork.packet(3)])
            }
            #expect(network.port.transmitFailures == PortFailures())
        }
    }

    @Test("Where the kernel refuses it each datagram counts", arguments: PortNetwork.kinds)
    func refused(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try Self.network(kind)
            let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: 16 * 2048)
            defer { memory.deallocate() }
            try NetworkNamespace.shell("ip link set access down")
            try Self.send(&network, memory)
            #expect(try network.allSlotsComeBack())
            let count = UInt64(Self.vector.segments.count + 2)
            #expect(network.port.transmitFailures == PortFailures(home: 0, access: count))
        }
    }

    @Test(
        "One that comes is cut, in its place, whatever the batch has room for", arguments: PortNetwork.kinds,
        [1, 2, 4, 16])
    func come(kind: IOChoice, batchCapacity: Int) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try Self.network(kind, batchCapacity: batchCapacity)
            let others = (1...3).map { PortNetwork.packet($0) }
            // As often as it takes to have every slot used more than once.
            for _ in 0..<60 {
                try network.access.send(others[0])
                try network.access.send(Self.vector.frame.bytes, header: Self.header)
                try network.access.send(others[1])
                try network.access.send(Self.vector.frame.bytes, header: Self.header)
                try network.access.send(others[2])
                let expected = [others[0]] + Self.datagrams + [others[1]] + Self.datagrams + [others[2]]
                let packets = try network.forward(expected.count)
                #expect(packets == expected.map { ReceivedPacket(side: .access, bytes: $0) })
                #expect(try network.allSlotsComeBack())
            }
            #expect(network.port.receiveFailures == PortFailures())
        }
    }

    @Test("Those that come leave again by slots of their own", arguments: PortNetwork.kinds)
    func through(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try Self.network(kind, batchCapacity: 4)
            for _ in 0..<60 {
                for _ in 0..<5 { try network.access.send(Self.vector.frame.bytes, header: Self.header) }
                _ = try network.forward(5 * Self.datagrams.count) { _ in .transmitHome }
                #expect(try network.allSlotsComeBack())
                #expect(network.home.received() == (0..<5).flatMap { _ in Self.datagrams })
            }
        }
    }
}

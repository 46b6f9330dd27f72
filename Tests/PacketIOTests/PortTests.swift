// What a port promises (PacketPort.swift), on TUN devices and for both ports: which packets come, where they go, and
// where their slots are.

import Glibc
import NetworkNamespace
import PacketBuffer
import Testing

@testable import PacketIO

@Suite("Ports", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"), .timeLimit(.minutes(5)))
struct PortTests {
    @Test("Packets come in order, with side, length and bytes", arguments: PortNetwork.kinds)
    func receives(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind)
            let lengths = [24, 25, 63, 64, 65, 127, 128, 1279, 1280, 1499, 1500]
            for (number, length) in lengths.enumerated() {
                try network.home.send(PortNetwork.packet(number, length: length))
                try network.access.send(PortNetwork.packet(100 + number, length: length))
            }
            let packets = try network.forward(2 * lengths.count)
            #expect(
                packets.filter { $0.side == .home }.map(\.bytes)
                    == lengths.enumerated().map { PortNetwork.packet($0, length: $1) })
            #expect(
                packets.filter { $0.side == .access }.map(\.bytes)
                    == lengths.enumerated().map { PortNetwork.packet(100 + $0, length: $1) })
            #expect(network.port.receiveFailures == PortFailures())
        }
    }

    @Test("What a UDP socket sends comes as the kernel's IPv4 packet", arguments: PortNetwork.kinds)
    func udp(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind)
            try NetworkNamespace.shell("ip addr add 192.0.2.1/24 dev access")
            let text = "from a socket"
            try NetworkNamespace.shell("bash -c 'printf \"\(text)\" > /dev/udp/192.0.2.9/4711'")
            let packet = try #require(try network.forward(1).first)
            #expect(packet.side == .access)
            #expect(packet.bytes.count == 28 + text.utf8.count)
            // RFC 791, 3.1 and RFC 768: version, total length, protocol, addresses, destination port, payload.
            #expect(packet.bytes[0] == 0x45)
            #expect(Int(packet.bytes[3]) == packet.bytes.count)
            #expect(packet.bytes[9] == 17)
            #expect(Array(packet.bytes[12..<20]) == [192, 0, 2, 1, 192, 0, 2, 9])
            #expect(Array(packet.bytes[22..<24]) == [0x12, 0x67])
            #expect(Array(packet.bytes[28...]) == Array(text.utf8))
        }
    }

    @Test("Packets leave by their verdict, in the order of the batch", arguments: PortNetwork.kinds)
    func verdicts(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind)
            let verdicts: [Verdict] = [.transmitHome, .transmitAccess, .release]
            for number in 0..<30 { try network.tap(number < 15 ? .home : .access).send(PortNetwork.packet(number)) }
            var order: [Verdict: [[UInt8]]] = [:]
            _ = try network.forward(30) { packet in
                let verdict = verdicts[Int(packet.bytes[23]) % 3]
                order[verdict, default: []].append(Array(packet.bytes))
                return verdict
            }
            #expect(try network.allSlotsComeBack())
            #expect(network.home.received() == order[.transmitHome])
            #expect(network.access.received() == order[.transmitAccess])
            #expect(order[.release]?.count == 10)
            #expect(network.port.transmitFailures == PortFailures())
        }
    }

    @Test("IPv6 packets leave too", arguments: PortNetwork.kinds)
    func ipv6(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind)
            let bytes = try TestPacket.v6(from: "2001:db8:c::5", to: "2001:db8:2::5").bytes
            try network.home.send(bytes)
            #expect(try network.forward(1) { _ in .transmitAccess } == [ReceivedPacket(side: .home, bytes: bytes)])
            #expect(try network.allSlotsComeBack())
            #expect(network.access.received() == [bytes])
        }
    }

    @Test("Bytes are put before a packet and taken off it without moving it", arguments: PortNetwork.kinds)
    func headroom(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, packetCapacity: 1372, slotCount: 4, batchCapacity: 4)
            let header = PortNetwork.packet(99, length: PacketPool.headroom)
            var written: [[UInt8]] = []
            for number in 0..<4 { try network.home.send(PortNetwork.packet(number, length: 1372)) }
            _ = try network.forward(4) { packet in
                let isGrown = packet.bytes[23] % 2 == 0
                if isGrown {
                    packet.prepend(PacketPool.headroom)
                    packet.start.copyMemory(from: header, byteCount: header.count)
                } else {
                    // What follows begins like an IPv4 packet again.
                    packet.removeFirst(24)
                    packet.start.storeBytes(of: 0x45, as: UInt8.self)
                }
                written.append(Array(packet.bytes))
                return .transmitAccess
            }
            #expect(written.map(\.count) == [1500, 1348, 1500, 1348])
            for number in 0..<4 {
                let original = PortNetwork.packet(number, length: 1372)
                #expect(written[number] == (number % 2 == 0 ? header + original : [0x45] + original[25...]))
            }
            #expect(try network.allSlotsComeBack())
            #expect(network.access.received() == written)
        }
    }

    @Test("One device serves both sides", arguments: PortNetwork.kinds)
    func shared(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            try PortNetwork.silenceIPv6()
            let device = try TunDevice(name: "both")
            try NetworkNamespace.shell("ip link set both up")
            let tap = try DeviceTap("both")
            let devices = PortDevices(shared: device)
            #expect(devices.isShared == true)
            #expect(devices.descriptor(.access) == devices.descriptor(.home))
            var port = EitherPort(
                try ChosenPort(
                    kind, devices: devices, waker: try PortWaker(),
                    configuration: PortConfiguration(packetCapacity: 1500, slotCount: 8, batchCapacity: 4)))
            var batch = PacketBatch(capacity: 4)
            // More than there are slots, so that all of them, of one side or the other, are used.
            for number in 0..<32 {
                try tap.send(PortNetwork.packet(number))
                #expect(
                    try PortNetwork.eventually {
                        try port.receive(into: &batch, wait: false)
                        return batch.count > 0
                    })
                #expect(batch.count == 1 && batch[0].ingress == .home)
                batch[0].verdict = number % 2 == 0 ? .transmitHome : .transmitAccess
                port.complete(&batch)
            }
            #expect(
                try PortNetwork.eventually {
                    try port.receive(into: &batch, wait: false)
                    return port.idleSlots == 8
                })
            #expect(tap.received() == (0..<32).map { PortNetwork.packet($0) })
        }
    }

    @Test("Slots are where the packets are", arguments: PortNetwork.kinds)
    func slots(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, slotCount: 8, batchCapacity: 8)
            #expect(network.port.idleSlots == 8)
            for round in 0..<20 {
                for number in 0..<3 { try network.home.send(PortNetwork.packet(number)) }
                var seen: Set<UInt32> = []
                _ = try network.forward(3) { packet in
                    seen.insert(packet.slot)
                    return [.release, .transmitHome, .transmitAccess][(round + Int(packet.bytes[23])) % 3]
                }
                #expect(seen.allSatisfy { $0 < 8 })
                #expect(try network.allSlotsComeBack())
            }
            #expect(network.port.transmitFailures == PortFailures())
        }
    }
}

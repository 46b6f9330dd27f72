// Ports and what goes wrong: packets that are too large, writes that the kernel refuses, devices that are down or gone.

import Glibc
import NetworkNamespace
import PacketBuffer
import Testing

@testable import PacketIO

@Suite(
    "Ports that fail", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"), .timeLimit(.minutes(5))
)
struct PortFailureTests {
    @Test(
        "Packets larger than a slot are counted on their side, and not handed on cut off",
        arguments: PortNetwork.kinds, Side.allCases)
    func tooLarge(kind: IOChoice, side: Side) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, packetCapacity: 1000, slotCount: 8, batchCapacity: 4)
            let lengths = [1000, 1001, 999, 1500, 1064, 1063, 1000]
            for (number, length) in lengths.enumerated() {
                try network.tap(side).send(PortNetwork.packet(number, length: length))
            }
            let packets = try network.forward(3)
            #expect(packets.map(\.side) == [side, side, side])
            #expect(
                packets.map(\.bytes)
                    == [
                        PortNetwork.packet(0, length: 1000), PortNetwork.packet(2, length: 999),
                        PortNetwork.packet(6, length: 1000),
                    ])
            #expect(
                network.port.receiveFailures
                    == PortFailures(home: side == .home ? 4 : 0, access: side == .access ? 4 : 0))
            #expect(try network.allSlotsComeBack())
        }
    }

    @Test(
        "A packet that is too large ends a wait, so that it is counted before another comes",
        arguments: PortNetwork.kinds)
    func tooLargeWhileWaiting(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, packetCapacity: 1000, slotCount: 8, batchCapacity: 4)
            try network.tap(.home).send(PortNetwork.packet(0, length: 1500))
            var batch = PacketBatch(capacity: 4)
            while network.port.receiveFailures.home == 0 { try network.port.receive(into: &batch, wait: true) }
            let isEmpty = batch.isEmpty
            #expect(isEmpty)
        }
    }

    @Test("A stream of packets that are too large neither ends nor blocks reception", arguments: PortNetwork.kinds)
    func manyTooLarge(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, packetCapacity: 100, slotCount: 4, batchCapacity: 2)
            for number in 0..<300 { try network.home.send(PortNetwork.packet(number, length: 101)) }
            try network.home.send(PortNetwork.packet(7, length: 100))
            // Each loss ends a wait.
            while network.batch.isEmpty { try network.port.receive(into: &network.batch, wait: true) }
            #expect(network.takeBatch().map(\.bytes) == [PortNetwork.packet(7, length: 100)])
            #expect(network.port.receiveFailures == PortFailures(home: 300, access: 0))
            #expect(try network.allSlotsComeBack())
        }
    }

    @Test(
        "Packets that the kernel refuses are counted where they were to leave; the others leave",
        arguments: PortNetwork.kinds, [Verdict.transmitHome, .transmitAccess])
    func malformed(kind: IOChoice, verdict: Verdict) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, slotCount: 8, batchCapacity: 8)
            for number in 0..<4 { try network.home.send(PortNetwork.packet(number)) }
            _ = try network.forward(4) { packet in
                switch packet.bytes[23] {
                // Neither version 4 nor 6.
                case 1: packet.start.storeBytes(of: 0x75, as: UInt8.self)
                // Nothing at all.
                case 2: packet.removeFirst(packet.length)
                default: break
                }
                return verdict
            }
            #expect(try network.allSlotsComeBack())
            let side: Side = verdict == .transmitHome ? .home : .access
            #expect(network.tap(side).received() == [PortNetwork.packet(0), PortNetwork.packet(3)])
            #expect(network.tap(side.opposite).received() == [])
            #expect(
                network.port.transmitFailures
                    == PortFailures(home: side == .home ? 2 : 0, access: side == .access ? 2 : 0))
        }
    }

    @Test("A device that is down refuses packets, and goes on when it is up again", arguments: PortNetwork.kinds)
    func down(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, slotCount: 8, batchCapacity: 8)
            for turn in 0..<3 {
                try network.home.send(PortNetwork.packet(1))
                #expect(try network.forward(1) { _ in .transmitAccess }.count == 1)
                #expect(try network.allSlotsComeBack())
                #expect(network.access.received() == [PortNetwork.packet(1)])

                try NetworkNamespace.shell("ip link set access down")
                for number in 2..<5 { try network.home.send(PortNetwork.packet(number)) }
                #expect(try network.forward(3) { _ in .transmitAccess }.count == 3)
                #expect(try network.allSlotsComeBack())
                #expect(network.access.received() == [])
                #expect(network.port.transmitFailures == PortFailures(home: 0, access: UInt64(3 * (turn + 1))))

                try NetworkNamespace.shell("ip link set access up")
                try network.access.send(PortNetwork.packet(5))
                #expect(
                    try network.forward(1) { _ in .transmitHome }
                        == [ReceivedPacket(side: .access, bytes: PortNetwork.packet(5))])
                #expect(try network.allSlotsComeBack())
                #expect(network.home.received() == [PortNetwork.packet(5)])
            }
            #expect(network.port.receiveFailures == PortFailures())
        }
    }

    @Test(
        "A device that is deleted ends the port with an error that names it",
        arguments: PortNetwork.kinds, ["home", "access"])
    func deleted(kind: IOChoice, name: String) async throws {
        try PortNetwork.require(kind)
        let error = try await NetworkNamespace.run { () -> PortError? in
            var network = try PortNetwork(kind, slotCount: 8, batchCapacity: 8)
            try network.home.send(PortNetwork.packet(1))
            #expect(try network.forward(1) { _ in .transmitAccess }.count == 1)
            try NetworkNamespace.shell("ip link del \(name)")
            let deadline = ContinuousClock.now + PortNetwork.patience
            while ContinuousClock.now < deadline {
                do throws(PortError) { try network.port.receive(into: &network.batch, wait: true) } catch {
                    return error
                }
            }
            return nil
            // The port ends here, and must come to its end.
        }
        let description = try #require(error).description
        #expect(description.contains("“\(name)” was deleted"))
    }

    @Test("A device that is deleted with packets in hand ends the port all the same", arguments: PortNetwork.kinds)
    func deletedUnderLoad(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        let failed = try await NetworkNamespace.run { () -> Bool in
            var network = try PortNetwork(kind, slotCount: 8, batchCapacity: 2)
            for number in 0..<20 {
                try network.home.send(PortNetwork.packet(number))
                try network.access.send(PortNetwork.packet(number))
            }
            try network.port.receive(into: &network.batch, wait: true)
            #expect(network.batch.isEmpty == false)
            for index in 0..<network.batch.count { network.batch[index].verdict = .transmitAccess }
            network.port.complete(&network.batch)
            try NetworkNamespace.shell("ip link del access")
            return PortNetwork.eventually {
                do throws(PortError) { try network.port.receive(into: &network.batch, wait: false) } catch {
                    return true
                }
                _ = network.takeBatch { _ in .transmitAccess }
                return false
            }
        }
        #expect(failed)
    }
}

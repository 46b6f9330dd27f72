// Where and how ports begin and end: on which threads, with what under way, and what they leave behind.

import Glibc
import IOUring
import NetworkNamespace
import PacketBuffer
import TestThread
import Testing

@testable import PacketIO

@Suite(
    "Lifetime of ports", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"),
    .timeLimit(.minutes(5)))
struct PortLifetimeTests {
    /// How far a port has come when it ends.
    enum Stage: String, CaseIterable, Sendable {
        case unused, readsStand, packetsWait, packetsInBatch, packetsInBacklog, writesQueued, writesDone, paused
    }

    /// Takes a port to that stage.
    static func advance(_ network: inout PortNetwork, to stage: Stage) throws {
        func send() throws {
            for number in 0..<20 {
                try network.home.send(PortNetwork.packet(number))
                try network.access.send(PortNetwork.packet(number))
            }
        }
        switch stage {
        case .unused: break
        case .readsStand: try network.port.receive(into: &network.batch, wait: false)
        case .packetsWait:
            try network.port.receive(into: &network.batch, wait: false)
            try send()
        case .packetsInBatch:
            try network.home.send(PortNetwork.packet(0))
            try network.port.receive(into: &network.batch, wait: true)
        case .packetsInBacklog:
            try send()
            try network.port.receive(into: &network.batch, wait: true)
        case .writesQueued, .writesDone:
            try send()
            try network.port.receive(into: &network.batch, wait: true)
            _ = network.takeBatch { _ in .transmitAccess }
            if stage == .writesDone { try network.port.receive(into: &network.batch, wait: false) }
        case .paused:
            try network.port.receive(into: &network.batch, wait: false)
            network.port.systemCalls?.sources[0].pause.begin()
        }
    }

    @Test(
        "A port that ends leaves no descriptor, device or thread, whatever was under way",
        arguments: PortNetwork.kinds, Stage.allCases)
    func end(kind: IOChoice, stage: Stage) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            let (before, after, number) = try TestThread(hasOwnDescriptors: true) {
                let before = CurrentThread.descriptorCount
                for _ in 0..<3 {
                    var network = try PortNetwork(kind, slotCount: 16, batchCapacity: 8)
                    try Self.advance(&network, to: stage)
                }
                return (before, CurrentThread.descriptorCount, CurrentThread.number)
            }.value()
            #expect(before >= 0)
            #expect(after == before)
            #expect(try TunDeviceTests.names() == ["lo"])
            // The kernel's own for io_uring bear the number of the thread they work for.
            #expect(PortNetwork.eventually { !ProcessThreads.names.contains("iou-wrk-\(number)") })
        }
    }

    @Test("A write that was queued is carried out when its port ends")
    func queuedWrites() async throws {
        try PortNetwork.require(.ioUring)
        try await NetworkNamespace.run {
            // Of a device that stays, so that the tap can tell.
            try NetworkNamespace.shell("ip tuntap add dev access mode tun")
            let tap: DeviceTap
            do {
                var network = try PortNetwork(.ioUring)
                tap = network.access
                for number in 0..<3 { try network.home.send(PortNetwork.packet(number)) }
                try network.port.receive(into: &network.batch, wait: true)
                let count = network.takeBatch { _ in .transmitAccess }.count
                #expect(count == 3)
                #expect(network.port.inFlight == 3)
                #expect(tap.received() == [])
            }
            #expect(tap.received() == (0..<3).map { PortNetwork.packet($0) })
        }
    }

    @Test("A port is made on one thread and used, then ended, on another", arguments: PortNetwork.kinds)
    func otherThread(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            let network = try PortNetwork(kind)
            let home = network.home
            let handover = Handover(network)
            let packets = try TestThread {
                var network = handover.take()
                try home.send(PortNetwork.packet(6))
                return try network.forward(1)
            }.value()
            #expect(packets == [ReceivedPacket(side: .home, bytes: PortNetwork.packet(6))])
        }
    }

    @Test("A port that was never used ends on any thread", arguments: PortNetwork.kinds)
    func unusedElsewhere(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            let handover = Handover(try PortNetwork(kind))
            try TestThread { _ = handover.take() }.value()
            #expect(try PortNetwork.eventually { try TunDeviceTests.names() == ["lo"] })
        }
    }

    @Test("A second thread is refused, and the first goes on")
    func secondThread() async throws {
        try PortNetwork.require(.ioUring)
        try await NetworkNamespace.run {
            let handover = Handover(try PortNetwork(.ioUring))
            try handover.use { network in
                try network.home.send(PortNetwork.packet(1))
                #expect(try network.forward(1).count == 1)
            }
            let refusal = try TestThread {
                handover.use { network -> String? in
                    do throws(PortError) { try network.port.receive(into: &network.batch, wait: true) } catch {
                        return error.description
                    }
                    return nil
                }
            }.value()
            #expect(refusal?.contains("a ring belongs to the thread that enabled it") == true)
            try handover.use { network in
                try network.home.send(PortNetwork.packet(2))
                #expect(try network.forward(1).map(\.bytes) == [PortNetwork.packet(2)])
            }
            _ = handover.take()
        }
    }

    @Test("Ports of one process don't disturb each other", arguments: PortNetwork.kinds)
    func several(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<4 {
                group.addTask {
                    try await NetworkNamespace.run {
                        var network = try PortNetwork(kind, slotCount: 8, batchCapacity: 4)
                        for turn in 0..<50 {
                            try network.home.send(PortNetwork.packet(number * 1000 + turn))
                            let packets = try network.forward(1) { _ in .transmitAccess }
                            #expect(packets.map(\.bytes) == [PortNetwork.packet(number * 1000 + turn)])
                        }
                        #expect(try network.allSlotsComeBack())
                        #expect(network.access.received() == (0..<50).map { PortNetwork.packet(number * 1000 + $0) })
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}

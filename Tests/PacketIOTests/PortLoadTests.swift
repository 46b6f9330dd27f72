// Ports with more to do than fits: more packets than slots or places in a batch, a flood on one side, and long runs.

import Glibc
import NetworkNamespace
import PacketBuffer
import Testing

@testable import PacketIO

@Suite(
    "Ports under load", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"),
    .timeLimit(.minutes(5)))
struct PortLoadTests {
    @Test(
        "More packets than slots or places in a batch wait, in order, and none is lost",
        arguments: PortNetwork.kinds, [(2, 1), (4, 16), (64, 4), (64, 64)])
    func more(kind: IOChoice, sizes: (slots: Int, batch: Int)) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, slotCount: sizes.slots, batchCapacity: sizes.batch)
            // As many as fit into a tap that may not have a larger buffer, in a user namespace.
            let count = 150
            for number in 0..<count {
                try network.home.send(PortNetwork.packet(number))
                try network.access.send(PortNetwork.packet(count + number))
            }
            let packets = try network.forward(2 * count) { $0.ingress == .home ? .transmitAccess : .transmitHome }
            let home = (0..<count).map { PortNetwork.packet($0) }
            let access = (count..<2 * count).map { PortNetwork.packet($0) }
            #expect(packets.filter { $0.side == .home }.map(\.bytes) == home)
            #expect(packets.filter { $0.side == .access }.map(\.bytes) == access)
            #expect(try network.allSlotsComeBack())
            #expect(network.access.received() == home)
            #expect(network.home.received() == access)
            #expect(network.port.receiveFailures == PortFailures())
            #expect(network.port.transmitFailures == PortFailures())
        }
    }

    @Test("A batch holds no more than its capacity, and what is left comes with the next", arguments: PortNetwork.kinds)
    func batches(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, slotCount: 64, batchCapacity: 5)
            // Have the reads stand, so that all packets are there at once.
            try network.port.receive(into: &network.batch, wait: false)
            #expect(network.batch.isEmpty == true)
            for number in 0..<17 { try network.home.send(PortNetwork.packet(number)) }
            var sizes: [Int] = []
            var numbers: [UInt8] = []
            let deadline = ContinuousClock.now + PortNetwork.patience
            while numbers.count < 17 && ContinuousClock.now < deadline {
                try network.port.receive(into: &network.batch, wait: true)
                sizes.append(network.batch.count)
                numbers += network.takeBatch().map { $0.bytes[23] }
            }
            #expect(sizes == [5, 5, 5, 2])
            #expect(numbers == Array(0..<17))
        }
    }

    @Test("A flood on one side leaves the other its share", arguments: PortNetwork.kinds, Side.allCases)
    func flood(kind: IOChoice, flooded: Side) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, slotCount: 16, batchCapacity: 8)
            var sent = 0
            var others: [[UInt8]] = []
            // The flooded device always has more than all slots could take.
            for turn in 0..<200 {
                while sent < (turn + 1) * 32 {
                    try network.tap(flooded).send(PortNetwork.packet(sent))
                    sent += 1
                }
                try network.tap(flooded.opposite).send(PortNetwork.packet(turn, length: 100))
                try network.port.receive(into: &network.batch, wait: true)
                others += network.takeBatch { _ in .transmitHome }.filter { $0.side != flooded }.map(\.bytes)
            }
            // Each turn moves 8 packets at most; one of them is to come from the other side, but for those that still
            // lie behind slots of the flood.
            #expect(others.count >= 200 - 16)
            #expect(others == (0..<others.count).map { PortNetwork.packet($0, length: 100) })
        }
    }

    @Test("A batch that is held back keeps one side's slots, not the other's reads")
    func held() async throws {
        try PortNetwork.require(.ioUring)
        try await NetworkNamespace.run {
            var network = try PortNetwork(.ioUring, slotCount: 8, batchCapacity: 4)
            for number in 0..<20 { try network.home.send(PortNetwork.packet(number)) }
            #expect(
                try PortNetwork.eventually {
                    try network.port.receive(into: &network.batch, wait: false)
                    return network.batch.count > 0
                })
            // All four slots of the home side lie in this batch; it goes on in another meanwhile.
            #expect((0..<network.batch.count).allSatisfy { network.batch[$0].ingress == .home })
            #expect(network.batch.count == 4)
            try network.access.send(PortNetwork.packet(77))
            var second = PacketBatch(capacity: 4)
            try network.port.receive(into: &second, wait: true)
            #expect(second.count == 1 && second[0].ingress == .access)
            network.port.complete(&second)
            #expect(network.takeBatch().map { $0.bytes[23] } == [0, 1, 2, 3])
            #expect(try network.forward(16).map { $0.bytes[23] } == Array(4..<20))
        }
    }

    @Test("Many turns of the buffer rings lose and mix up nothing", arguments: PortNetwork.kinds)
    func longRun(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, slotCount: 16, batchCapacity: 8)
            // A thousand turns of each side's ring of 8 buffers.
            let burst = 40
            let bursts = 200
            var next: [Side: Int] = [.home: 0, .access: 0]
            var wrong = 0
            for turn in 0..<bursts {
                for number in turn * burst..<(turn + 1) * burst {
                    let length = 24 + number % 1400
                    try network.home.send(PortNetwork.packet(number, length: length))
                    try network.access.send(PortNetwork.packet(number, length: length))
                }
                let verdicts: [Verdict] = [.transmitAccess, .transmitHome, .release]
                var transmitted: [Side: [[UInt8]]] = [.home: [], .access: []]
                let packets = try network.forward(2 * burst) { packet in
                    let verdict = verdicts[(turn + Int(packet.slot)) % 3]
                    if verdict != .release {
                        transmitted[verdict == .transmitHome ? .home : .access]?.append(Array(packet.bytes))
                    }
                    return verdict
                }
                for packet in packets {
                    let number = next[packet.side, default: 0]
                    if packet.bytes != PortNetwork.packet(number, length: 24 + number % 1400) { wrong += 1 }
                    next[packet.side] = number + 1
                }
                guard packets.count == 2 * burst, try network.allSlotsComeBack() else { break }
                if network.home.received() != transmitted[.home] { wrong += 1 }
                if network.access.received() != transmitted[.access] { wrong += 1 }
            }
            #expect(next == [.home: burst * bursts, .access: burst * bursts])
            #expect(wrong == 0)
            #expect(network.port.transmitFailures == PortFailures())
            #expect(network.port.receiveFailures == PortFailures())
        }
    }

    @Test("A read that ended for another reason than a missing slot is armed again")
    func rearm() async throws {
        try PortNetwork.require(.ioUring)
        try await NetworkNamespace.run {
            var network = try PortNetwork(.ioUring, slotCount: 8, batchCapacity: 4)
            for turn in 0..<10 {
                try network.home.send(PortNetwork.packet(2 * turn))
                try network.access.send(PortNetwork.packet(2 * turn + 1))
                let packets = try network.forward(2)
                #expect(Set(packets.map { $0.bytes[23] }) == [UInt8(2 * turn), UInt8(2 * turn + 1)])
                // Ends both reads and the waker's, without `hasMore`. It completes like the end of a pause, which
                // wants for a read.
                #expect(network.port.ioUring?.rings.ring.cancelAll(userData: RequestKind.resumeHome) == true)
                let hasEnded = try network.turn { port in
                    port.ask({ $0.accessRead == .wanted }, { _ in false })
                }
                #expect(hasEnded)
            }
            #expect(try network.allSlotsComeBack())
            network.waker.wake()
            try network.port.receive(into: &network.batch, wait: true)
            #expect(network.batch.isEmpty == true)
            #expect(network.port.receiveFailures == PortFailures())
        }
    }
}

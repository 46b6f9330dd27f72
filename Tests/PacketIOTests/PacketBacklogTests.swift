// The queue of packets that found no place in a batch.

import PacketBuffer
import Testing

@testable import PacketIO

@Suite("Backlog")
struct PacketBacklogTests {
    /// A packet that is told by its slot.
    static func packet(_ number: Int) -> Packet {
        Packet(start: UnsafeMutableRawPointer(bitPattern: 4096)!, length: number, slot: UInt32(number), ingress: .home)
    }

    static func move(_ backlog: inout PacketBacklog, capacity: Int, holding: Int = 0) -> [UInt32] {
        var batch = PacketBatch(capacity: capacity)
        for _ in 0..<holding { batch.append(packet(9999)) }
        while backlog.count > 0 && !batch.isFull { batch.append(backlog.removeFirst()) }
        return (holding..<batch.count).map { batch[$0].slot }
    }

    @Test("An empty one moves nothing")
    func empty() {
        var backlog = PacketBacklog(capacity: 3)
        #expect(Self.move(&backlog, capacity: 4) == [])
        #expect(backlog.count == 0)
    }

    @Test("Packets move in order, as many as fit", arguments: [1, 2, 3, 5, 8, 13])
    func order(batchCapacity: Int) {
        var backlog = PacketBacklog(capacity: 8)
        for number in 0..<8 { backlog.append(Self.packet(number)) }
        var moved: [UInt32] = []
        var sizes: [Int] = []
        while backlog.count > 0 {
            let slots = Self.move(&backlog, capacity: batchCapacity)
            sizes.append(slots.count)
            moved += slots
        }
        #expect(moved == Array(0..<8))
        #expect(sizes.dropLast().allSatisfy { $0 == batchCapacity })
    }

    @Test("A batch that holds packets is filled up, a full one left alone")
    func filledBatch() {
        var backlog = PacketBacklog(capacity: 4)
        for number in 0..<4 { backlog.append(Self.packet(number)) }
        #expect(Self.move(&backlog, capacity: 3, holding: 3) == [])
        #expect(Self.move(&backlog, capacity: 3, holding: 1) == [0, 1])
        #expect(Self.move(&backlog, capacity: 3) == [2, 3])
    }

    @Test("Every slot has a place, also when the queue has turned", arguments: [1, 2, 3, 4, 1000])
    func turns(capacity: Int) {
        var backlog = PacketBacklog(capacity: capacity)
        var next = 0
        var expected: [UInt32] = []
        for turn in 0..<50 {
            while expected.count < capacity {
                backlog.append(Self.packet(next % 4096))
                expected.append(UInt32(next % 4096))
                next += 1
            }
            let moved = Self.move(&backlog, capacity: turn % (capacity + 1) + 1)
            #expect(moved == Array(expected.prefix(moved.count)))
            #expect(moved.count == min(turn % (capacity + 1) + 1, capacity))
            expected.removeFirst(moved.count)
            #expect(backlog.count == expected.count)
        }
    }
}

@Suite("Port configuration")
struct PortConfigurationTests {
    @Test("Sizes that no port can have end the process")
    func limits() async {
        await #expect(processExitsWith: .failure) { _ = PortConfiguration(packetCapacity: 0) }
        await #expect(processExitsWith: .failure) { _ = PortConfiguration(packetCapacity: 65_536) }
        await #expect(processExitsWith: .failure) { _ = PortConfiguration(packetCapacity: 1500, slotCount: 0) }
        await #expect(processExitsWith: .failure) { _ = PortConfiguration(packetCapacity: 1500, slotCount: 3) }
        await #expect(processExitsWith: .failure) { _ = PortConfiguration(packetCapacity: 1500, slotCount: 32_770) }
        await #expect(processExitsWith: .failure) { _ = PortConfiguration(packetCapacity: 1500, batchCapacity: 0) }
        await #expect(processExitsWith: .failure) { _ = PortConfiguration(packetCapacity: 1500, batchCapacity: 4097) }
    }
}

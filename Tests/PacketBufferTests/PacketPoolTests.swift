import PacketBuffer
import Testing

@Suite("Packet pool")
struct PacketPoolTests {
    @Test("every slot is given out once, then none is left, and each can be given back")
    func takeAndGive() throws {
        var pool = try PacketPool(slotCount: 17, packetCapacity: 100)
        for _ in 0..<3 {
            var taken: Set<UInt32> = []
            while let slot = pool.take() { #expect(taken.insert(slot).inserted) }
            #expect(taken == Set(0..<17))
            let none = pool.free
            #expect(none == 0)
            for slot in taken.shuffled() { pool.give(slot) }
            let all = pool.free
            #expect(all == 17)
        }
    }

    @Test("the slot given back last is taken first, so that few slots stay in the cache")
    func lastInFirstOut() throws {
        var pool = try PacketPool(slotCount: 4, packetCapacity: 100)
        let first = pool.take()
        pool.give(try #require(first))
        let second = pool.take()
        #expect(second == first)
    }

    @Test("slots do not overlap, have headroom and the capacity asked for", arguments: [1, 63, 64, 65, 1500, 65_535])
    func layout(_ packetCapacity: Int) throws {
        let pool = try PacketPool(slotCount: 3, packetCapacity: packetCapacity)
        let (base, slotSize, capacity) = (pool.base, pool.slotSize, pool.packetCapacity)
        #expect(capacity >= packetCapacity)
        #expect(slotSize == PacketPool.headroom + capacity)
        #expect(slotSize.isMultiple(of: 64))
        for slot in UInt32(0)..<3 {
            let start = pool.packetStart(slot)
            #expect(start - base == Int(slot) * slotSize + PacketPool.headroom)
            // All of it can be written, the headroom included.
            (start - PacketPool.headroom).initializeMemory(as: UInt8.self, repeating: UInt8(slot + 1), count: slotSize)
        }
        for slot in UInt32(0)..<3 {
            let memory = UnsafeRawBufferPointer(start: pool.packetStart(slot) - PacketPool.headroom, count: slotSize)
            #expect(memory.allSatisfy { $0 == UInt8(slot + 1) })
        }
        let first = UInt(bitPattern: pool.packetStart(0))
        #expect(first.isMultiple(of: 64))
    }

    @Test("headroom holds the largest headers that are written in front of a packet")
    func headroom() {
        // IPv6 and ICMPv6 header; or two IPv4 headers with all options' room, or IPv4 and UDP with Mobile Tunnel Data.
        #expect(PacketPool.headroom >= 40 + 8)
        #expect(PacketPool.headroom >= 60 + 60)
    }

    @Test("memory that the kernel does not give is an error that says what to do")
    func noMemory() {
        #expect(throws: PacketPoolError.self) { _ = try PacketPool(slotCount: 1 << 16, packetCapacity: 1 << 44) }
        do {
            _ = try PacketPool(slotCount: 1 << 16, packetCapacity: 1 << 44)
        } catch {
            #expect(error.description.contains("MiB") && error.description.contains("raise"))
        }
    }

    @Test("a slot given back more often than it was taken ends the program")
    func givenTwice() async {
        await #expect(processExitsWith: .failure) {
            var pool = try PacketPool(slotCount: 2, packetCapacity: 64)
            pool.give(0)
        }
    }
}

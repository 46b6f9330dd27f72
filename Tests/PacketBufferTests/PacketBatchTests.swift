import PacketBuffer
import Testing

@Suite("Packet batch")
struct PacketBatchTests {
    @Test("holds packets in their order, up to its capacity")
    func order() throws {
        let pool = try PacketPool(slotCount: 8, packetCapacity: 64)
        var batch = PacketBatch(capacity: 8)
        // A batch can't be copied into an expectation, so what it says is taken out first.
        let (isEmpty, isFull, capacity) = (batch.isEmpty, batch.isFull, batch.capacity)
        #expect(isEmpty && !isFull && capacity == 8)
        for slot in UInt32(0)..<8 {
            batch.append(Packet(start: pool.packetStart(slot), length: Int(slot), slot: slot, ingress: .home))
            let count = batch.count
            #expect(count == Int(slot) + 1)
        }
        let isFullNow = batch.isFull
        #expect(isFullNow)
        for index in 0..<8 {
            let packet = batch[index]
            #expect(packet.slot == UInt32(index) && packet.length == index)
            #expect(packet.verdict == .release, "nothing is transmitted that nobody gave a verdict")
        }
        batch[3].verdict = .transmitAccess
        batch[3].length = 99
        let (changed, next) = (batch[3], batch[4])
        #expect(changed.verdict == .transmitAccess && changed.length == 99 && next.length == 4)
        batch.removeAll()
        let isEmptyAgain = batch.isEmpty
        #expect(isEmptyAgain)
    }

    @Test("prepending and removing at the front move the start and keep the end")
    func front() throws {
        let pool = try PacketPool(slotCount: 1, packetCapacity: 64)
        let start = pool.packetStart(0)
        var packet = Packet(start: start, length: 40, slot: 0, ingress: .access)
        packet.prepend(20)
        #expect(packet.start == start - 20 && packet.length == 60)
        packet.removeFirst(30)
        #expect(packet.start == start + 10 && packet.length == 30)
        #expect(packet.bytes.count == 30 && packet.bytes.baseAddress == UnsafeRawPointer(start + 10))
    }

    @Test("each side has the other opposite")
    func sides() {
        #expect(Side.home.opposite == .access && Side.access.opposite == .home)
    }

    @Test("a packet too many ends the program")
    func overflow() async {
        await #expect(processExitsWith: .failure) {
            var batch = PacketBatch(capacity: 1)
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
            for slot in UInt32(0)..<2 { batch.append(Packet(start: memory, length: 8, slot: slot, ingress: .home)) }
        }
    }
}

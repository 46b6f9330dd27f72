// Memory for a batch that shows what is read or written where it must not be: a packet ends where its slot's memory ends,
// at a page that nobody may touch, and before its headroom lie known bytes. What was given is kept beside, since packets
// are changed where they lie.

import Glibc
import PacketBuffer

/// Slots of a batch.
struct PacketSlots: ~Copyable {
    private static let pageSize = 4096
    /// The largest packet with headroom and canaries, and one page that may not be touched.
    private static let pages = (PacketBuilder.capacity + PacketPool.headroom + canaryLength + pageSize - 1) / pageSize
    private static let stride = (pages + 1) * pageSize
    private static let canaryLength = 64
    private static let canary: UInt64 = 0xC5C5_C5C5_C5C5_C5C5

    let count: Int
    private let memory: UnsafeMutableRawPointer
    private let originals: UnsafeMutableRawPointer
    private let lengths: UnsafeMutablePointer<Int>

    /// - Throws: where the kernel gives no memory.
    init(count: Int) throws(FuzzError) {
        let memory = try Self.map(count * Self.stride)
        let originals = try Self.map(count * PacketBuilder.capacity)
        for slot in 0..<count {
            let page = memory + (slot * Self.stride + Self.pages * Self.pageSize)
            guard mprotect(page, Self.pageSize, PROT_NONE) == 0 else { throw FuzzError("a page can't be protected") }
        }
        self.count = count
        self.memory = memory
        self.originals = originals
        lengths = .allocate(capacity: count)
        lengths.initialize(repeating: 0, count: count)
    }

    deinit {
        munmap(memory, count * Self.stride)
        munmap(originals, count * PacketBuilder.capacity)
        lengths.deallocate()
    }

    private static func map(_ size: Int) throws(FuzzError) -> UnsafeMutableRawPointer {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
            throw FuzzError("no memory for slots")
        }
        return memory
    }

    private func end(of slot: Int) -> UnsafeMutableRawPointer {
        memory + (slot * Self.stride + Self.pages * Self.pageSize)
    }

    /// Puts a packet into a slot.
    func put(_ bytes: UnsafeRawBufferPointer, slot: Int, from side: Side) -> Packet {
        let start = end(of: slot) - bytes.count
        let canaries = start - PacketPool.headroom - Self.canaryLength
        for word in 0..<Self.canaryLength / 8 {
            canaries.storeBytes(of: Self.canary, toByteOffset: 8 * word, as: UInt64.self)
        }
        lengths[slot] = bytes.count
        if let given = bytes.baseAddress {
            memcpy(start, given, bytes.count)
            memcpy(originals + slot * PacketBuilder.capacity, given, bytes.count)
        }
        return Packet(start: start, length: bytes.count, slot: UInt32(slot), ingress: side)
    }

    /// What was put.
    func original(_ slot: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: originals + slot * PacketBuilder.capacity, count: lengths[slot])
    }

    /// Whether nothing was written before the headroom of the packet that was put.
    func isUntouchedBeforeHeadroom(_ slot: Int) -> Bool {
        let canaries = end(of: slot) - lengths[slot] - PacketPool.headroom - Self.canaryLength
        for word in 0..<Self.canaryLength / 8
        where canaries.loadUnaligned(fromByteOffset: 8 * word, as: UInt64.self) != Self.canary {
            return false
        }
        return true
    }

    /// Whether an address is in any slot.
    func owns(_ address: UnsafeMutableRawPointer) -> Bool {
        address >= memory && address < memory + count * Self.stride
    }

    /// Whether a packet lies in the memory that its slot has for the one that was put.
    func holds(_ packet: Packet, slot: Int) -> Bool {
        packet.length >= 0 && packet.start >= end(of: slot) - lengths[slot] - PacketPool.headroom
            && packet.start + packet.length <= end(of: slot)
    }
}

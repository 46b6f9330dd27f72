// Memory for packets: one mapping, cut into slots of equal size. Every slot begins with headroom, so that outer
// headers and ICMP errors are written before a packet without moving it. A slot is owned by whoever took it last: the
// pool, the kernel (a posted read), a batch, or the kernel again (a queued write).

import Glibc

/// A fixed number of packet slots, and the list of the free ones. Used by one thread.
public struct PacketPool: ~Copyable {
    /// Bytes before every packet that may be written to: 40 + 8 for an ICMPv6 error, two IPv4 headers and UDP with
    /// room to spare, and two cache lines so that packets start aligned.
    public static let headroom = 128

    /// How much of it a forwarder may use. A port has the rest for what a device wants to know of a packet, 16 bytes, and
    /// because packets may begin 4 bytes early.
    public static let usableHeadroom = 108

    /// The first byte of slot 0, page-aligned.
    public let base: UnsafeMutableRawPointer
    /// Bytes in a slot, headroom included; a multiple of 64.
    public let slotSize: Int
    /// How many slots there are.
    public let slotCount: Int
    @usableFromInline let freeSlots: UnsafeMutablePointer<UInt32>
    @usableFromInline var freeSlotCount: Int

    /// A pool of `slotCount` free slots, each with room for packets of up to `packetCapacity` bytes.
    /// - Throws: `PacketPoolError` where the kernel gives no memory.
    public init(slotCount: Int, packetCapacity: Int) throws(PacketPoolError) {
        precondition((1...65_536).contains(slotCount) && packetCapacity > 0, "a pool has 1 to 65536 slots")
        let slotSize = (Self.headroom + packetCapacity + 63) & ~63
        let size = slotCount * slotSize
        guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            memory != MAP_FAILED
        else { throw PacketPoolError(bytes: size) }
        base = memory
        self.slotSize = slotSize
        self.slotCount = slotCount
        freeSlots = .allocate(capacity: slotCount)
        freeSlotCount = slotCount
        // Slot 0 on top, so that a lightly loaded forwarder keeps to the same few, cached slots.
        for index in 0..<slotCount { (freeSlots + index).initialize(to: UInt32(slotCount - 1 - index)) }
    }

    deinit {
        munmap(base, slotCount * slotSize)
        freeSlots.deallocate()
    }

    /// The largest packet that fits, in bytes.
    @inlinable
    public var packetCapacity: Int { slotSize - Self.headroom }

    /// How many slots are free.
    @inlinable
    public var free: Int { freeSlotCount }

    /// Takes a free slot; nil where none is left.
    @inlinable @inline(__always)
    public mutating func take() -> UInt32? {
        guard freeSlotCount > 0 else { return nil }
        freeSlotCount -= 1
        return freeSlots[freeSlotCount]
    }

    /// Gives a slot back. Each slot may be given back once for each time it was taken.
    @inlinable @inline(__always)
    public mutating func give(_ slot: UInt32) {
        precondition(freeSlotCount < slotCount, "a slot was given back twice")
        freeSlots[freeSlotCount] = slot
        freeSlotCount += 1
    }

    /// Where a packet received into the slot starts: behind the headroom.
    @inlinable @inline(__always)
    public func packetStart(_ slot: UInt32) -> UnsafeMutableRawPointer {
        base + Int(slot) &* slotSize + Self.headroom
    }
}

/// The kernel gave no memory for a pool.
public struct PacketPoolError: Error, CustomStringConvertible {
    /// How much was asked for.
    public let bytes: Int
    /// Says what to do.
    public var description: String {
        "no memory for \(bytes / 1_048_576) MiB of packet buffers: raise the memory limit of the service"
    }
}

// Buffers that the kernel picks from when data arrives (io_uring_register_buf_ring(3), Linux 5.19): a ring in shared
// memory that the owner fills and the kernel empties in order. A buffer belongs to the kernel from `publish` on until a
// completion names it.

import CLiburing
import Glibc

/// A group of buffers provided to a ring.
public struct BufferRing: ~Copyable {
    /// The most entries that the kernel allows.
    public static let maximumCapacity = 32_768

    @usableFromInline let entries: UnsafeMutablePointer<io_uring_buf_ring>
    @usableFromInline let mask: Int32
    @usableFromInline var added: Int32 = 0
    /// How many buffers fit: the owner never has more than that in the kernel's hands.
    public let capacity: Int
    /// The number by which requests name it.
    public let group: UInt16

    /// An empty group. It lives as long as requests of the ring use it.
    /// - Parameter capacity: up to `maximumCapacity`; rounded up to a power of two.
    /// - Throws: `IOUringError` with the call `registerBufferRing`.
    public init(ring: borrowing IOUring, group: UInt16, capacity: Int) throws(IOUringError) {
        precondition(capacity > 0 && capacity <= Self.maximumCapacity, "a buffer ring holds 1 to 32768 buffers")
        var rounded = 1
        while rounded < capacity { rounded *= 2 }
        let size = rounded * MemoryLayout<io_uring_buf>.stride
        guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            memory != MAP_FAILED
        else { throw IOUringError(call: .registerBufferRing, errorNumber: ENOMEM) }
        var registration = io_uring_buf_reg()
        registration.ring_addr = UInt64(UInt(bitPattern: memory))
        registration.ring_entries = UInt32(rounded)
        registration.bgid = group
        let result = io_uring_register_buf_ring(ring.ring, &registration, 0)
        guard result == 0 else {
            munmap(memory, size)
            throw IOUringError(call: .registerBufferRing, errorNumber: -result)
        }
        entries = memory.assumingMemoryBound(to: io_uring_buf_ring.self)
        io_uring_buf_ring_init(entries)
        mask = io_uring_buf_ring_mask(UInt32(rounded))
        self.capacity = rounded
        self.group = group
    }

    // The kernel holds the pages of its own accord until the ring is closed.
    deinit { munmap(UnsafeMutableRawPointer(entries), capacity * MemoryLayout<io_uring_buf>.stride) }

    /// Adds a buffer; the kernel sees it after `publish`.
    @inlinable @inline(__always)
    public mutating func add(_ address: UnsafeMutableRawPointer, length: UInt32, number: UInt16) {
        io_uring_buf_ring_add(entries, address, length, number, mask, added)
        added &+= 1
    }

    /// Shows the kernel what was added.
    @inlinable @inline(__always)
    public mutating func publish() {
        guard added != 0 else { return }
        io_uring_buf_ring_advance(entries, added)
        added = 0
    }
}

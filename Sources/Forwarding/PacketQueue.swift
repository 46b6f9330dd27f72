// A queue of packets from one thread to another: a ring of bytes, each packet with a note in front of it. Neither thread
// ever waits for the other; what does not fit is refused, and whoever puts says what becomes of it.
//
//     head ─► │ entry: length, note │ bytes … │ entry │ … │ ◄─ tail
//
// An entry does not wrap: where it does not fit before the end, the rest is skipped.

import Synchronization

/// A bounded queue of packets with notes, from one thread to one other.
final class PacketQueue<Note: BitwiseCopyable & Sendable>: @unchecked Sendable {
    private struct Entry: BitwiseCopyable {
        /// Of the packet, in bytes; -1 where the rest up to the end is skipped.
        var length: Int
        var note: Note
    }

    /// In bytes, notes included.
    let capacity: Int
    private let memory: UnsafeMutableRawPointer
    private let head = Atomic<Int>(0)
    private let tail = Atomic<Int>(0)

    /// An empty queue of `capacity` bytes, a power of two.
    init(capacity: Int) {
        precondition(capacity.nonzeroBitCount == 1, "the capacity is a power of two")
        self.capacity = capacity
        memory = .allocate(byteCount: capacity, alignment: 64)
    }

    deinit { memory.deallocate() }

    private static var entrySize: Int { (MemoryLayout<Entry>.stride + 15) & ~15 }

    private static func space(_ length: Int) -> Int { (entrySize + length + 15) & ~15 }

    /// Adds a packet; by the one thread that puts.
    /// - Returns: false where it does not fit.
    func put(_ bytes: UnsafeRawBufferPointer, _ note: Note) -> Bool {
        let position = head.load(ordering: .relaxed)
        var start = position & (capacity - 1)
        var space = Self.space(bytes.count)
        let rest = capacity - start
        let skipped = rest < space ? rest : 0
        space += skipped
        guard position + space - tail.load(ordering: .acquiring) <= capacity else { return false }
        if skipped > 0 {
            // Positions are multiples of 16, so the length of the skipped entry always has room.
            (memory + start).storeBytes(of: -1, as: Int.self)
            start = 0
        }
        (memory + start).storeBytes(of: Entry(length: bytes.count, note: note), as: Entry.self)
        if let source = bytes.baseAddress, !bytes.isEmpty {
            (memory + start + Self.entrySize).copyMemory(from: source, byteCount: bytes.count)
        }
        head.store(position + space, ordering: .releasing)
        return true
    }

    /// Takes the packet at the front; by the one thread that takes.
    /// - Parameter body: gets the packet, which is gone when it returns.
    /// - Returns: false where there is none.
    func take(_ body: (UnsafeRawBufferPointer, Note) -> Void) -> Bool {
        var position = tail.load(ordering: .relaxed)
        guard position < head.load(ordering: .acquiring) else { return false }
        var start = position & (capacity - 1)
        if (memory + start).load(as: Int.self) < 0 {
            position += capacity - start
            start = 0
        }
        let entry = (memory + start).load(as: Entry.self)
        body(UnsafeRawBufferPointer(start: memory + start + Self.entrySize, count: entry.length), entry.note)
        tail.store(position + Self.space(entry.length), ordering: .releasing)
        return true
    }

    /// Whether there is nothing to take, as far as the thread that takes can see.
    var isEmpty: Bool { tail.load(ordering: .relaxed) == head.load(ordering: .acquiring) }
}

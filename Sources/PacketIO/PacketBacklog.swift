// Packets that were read and found no place in the batch, in their order. It lets a port look at all completions each
// time, so that the slots of writes come back at once, however many packets lie before them.

import PacketBuffer

/// A queue for as many packets as there are slots, allocated once.
@usableFromInline
struct PacketBacklog: ~Copyable {
    @usableFromInline let storage: UnsafeMutablePointer<Packet>
    @usableFromInline let mask: Int
    @usableFromInline var head = 0
    @usableFromInline var count = 0

    /// An empty queue for at least `capacity` packets.
    init(capacity: Int) {
        var rounded = 1
        while rounded < capacity { rounded *= 2 }
        mask = rounded - 1
        storage = .allocate(capacity: rounded)
    }

    @inlinable deinit { storage.deallocate() }

    /// Adds a packet at the end.
    @inlinable @inline(__always)
    mutating func append(_ packet: Packet) {
        precondition(count <= mask, "more packets than slots")
        (storage + ((head &+ count) & mask)).initialize(to: packet)
        count &+= 1
    }

    /// Takes the packet at the front; there must be one.
    @inlinable @inline(__always)
    mutating func removeFirst() -> Packet {
        precondition(count > 0, "nothing waits")
        defer {
            head &+= 1
            count &-= 1
        }
        return storage[head & mask]
    }
}

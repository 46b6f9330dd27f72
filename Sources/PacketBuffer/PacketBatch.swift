// A batch is what moves through the forwarder: up to `capacity` descriptors of packets that lie in slots of a
// `PacketPool`. A port fills it, the forwarder gives every packet a verdict in place, the port carries the verdicts
// out. No packet is copied, and a batch is allocated once.

/// A side of the forwarder.
public enum Side: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    /// Where packets to and from home prefixes pass, without a tunnel header.
    case home
    /// Where packets to and from care-of addresses pass, with their outer header.
    case access

    /// The other one.
    @inlinable @inline(__always)
    public var opposite: Side { self == .home ? .access : .home }
}

/// What becomes of a packet.
public enum Verdict: UInt8, Sendable, BitwiseCopyable {
    /// The slot goes back to its pool: dropped under a reason, or consumed on purpose.
    case release
    /// Written to the home side.
    case transmitHome
    /// Written to the access side.
    case transmitAccess
}

/// A packet in a slot: where its bytes lie, where it came from and what becomes of it.
public struct Packet: BitwiseCopyable {
    /// The first byte of the packet.
    public var start: UnsafeMutableRawPointer
    /// In bytes.
    public var length: Int
    /// The number of the slot in its pool.
    public let slot: UInt32
    /// The side it was received from. On a device that serves both sides the forwarder sets it.
    public var ingress: Side
    /// Set by the forwarder; `release` until then.
    public var verdict: Verdict

    /// A packet of `length` bytes at `start` that waits for its verdict.
    @inlinable @inline(__always)
    public init(start: UnsafeMutableRawPointer, length: Int, slot: UInt32, ingress: Side) {
        self.start = start
        self.length = length
        self.slot = slot
        self.ingress = ingress
        self.verdict = .release
    }

    /// The bytes, to read.
    @inlinable @inline(__always)
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: length) }

    /// Grows the packet by `count` bytes at its front, into the slot's headroom. The sum of all prepends may not pass
    /// `PacketPool.headroom`.
    @inlinable @inline(__always)
    public mutating func prepend(_ count: Int) {
        start -= count
        length += count
    }

    /// Takes `count` bytes off the front.
    @inlinable @inline(__always)
    public mutating func removeFirst(_ count: Int) {
        start += count
        length -= count
    }
}

/// Descriptors of up to `capacity` packets, in the order they were received.
public struct PacketBatch: ~Copyable {
    @usableFromInline let storage: UnsafeMutablePointer<Packet>
    /// How many packets it can hold.
    public let capacity: Int
    @usableFromInline var filled = 0

    /// How many it holds.
    @inlinable @inline(__always)
    public var count: Int { filled }

    /// An empty batch. The capacity must be positive.
    public init(capacity: Int) {
        precondition(capacity > 0, "a batch holds at least one packet")
        self.capacity = capacity
        storage = .allocate(capacity: capacity)
    }

    deinit { storage.deallocate() }

    /// Whether no further packet fits.
    @inlinable @inline(__always)
    public var isFull: Bool { filled == capacity }

    /// Whether it holds nothing.
    @inlinable @inline(__always)
    public var isEmpty: Bool { filled == 0 }

    /// The packet at `index`, below `count`.
    @inlinable
    public subscript(index: Int) -> Packet {
        @inline(__always) unsafeAddress { UnsafePointer(storage + index) }
        @inline(__always) nonmutating unsafeMutableAddress { storage + index }
    }

    /// Adds a packet; the batch must not be full.
    @inlinable @inline(__always)
    public mutating func append(_ packet: Packet) {
        precondition(filled < capacity, "the batch is full")
        (storage + filled).initialize(to: packet)
        filled += 1
    }

    /// Forgets all packets. Their slots must have been given back or be under way.
    @inlinable @inline(__always)
    public mutating func removeAll() { filled = 0 }
}

// A batch is what moves through the forwarder: up to `capacity` descriptors of packets that lie in slots of a
// `PacketPool`. A port fills it, the forwarder gives every packet a verdict in place, the port carries the verdicts
// out. No packet is copied, and a batch is allocated once.
//
// Beside the packets that a port received a batch has room for packets that the forwarder makes: copies for the members
// of a group, fragments. They lie in memory of the forwarder's own and leave right before the packet that they were made
// from. Where that room is full, the batch stays unfinished: the port carries out what there is, and the forwarder goes
// on with the rest.

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
    /// Written to the side opposite of its ingress as one super-frame with those that are joined to it: of a received packet
    /// those behind it in its chain, of one that the forwarder made those made right after it.
    case transmitJoined
    /// Leaves with the packet that it is joined to: these bytes are payload.
    case joined
    /// Not settled yet: it stays in the batch, and the forwarder goes on with it.
    case unfinished
    /// Carried out already, while others of the batch are unfinished.
    case carriedOut
}

/// A packet in a slot: where its bytes lie, where it came from and what becomes of it. It may be a super-frame: segments of
/// one flow with one header, which count as so many packets. 24 bytes.
public struct Packet: BitwiseCopyable {
    /// The first byte of the packet.
    public var start: UnsafeMutableRawPointer
    @usableFromInline var storedLength: UInt32
    /// The number of the slot in its pool.
    @inlinable @inline(__always)
    public var slot: UInt32 { UInt32(storedSlot) }
    @usableFromInline let storedSlot: UInt16
    /// The side it was received from. On a device that serves both sides the forwarder sets it.
    public var ingress: Side
    /// Set by the forwarder; `release` until then.
    public var verdict: Verdict
    /// What follows is of a super-frame: what kind, by its number; 0 where it is one packet.
    public var segmentKind: UInt8 = 0
    /// Where the header of TCP or UDP begins, from the first byte of the IP header.
    public var transportOffset: UInt16 = 0
    /// Bytes of payload in each segment but the last.
    public var segmentSize: UInt16 = 0
    /// How many packets this is: 1 where it is no super-frame.
    public var segmentCount: UInt16 = 1

    /// A packet of `length` bytes at `start` that waits for its verdict.
    @inlinable @inline(__always)
    public init(start: UnsafeMutableRawPointer, length: Int, slot: UInt32, ingress: Side) {
        self.start = start
        storedLength = UInt32(truncatingIfNeeded: length)
        storedSlot = UInt16(truncatingIfNeeded: slot)
        self.ingress = ingress
        self.verdict = .release
    }

    /// In bytes.
    @inlinable @inline(__always)
    public var length: Int {
        get { Int(storedLength) }
        set { storedLength = UInt32(truncatingIfNeeded: newValue) }
    }

    /// Whether it is more than one packet.
    @inlinable @inline(__always)
    public var isSuperFrame: Bool { segmentKind != 0 }

    /// Makes it one packet: what is at `start` now is no super-frame.
    @inlinable @inline(__always)
    public mutating func becomeOnePacket() {
        segmentKind = 0
        segmentCount = 1
    }

    /// The bytes, to read.
    @inlinable @inline(__always)
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: length) }

    /// Grows the packet by `count` bytes at its front, into the slot's headroom. The sum of all prepends may not pass
    /// `PacketPool.usableHeadroom`.
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

/// Descriptors of up to `capacity` packets, in the order they were received, and of those made from them.
public struct PacketBatch: ~Copyable {
    /// How many packets a batch has room for that the forwarder makes.
    @inlinable public static var generatedCapacity: Int { 512 }

    @usableFromInline let storage: UnsafeMutablePointer<Packet>
    @usableFromInline let generated: UnsafeMutablePointer<Packet>
    /// Of packets that are joined: the place of the next, or `noPlace`.
    @usableFromInline let nextJoined: UnsafeMutablePointer<UInt16>
    /// How many received packets it can hold.
    public let capacity: Int
    @usableFromInline var filled = 0
    @usableFromInline var made = 0
    /// Whether packets of it have no verdict yet, since there was no room for what is made from them. Set by the
    /// forwarder; such a batch takes no packets.
    public var isUnfinished = false

    /// How many received packets it holds.
    @inlinable @inline(__always)
    public var count: Int { filled }

    /// How many packets the forwarder has made.
    @inlinable @inline(__always)
    public var generatedCount: Int { made }

    /// An empty batch. The capacity must be positive.
    public init(capacity: Int) {
        precondition(capacity > 0 && capacity < Int(Self.noPlace), "a batch holds at least one packet")
        self.capacity = capacity
        storage = .allocate(capacity: capacity)
        nextJoined = .allocate(capacity: capacity)
        generated = .allocate(capacity: Self.generatedCapacity)
    }

    deinit {
        storage.deallocate()
        nextJoined.deallocate()
        generated.deallocate()
    }

    /// Whether no further packet may be received into it.
    @inlinable @inline(__always)
    public var isFull: Bool { filled == capacity || isUnfinished }

    /// Whether it holds nothing.
    @inlinable @inline(__always)
    public var isEmpty: Bool { filled == 0 }

    /// The packet at `index`, below `count`.
    @inlinable
    public subscript(index: Int) -> Packet {
        @inline(__always) unsafeAddress { UnsafePointer(storage + index) }
        @inline(__always) nonmutating unsafeMutableAddress { storage + index }
    }

    /// Adds a received packet; the batch must not be full.
    @inlinable @inline(__always)
    public mutating func append(_ packet: Packet) {
        precondition(filled < capacity, "the batch is full")
        (storage + filled).initialize(to: packet)
        filled += 1
    }

    @usableFromInline static var noPlace: UInt16 { .max }

    /// Begins a super-frame with a packet that is to be `transmitJoined`.
    @inlinable @inline(__always)
    public func beginJoining(_ index: Int) { nextJoined[index] = Self.noPlace }

    /// Joins a packet, which becomes `joined`, to a super-frame.
    /// - Parameter last: the place of the last that was joined, or of the first.
    @inlinable @inline(__always)
    public func join(_ index: Int, behind last: Int) {
        nextJoined[index] = Self.noPlace
        nextJoined[last] = UInt16(truncatingIfNeeded: index)
    }

    /// The place of the packet that comes behind another in a super-frame; nil behind the last.
    @inlinable @inline(__always)
    public func joined(behind index: Int) -> Int? {
        let next = nextJoined[index]
        return next == Self.noPlace ? nil : Int(next)
    }

    /// The room that is left for packets that the forwarder makes.
    @inlinable @inline(__always)
    public var generatedRoom: Int { Self.generatedCapacity &- generatedCount }

    /// Adds a packet that the forwarder made; there must be room. Those made from one packet, and the packets that they
    /// are made from, come in the order of the batch.
    /// - Parameters:
    ///   - start: of the packet, in memory that stays as it is until a port has no packet in flight.
    ///   - index: the place of the packet that it was made from; `count` where there is none.
    ///   - verdict: to transmit.
    public mutating func appendGenerated(
        start: UnsafeMutableRawPointer, length: Int, madeFrom index: Int, verdict: Verdict
    ) {
        precondition(generatedRoom > 0, "there is no room for what the forwarder makes")
        var packet = Packet(start: start, length: length, slot: UInt32(truncatingIfNeeded: index), ingress: .home)
        packet.verdict = verdict
        (generated + generatedCount).initialize(to: packet)
        made &+= 1
    }

    /// The packet that the forwarder made at `index`, below `generatedCount`. It has no slot.
    @inlinable @inline(__always)
    public func generatedPacket(at index: Int) -> Packet { generated[index] }

    /// Puts another in the place of the packet that the forwarder made at `index`.
    @inlinable @inline(__always)
    public mutating func replaceGenerated(at index: Int, by packet: Packet) { generated[index] = packet }

    /// Whether the packet that the forwarder made at `index` leaves before the received packet at `place`.
    @inlinable @inline(__always)
    public func leaves(_ index: Int, before place: Int) -> Bool {
        index < generatedCount && generated[index].slot <= UInt32(truncatingIfNeeded: place)
    }

    /// Ends what a port does for a batch: all packets are forgotten, or those that are unfinished wait for the forwarder.
    @inlinable @inline(__always)
    public mutating func endCompletion() {
        if isUnfinished { keepUnfinished() } else { removeAll() }
    }

    @usableFromInline @inline(never)
    mutating func keepUnfinished() {
        for index in 0..<filled where storage[index].verdict != .unfinished { storage[index].verdict = .carriedOut }
        made = 0
    }

    /// Forgets all packets. Their slots must have been given back or be under way.
    @inlinable @inline(__always)
    public mutating func removeAll() {
        filled = 0
        made = 0
        isUnfinished = false
    }
}

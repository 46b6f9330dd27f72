// The kernel's part of an io_uring port: the ring, the descriptors it knows and the slots lent to it. It only borrows the
// devices, so that where io_uring can't be had they are still at hand for another port.

import IOUring
import PacketBuffer

/// A ring with one group of receive buffers for each side.
@usableFromInline
struct PortRing: ~Copyable {
    @usableFromInline let ring: IOUring
    @usableFromInline var homeBuffers: BufferRing
    @usableFromInline var accessBuffers: BufferRing
    /// Slots below this number are the home side's, the others the access side's.
    @usableFromInline let homeSlotCount: UInt32

    /// A ring that can't overflow with this configuration: every slot has at most one completion under way, and of
    /// requests without a slot there are those for packets that the forwarder made and a few others.
    /// - Throws: `IOUringError` where io_uring, or a part of it that is needed, can't be had.
    init(
        _ configuration: PortConfiguration, devices: borrowing PortDevices, waker: PortWaker
    ) throws(IOUringError) {
        let slotless = 16
        let homeSlots = devices.isShared ? configuration.slotCount : configuration.slotCount / 2
        let ring = try IOUring(
            submissionCapacity: configuration.batchCapacity + slotless,
            completionCapacity: max(configuration.slotCount, configuration.batchCapacity)
                + PacketBatch.generatedCapacity + 2 * slotless)
        try ring.requireMultishotRead()
        let homeBuffers = try BufferRing(ring: ring, group: 0, capacity: homeSlots)
        let accessBuffers = try BufferRing(ring: ring, group: 1, capacity: max(1, configuration.slotCount - homeSlots))
        var files = [devices.home.descriptor, waker.descriptor]
        if !devices.isShared { files.append(devices.descriptor(.access)) }
        if devices.frameDescriptor >= 0 { files.append(devices.frameDescriptor) }
        try ring.registerFiles(files)
        homeSlotCount = UInt32(homeSlots)
        self.ring = ring
        self.homeBuffers = homeBuffers
        self.accessBuffers = accessBuffers
    }
}

/// What a completion belongs to: bits 32 to 47 of its user data. The lower half is the slot of a write, and the bits above
/// say how many packets that is.
@usableFromInline
enum RequestKind {
    @inlinable static var readHome: UInt64 { 0 }
    @inlinable static var readAccess: UInt64 { 1 << 32 }
    @inlinable static var writeHome: UInt64 { 2 << 32 }
    @inlinable static var writeAccess: UInt64 { 3 << 32 }
    @inlinable static var wake: UInt64 { 4 << 32 }
    @inlinable static var resumeHome: UInt64 { 5 << 32 }
    @inlinable static var resumeAccess: UInt64 { 6 << 32 }
    @inlinable static var cancel: UInt64 { 7 << 32 }
    @inlinable static var writeJoinedHome: UInt64 { 8 << 32 }
    @inlinable static var readFrames: UInt64 { 9 << 32 }
    @inlinable static var resumeFrames: UInt64 { 10 << 32 }
    @inlinable static var writeJoinedAccess: UInt64 { 11 << 32 }
    @inlinable static var mask: UInt64 { 0xffff_0000_0000 }
    /// How many packets a write is of.
    @inlinable @inline(__always)
    static func packets(_ userData: UInt64) -> UInt64 { userData >> 48 }
    /// In place of a slot: of a write whose packet lies in none.
    @inlinable static var noSlot: UInt32 { .max }
}

/// What a read stands on.
@usableFromInline
enum StandingRead: UInt8 {
    case home
    case access
    case frames
}

/// The standing read of a side, or of the socket for frames.
@usableFromInline
enum ReadState: UInt8 {
    /// There is no device of its own for the side, or no socket.
    case unused
    /// A read has to be queued.
    case wanted
    /// A read is queued or stands.
    case armed
    /// A read failed; a timeout that is under way ends the pause.
    case paused

    /// Whether a request of this side has a completion to come.
    @usableFromInline var isUnderWay: Bool { self == .armed || self == .paused }
}

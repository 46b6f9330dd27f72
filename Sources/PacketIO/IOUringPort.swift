// A port on io_uring. One system call for each turn of the worker hands over the writes of the last batch and fetches
// the packets of the next:
//
//     complete:  verdicts ─► write requests in the submission queue, released slots ─► buffer rings
//     receive:   io_uring_enter (the writes happen, packets are read) ─► completions ─► batch, slots ─► buffer rings
//
// A multishot read stands on each device, and on the socket for frames where there is one, and takes a slot from its side's buffer ring for every packet. Each side has
// slots of its own, so that a flood on one leaves the other its share. A slot is in one of these places: a buffer ring
// (`idleSlots`), a completion not yet looked at, the backlog, the caller's batch, or a write (`inFlight`). So there are
// never more completions than slots and a few, and the completion queue has room for all.
//
// The kernel cuts off a packet that is larger than its buffer without a word (seen on Linux 6.18), so a buffer has one
// byte more than the largest packet: what fills it was too large.

import Glibc
import IOUring
import PacketBuffer

/// A port on TUN devices that reads and writes through io_uring. It can be made on any thread, is then used by the one
/// that first calls `receive`, and must end there.
public struct IOUringPort: ~Copyable, PacketPort {
    @usableFromInline var rings: PortRing
    /// Of its slots the first are lent to the ring; others, where there are any, are for datagrams that were cut off a train.
    @usableFromInline var pool: PacketPool
    @usableFromInline let lentSlotCount: Int
    @usableFromInline var train = ArrivedTrain()
    /// Bytes of a buffer: one more than the largest packet, and the header of its device.
    @usableFromInline let homeBufferLength: UInt32
    @usableFromInline let accessBufferLength: UInt32
    /// Of the headers that devices have before packets.
    @usableFromInline let homeHeader: Int
    @usableFromInline let accessHeader: Int
    /// The place of the access side's descriptor among the ring's files.
    @usableFromInline let accessFile: Int32
    @usableFromInline var backlog: PacketBacklog
    @usableFromInline var homeRead = ReadState.wanted
    @usableFromInline var accessRead: ReadState
    /// Of the socket for frames. It has the access side's slots, in which frames begin 4 bytes early: their header is shorter.
    @usableFromInline var frameRead: ReadState
    @usableFromInline let frameOffset: Int
    @usableFromInline var lostFrames: LostFrames
    @usableFromInline var homePosted = 0
    @usableFromInline var accessPosted = 0
    @usableFromInline var isStarted = false
    @usableFromInline var isWakerArmed = false
    @usableFromInline var wasWoken = false
    @usableFromInline var writesUnderWay = 0
    /// Of writes of joined packets that are not submitted yet.
    @usableFromInline var vectors: WriteVectors
    /// In a super-frame that is being written: the slot behind each, or `noSlot`.
    @usableFromInline let slotsBehind: UnsafeMutablePointer<UInt32>
    @usableFromInline var failedWrites = PortFailures()
    @usableFromInline var failedReads = PortFailures()
    let devices: PortDevices
    let waker: PortWaker
    /// Where the eventfd's count is read to.
    let wakeCount: UnsafeMutablePointer<UInt64>
    /// How long a read that failed rests.
    let pause: UnsafeMutablePointer<RequestDuration>

    /// A port on those devices.
    /// - Throws: `PortError` where io_uring can't be had, or memory is short.
    public init(devices: consuming PortDevices, waker: PortWaker, configuration: PortConfiguration) throws(PortError) {
        let rings: PortRing
        do { rings = try PortRing(configuration, devices: devices, waker: waker) } catch {
            throw PortError(error.description)
        }
        try self.init(rings: rings, devices: devices, waker: waker, configuration: configuration)
    }

    /// A port on those devices and a ring made for them and the configuration.
    init(
        rings: consuming PortRing, devices: consuming PortDevices, waker: PortWaker, configuration: PortConfiguration
    ) throws(PortError) {
        // Of the last batch, whose writes are not submitted yet, and of the next.
        let slotCount = configuration.slotCount + (devices.mayHaveTrains ? 2 * configuration.batchCapacity : 0)
        var pool: PacketPool
        do {
            pool = try PacketPool(slotCount: slotCount, packetCapacity: devices.slotCapacity(configuration))
        } catch { throw PortError(error.description) }
        lentSlotCount = configuration.slotCount
        backlog = PacketBacklog(capacity: configuration.slotCount)
        vectors = WriteVectors(slotCount: slotCount)
        slotsBehind = .allocate(capacity: slotCount)
        slotsBehind.initialize(repeating: RequestKind.noSlot, count: slotCount)
        homeHeader = devices.headerLength(.home)
        accessHeader = devices.headerLength(.access)
        homeBufferLength = UInt32(devices.packetCapacity(configuration) + 1 + homeHeader)
        let frames = devices.frameDescriptor
        accessBufferLength = UInt32(
            frames >= 0 || devices.mayHaveTrains
                ? devices.packetCapacity(configuration) + 1 + max(accessHeader, FrameSocket.headerLength)
                : configuration.packetCapacity + 1 + accessHeader)
        frameRead = frames >= 0 ? .wanted : .unused
        frameOffset = FrameSocket.headerLength - accessHeader
        lostFrames = LostFrames(of: frames)
        accessFile = devices.isShared ? PortFile.home : PortFile.access
        accessRead = devices.isShared ? .unused : .wanted
        // For as long as the ring lives.
        for slot in 0..<UInt32(configuration.slotCount) {
            precondition(pool.take() == slot, "a new pool gives its slots in their order")
        }
        self.pool = pool
        self.rings = rings
        self.devices = devices
        self.waker = waker
        wakeCount = .allocate(capacity: 1)
        wakeCount.initialize(to: 0)
        pause = .allocate(capacity: 1)
        pause.initialize(to: RequestDuration(tv_sec: 0, tv_nsec: 10_000_000))
        for slot in 0..<UInt32(configuration.slotCount) { post(slot) }
        publish()
    }

    deinit {
        if isStarted { cancelAndDrain() }
        // So that a device that was made for this port is gone when its descriptor is closed.
        rings.ring.unregisterFiles()
        // Now the kernel writes to no slot any more; the fields may go in any order.
        rings.ring.close()
        vectors.deallocate()
        slotsBehind.deallocate()
        wakeCount.deallocate()
        pause.deallocate()
    }

    /// Cancels what is under way and awaits every last completion: a read that stands may write to the pool until then.
    private borrowing func cancelAndDrain() {
        var isCancelUnderWay = rings.ring.cancelAll(userData: RequestKind.cancel)
        if !isCancelUnderWay {
            // The queue is full of writes, which complete as they are handed over.
            _ = rings.ring.submitAndGetEvents()
            isCancelUnderWay = rings.ring.cancelAll(userData: RequestKind.cancel)
        }
        var isWakerUnderWay = isWakerArmed
        var isHomeUnderWay = homeRead.isUnderWay
        var isAccessUnderWay = accessRead.isUnderWay
        var isFrameUnderWay = frameRead.isUnderWay
        var writes = writesUnderWay
        while isCancelUnderWay || isWakerUnderWay || isHomeUnderWay || isAccessUnderWay || isFrameUnderWay || writes > 0
        {
            let result = rings.ring.submitAndWait(completions: 1)
            precondition(result != -EEXIST, "a port ends on the thread that called receive")
            if result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY { return }
            let count = rings.ring.completionCount
            for offset in 0..<count {
                let completion = rings.ring.completion(at: offset)
                if completion.hasMore { continue }
                switch completion.userData & RequestKind.mask {
                case RequestKind.cancel: isCancelUnderWay = false
                case RequestKind.wake: isWakerUnderWay = false
                case RequestKind.readHome, RequestKind.resumeHome: isHomeUnderWay = false
                case RequestKind.readAccess, RequestKind.resumeAccess: isAccessUnderWay = false
                case RequestKind.readFrames, RequestKind.resumeFrames: isFrameUnderWay = false
                default: writes -= 1
                }
            }
            rings.ring.removeCompletions(count)
        }
    }

    /// Packets given to `complete` whose write has not completed. The kernel writes to a TUN device while it takes the
    /// request, so this is 0 after each `receive`.
    public var inFlight: Int { writesUnderWay }

    /// Writes that the kernel refused, by side.
    public var transmitFailures: PortFailures { failedWrites }

    /// Packets too large for a slot, and reads that failed, by side.
    public var receiveFailures: PortFailures { failedReads }

    /// How many slots wait for a packet.
    public var idleSlots: Int { homePosted + accessPosted }

    /// Lends a slot to its side's reads, or gives it back for trains; the kernel knows of it after `publish`.
    @inlinable @inline(__always)
    mutating func post(_ slot: UInt32) {
        precondition(Int(slot) < pool.slotCount, "a packet lies in a slot of another pool")
        let address = pool.packetStart(slot)
        if slot < rings.homeSlotCount {
            rings.homeBuffers.add(
                address - homeHeader, length: homeBufferLength, number: UInt16(truncatingIfNeeded: slot))
            homePosted &+= 1
        } else if slot >= lentSlotCount {
            pool.give(slot)
        } else {
            rings.accessBuffers.add(
                address - accessHeader, length: accessBufferLength, number: UInt16(truncatingIfNeeded: slot))
            accessPosted &+= 1
        }
    }

    /// Shows the kernel the slots that were posted.
    @inlinable @inline(__always)
    mutating func publish() {
        rings.homeBuffers.publish()
        rings.accessBuffers.publish()
    }
}

// A port has one owner, and the ring itself refuses a second thread.
extension IOUringPort: @unchecked Sendable {}

/// The places of the descriptors among a ring's files.
@usableFromInline
enum PortFile {
    @inlinable static var home: Int32 { 0 }
    @inlinable static var waker: Int32 { 1 }
    @inlinable static var access: Int32 { 2 }
    @inlinable static var frames: Int32 { 3 }
}

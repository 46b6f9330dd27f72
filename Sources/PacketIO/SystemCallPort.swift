// A port on plain read(2) and write(2), one call a packet, for kernels and containers where io_uring can't be had. The
// devices are read in turn, a packet from each, so neither waits for the other; where both are empty poll(2) waits for
// them and the waker. Slots are taken from the pool for every batch and are back when `complete` returns.

import Glibc
import PacketBuffer

/// A port on TUN devices that reads and writes through a system call for each packet. Used by one thread.
public struct SystemCallPort: ~Copyable, PacketPort {
    @usableFromInline var pool: PacketPool
    /// Bytes asked for in a read: one more than the largest packet, since the kernel cuts off what is longer, and the
    /// header of its device.
    @usableFromInline let homeReadLength: Int
    @usableFromInline let accessReadLength: Int
    /// Of the headers that devices have before packets.
    @usableFromInline let homeHeader: Int
    @usableFromInline let accessHeader: Int
    @usableFromInline let homeDescriptor: Int32
    /// The access side's, or -1 where it has none of its own.
    @usableFromInline let accessDescriptor: Int32
    @usableFromInline let accessOutput: Int32
    @usableFromInline var startsWithAccess = false
    @usableFromInline var homePause = ReadPause()
    @usableFromInline var accessPause = ReadPause()
    @usableFromInline var vectors: WriteVectors
    @usableFromInline var failedWrites = PortFailures()
    @usableFromInline var failedReads = PortFailures()
    let devices: PortDevices
    let waker: PortWaker
    /// Home, access, waker.
    let polled: UnsafeMutablePointer<pollfd>

    /// A port on those devices.
    /// - Throws: `PortError` where memory is short.
    public init(devices: consuming PortDevices, waker: PortWaker, configuration: PortConfiguration) throws(PortError) {
        let pool: PacketPool
        do {
            pool = try PacketPool(
                slotCount: configuration.slotCount, packetCapacity: devices.packetCapacity(configuration) + 1)
        } catch { throw PortError(error.description) }
        self.pool = pool
        vectors = WriteVectors(capacity: configuration.batchCapacity)
        homeHeader = devices.headerLength(.home)
        accessHeader = devices.headerLength(.access)
        homeReadLength = devices.packetCapacity(configuration) + 1 + homeHeader
        accessReadLength = configuration.packetCapacity + 1 + accessHeader
        homeDescriptor = devices.home.descriptor
        accessOutput = devices.descriptor(.access)
        accessDescriptor = devices.isShared ? -1 : accessOutput
        self.devices = devices
        self.waker = waker
        polled = .allocate(capacity: 3)
        for index in 0..<3 { (polled + index).initialize(to: pollfd()) }
    }

    deinit {
        polled.deallocate()
        vectors.deallocate()
    }

    /// Always 0: a write is done when `complete` returns.
    public var inFlight: Int { 0 }

    /// Writes that the kernel refused, by side.
    public var transmitFailures: PortFailures { failedWrites }

    /// Packets too large for a slot, and reads that failed, by side.
    public var receiveFailures: PortFailures { failedReads }

    /// How many slots wait for a packet.
    public var idleSlots: Int { pool.free }

    /// Fills the batch, alternately from both devices.
    @inlinable
    public mutating func receive(into batch: inout PacketBatch, wait: Bool) throws(PortError) {
        precondition(batch.isEmpty, "the packets of the last batch await their verdicts")
        // Lost packets are to be told too, though none is there.
        let failuresBefore = failedReads
        var isWoken = false
        repeat {
            try fill(&batch)
            if !batch.isEmpty || !wait || failedReads != failuresBefore { return }
            isWoken = try sleep()
        } while !isWoken
    }

    /// Reads what lies ready, up to the batch's capacity.
    @inlinable
    mutating func fill(_ batch: inout PacketBatch) throws(PortError) {
        var isHomeReady = homePause.isOver
        var isAccessReady = accessDescriptor >= 0 && accessPause.isOver
        var isAccessNext = startsWithAccess
        startsWithAccess.toggle()
        // Packets that are too large count too, so that a stream of them can't hold the worker.
        var readsLeft = batch.capacity
        while readsLeft > 0 && (isHomeReady || isAccessReady) {
            guard let slot = pool.take() else { return }
            let side: Side = isAccessReady && (isAccessNext || !isHomeReady) ? .access : .home
            isAccessNext = side == .home
            let start = pool.packetStart(slot)
            let (header, limit) = side == .home ? (homeHeader, homeReadLength) : (accessHeader, accessReadLength)
            let result = Glibc.read(side == .home ? homeDescriptor : accessDescriptor, start - header, limit)
            if result > 0 { readsLeft &-= 1 }
            if result > header && result < limit {
                var packet = Packet(start: start, length: result &- header, slot: slot, ingress: side)
                if header == 0 || packet.takeVirtioNetHeader() {
                    batch.append(packet)
                    continue
                }
            }
            pool.give(slot)
            if result < 0 && errno == EINTR { continue }
            if result > 0 {
                countFailedRead(side)
                continue
            }
            if side == .home { isHomeReady = false } else { isAccessReady = false }
            if result < 0 && errno == EAGAIN { continue }
            try readFailed(side)
        }
    }

    /// Writes the packets to transmit and gives their slots back.
    @inlinable
    public mutating func complete(_ batch: inout PacketBatch) {
        var generated = 0
        for index in 0..<batch.count {
            if batch.leaves(generated, before: index) { writeGenerated(batch, &generated, before: index) }
            let packet = batch[index]
            switch packet.verdict {
            case .unfinished, .carriedOut: continue
            case .release: break
            case .transmitHome, .transmitAccess: write(packet)
            case .transmitJoined: writeJoined(batch, index)
            case .joined: break  // Written already: it comes behind the one that it is joined to.
            }
            pool.give(packet.slot)
        }
        if batch.leaves(generated, before: batch.count) { writeGenerated(batch, &generated, before: batch.count) }
        batch.endCompletion()
    }

    /// Writes what the forwarder made, up to what comes after a place in the batch.
    @usableFromInline @inline(never)
    mutating func writeGenerated(_ batch: borrowing PacketBatch, _ next: inout Int, before place: Int) {
        while batch.leaves(next, before: place) {
            write(batch.generatedPacket(at: next))
            next &+= 1
        }
    }

    @inlinable @inline(__always)
    mutating func write(_ packet: Packet) {
        if packet.verdict == .transmitHome {
            if !write(packet, to: homeDescriptor, homeHeader) { failedWrites.home &+= UInt64(packet.segmentCount) }
        } else if !write(packet, to: accessOutput, accessHeader) {
            failedWrites.access &+= UInt64(packet.segmentCount)
        }
    }

    /// Returns false where the kernel refused it.
    @inlinable @inline(__always)
    func write(_ packet: Packet, to descriptor: Int32, _ header: Int) -> Bool {
        if header != 0 { packet.writeVirtioNetHeader() }
        let (start, length) = (packet.start - header, packet.length &+ header)
        var result = Glibc.write(descriptor, start, length)
        while result < 0 && errno == EINTR { result = Glibc.write(descriptor, start, length) }
        return result >= 0
    }

    /// Writes a packet and all that are joined to it at once. Their memory stays until the batch is done.
    @usableFromInline @inline(never)
    mutating func writeJoined(_ batch: borrowing PacketBatch, _ first: Int) {
        vectors.removeAll()
        guard let gathered = vectors.gather(batch, first, header: homeHeader) else {
            preconditionFailure("there are as many vectors as packets in a batch")
        }
        let (start, count) = (gathered.baseAddress, Int32(truncatingIfNeeded: gathered.count))
        var result = writev(homeDescriptor, start, count)
        while result < 0 && errno == EINTR { result = writev(homeDescriptor, start, count) }
        if result < 0 { failedWrites.home &+= UInt64(batch[first].segmentCount) }
    }

    @usableFromInline @inline(never)
    mutating func countFailedRead(_ side: Side) {
        if side == .home { failedReads.home &+= 1 } else { failedReads.access &+= 1 }
    }

    /// Tells a device that is gone from one whose read failed; that rests for a while, so that a lasting failure costs
    /// no core.
    @usableFromInline @inline(never)
    mutating func readFailed(_ side: Side) throws(PortError) {
        if let error = devices.goneError(side) { throw error }
        countFailedRead(side)
        if side == .home { homePause.begin() } else { accessPause.begin() }
    }

    /// Waits until a device has a packet or a pause is over.
    /// - Returns: whether the waker or a signal ended the wait.
    @usableFromInline @inline(never)
    mutating func sleep() throws(PortError) -> Bool {
        // poll(2) passes over negative descriptors.
        polled[0] = pollfd(fd: homePause.isUnset ? homeDescriptor : -1, events: Int16(POLLIN), revents: 0)
        polled[1] = pollfd(fd: accessPause.isUnset ? accessDescriptor : -1, events: Int16(POLLIN), revents: 0)
        polled[2] = pollfd(fd: waker.descriptor, events: Int16(POLLIN), revents: 0)
        let isPausing = !homePause.isUnset || !accessPause.isUnset
        guard poll(polled, 3, isPausing ? ReadPause.milliseconds : -1) >= 0 else {
            if errno == EINTR || errno == EAGAIN || errno == ENOMEM { return true }
            throw PortError("the worker can't wait for packets (poll: \(String(cString: strerror(errno))))")
        }
        if polled[0].revents & ~Int16(POLLIN) != 0 { try readFailed(.home) }
        if polled[1].revents & ~Int16(POLLIN) != 0 { try readFailed(.access) }
        guard polled[2].revents != 0 else { return false }
        var count: UInt64 = 0
        _ = Glibc.read(waker.descriptor, &count, MemoryLayout<UInt64>.size)
        return true
    }
}

// A port has one owner.
extension SystemCallPort: @unchecked Sendable {}

/// The rest of a device whose read failed.
@usableFromInline
struct ReadPause {
    static let milliseconds: Int32 = 10
    /// When it ends, in nanoseconds of the monotonic clock; 0 where there is none.
    @usableFromInline var end: UInt64 = 0

    init() {}

    @usableFromInline var isUnset: Bool { end == 0 }

    /// Whether reads may go on; true as well where there is no pause.
    @inlinable
    var isOver: Bool {
        mutating get {
            if end == 0 { return true }
            if Self.now < end { return false }
            end = 0
            return true
        }
    }

    mutating func begin() { end = Self.now + UInt64(Self.milliseconds) * 1_000_000 }

    @usableFromInline static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

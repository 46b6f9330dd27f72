// A port on plain read(2) and write(2), one call a packet, for kernels and containers where io_uring can't be had. The
// devices, and the socket for frames, are read in turn, a packet from each, so none waits for another; where all are empty
// poll(2) waits for them and the waker. Slots are taken from the pool for every batch and are back when `complete` returns.

import Glibc
import PacketBuffer

/// A port on TUN devices that reads and writes through a system call for each packet. Used by one thread.
public struct SystemCallPort: ~Copyable, PacketPort {
    @usableFromInline var pool: PacketPool
    /// What is read from, and how many there are.
    @usableFromInline let sources: UnsafeMutablePointer<PortSource>
    @usableFromInline let sourceCount: Int
    /// Which is read first.
    @usableFromInline var firstSource = 0
    /// Of the headers that devices have before packets.
    @usableFromInline let homeHeader: Int
    @usableFromInline let accessHeader: Int
    @usableFromInline let homeDescriptor: Int32
    @usableFromInline let accessOutput: Int32
    @usableFromInline var lostFrames: LostFrames
    @usableFromInline var vectors: WriteVectors
    @usableFromInline var train = ArrivedTrain()
    @usableFromInline var failedWrites = PortFailures()
    @usableFromInline var failedReads = PortFailures()
    let devices: PortDevices
    let waker: PortWaker
    /// One for each source, then the waker.
    let polled: UnsafeMutablePointer<pollfd>

    /// A port on those devices.
    /// - Throws: `PortError` where memory is short.
    public init(devices: consuming PortDevices, waker: PortWaker, configuration: PortConfiguration) throws(PortError) {
        let pool: PacketPool
        do {
            pool = try PacketPool(
                slotCount: configuration.slotCount, packetCapacity: devices.slotCapacity(configuration))
        } catch { throw PortError(error.description) }
        self.pool = pool
        vectors = WriteVectors(slotCount: configuration.batchCapacity)
        homeHeader = devices.headerLength(.home)
        accessHeader = devices.headerLength(.access)
        homeDescriptor = devices.home.descriptor
        accessOutput = devices.descriptor(.access)
        let largest = devices.packetCapacity(configuration)
        var sources = [PortSource(homeDescriptor, .home, header: homeHeader, largest: largest)]
        if !devices.isShared {
            sources.append(
                PortSource(
                    accessOutput, .access, header: accessHeader,
                    largest: devices.mayHaveTrains ? largest : configuration.packetCapacity))
        }
        let frames = devices.frameDescriptor
        if frames >= 0 {
            sources.append(PortSource(frames, .access, header: FrameSocket.headerLength, largest: largest))
        }
        lostFrames = LostFrames(of: frames)
        sourceCount = sources.count
        self.sources = .allocate(capacity: sources.count)
        _ = UnsafeMutableBufferPointer(start: self.sources, count: sources.count).initialize(from: sources)
        self.devices = devices
        self.waker = waker
        polled = .allocate(capacity: sources.count + 1)
        polled.initialize(repeating: pollfd(), count: sources.count + 1)
    }

    deinit {
        sources.deallocate()
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

    /// Fills the batch, from all sources in turn.
    @inlinable
    public mutating func receive(into batch: inout PacketBatch, wait: Bool) throws(PortError) {
        precondition(batch.isEmpty, "the packets of the last batch await their verdicts")
        // Lost packets are to be told too, though none is there.
        let failuresBefore = failedReads
        failedReads.access &+= lostFrames.takeTurn()
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
        if train.isUnderWay { cutTrain(into: &batch) }
        // A bit for each source.
        var ready: UInt8 = 0
        for number in 0..<sourceCount where sources[number].pause.isOver { ready |= 1 << UInt8(number) }
        var next = firstSource
        firstSource = following(firstSource)
        // Packets that are too large count too, so that a stream of them can't hold the worker.
        var readsLeft = batch.capacity
        while readsLeft > 0 && ready != 0 && !batch.isFull {
            guard let slot = pool.take() else { return }
            while ready & 1 << UInt8(next) == 0 { next = following(next) }
            let number = next
            next = following(next)
            let (header, limit) = (sources[number].header, sources[number].limit)
            let start = pool.packetStart(slot)
            let result = Glibc.read(sources[number].descriptor, start - header, limit)
            if result > 0 { readsLeft &-= 1 }
            if result > header && result < limit {
                var packet = Packet(
                    start: start, length: result &- header, slot: slot, ingress: sources[number].side)
                if header == 0 || packet.takeVirtioNetHeader(header) {
                    if packet.isSuperFrame { place(packet, into: &batch) } else { batch.append(packet) }
                    continue
                }
            }
            pool.give(slot)
            if result < 0 && errno == EINTR { continue }
            if result > 0 {
                countFailedRead(sources[number].side)
                continue
            }
            ready &= ~(1 << UInt8(number))
            if result < 0 && errno == EAGAIN { continue }
            try readFailed(number)
        }
    }

    /// Adds a super-frame to the batch; of a train the datagrams, as far as there is place.
    @usableFromInline @inline(never)
    mutating func place(_ packet: Packet, into batch: inout PacketBatch) {
        if let slot = train.place(packet, into: &batch, &pool) { pool.give(slot) }
    }

    @usableFromInline
    mutating func cutTrain(into batch: inout PacketBatch) {
        if let slot = train.cut(into: &batch, &pool) { pool.give(slot) }
    }

    /// The source that comes behind another.
    @inlinable @inline(__always)
    func following(_ number: Int) -> Int { number &+ 1 == sourceCount ? 0 : number &+ 1 }

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
            let packet = batch.generatedPacket(at: next)
            if packet.verdict == .transmitJoined { writeTrain(batch, next) } else { write(packet) }
            next &+= Int(packet.segmentCount)
        }
    }

    /// Writes a train at once. Its memory stays until the batch is done.
    private mutating func writeTrain(_ batch: borrowing PacketBatch, _ first: Int) {
        vectors.removeAll()
        guard let gathered = vectors.gatherGenerated(batch, first, header: accessHeader) else {
            preconditionFailure("there are as many vectors as packets that a forwarder makes")
        }
        if !write(gathered, to: accessOutput) {
            failedWrites.access += UInt64(batch.generatedPacket(at: first).segmentCount)
        }
    }

    /// Returns false where the kernel refused it.
    private func write(_ vectors: UnsafeMutableBufferPointer<iovec>, to descriptor: Int32) -> Bool {
        let count = Int32(truncatingIfNeeded: vectors.count)
        var result = writev(descriptor, vectors.baseAddress, count)
        while result < 0 && errno == EINTR { result = writev(descriptor, vectors.baseAddress, count) }
        return result >= 0
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
        let isHome = batch[first].ingress == .access
        guard let gathered = vectors.gather(batch, first, header: isHome ? homeHeader : accessHeader) else {
            preconditionFailure("there are as many vectors as packets in a batch")
        }
        guard !write(gathered, to: isHome ? homeDescriptor : accessOutput) else { return }
        let packets = UInt64(batch[first].segmentCount)
        if isHome { failedWrites.home &+= packets } else { failedWrites.access &+= packets }
    }

    @usableFromInline @inline(never)
    mutating func countFailedRead(_ side: Side) {
        if side == .home { failedReads.home &+= 1 } else { failedReads.access &+= 1 }
    }

    /// Tells a device that is gone from one whose read failed; that rests for a while, so that a lasting failure costs
    /// no core.
    @usableFromInline @inline(never)
    mutating func readFailed(_ number: Int) throws(PortError) {
        let side = sources[number].side
        if let error = devices.goneError(side) { throw error }
        countFailedRead(side)
        sources[number].pause.begin()
    }

    /// Waits until a source has a packet or a pause is over.
    /// - Returns: whether the waker or a signal ended the wait.
    @usableFromInline @inline(never)
    mutating func sleep() throws(PortError) -> Bool {
        // poll(2) passes over negative descriptors.
        var isPausing = false
        for number in 0..<sourceCount {
            let isRead = sources[number].pause.isUnset
            isPausing = isPausing || !isRead
            polled[number] = pollfd(
                fd: isRead ? sources[number].descriptor : -1, events: Int16(POLLIN), revents: 0)
        }
        polled[sourceCount] = pollfd(fd: waker.descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(polled, nfds_t(sourceCount + 1), isPausing ? ReadPause.milliseconds : -1) >= 0 else {
            if errno == EINTR || errno == EAGAIN || errno == ENOMEM { return true }
            throw PortError("the worker can't wait for packets (poll: \(String(cString: strerror(errno))))")
        }
        for number in 0..<sourceCount where polled[number].revents & ~Int16(POLLIN) != 0 { try readFailed(number) }
        guard polled[sourceCount].revents != 0 else { return false }
        var count: UInt64 = 0
        _ = Glibc.read(waker.descriptor, &count, MemoryLayout<UInt64>.size)
        return true
    }
}

// A port has one owner.
extension SystemCallPort: @unchecked Sendable {}

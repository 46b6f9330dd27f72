// The way in: queue what is missing of the standing reads, enter the kernel once, and sort the completions.

import Glibc
import IOUring
import PacketBuffer

extension IOUringPort {
    /// Hands queued writes to the kernel and fills the batch; packets that find no place wait for the next call.
    @inlinable
    public mutating func receive(into batch: inout PacketBatch, wait: Bool) throws(PortError) {
        precondition(batch.isEmpty, "the packets of the last batch await their verdicts")
        if !isStarted { try start() }
        takeBacklog(into: &batch)
        // Lost packets are to be told too, though none is there.
        let failuresBefore = failedReads
        failedReads.access &+= lostFrames.takeTurn()
        var goesOn = true
        repeat {
            queueReads()
            goesOn = try enter(wait: wait && !wasWoken && batch.isEmpty && rings.ring.completionCount == 0)
            try sort(into: &batch)
        } while goesOn && wait && batch.isEmpty && !wasWoken && failedReads == failuresBefore
        // A wake that was seen without a wait stays for the next one.
        if wait { wasWoken = false }
    }

    /// Enters the kernel.
    /// - Returns: false where there is no use in trying again at once: a signal came, or memory is short.
    @inlinable
    mutating func enter(wait: Bool) throws(PortError) -> Bool {
        let queued = rings.ring.queuedCount
        let isReading = homeRead != .wanted && accessRead != .wanted && frameRead != .wanted
        let result: Int32
        if wait && (isReading || writesUnderWay > 0) {
            // Writes complete at once: what is waited for comes after them. Where slots are missing to read into,
            // the first write that gives one back counts.
            let completions = isReading ? writesUnderWay &+ 1 : 1
            result = rings.ring.submitAndWait(completions: UInt32(truncatingIfNeeded: completions))
        } else {
            result = rings.ring.submitAndGetEvents()
        }
        if result >= 0 {
            // The kernel has read the vectors of what it took (IORING_FEAT_SUBMIT_STABLE).
            if UInt32(result) >= queued { vectors.removeAll() }
            return UInt32(result) >= queued
        }
        if result == -EINTR || result == -EAGAIN || result == -EBUSY || result == -ENOMEM { return false }
        throw Self.submissionError(-result)
    }

    @usableFromInline @inline(never)
    static func submissionError(_ errorNumber: Int32) -> PortError {
        PortError(IOUringError(call: .submit, errorNumber: errorNumber).description)
    }

    /// Binds the ring to this thread.
    @usableFromInline @inline(never)
    mutating func start() throws(PortError) {
        do { try rings.ring.enable() } catch { throw PortError(error.description) }
        isStarted = true
    }

    /// Queues the reads that are missing.
    @inlinable @inline(__always)
    mutating func queueReads() {
        // A read without buffers would end at once.
        if homeRead == .wanted, homePosted > 0,
            rings.ring.readMultishot(
                file: PortFile.home, bufferGroup: rings.homeBuffers.group, userData: RequestKind.readHome)
        {
            homeRead = .armed
        }
        if accessRead == .wanted, accessPosted > 0,
            rings.ring.readMultishot(
                file: PortFile.access, bufferGroup: rings.accessBuffers.group, userData: RequestKind.readAccess)
        {
            accessRead = .armed
        }
        if frameRead == .wanted, accessPosted > 0,
            rings.ring.readMultishot(
                file: PortFile.frames, bufferGroup: rings.accessBuffers.group, userData: RequestKind.readFrames)
        {
            frameRead = .armed
        }
        if !isWakerArmed { queueWakerRead() }
    }

    @usableFromInline @inline(never)
    mutating func queueWakerRead() {
        isWakerArmed = rings.ring.read(
            file: PortFile.waker, into: wakeCount, count: UInt32(MemoryLayout<UInt64>.size), userData: RequestKind.wake)
    }

    /// Takes all completions. What finds no place in the batch goes to the backlog, in the same order.
    @inlinable @inline(__always)
    mutating func sort(into batch: inout PacketBatch) throws(PortError) {
        let count = rings.ring.completionCount
        var taken: UInt32 = 0
        defer {
            rings.ring.removeCompletions(taken)
            publish()
        }
        while taken < count {
            let completion = rings.ring.completion(at: taken)
            taken &+= 1
            switch completion.userData & RequestKind.mask {
            case RequestKind.readHome:
                if completion.hasBuffer {
                    homePosted &-= 1
                    if !append(completion, from: .home, to: &batch) { failedReads.home &+= 1 }
                }
                if !completion.hasMore { try readEnded(completion.result, .home) }
            case RequestKind.readAccess:
                if completion.hasBuffer {
                    accessPosted &-= 1
                    if !append(completion, from: .access, to: &batch) { failedReads.access &+= 1 }
                }
                if !completion.hasMore { try readEnded(completion.result, .access) }
            case RequestKind.readFrames:
                if completion.hasBuffer {
                    accessPosted &-= 1
                    if !appendFrame(completion, to: &batch) { failedReads.access &+= 1 }
                }
                if !completion.hasMore { try readEnded(completion.result, .frames) }
            case RequestKind.writeHome:
                writesUnderWay &-= 1
                if completion.result < 0 { failedWrites.home &+= RequestKind.packets(completion.userData) }
                giveBack(UInt32(truncatingIfNeeded: completion.userData))
            case RequestKind.writeAccess:
                writesUnderWay &-= 1
                if completion.result < 0 { failedWrites.access &+= RequestKind.packets(completion.userData) }
                giveBack(UInt32(truncatingIfNeeded: completion.userData))
            case RequestKind.writeJoinedHome:
                writesUnderWay &-= 1
                if completion.result < 0 { failedWrites.home &+= RequestKind.packets(completion.userData) }
                giveBackJoined(UInt32(truncatingIfNeeded: completion.userData))
            case RequestKind.writeJoinedAccess:
                writesUnderWay &-= 1
                if completion.result < 0 { failedWrites.access &+= RequestKind.packets(completion.userData) }
                giveBackJoined(UInt32(truncatingIfNeeded: completion.userData))
            default:
                try sortRare(completion)
            }
        }
    }

    /// Posts the slot of a write that is done; what the forwarder made has none.
    @inlinable @inline(__always)
    mutating func giveBack(_ slot: UInt32) { if slot != RequestKind.noSlot { post(slot) } }

    /// Adds a received packet to the batch or the backlog.
    /// - Returns: false where it was too large, or is not what the device says; its slot is posted again.
    @inlinable @inline(__always)
    mutating func append(_ completion: Completion, from side: Side, to batch: inout PacketBatch) -> Bool {
        let slot = UInt32(completion.buffer)
        let header = side == .home ? homeHeader : accessHeader
        let limit = Int32(truncatingIfNeeded: side == .home ? homeBufferLength : accessBufferLength)
        guard completion.result > Int32(truncatingIfNeeded: header), completion.result < limit else {
            post(slot)
            return false
        }
        var packet = Packet(
            start: pool.packetStart(slot), length: Int(completion.result) &- header, slot: slot, ingress: side)
        if header != 0, !packet.takeVirtioNetHeader(header) {
            post(slot)
            return false
        }
        place(packet, into: &batch)
        return true
    }

    /// Adds a packet to the batch or, where others wait or there is no place, to the backlog. A train is cut first.
    @inlinable @inline(__always)
    mutating func place(_ packet: Packet, into batch: inout PacketBatch) {
        if batch.isFull || train.isUnderWay {
            backlog.append(packet)
        } else if packet.isSuperFrame {
            placeSuperFrame(packet, into: &batch)
        } else {
            batch.append(packet)
        }
    }

    @usableFromInline @inline(never)
    mutating func placeSuperFrame(_ packet: Packet, into batch: inout PacketBatch) {
        if let slot = train.place(packet, into: &batch, &pool) { post(slot) }
    }

    private mutating func cutTrain(into batch: inout PacketBatch) {
        if let slot = train.cut(into: &batch, &pool) { post(slot) }
    }

    /// Adds what waits, from the front, as far as there is place.
    @usableFromInline
    mutating func takeBacklog(into batch: inout PacketBatch) {
        if train.isUnderWay { cutTrain(into: &batch) }
        while backlog.count > 0 && !batch.isFull && !train.isUnderWay {
            place(backlog.removeFirst(), into: &batch)
        }
    }

    /// Adds what came by the socket for frames, as `append`.
    @inlinable @inline(__always)
    mutating func appendFrame(_ completion: Completion, to batch: inout PacketBatch) -> Bool {
        let slot = UInt32(completion.buffer)
        let header = FrameSocket.headerLength
        guard completion.result > Int32(truncatingIfNeeded: header),
            completion.result < Int32(truncatingIfNeeded: accessBufferLength)
        else {
            post(slot)
            return false
        }
        var packet = Packet(
            start: pool.packetStart(slot) + frameOffset, length: Int(completion.result) &- header, slot: slot,
            ingress: .access)
        guard packet.takeVirtioNetHeader(header) else {
            post(slot)
            return false
        }
        place(packet, into: &batch)
        return true
    }

    /// Completions that come once in a while.
    @usableFromInline @inline(never)
    mutating func sortRare(_ completion: Completion) throws(PortError) {
        switch completion.userData & RequestKind.mask {
        case RequestKind.wake:
            isWakerArmed = false
            switch completion.result {
            case Int32(MemoryLayout<UInt64>.size): wasWoken = true
            case -EINTR, -EAGAIN, -ECANCELED: break
            default:
                throw PortError(
                    "the worker's eventfd can't be read (\(String(cString: strerror(-completion.result))))")
            }
        case RequestKind.resumeHome: homeRead = .wanted
        case RequestKind.resumeAccess: accessRead = .wanted
        case RequestKind.resumeFrames: frameRead = .wanted
        case RequestKind.cancel: break
        default: preconditionFailure("a completion that nobody asked for")
        }
    }

    /// A standing read has ended. One that found no slot is armed again as soon as there is one; one that failed
    /// rests for a while, so that a lasting failure costs no core.
    @usableFromInline @inline(never)
    mutating func readEnded(_ result: Int32, _ source: StandingRead) throws(PortError) {
        // Even where this throws: the end of the port must not await a read that stands no more.
        setRead(.wanted, source)
        switch result {
        case 1..., -ENOBUFS, -ECANCELED, -EINTR: return
        default: break
        }
        if let error = devices.goneError(source == .home ? .home : .access) { throw error }
        switch result {
        case -EINVAL, -EOPNOTSUPP, -EBADF, -EBADFD:
            throw PortError(
                "io_uring: this kernel refuses multishot reads on a TUN device, or on a packet socket "
                    + "(\(String(cString: strerror(-result)))); use plain system calls")
        default: break
        }
        if source == .home { failedReads.home &+= 1 } else { failedReads.access &+= 1 }
        let kind =
            switch source {
            case .home: RequestKind.resumeHome
            case .access: RequestKind.resumeAccess
            case .frames: RequestKind.resumeFrames
            }
        if rings.ring.timeout(pause, userData: kind) { setRead(.paused, source) }
    }

    private mutating func setRead(_ state: ReadState, _ source: StandingRead) {
        switch source {
        case .home: homeRead = state
        case .access: accessRead = state
        case .frames: frameRead = state
        }
    }
}

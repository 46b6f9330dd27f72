// The way out: a write request for every packet to transmit. They are submitted with the next `receive`, in order; the
// kernel carries each out within the submission, since a TUN device never makes a writer wait.

import IOUring
import PacketBuffer

extension IOUringPort {
    /// Queues the packets to transmit and gives the slots of the others back to the reads.
    @inlinable
    public mutating func complete(_ batch: inout PacketBatch) {
        var generated = 0
        for index in 0..<batch.count {
            if batch.leaves(generated, before: index) { writeGenerated(batch, &generated, before: index) }
            let packet = batch[index]
            switch packet.verdict {
            case .unfinished, .carriedOut: break
            case .release: post(packet.slot)
            case .transmitHome, .transmitAccess: if !write(packet, slot: packet.slot) { post(packet.slot) }
            case .transmitJoined: writeJoined(batch, index)
            case .joined: break  // Its slot goes back with that of the first.
            }
        }
        if batch.leaves(generated, before: batch.count) { writeGenerated(batch, &generated, before: batch.count) }
        publish()
        if batch.isUnfinished { awaitWrites(&batch) }
        batch.endCompletion()
    }

    /// Writes what the forwarder made, up to what comes after a place in the batch.
    @usableFromInline @inline(never)
    mutating func writeGenerated(_ batch: borrowing PacketBatch, _ next: inout Int, before place: Int) {
        while batch.leaves(next, before: place) {
            let packet = batch.generatedPacket(at: next)
            if packet.verdict == .transmitJoined {
                writeTrain(batch, next)
            } else {
                _ = write(packet, slot: RequestKind.noSlot)
            }
            next &+= Int(packet.segmentCount)
        }
    }

    /// Queues one write of a train. Where the kernel takes no requests, it is given up.
    private mutating func writeTrain(_ batch: borrowing PacketBatch, _ first: Int) {
        let packets = UInt64(batch.generatedPacket(at: first).segmentCount)
        if let gathered = vectors.gatherGenerated(batch, first, header: accessHeader),
            rings.ring.write(
                file: accessFile, vectors: UnsafeBufferPointer(gathered),
                userData: RequestKind.writeAccess | UInt64(RequestKind.noSlot) | packets << 48)
        {
            writesUnderWay &+= 1
        } else {
            failedWrites.access &+= packets
        }
    }

    /// Queues a write. Where the kernel has no memory to take requests, the packet is given up.
    @inlinable @inline(__always)
    mutating func write(_ packet: Packet, slot: UInt32) -> Bool {
        let isHome = packet.verdict == .transmitHome
        let header = isHome ? homeHeader : accessHeader
        if header != 0 { packet.writeVirtioNetHeader() }
        let packets = UInt64(packet.segmentCount)
        let isQueued = rings.ring.write(
            file: isHome ? PortFile.home : accessFile, from: packet.start - header,
            count: UInt32(truncatingIfNeeded: packet.length &+ header),
            userData: (isHome ? RequestKind.writeHome : RequestKind.writeAccess) | UInt64(slot) | packets << 48)
        if isQueued {
            writesUnderWay &+= 1
        } else if isHome {
            failedWrites.home &+= packets
        } else {
            failedWrites.access &+= packets
        }
        return isQueued
    }

    /// Queues one write of a packet and of all that are joined to it. Where the kernel takes no requests, they are given up.
    @usableFromInline @inline(never)
    mutating func writeJoined(_ batch: borrowing PacketBatch, _ first: Int) {
        let slot = batch[first].slot
        var last = slot
        var next = batch.joined(behind: first)
        while let index = next {
            slotsBehind[Int(last)] = batch[index].slot
            last = batch[index].slot
            next = batch.joined(behind: index)
        }
        slotsBehind[Int(last)] = RequestKind.noSlot
        let packets = UInt64(batch[first].segmentCount)
        let isHome = batch[first].ingress == .access
        if let gathered = vectors.gather(batch, first, header: isHome ? homeHeader : accessHeader),
            rings.ring.write(
                file: isHome ? PortFile.home : accessFile, vectors: UnsafeBufferPointer(gathered),
                userData: (isHome ? RequestKind.writeJoinedHome : RequestKind.writeJoinedAccess) | UInt64(slot)
                    | packets << 48)
        {
            writesUnderWay &+= 1
        } else {
            if isHome { failedWrites.home &+= packets } else { failedWrites.access &+= packets }
            giveBackJoined(slot)
        }
    }

    /// Posts the slots of a super-frame that was joined.
    @usableFromInline @inline(never)
    mutating func giveBackJoined(_ first: UInt32) {
        var slot = first
        while slot != RequestKind.noSlot {
            post(slot)
            slot = slotsBehind[Int(slot)]
        }
    }

    /// Hands all writes to the kernel, so that the memory of what the forwarder made is free. Packets that come in
    /// meanwhile wait in the backlog.
    @usableFromInline @inline(never)
    mutating func awaitWrites(_ batch: inout PacketBatch) {
        while writesUnderWay > 0 {
            // What is wrong with the ring comes out of the next `receive`.
            guard (try? enter(wait: false)) != nil, (try? sort(into: &batch)) != nil else { return }
        }
    }
}

// Packets of GRE tunnels with sequence numbers, from the worker that got them to the one that numbers them. A packet that is
// handed over is absorbed here and generated there, so that either worker's counters account for all of its packets.

import PacketBuffer
import Wire

extension Forwarder {
    /// Hands a packet with all headers to the worker that numbers its tunnel, or drops it where that one does not keep up.
    @inline(never)
    mutating func handOver(
        _ packet: inout Packet, _ record: UnsafePointer<BindingRecord>, greOffset: Int, to owner: Int
    ) {
        let slot = record.pointee.sequence
        let note = Handovers.Note(
            sequence: slot, generation: sequences[Int(slot)].generation, greOffset: UInt8(greOffset),
            greLength: record.pointee.greLength, hasChecksum: record.pointee.hasChecksum)
        guard place.handovers.queue(from: place.index, to: owner).put(packet.bytes, note) else {
            return drop(&packet, .workerQueueFull)
        }
        packet.verdict = .release
        count(CounterIndex.absorbed)
        place.handovers.signal(to: owner).pointee.store(true, ordering: .releasing)
        handedOverTo |= 1 << UInt64(owner)
    }

    /// Whether other workers have handed packets over.
    public var hasHandovers: Bool { handoverSignal.pointee.load(ordering: .relaxed) }

    /// Whether something was handed to others that they are not woken for yet.
    public var hasHandedOver: Bool { handedOverTo != 0 }

    /// The workers that something was handed to since this was asked last, a bit each. They are to be woken.
    public mutating func takeHandedOver() -> UInt64 {
        defer { handedOverTo = 0 }
        return handedOverTo
    }

    /// Takes packets that others have handed over into a batch, behind all others. What finds no room waits.
    @inline(never)
    public mutating func takeHandovers(into batch: inout PacketBatch) {
        guard !batch.isUnfinished else { return }
        // Before the queues are looked at: what comes meanwhile is seen, or signalled anew.
        _ = handoverSignal.pointee.exchange(false, ordering: .acquiringAndReleasing)
        for worker in 0..<place.count where worker != place.index {
            let queue = place.handovers.queue(from: worker, to: place.index)
            while !queue.isEmpty {
                guard batch.generatedRoom > 0, memory.hasRoom(for: Int(UInt16.max)) else {
                    handoverSignal.pointee.store(true, ordering: .relaxed)
                    return
                }
                takeHandover(from: queue, into: &batch)
            }
        }
    }

    private mutating func takeHandover(from queue: PacketQueue<Handovers.Note>, into batch: inout PacketBatch) {
        var packet: Packet?
        var note: Handovers.Note?
        _ = queue.take { bytes, taken in
            guard let start = memory.take(bytes.count), let source = bytes.baseAddress else { return }
            start.copyMemory(from: source, byteCount: bytes.count)
            packet = Packet(start: start, length: bytes.count, slot: 0, ingress: .home)
            note = taken
        }
        guard var packet, let note else { preconditionFailure("room for a packet was asked for") }
        guard sequences[Int(note.sequence)].generation == note.generation else {
            // The tunnel went away while the packet waited.
            count(CounterIndex.generated, .access)
            return drop(&packet, .noBinding)
        }
        finishGRE(
            packet, number: sequences[Int(note.sequence)].takeNext(), offset: Int(note.greOffset),
            length: Int(note.greLength), hasChecksum: note.hasChecksum)
        transmit(&packet, to: .access)
        appendGenerated(packet, madeFrom: batch.count, to: &batch)
    }
}

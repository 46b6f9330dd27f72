// GRE with sequence numbers, out of the tunnel (RFC 2890, 2.2): packets go on in their order. One that is late is dropped;
// one that is early waits for those before it, until they are there, too many wait, or its time is up.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// A packet that its binding allows, and that has a sequence number.
    /// - Returns: false where room is missing for those that go on behind it.
    @inline(never)
    mutating func takeInSequence(_ batch: inout PacketBatch, _ work: PendingPacket) -> Bool {
        let index = Int(work.packet)
        let record = records + BindingReference(rawValue: work.record).record
        let slot = record.pointee.sequence
        let tunnel = ReorderBuffer.Tunnel(slot: slot, generation: sequences[Int(slot)].generation)
        guard let ahead = sequences[Int(slot)].distance(of: work.sequence), !reordering.holds(work.sequence, of: tunnel)
        else {
            // A fragment that is held was counted when it was taken.
            if work.isHeldFragment { batch[index].verdict = .release } else { drop(&batch[index], .greSequence) }
            return true
        }
        let last = work.sequence &- ahead
        guard canRelease(into: batch) else { return false }
        if work.isHeldFragment {
            batch[index].verdict = .release
            noteTurn(work.sequence, ahead: ahead, of: tunnel, &batch, index)
            return true
        }
        withUnsafePointer(to: work) { leaveTunnel(&batch[index], $0, record) }
        guard batch[index].verdict == .transmitHome else {
            // It was dropped, punted or answered: nothing of it goes on, and those behind it need not wait for it.
            noteTurn(work.sequence, ahead: ahead, of: tunnel, &batch, index)
            return true
        }
        if ahead == 1 {
            goOn(tunnel, from: work.sequence, behind: index, &batch)
        } else if wait(batch[index].bytes, work.sequence, of: tunnel, &batch, index) {
            takeBack(&batch[index])
            count(CounterIndex.absorbed)
        } else {
            // There is no room to wait, so what it would have waited for is not waited for: those before it go on.
            var last = last
            while let first = reordering.first(of: tunnel, behind: last), first &- last < ahead {
                release(first, of: tunnel, behind: index - 1, &batch)
                last = first
            }
            goOn(tunnel, from: work.sequence, behind: index, &batch)
        }
        return true
    }

    /// Lets a number have its turn of which no packet goes on.
    private mutating func noteTurn(
        _ number: UInt32, ahead: UInt32, of tunnel: ReorderBuffer.Tunnel, _ batch: inout PacketBatch, _ index: Int
    ) {
        if ahead == 1 { return goOn(tunnel, from: number, behind: index, &batch) }
        wait(UnsafeRawBufferPointer(start: batch[index].start, count: 0), number, of: tunnel, &batch, index)
    }

    /// Has a packet wait, and the first of those that wait go on where they are too many.
    /// - Returns: false where there is no room.
    @discardableResult
    private mutating func wait(
        _ packet: UnsafeRawBufferPointer, _ number: UInt32, of tunnel: ReorderBuffer.Tunnel, _ batch: inout PacketBatch,
        _ index: Int
    ) -> Bool {
        guard reordering.add(packet, number, of: tunnel, now: now) else { return false }
        let last = sequences[Int(tunnel.slot)].lastAccepted
        if reordering.count(of: tunnel) > ReorderBuffer.packetsPerTunnel,
            let first = reordering.first(of: tunnel, behind: last)
        {
            release(first, of: tunnel, behind: index, &batch)
            goOn(tunnel, from: first, behind: index, &batch)
        }
        return true
    }

    /// Lets go what has waited long enough; before all packets of a batch.
    @inline(never)
    mutating func releaseDue(into batch: inout PacketBatch) {
        while canRelease(into: batch), let tunnel = reordering.due(now: now) {
            // In the order of the numbers, up to the last whose time is up.
            var last = sequences[Int(tunnel.slot)].lastAccepted
            while canRelease(into: batch), reordering.isDue(tunnel, now: now),
                let first = reordering.first(of: tunnel, behind: last)
            {
                release(first, of: tunnel, behind: -1, &batch)
                last = first
            }
            goOn(tunnel, from: last, behind: -1, &batch)
        }
    }

    /// Room for all packets of a tunnel that may wait.
    private mutating func canRelease(into batch: borrowing PacketBatch) -> Bool {
        let packets = ReorderBuffer.packetsPerTunnel + 1
        return batch.generatedRoom >= packets
            && memory.hasRoom(for: packets * ReorderBuffer.packetCapacity, packets: packets)
    }

    /// Makes `number` the last that went on, and lets go those that follow it without a gap.
    private mutating func goOn(
        _ tunnel: ReorderBuffer.Tunnel, from number: UInt32, behind index: Int, _ batch: inout PacketBatch
    ) {
        var last = number
        while reordering.count > 0, reordering.holds(last &+ 1, of: tunnel) {
            last &+= 1
            release(last, of: tunnel, behind: index, &batch)
        }
        sequences[Int(tunnel.slot)].accept(last, of: tunnel.generation)
    }

    private mutating func release(
        _ number: UInt32, of tunnel: ReorderBuffer.Tunnel, behind index: Int, _ batch: inout PacketBatch
    ) {
        var packet: Packet?
        var isEmpty = false
        reordering.take(number, of: tunnel) { bytes in
            isEmpty = bytes.isEmpty
            guard !isEmpty, let start = memory.take(bytes.count), let source = bytes.baseAddress else { return }
            start.copyMemory(from: source, byteCount: bytes.count)
            packet = Packet(start: start, length: bytes.count, slot: 0, ingress: .access)
        }
        if isEmpty { return }
        guard var packet else { preconditionFailure("room for packets that waited was asked for") }
        transmit(&packet, to: .home)
        appendGenerated(packet, madeFrom: index + 1, to: &batch)
    }

    /// Undoes that a packet was to be transmitted.
    private mutating func takeBack(_ packet: inout Packet) {
        counters[CounterIndex.transmitted &+ Int(Side.home.rawValue)] &-= 1
        counters[CounterIndex.transmittedBytes &+ Int(Side.home.rawValue)] &-= UInt64(packet.length)
        packet.verdict = .release
    }
}

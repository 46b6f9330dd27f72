// IPv4 packets that are larger than the tunnel carries and whose source lets them be fragmented. They are fragmented before
// they go into the tunnel (RFC 2003, 5.1), so that the node has nothing to put together before it decapsulates. Minimal
// encapsulation carries no fragments; there the outer packet is fragmented.
//
// The fragments but the last are copies; the last is made where the packet lies, which then needs the space no more.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// Makes several packets of one: copies for the members of a group, or fragments.
    /// - Returns: false where room for them is missing.
    @inline(never)
    mutating func multiply(_ batch: inout PacketBatch, _ work: UnsafeMutablePointer<PendingPacket>) -> Bool {
        work.pointee.lookup == .group
            ? copyToMembers(&batch, work) : sendFragments(&batch, work.pointee)
    }

    private mutating func sendFragments(_ batch: inout PacketBatch, _ work: PendingPacket) -> Bool {
        let index = Int(work.packet)
        let record = records + BindingReference(rawValue: work.record).record
        let isMinimal = record.pointee.form.isMinimal
        let growth = isMinimal ? record.pointee.headerLength(isIPv4: true, usesHomeAddress: false) : 0
        let length = Int(work.innerLength)
        // There is no outer packet of more than the largest length, not even one to be fragmented.
        if length > Int(UInt16.max) - growth {
            drop(&batch[index], .packetTooBig)
            return true
        }
        // Nor a fragment that would end behind where a datagram can (RFC 791, 3.1).
        let header = UnsafeRawPointer(batch[index].start)
        let offset = Int(header.networkUInt16(at: IPv4.Offset.fragment) & 0x1FFF) * 8
        if offset + length > Int(UInt16.max) {
            drop(&batch[index], .fragmentLength)
            return true
        }
        let limit = Int(tunnelMTU(record, isIPv4: true, usesHomeAddress: false))
        let largestCount = FragmentPlan.largestCount(length: length, limit: limit)
        let space = length + largestCount * IPv4.maximumHeaderLength + FragmentPlan.workspace
        guard largestCount <= batch.generatedRoom, memory.hasRoom(for: space, packets: largestCount + 1),
            let workspace = memory.take(FragmentPlan.workspace)
        else { return false }
        traffic[Int(record.pointee.traffic)].addToNode(bytes: length, isShared: isShared)
        batch[index].length = length
        if isMinimal {
            _ = enterTunnel(&batch[index], record, isIPv4: true, usesHomeAddress: false)
            // Other senders' packets may bear the same identification in this tunnel (RFC 6864, 4.3).
            batch[index].start.storeNetwork(
                nextIdentification(to: record.pointee.careOfAddress), at: IPv4.Offset.identification)
            IPv4Header.writeChecksum(at: batch[index].start)
        }
        var plan = FragmentPlan(
            batch[index].start, length: batch[index].length, limit: limit + growth, workspace: workspace)
        while let piece = plan.next() {
            let space = piece.isLast ? nil : memory.take(piece.length)
            precondition(piece.isLast || space != nil, "room for fragments was asked for")
            var fragment = batch[index]
            fragment.start = plan.write(piece, to: space)
            fragment.length = piece.length
            let isOwn = isMinimal || enterTunnel(&fragment, record, isIPv4: true, usesHomeAddress: false)
            if isOwn { transmit(&fragment, to: .access) }
            if piece.isLast {
                batch[index] = fragment
            } else if !isOwn {
                count(CounterIndex.generated, .access)
            } else {
                appendGenerated(fragment, madeFrom: index, to: &batch)
            }
        }
        return true
    }

    /// Counts a packet that was made here beside the one that it was made from, and adds it to the batch.
    mutating func appendGenerated(_ packet: Packet, madeFrom index: Int, to batch: inout PacketBatch) {
        count(CounterIndex.generated, packet.verdict == .transmitHome ? .home : .access)
        batch.appendGenerated(
            start: packet.start, length: packet.length, madeFrom: index, verdict: packet.verdict)
    }
}

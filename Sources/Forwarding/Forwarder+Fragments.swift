// IPv4 packets that are larger than the tunnel carries and whose source lets them be fragmented. They are fragmented before
// they go into the tunnel (RFC 2003, 5.1), so that the node has nothing to put together before it decapsulates. Minimal
// encapsulation carries no fragments; there the outer packet is fragmented.
//
// The fragments but the last are copies; the last is made where the packet lies, which then needs the space no more.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// Makes several packets of one: copies for the members of a group, segments, or fragments.
    /// - Returns: false where room for them is missing.
    @inline(never)
    mutating func multiply(_ batch: inout PacketBatch, _ work: UnsafeMutablePointer<PendingPacket>) -> Bool {
        let isSuperFrame = batch[Int(work.pointee.packet)].isSuperFrame
        if work.pointee.lookup == .group {
            return isSuperFrame ? copySegmentsToMembers(&batch, work) : copyToMembers(&batch, work)
        }
        return isSuperFrame ? sendSegments(&batch, work) : sendFragments(&batch, work.pointee)
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
        guard hasRoom(forFragmentsOf: length, limit: limit, batch) else { return false }
        traffic[Int(record.pointee.traffic)].addToNode(bytes: length, isShared: isShared)
        var packet = batch[index]
        packet.length = length
        batch[index] = cut(packet, record, limit: limit, madeFrom: index, into: &batch)
        return true
    }

    /// Whether there is room for all fragments of an IPv4 packet.
    mutating func hasRoom(forFragmentsOf length: Int, limit: Int, _ batch: borrowing PacketBatch) -> Bool {
        let largestCount = FragmentPlan.largestCount(length: length, limit: limit)
        let space = length + largestCount * IPv4.maximumHeaderLength + FragmentPlan.workspace
        return largestCount <= batch.generatedRoom && memory.hasRoom(for: space, packets: largestCount + 1)
    }

    /// Sends an IPv4 packet into a tunnel in fragments. There must be room for them.
    /// - Parameter limit: the largest inner packet, in bytes.
    /// - Returns: the last, which lies where the packet did, with its verdict.
    mutating func cut(
        _ packet: Packet, _ record: UnsafePointer<BindingRecord>, limit: Int, madeFrom index: Int,
        into batch: inout PacketBatch
    ) -> Packet {
        var packet = packet
        var limit = limit
        let isMinimal = record.pointee.form.isMinimal
        if isMinimal {
            limit += record.pointee.headerLength(isIPv4: true, usesHomeAddress: false)
            _ = enterTunnel(&packet, record, isIPv4: true, usesHomeAddress: false)
            // Other senders' packets may bear the same identification in this tunnel (RFC 6864, 4.3).
            packet.start.storeNetwork(
                nextIdentification(to: record.pointee.careOfAddress), at: IPv4.Offset.identification)
            IPv4Header.writeChecksum(at: packet.start)
        }
        guard let workspace = memory.take(FragmentPlan.workspace) else {
            preconditionFailure("room for fragments was asked for")
        }
        var plan = FragmentPlan(packet.start, length: packet.length, limit: limit, workspace: workspace)
        while let piece = plan.next() {
            let space = piece.isLast ? nil : memory.take(piece.length)
            precondition(piece.isLast || space != nil, "room for fragments was asked for")
            var fragment = packet
            fragment.start = plan.write(piece, to: space)
            fragment.length = piece.length
            let isOwn = isMinimal || enterTunnel(&fragment, record, isIPv4: true, usesHomeAddress: false)
            if isOwn { transmit(&fragment, to: .access) }
            if piece.isLast { return fragment }
            if isOwn {
                appendGenerated(fragment, madeFrom: index, to: &batch)
            } else {
                count(CounterIndex.generated, .access)
            }
        }
        preconditionFailure("a packet has a last fragment")
    }

    /// Counts a packet that was made here beside the one that it was made from, and adds it to the batch.
    mutating func appendGenerated(_ packet: Packet, madeFrom index: Int, to batch: inout PacketBatch) {
        count(CounterIndex.generated, packet.verdict == .transmitHome ? .home : .access)
        batch.appendGenerated(
            start: packet.start, length: packet.length, madeFrom: index, verdict: packet.verdict)
    }
}

// Packets that are to go into a tunnel are joined as those that come out of one are, where super-frames leave whole: what
// shares its headers inside shares those of the tunnel, too, and one write hands over what is many packets. This comes
// before the last stage, once for a batch: what was joined has its turn there as one packet, where the first of it lies. So
// it keeps its place among what waits where a batch is unfinished.
//
// Most packets are joined to none, and cost a few instructions each: whoever shares a flow shares the binding, so no packet
// is looked into before its binding has a second one in the batch.

import PacketBuffer
import PrefixTable
import Wire

/// By binding, the first packet of a batch that is to go into its tunnel. Of bindings that share a place it is that of which one
/// came first; of the others nothing is joined.
struct FirstPackets {
    private static var count: Int { 1024 }
    private static var seen: UInt32 { 1 << 16 }

    /// Its number among those that need a binding, and above that whether it was looked into. What stands there of an earlier
    /// batch is told by that packet's binding, which has another place, or by its number.
    private let places: UnsafeMutablePointer<UInt32>

    init() {
        places = .allocate(capacity: Self.count)
        places.initialize(repeating: 0, count: Self.count)
    }

    func deallocate() { places.deallocate() }

    @inline(__always)
    private func place(of record: UInt32) -> UnsafeMutablePointer<UInt32> {
        // The lowest bit says which tunnel of the binding.
        places + (Int(truncatingIfNeeded: record >> 1) & (Self.count &- 1))
    }

    /// Notes a packet towards a tunnel. All of a batch are to be noted in their order.
    /// - Returns: the number of the first of its binding; nil where it is that, or its place is another binding's.
    @inline(__always)
    func note(_ index: Int, in pending: UnsafePointer<PendingPacket>) -> Int? {
        let record = pending[index].record
        let place = place(of: record)
        let first = Int(truncatingIfNeeded: place.pointee & (Self.seen &- 1))
        if first < index, self.place(of: pending[first].record) == place, !pending[first].isFromTunnel {
            return pending[first].record == record ? first : nil
        }
        place.pointee = UInt32(truncatingIfNeeded: index)
        return nil
    }

    /// Whether this is the first time that is asked of a binding in this batch.
    @inline(__always)
    func see(_ record: UInt32) -> Bool {
        let place = place(of: record)
        defer { place.pointee |= Self.seen }
        return place.pointee & Self.seen == 0
    }
}

extension Forwarder {
    /// Joins what may be joined of packets that are to go into a tunnel.
    @inline(never)
    mutating func joinTowardsTunnels(_ batch: inout PacketBatch) {
        frames.removeAll()
        for index in 0..<pendingCount where !pending[index].isFromTunnel {
            if let first = firstPackets.note(index, in: pending) { takeBehind(first, index, batch) }
        }
        var isJoined = false
        for number in 0..<frames.count where frames[number].count > 1 {
            let frame = frames[number]
            isJoined = true
            Self.settle(frame, batch)
            pending[Int(frame.pending)].innerLength = UInt32(frame.headerLength) &+ frame.payload
        }
        if isJoined { leaveOutJoined(batch) }
    }

    /// Takes what was joined to another off what is left to do.
    private mutating func leaveOutJoined(_ batch: borrowing PacketBatch) {
        var left = 0
        for index in 0..<pendingCount where batch[Int(pending[index].packet)].verdict != .joined {
            pending[left] = pending[index]
            left &+= 1
        }
        pendingCount = left
    }

    /// Takes a packet whose binding has had one before in the batch.
    /// - Parameter first: the first one's number.
    @inline(never)
    private mutating func takeBehind(_ first: Int, _ index: Int, _ batch: borrowing PacketBatch) {
        let number = pending[index].record
        // A group's number is no binding's.
        guard number != PrefixTable.noValue, pending[first].lookup != .group, pending[index].lookup != .group else {
            return
        }
        let reference = BindingReference(rawValue: number)
        guard carriesSuperFrames(records + reference.record, reference) else { return }
        if firstPackets.see(number) { take(first, batch) }
        take(index, batch)
    }

    private mutating func take(_ index: Int, _ batch: borrowing PacketBatch) {
        guard !pending[index].isLinkLocal else { return }
        let place = Int(pending[index].packet)
        let isIPv4 = pending[index].isIPv4
        let start = UnsafeRawPointer(batch[place].start)
        let bucket = OpenFrames.bucket(of: FlowSegment.addressDigest(start, isIPv4: isIPv4))
        guard !batch[place].isSuperFrame,
            let segment = FlowSegment(start, length: Int(pending[index].innerLength), isIPv4: isIPv4)
        else {
            // It may be a fragment of any of the flows, or came whole.
            frames.close(bucket: bucket)
            return
        }
        join(segment, place, bucket, batch, towardsTunnel: index)
    }

    /// Whether a packet towards a tunnel goes into the same as those of a super-frame: a binding may have changed between
    /// the look-ups of both. Out of a tunnel all of a flow go the same way.
    @inline(__always)
    func goSameWay(_ index: Int?, _ frame: OpenFrame) -> Bool {
        guard let index else { return true }
        return pending[index].record == pending[Int(frame.pending)].record
    }

    /// What the headers and payload of a super-frame may be that begins with a packet, in bytes; nil where that may not go into
    /// the tunnel as it is. Those behind it are not longer and of the same flow, so what is asked of it holds for them.
    mutating func limitOfFrame(beginningWith index: Int, _ batch: borrowing PacketBatch) -> UInt16? {
        let work = pending + index
        let record = records + BindingReference(rawValue: work.pointee.record).record
        let isIPv4 = work.pointee.isIPv4
        let length = work.pointee.innerLength
        let limit = tunnelMTU(record, isIPv4: isIPv4, usesHomeAddress: false)
        guard length <= limit else { return nil }
        if isIPv4,
            refusal(of: batch[Int(work.pointee.packet)].start, record.pointee, length: length, limit: limit) != nil
        {
            return nil
        }
        let headers = record.pointee.headerLength(isIPv4: isIPv4, usesHomeAddress: false)
        return UInt16.max &- UInt16(truncatingIfNeeded: headers)
    }

    /// Whether a packet is the first of those that were joined: what its header speaks of lies elsewhere in part.
    @inline(__always)
    static func isJoined(_ packet: Packet, _ work: PendingPacket) -> Bool {
        packet.isSuperFrame && !work.isFromTunnel && Int(work.innerLength) > packet.length
    }

    /// Sends what was joined into its binding's tunnel.
    mutating func sendJoined(_ batch: inout PacketBatch, _ work: PendingPacket) {
        let index = Int(work.packet)
        let record = records + BindingReference(rawValue: work.record).record
        var packet = batch[index]
        let others = Int(work.innerLength) - packet.length
        let headerLength = packet.length - Int(packet.segmentSize)
        packet.length += others
        enterTunnelWhole(&packet, record, isIPv4: work.isIPv4, headerLength: headerLength)
        packet.length -= others
        packet.verdict = .transmitJoined
        batch[index] = packet
        Self.setOthers(joinedTo: index, .joined, batch)
    }

    /// Gives a verdict to all packets that are joined to one.
    static func setOthers(joinedTo first: Int, _ verdict: Verdict, _ batch: borrowing PacketBatch) {
        var next = batch.joined(behind: first)
        while let place = next {
            batch[place].verdict = verdict
            next = batch.joined(behind: place)
        }
    }
}

// Super-frames towards a tunnel: many segments of one flow, for which one look-up and one verdict are enough. They count as
// so many packets. Where the host allows it they leave whole, with one set of headers before them, and the kernel cuts them
// or a network card does. Else they are cut into segments here, each copied with its headers while its checksum is made. What
// reaches the node is what a sender without offloads would have sent.

import PacketBuffer
import PrefixTable
import Wire

/// How far the one super-frame has got that segments are being made of.
struct SuperFrameProgress {
    /// Payload that has been sent, in bytes.
    var payload = 0
    /// Segments that have been made.
    var segments = 0
    /// What was settled for all segments when the first was made: the payload of each, and the largest inner packet, in
    /// bytes. The path's MTU may change before the last.
    var size = 0
    var limit = 0
    /// Of a group, the member that is sent to first.
    var firstMember = PrefixTable.noValue
}

extension Forwarder {
    /// Sends the segments of a super-frame into its binding's tunnel.
    /// - Returns: false where room for them is missing; the next call goes on behind what was sent.
    mutating func sendSegments(_ batch: inout PacketBatch, _ work: UnsafeMutablePointer<PendingPacket>) -> Bool {
        let index = Int(work.pointee.packet)
        if Self.isJoined(batch[index], work.pointee) {
            sendJoined(&batch, work.pointee)
            return true
        }
        guard let frame = Self.view(of: batch[index], work.pointee) else {
            drop(&batch[index], .superFrameMalformed)
            return true
        }
        let reference = BindingReference(rawValue: work.pointee.record)
        let record = records + reference.record
        let isIPv4 = work.pointee.isIPv4
        // Whether it is too big follows from its segments.
        if isIPv4, let reason = refusal(of: batch[index].start, record.pointee, length: 0, limit: 0) {
            drop(&batch[index], reason)
            return true
        }
        if superFrame.segments == 0 {
            let limit = Int(tunnelMTU(record, isIPv4: isIPv4, usesHomeAddress: reference.usesHomeAddress))
            var size = frame.segmentSize
            if frame.headerLength + size > limit {
                guard isIPv4, Self.mayFragment(batch[index].start) else {
                    answer(&batch[index], dropped: .packetTooBig, work.pointee, mtu: UInt32(limit))
                    return true
                }
                // TCP leaves it to who cuts how much a segment has; a datagram stays what it is.
                if frame.isTCP { size = limit - frame.headerLength }
            }
            // What is fragmented goes by itself.
            if sendsSuperFrames, size == frame.segmentSize, frame.headerLength + size <= limit,
                carriesSuperFrames(record, reference)
            {
                return sendWhole(&batch, index, frame, record, reference)
            }
            (superFrame.size, superFrame.limit) = (size, limit)
        }
        let (size, limit) = (superFrame.size, superFrame.limit)
        let largest = frame.headerLength + size
        let isTrain = sendsTrains && record.pointee.form.isUDP && largest <= limit
        var train = DatagramTrain()
        defer { dispatch(train, &batch) }
        while superFrame.payload < frame.payloadLength {
            guard batch.generatedRoom > 0,
                largest <= limit || hasRoom(forFragmentsOf: 2 * largest, limit: limit, batch),
                let start = memory.take(largest)
            else { return false }
            let length = frame.writeSegment(at: superFrame.payload, size: size, to: start)
            superFrame.payload += size
            superFrame.segments += 1
            let segment = Packet(start: start, length: length, slot: 0, ingress: .home)
            let isAdded = send(segment, record, reference, isIPv4: isIPv4, limit: limit, madeFrom: index, &batch)
            if isTrain, isAdded { couple(&train, &batch) }
        }
        count(CounterIndex.generated, .access, by: superFrame.segments - frame.segmentCount)
        endSuperFrame(&batch[index])
        return true
    }

    /// Whether a super-frame may go into a tunnel whole.
    @inline(__always)
    func carriesSuperFrames(_ record: UnsafePointer<BindingRecord>, _ reference: BindingReference)
        -> Bool
    {
        record.pointee.form.carriesSuperFrames && !reference.usesHomeAddress
            && record.pointee.sequence == PrefixTable.noValue && !record.pointee.hasChecksum
    }

    /// Sends a super-frame whole into its binding's tunnel, but for as many segments at its front as it has too many: with
    /// headers, too, a packet has 65,535 bytes at the most.
    /// - Returns: false where room for those is missing.
    private mutating func sendWhole(
        _ batch: inout PacketBatch, _ index: Int, _ frame: SuperFrameView, _ record: UnsafePointer<BindingRecord>,
        _ reference: BindingReference
    ) -> Bool {
        let isIPv4 = frame.isIPv4
        let outer = record.pointee.headerLength(isIPv4: isIPv4, usesHomeAddress: false)
        let excess = frame.length + outer - Int(UInt16.max)
        var packet = batch[index]
        packet.length = frame.length
        if excess > 0 {
            let count = (excess + frame.segmentSize - 1) / frame.segmentSize
            let space = count * (frame.headerLength + frame.segmentSize)
            guard count <= batch.generatedRoom, memory.hasRoom(for: space, packets: count) else { return false }
            for number in 0..<count {
                guard let start = memory.take(frame.headerLength + frame.segmentSize) else {
                    preconditionFailure("room for segments was asked for")
                }
                let length = frame.writeSegment(at: number * frame.segmentSize, size: frame.segmentSize, to: start)
                let segment = Packet(start: start, length: length, slot: 0, ingress: .home)
                send(segment, record, reference, isIPv4: isIPv4, limit: length, madeFrom: index, &batch)
            }
            packet.start = frame.removeSegments(count, from: packet.start)
            packet.length = frame.length - count * frame.segmentSize
            packet.segmentCount -= UInt16(count)
        }
        enterTunnelWhole(&packet, record, isIPv4: isIPv4, headerLength: frame.headerLength)
        batch[index] = packet
        return true
    }

    /// Writes a binding's headers before a super-frame that is to leave whole, and counts it.
    /// - Parameters:
    ///   - packet: of as many bytes as all of it has.
    ///   - headerLength: of its own headers, in bytes.
    mutating func enterTunnelWhole(
        _ packet: inout Packet, _ record: UnsafePointer<BindingRecord>, isIPv4: Bool, headerLength: Int
    ) {
        let repetitions = Int(packet.segmentCount) - 1
        let bytes = packet.length
        traffic[Int(record.pointee.traffic)].addToNode(
            bytes: bytes + repetitions * headerLength, packets: Int(packet.segmentCount), isShared: isShared)
        identifications.prepare(run: repetitions + 1, to: record.pointee.careOfAddress)
        guard enterTunnel(&packet, record, isIPv4: isIPv4, usesHomeAddress: false) else {
            preconditionFailure("a tunnel without numbers needs no other worker")
        }
        let outer = packet.length - bytes
        identifications.skip(repetitions, to: record.pointee.careOfAddress)
        packet.transportOffset += UInt16(outer)
        transmit(&packet, to: .access)
        count(CounterIndex.transmittedBytes, .access, by: repetitions * (outer + headerLength))
    }

    /// Sends a segment by itself, in fragments where it is larger than `limit`, for which there is room.
    /// - Returns: whether it is in the batch now, to be transmitted.
    @discardableResult
    private mutating func send(
        _ segment: Packet, _ record: UnsafePointer<BindingRecord>, _ reference: BindingReference, isIPv4: Bool,
        limit: Int, madeFrom index: Int, _ batch: inout PacketBatch
    ) -> Bool {
        var segment = segment
        traffic[Int(record.pointee.traffic)].addToNode(bytes: segment.length, isShared: isShared)
        if segment.length > limit {
            segment = cut(segment, record, limit: limit, madeFrom: index, into: &batch)
        } else if enterTunnel(&segment, record, isIPv4: isIPv4, usesHomeAddress: reference.usesHomeAddress) {
            transmit(&segment, to: .access)
        }
        return appendSegment(segment, madeFrom: index, to: &batch)
    }

    /// Sends copies of each segment of a super-frame to the members of a group.
    /// - Returns: as `sendSegments`.
    mutating func copySegmentsToMembers(
        _ batch: inout PacketBatch, _ work: UnsafeMutablePointer<PendingPacket>
    ) -> Bool {
        let index = Int(work.pointee.packet)
        let whole = (packet: batch[index], length: work.pointee.innerLength)
        guard work.pointee.record != PrefixTable.noValue, let frame = Self.view(of: whole.packet, work.pointee) else {
            drop(
                &batch[index], work.pointee.record == PrefixTable.noValue ? .noGroupMember : .superFrameMalformed)
            return true
        }
        if superFrame.segments == 0, superFrame.firstMember == PrefixTable.noValue {
            superFrame.firstMember = work.pointee.record
        }
        while superFrame.payload < frame.payloadLength {
            guard batch.generatedRoom > 1, let start = memory.take(frame.headerLength + frame.segmentSize) else {
                return false
            }
            // In the place of the whole, for as long as it goes to the members.
            batch[index].start = start
            batch[index].length = frame.writeSegment(at: superFrame.payload, size: frame.segmentSize, to: start)
            batch[index].becomeOnePacket()
            work.pointee.innerLength = UInt32(batch[index].length)
            let isSent = copyToMembers(&batch, work)
            let segment = batch[index]
            batch[index] = whole.packet
            work.pointee.innerLength = whole.length
            guard isSent else { return false }
            appendSegment(segment, madeFrom: index, to: &batch)
            superFrame.payload += frame.segmentSize
            superFrame.segments += 1
            work.pointee.record = superFrame.firstMember
        }
        endSuperFrame(&batch[index])
        return true
    }

    /// The super-frame that a packet is, of as many bytes as its IP header says; nil where those are other segments than were
    /// counted, or where its IPv4 header and that of TCP or UDP do not follow each other.
    private static func view(of packet: Packet, _ work: PendingPacket) -> SuperFrameView? {
        let bytes = UnsafeRawBufferPointer(start: packet.start, count: Int(work.innerLength))
        guard
            let view = SuperFrameView(
                bytes, isTCP: packet.segmentKind != SegmentKind.udp.rawValue, segmentSize: Int(packet.segmentSize),
                transportOffset: Int(packet.transportOffset)),
            view.segmentCount == Int(packet.segmentCount),
            // Else each segment would end in its options.
            !view.isIPv4 || view.transportOffset == Int(view.start.byte(0) & 0xF) * 4
        else { return nil }
        return view
    }

    /// Adds a segment, or an answer to it, to the batch, where it is to be transmitted. It was counted with its super-frame.
    /// - Returns: whether it was.
    @discardableResult
    private mutating func appendSegment(_ segment: Packet, madeFrom index: Int, to batch: inout PacketBatch) -> Bool {
        guard segment.verdict == .transmitAccess || segment.verdict == .transmitHome else { return false }
        batch.appendGenerated(
            start: segment.start, length: segment.length, madeFrom: index, verdict: segment.verdict)
        return true
    }

    private mutating func endSuperFrame(_ packet: inout Packet) {
        packet.verdict = .release
        superFrame = SuperFrameProgress()
    }
}

// Super-frames out of a tunnel: packets of a flow that came with others of a batch are joined, so that one write hands over
// what is many packets. This comes last: each has its verdict, and was judged, opened and counted by itself. What the kernel
// makes of a super-frame is the packets that it was joined from, in the order of their flow; nothing waits for a later batch.
//
// No byte is copied. The first packet's header stands for all, and the port gathers the payload of the others.

import PacketBuffer
import Wire

extension Forwarder {
    /// What a kernel takes in a super-frame of UDP (linux: UDP_GRO_CNT_MAX).
    private static var datagramLimit: UInt16 { 64 }

    /// Joins what may be joined of packets that left a tunnel.
    @inline(never)
    mutating func joinSegments(_ batch: inout PacketBatch) {
        // A copy, or a packet that was held: what it stands before must not go before it.
        for index in 0..<batch.generatedCount where batch.generatedPacket(at: index).verdict == .transmitHome { return }
        frames.removeAll()
        for index in 0..<pendingCount where pending[index].isFromTunnel {
            let place = Int(pending[index].packet)
            guard batch[place].verdict == .transmitHome else { continue }
            let packet = batch[place]
            let start = UnsafeRawPointer(packet.start)
            let isIPv4 = pending[index].isIPv4
            let bucket = OpenFrames.bucket(of: FlowSegment.addressDigest(start, isIPv4: isIPv4))
            guard !packet.isSuperFrame, let segment = FlowSegment(start, length: packet.length, isIPv4: isIPv4) else {
                // It may be a fragment of any of the flows, or came whole.
                frames.close(bucket: bucket)
                continue
            }
            join(segment, place, bucket, batch)
        }
        for number in 0..<frames.count where frames[number].count > 1 {
            Self.settle(frames[number], batch)
            batch[Int(frames[number].first)].verdict = .transmitJoined
        }
    }

    /// Joins a packet to the super-frame of its flow, or begins one.
    /// - Parameter pending: towards a tunnel, its number among those that need a binding.
    @inline(__always)
    mutating func join(
        _ segment: FlowSegment, _ place: Int, _ bucket: Int, _ batch: borrowing PacketBatch,
        towardsTunnel pending: Int? = nil
    ) {
        let found = frames.find(segment, in: bucket) { UnsafeRawPointer(batch[Int($0)].start) }
        let mayBeJoined = segment.mayBeJoined && (segment.isTCP || joinsDatagrams)
        var isVerified = false
        if let found {
            if mayBeJoined, Self.fits(segment, frames[found], batch), goSameWay(pending, frames[found]) {
                isVerified = segment.verifiesChecksum
                if isVerified, Self.isFirstVerified(&frames[found], batch) {
                    Self.append(segment, place, to: &frames[found], batch)
                    return
                }
            }
            frames[found].isOpen = false
        }
        guard mayBeJoined, !segment.isTCP || !segment.pushes else { return }
        var frame = OpenFrame(
            first: UInt16(truncatingIfNeeded: place), last: UInt16(truncatingIfNeeded: place),
            segmentSize: UInt16(truncatingIfNeeded: segment.payloadLength),
            headerLength: UInt8(truncatingIfNeeded: segment.headerLength),
            payload: UInt32(truncatingIfNeeded: segment.payloadLength), isOpen: true, isIPv4: segment.isIPv4)
        frame.isVerified = isVerified
        if let pending {
            guard let limit = limitOfFrame(beginningWith: pending, batch) else { return }
            frame.limit = limit
            frame.pending = UInt16(truncatingIfNeeded: pending)
        }
        frames.open(frame, ports: segment.ports, in: bucket)
    }

    /// Whether a packet is what comes next in a super-frame.
    @inline(__always)
    private static func fits(_ segment: FlowSegment, _ frame: OpenFrame, _ batch: borrowing PacketBatch) -> Bool {
        let start = UnsafeRawPointer(batch[Int(frame.first)].start)
        guard segment.hasSameHeaders(as: start), segment.payloadLength <= Int(frame.segmentSize),
            segment.headerLength &+ Int(frame.payload) &+ segment.payloadLength <= Int(frame.limit)
        else { return false }
        if segment.isTCP {
            let first = (start + segment.transportOffset).networkUInt32(at: TCP.Offset.sequence)
            guard segment.sequence == first &+ frame.payload else { return false }
        } else {
            guard frame.count < datagramLimit else { return false }
        }
        guard segment.mayBeFragmented else { return true }
        return segment.identification == start.networkUInt16(at: IPv4.Offset.identification) &+ frame.count
    }

    /// Whether the first packet's checksum is right: none that is wrong may get lost in what the kernel takes for verified.
    @inline(__always)
    private static func isFirstVerified(_ frame: inout OpenFrame, _ batch: borrowing PacketBatch) -> Bool {
        if frame.isVerified { return true }
        frame.isVerified = firstSegment(of: frame, batch).verifiesChecksum
        return frame.isVerified
    }

    @inline(__always)
    private static func append(
        _ segment: FlowSegment, _ place: Int, to frame: inout OpenFrame, _ batch: borrowing PacketBatch
    ) {
        if frame.count == 1 { batch.beginJoining(Int(frame.first)) }
        batch.join(place, behind: Int(frame.last))
        batch[place].start += segment.headerLength
        // Behind the IP packet there may be more.
        batch[place].length = segment.payloadLength
        batch[place].verdict = .joined
        frame.last = UInt16(truncatingIfNeeded: place)
        frame.count &+= 1
        frame.payload &+= UInt32(truncatingIfNeeded: segment.payloadLength)
        frame.pushes = segment.isTCP && segment.pushes
        // A shorter one is the last; so is one that its receiver is to get at once.
        frame.isOpen = segment.payloadLength == Int(frame.segmentSize) && !frame.pushes
    }

    /// The packet that a super-frame begins with, while its header is still its own.
    @inline(__always)
    private static func firstSegment(of frame: OpenFrame, _ batch: borrowing PacketBatch) -> FlowSegment {
        let length = Int(frame.headerLength) &+ Int(frame.segmentSize)
        guard let segment = FlowSegment(batch[Int(frame.first)].start, length: length, isIPv4: frame.isIPv4) else {
            preconditionFailure("it was one before")
        }
        return segment
    }

    /// Makes the first packet's header that of the super-frame.
    static func settle(_ frame: OpenFrame, _ batch: borrowing PacketBatch) {
        let index = Int(frame.first)
        let segment = firstSegment(of: frame, batch)
        segment.becomeSuperFrame(batch[index].start, payload: Int(frame.payload), pushes: frame.pushes)
        batch[index].length = segment.headerLength &+ segment.payloadLength
        let kind: SegmentKind = segment.isTCP ? frame.isIPv4 ? .tcpIPv4 : .tcpIPv6 : .udp
        batch[index].segmentKind = kind.rawValue
        batch[index].transportOffset = UInt16(segment.transportOffset)
        batch[index].segmentSize = frame.segmentSize
        batch[index].segmentCount = frame.count
    }
}

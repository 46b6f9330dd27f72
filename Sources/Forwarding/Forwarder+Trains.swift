// Datagrams of a UDP tunnel that leave in one write, as a super-frame of UDP (UDP segmentation offload, Linux 6.2): a train.
// The kernel carries it as one packet to where it leaves the host and cuts it there, or a network card does. It needs no
// program in the kernel and no right to load one, and what lies in the datagrams need not be known to whoever cuts: so it
// serves every tunnel that lies in UDP, also those with numbers or with a second header before the packet.
//
// Here it is made of the segments of one super-frame, which are alike in length but for the last. Each has its own headers
// until then. Those of the first stand for all, and the port gathers what follows the UDP header of the others. The kernel
// numbers the datagrams one behind the other, and makes the checksum of each, which they don't have otherwise; or the network
// card does.

import PacketBuffer
import Wire

/// Datagrams that are to leave together, one behind the other among the packets that the forwarder has made.
struct DatagramTrain {
    /// What a kernel takes at once (linux: UDP_MAX_SEGMENTS before 6.10).
    static var limit: UInt16 { 64 }

    /// The outer IPv4 header, which has no options, and that of UDP: what is not repeated.
    static var headerLength: Int { IPv4.minimumHeaderLength + UDP.headerLength }

    /// The place of the first.
    var first = 0
    /// How many there are.
    var count: UInt16 = 0
    /// The identification of the first. The kernel numbers the others one behind the other.
    var identification: UInt16 = 0
    /// What follows the UDP header of the first, in bytes, and of all.
    var size = 0
    var payload = 0

    /// Whether a datagram may follow. A shorter one is the last.
    func takes(_ payload: Int, identification: UInt16) -> Bool {
        count > 0 && count < Self.limit && payload <= size && self.payload == Int(count) * size
            && identification == self.identification &+ count
            && Self.headerLength + self.payload + payload <= Int(UInt16.max)
    }
}

extension Forwarder {
    /// Couples the datagram that was made last to those of a train, or begins the next one with it.
    func couple(_ train: inout DatagramTrain, _ batch: inout PacketBatch) {
        let index = batch.generatedCount - 1
        var packet = batch.generatedPacket(at: index)
        let payload = packet.length - DatagramTrain.headerLength
        let identification = UnsafeRawPointer(packet.start).networkUInt16(at: IPv4.Offset.identification)
        guard train.takes(payload, identification: identification) else {
            dispatch(train, &batch)
            // With minimal encapsulation the header is the inner packet's own, whose reserved flag, say, is nothing to cut at.
            let mayBegin = FlowSegment(packet.start, length: packet.length, isIPv4: true) != nil
            train =
                mayBegin
                ? DatagramTrain(
                    first: index, count: 1, identification: identification, size: payload, payload: payload)
                : DatagramTrain()
            return
        }
        packet.removeFirst(DatagramTrain.headerLength)
        packet.verdict = .joined
        batch.replaceGenerated(at: index, by: packet)
        train.count += 1
        train.payload += payload
    }

    /// Makes the headers of a train's first datagram those of all.
    func dispatch(_ train: DatagramTrain, _ batch: inout PacketBatch) {
        guard train.count > 1 else { return }
        var packet = batch.generatedPacket(at: train.first)
        guard let datagram = FlowSegment(packet.start, length: packet.length, isIPv4: true) else {
            preconditionFailure("it was one when the train began")
        }
        datagram.becomeSuperFrame(packet.start, payload: train.payload, pushes: false)
        packet.segmentKind = SegmentKind.udp.rawValue
        packet.transportOffset = UInt16(IPv4.minimumHeaderLength)
        packet.segmentSize = UInt16(truncatingIfNeeded: train.size)
        packet.segmentCount = train.count
        packet.verdict = .transmitJoined
        batch.replaceGenerated(at: train.first, by: packet)
    }
}

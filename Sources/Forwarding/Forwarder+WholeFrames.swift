// Super-frames that come out of a tunnel whole: the kernel joined their segments as they arrived, or never cut them, and left
// one set of outer headers before all. They are judged once, since what the judgement rests on is the same in each segment:
//
//   outer header   the kernel joins packets whose addresses, protocol, TOS, TTL and DF are the same in every IP header
//                  (linux: inet_gro_receive and gro_receive_network_flush), and puts one and the same before each segment
//                  where it cuts one that it was given whole (inet_gso_segment)
//   GRE            without checksum and number, and with the same bytes (gre_gro_receive)
//   inner header   that of a super-frame of the home side
//
// What is taken off are the outer headers of the one packet; the rest stays a super-frame, which the home device takes.

import PacketBuffer
import Wire

extension Forwarder {
    /// Whether a super-frame lies in a tunnel by which one may come.
    @inline(never)
    mutating func mayComeWhole(_ packet: Packet, _ outer: IPv4View) -> Bool {
        guard !outer.isFragment, outer.totalLength == packet.length else { return false }
        switch outer.protocol {
        case IPProtocol.ipv4, IPProtocol.ipv6: return true
        case IPProtocol.gre:
            guard let flags = outer.payload.first else { return false }
            return UInt16(flags) << 8 & (GRE.Flag.checksum | GRE.Flag.sequence) == 0
        default: return false
        }
    }

    /// Whether what lies in a tunnel is a super-frame as one of the home side, and nothing behind it.
    @inline(never)
    mutating func isWhole(_ packet: Packet, _ work: PendingPacket) -> Bool {
        let offset = Int(work.innerOffset)
        guard offset + Int(work.innerLength) == packet.length, !work.isLinkLocal, !work.isListenerMessage,
            let kind = SegmentKind(rawValue: packet.segmentKind)
        else { return false }
        let inner = UnsafeRawPointer(packet.start) + offset
        guard work.isIPv4 else {
            return kind != .tcpIPv4 && Int(packet.transportOffset) >= offset + IPv6.headerLength
        }
        return kind != .tcpIPv6
            && inner.networkUInt16(at: IPv4.Offset.fragment) & ~IPv4.dontFragment == 0
            && Int(packet.transportOffset) == offset + Int(inner.byte(0) & 0xF) * 4
    }

    /// Sends a super-frame to the home side when all headers before it are off.
    @inline(never)
    mutating func leaveWhole(
        _ packet: inout Packet, _ work: PendingPacket, _ record: UnsafePointer<BindingRecord>
    ) {
        packet.transportOffset -= UInt16(truncatingIfNeeded: work.innerOffset)
        let repeated = headersOfSegments(packet)
        traffic[Int(record.pointee.traffic)].addFromNode(
            bytes: packet.length + repeated, packets: Int(packet.segmentCount), isShared: isShared)
        transmit(&packet, to: .home)
        count(CounterIndex.transmittedBytes, .home, by: repeated)
    }

    /// Bytes of the headers that all segments of a super-frame but the first have on a wire.
    func headersOfSegments(_ packet: Packet) -> Int {
        let transport = UnsafeRawPointer(packet.start) + Int(packet.transportOffset)
        let isTCP = packet.segmentKind != SegmentKind.udp.rawValue
        let length = Int(packet.transportOffset) + TransportHeader.length(at: transport, isTCP: isTCP)
        return length * (Int(packet.segmentCount) - 1)
    }
}

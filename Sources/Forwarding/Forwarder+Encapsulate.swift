// The last stage towards a tunnel: the binding's headers before the packet, or an ICMP error instead. ECN as RFC 6040, 4.1,
// DSCP as RFC 2983. The inner hop limit is not touched: the tunnel is one hop, and the kernel that forwards to the home
// device has counted it.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    @inline(__always)
    mutating func encapsulate(_ packet: inout Packet, _ work: PendingPacket, now: UInt64) {
        let innerLength = Int(work.innerLength)
        guard work.record != PrefixTable.noValue else {
            return answer(&packet, dropped: .noBinding, work, mtu: 0, now: now)
        }
        let record = records + Int(work.record)
        let inner = UnsafeRawPointer(packet.start)
        var dontFragment: UInt16 = 0
        let innerClass: TrafficClass
        if work.isIPv4 {
            // RFC 2003, 3.1: the inner packet's don't fragment is the outer's too.
            dontFragment = inner.networkUInt16(at: IPv4.Offset.fragment) & IPv4.dontFragment
            if let reason = refusal(of: inner, record.pointee, length: innerLength, mayFragment: dontFragment == 0) {
                return answer(&packet, dropped: reason, work, mtu: record.pointee.tunnelMTU, now: now)
            }
            innerClass = TrafficClass(rawValue: inner.byte(IPv4.Offset.trafficClass))
        } else {
            guard work.innerLength <= record.pointee.tunnelMTU else {
                return answer(&packet, dropped: .packetTooBig, work, mtu: record.pointee.tunnelMTU, now: now)
            }
            innerClass = IPv6Header.trafficClass(at: inner)
        }
        packet.length = innerLength
        traffic[Int(record.pointee.traffic)].addToNode(bytes: innerLength)
        if work.isIPv4, record.pointee.form == .minimal {
            MinimalTunnel.encapsulate(
                packet.start, endpoint: record.pointee.endpoint, careOfAddress: record.pointee.careOfAddress)
            packet.prepend(MinimalTunnel.growth)
        } else {
            record.pointee.writeHeaders(
                before: packet.start, innerLength: innerLength, innerTrafficClass: innerClass,
                dontFragment: dontFragment, identification: nextIdentification())
            if record.pointee.middleSum != 0 { _ = nextIdentification() }
            packet.prepend(Int(record.pointee.headerLength))
            if record.pointee.sequence != PrefixTable.noValue || record.pointee.hasChecksum {
                finishGRE(packet, record)
            }
        }
        transmit(&packet, to: .access)
    }

    /// Why an IPv4 packet may not go into the tunnel; nil where it may.
    @inline(__always)
    private func refusal(
        of inner: UnsafeRawPointer, _ record: BindingRecord, length: Int, mayFragment: Bool
    ) -> DropReason? {
        // RFC 2003, 3.2: a packet from either end of the tunnel has gone round in a circle.
        let source = IPv4Address(rawValue: inner.networkUInt32(at: IPv4.Offset.source))
        if source == record.careOfAddress || source == record.endpoint { return .tunnelLoop }
        // What may be fragmented is sent whole, and the network fragments the outer packet.
        guard length <= record.tunnelMTU || (mayFragment && length <= Int(UInt16.max) - BindingRecord.headerSpace)
        else { return .packetTooBig }
        guard record.form == .minimal else { return nil }
        if inner.byte(0) != 0x45 { return .minimalOptions }
        return inner.networkUInt16(at: IPv4.Offset.fragment) & 0x3FFF != 0 ? .minimalFragment : nil
    }

    /// Sequence number and checksum, where the tunnel has them.
    @inline(never)
    private func finishGRE(_ packet: Packet, _ record: UnsafePointer<BindingRecord>) {
        let header = packet.start + IPv4.minimumHeaderLength
        if record.pointee.sequence != PrefixTable.noValue {
            // The last field of the header.
            let optional = (record.pointee.hasChecksum ? 4 : 0) + (record.pointee.hasKey ? 4 : 0)
            header.storeNetwork(
                sequences[Int(record.pointee.sequence)].takeNext(), at: GRE.minimumHeaderLength + optional)
        }
        if record.pointee.hasChecksum {
            GREHeader.writeChecksum(at: header, length: packet.length - IPv4.minimumHeaderLength)
        }
    }
}

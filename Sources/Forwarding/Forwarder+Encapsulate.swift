// The last stage towards a tunnel: the binding's headers before the packet, or an ICMP error instead. ECN as RFC 6040, 4.1,
// DSCP as RFC 2983. The inner hop limit is not touched: the tunnel is one hop, and the kernel that forwards to the home
// device has counted it.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// - Returns: false where it must be sent in fragments.
    @inline(__always)
    mutating func encapsulate(_ packet: inout Packet, _ work: PendingPacket, now: UInt64) -> Bool {
        guard work.record != PrefixTable.noValue else {
            answer(&packet, dropped: work.isLinkLocal ? .linkLocal : .noBinding, work, mtu: 0, now: now)
            return true
        }
        let record = records + Int(work.record)
        if work.isIPv4 {
            if let reason = refusal(of: packet.start, record.pointee, length: work.innerLength) {
                if reason == .packetTooBig, Self.mayFragment(packet.start) { return false }
                answer(&packet, dropped: reason, work, mtu: record.pointee.tunnelMTU, now: now)
                return true
            }
        } else if work.innerLength > record.pointee.tunnelMTU {
            answer(&packet, dropped: .packetTooBig, work, mtu: record.pointee.tunnelMTU, now: now)
            return true
        }
        packet.length = Int(work.innerLength)
        traffic[Int(record.pointee.traffic)].addToNode(bytes: packet.length)
        enterTunnel(&packet, record, isIPv4: work.isIPv4)
        transmit(&packet, to: .access)
        return true
    }

    /// Writes a binding's headers before a packet, which is whole and nothing but that packet.
    @inline(__always)
    mutating func enterTunnel(_ packet: inout Packet, _ record: UnsafePointer<BindingRecord>, isIPv4: Bool) {
        if isIPv4, record.pointee.form == .minimal {
            MinimalTunnel.encapsulate(
                packet.start, endpoint: record.pointee.endpoint, careOfAddress: record.pointee.careOfAddress)
            return packet.prepend(MinimalTunnel.growth)
        }
        let inner = UnsafeRawPointer(packet.start)
        var dontFragment: UInt16 = 0
        let innerClass: TrafficClass
        if isIPv4 {
            // RFC 2003, 3.1: the inner packet's don't fragment is the outer's too.
            dontFragment = inner.networkUInt16(at: IPv4.Offset.fragment) & IPv4.dontFragment
            innerClass = TrafficClass(rawValue: inner.byte(IPv4.Offset.trafficClass))
        } else {
            innerClass = IPv6Header.trafficClass(at: inner)
        }
        record.pointee.writeHeaders(
            before: packet.start, innerLength: packet.length, innerTrafficClass: innerClass,
            dontFragment: dontFragment, identification: nextIdentification())
        if record.pointee.middleSum != 0 { _ = nextIdentification() }
        packet.prepend(Int(record.pointee.headerLength))
        finishGREIfNeeded(packet, record)
    }

    @inline(__always)
    mutating func finishGREIfNeeded(_ packet: Packet, _ record: UnsafePointer<BindingRecord>) {
        if record.pointee.sequence != PrefixTable.noValue || record.pointee.hasChecksum {
            finishGRE(packet, record)
        }
    }

    /// Why an IPv4 packet may not go into the tunnel; nil where it may. Of more than one reason it is `packetTooBig`
    /// only where there is no other.
    @inline(__always)
    private func refusal(
        of inner: UnsafeRawPointer, _ record: BindingRecord, length: UInt32
    ) -> DropReason? {
        // RFC 2003, 3.2: a packet from either end of the tunnel has gone round in a circle.
        let source = IPv4Address(rawValue: inner.networkUInt32(at: IPv4.Offset.source))
        if source == record.careOfAddress || source == record.endpoint { return .tunnelLoop }
        if record.form == .minimal {
            if inner.byte(0) != 0x45 { return .minimalOptions }
            if inner.networkUInt16(at: IPv4.Offset.fragment) & 0x3FFF != 0 { return .minimalFragment }
        }
        return length <= record.tunnelMTU ? nil : .packetTooBig
    }

    /// Whether an IPv4 packet's source allows that it is fragmented (RFC 791, 3.2).
    private static func mayFragment(_ inner: UnsafeRawPointer) -> Bool {
        inner.networkUInt16(at: IPv4.Offset.fragment) & IPv4.dontFragment == 0
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

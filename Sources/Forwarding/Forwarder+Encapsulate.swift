// The last stage towards a tunnel: the binding's headers before the packet, or an ICMP error instead. ECN as RFC 6040, 4.1,
// DSCP as RFC 2983. The inner hop limit is not touched: the tunnel is one hop, and the kernel that forwards to the home
// device has counted it.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// - Returns: false where it must be sent in segments or fragments.
    @inline(__always)
    mutating func encapsulate(_ packet: inout Packet, _ work: UnsafePointer<PendingPacket>) -> Bool {
        guard work.pointee.record != PrefixTable.noValue else {
            answer(&packet, dropped: work.pointee.isLinkLocal ? .linkLocal : .noBinding, work.pointee, mtu: 0)
            return true
        }
        if packet.isSuperFrame { return false }
        let reference = BindingReference(rawValue: work.pointee.record)
        let record = records + reference.record
        let limit = tunnelMTU(record, isIPv4: work.pointee.isIPv4, usesHomeAddress: reference.usesHomeAddress)
        if work.pointee.isIPv4 {
            if let reason = refusal(of: packet.start, record.pointee, length: work.pointee.innerLength, limit: limit) {
                if reason == .packetTooBig, Self.mayFragment(packet.start) { return false }
                answer(&packet, dropped: reason, work.pointee, mtu: limit)
                return true
            }
        } else if work.pointee.innerLength > limit {
            answer(&packet, dropped: .packetTooBig, work.pointee, mtu: limit)
            return true
        }
        packet.length = Int(work.pointee.innerLength)
        traffic[Int(record.pointee.traffic)].addToNode(bytes: packet.length, isShared: isShared)
        if enterTunnel(&packet, record, isIPv4: work.pointee.isIPv4, usesHomeAddress: reference.usesHomeAddress) {
            transmit(&packet, to: .access)
        }
        return true
    }

    /// The largest inner packet that goes into a tunnel now, in bytes: never less than IPv6 needs (RFC 4213, 3.2.2).
    @inline(__always)
    func tunnelMTU(_ record: UnsafePointer<BindingRecord>, isIPv4: Bool, usesHomeAddress: Bool) -> UInt32 {
        record.pointee.pathMTU == PrefixTable.noValue
            ? UInt32(record.pointee.tunnelMTU)
            : Self.discoveredMTU(record, pathMTUs, now: now, isIPv4: isIPv4, usesHomeAddress: usesHomeAddress).tunnelMTU
    }

    /// Static, since a forwarder that lends itself to a function that is not inlined is copied for that, packet by packet.
    /// - Returns: the largest inner packet, and whether outer packets get through whole.
    @inline(never)
    private static func discoveredMTU(
        _ record: UnsafePointer<BindingRecord>, _ pathMTUs: UnsafePointer<PathMTU>, now: UInt64, isIPv4: Bool,
        usesHomeAddress: Bool
    ) -> (tunnelMTU: UInt32, isWhole: Bool) {
        let most = UInt32(record.pointee.tunnelMTU)
        guard let path = pathMTUs[Int(record.pointee.pathMTU)].current(now: now) else { return (most, true) }
        let headers = record.pointee.headerLength(isIPv4: isIPv4, usesHomeAddress: usesHomeAddress)
        let inner = Int(path) - headers
        return (min(most, UInt32(max(inner, IPv6.minimumMTU))), inner >= IPv6.minimumMTU)
    }

    /// Don't fragment, for the outer header of an IPv6 packet (RFC 4213, 3.2).
    @inline(__always)
    private func dontFragmentIPv6(_ record: UnsafePointer<BindingRecord>, usesHomeAddress: Bool) -> UInt16 {
        guard record.pointee.pathMTU != PrefixTable.noValue else { return 0 }
        let isWhole = Self.discoveredMTU(
            record, pathMTUs, now: now, isIPv4: false, usesHomeAddress: usesHomeAddress
        ).isWhole
        return isWhole ? IPv4.dontFragment : 0
    }

    /// Writes a binding's headers before a packet, which is whole and nothing but that packet.
    /// - Parameter mayFragment: whether an outer packet with IPv6 may be fragmented, whatever is known of the path.
    /// - Returns: false where another worker sends it, or nobody can.
    @inline(__always)
    mutating func enterTunnel(
        _ packet: inout Packet, _ record: UnsafePointer<BindingRecord>, isIPv4: Bool, usesHomeAddress: Bool,
        mayFragment: Bool = false
    ) -> Bool {
        if isIPv4, record.pointee.form.isMinimal {
            packet.prepend(MinimalTunnel.encapsulate(packet.start, record))
            return true
        }
        let inner = UnsafeRawPointer(packet.start)
        var dontFragment: UInt16 = 0
        let innerClass: TrafficClass
        if isIPv4 {
            // RFC 2003, 3.1: the inner packet's don't fragment is the outer's too.
            dontFragment = inner.networkUInt16(at: IPv4.Offset.fragment) & IPv4.dontFragment
            innerClass = TrafficClass(rawValue: inner.byte(IPv4.Offset.trafficClass))
        } else {
            dontFragment = mayFragment ? 0 : dontFragmentIPv6(record, usesHomeAddress: usesHomeAddress)
            innerClass = IPv6Header.trafficClass(at: inner)
        }
        let length = record.writeHeaders(
            before: packet.start, innerLength: packet.length, isIPv4: isIPv4, usesHomeAddress: usesHomeAddress,
            innerTrafficClass: innerClass, dontFragment: dontFragment,
            identification: nextIdentification(to: record.pointee.careOfAddress))
        packet.prepend(length)
        return finishGREIfNeeded(&packet, record)
    }

    /// - Returns: as `finishGRE`.
    @inline(__always)
    mutating func finishGREIfNeeded(_ packet: inout Packet, _ record: UnsafePointer<BindingRecord>) -> Bool {
        guard record.pointee.sequence != PrefixTable.noValue || record.pointee.hasChecksum else { return true }
        return finishGRE(&packet, record)
    }

    /// Why an IPv4 packet may not go into the tunnel; nil where it may. Of more than one reason it is `packetTooBig`
    /// only where there is no other.
    @inline(__always)
    func refusal(
        of inner: UnsafeRawPointer, _ record: BindingRecord, length: UInt32, limit: UInt32
    ) -> DropReason? {
        // RFC 2003, 3.2: a packet from either end of the tunnel has gone round in a circle. What a home agent itself says
        // by ICMP has not, and its node waits for it: answers to keepalives (RFC 3519, 4.9), and errors.
        let source = IPv4Address(rawValue: inner.networkUInt32(at: IPv4.Offset.source))
        if source == record.careOfAddress || isOwnTunnelPacket(inner, source)
            || (source == record.endpoint
                && (record.isMobileNode || inner.byte(IPv4.Offset.protocol) != IPProtocol.icmpv4))
        {
            return .tunnelLoop
        }
        if record.form.isMinimal, let reason = MinimalTunnel.refusal(of: inner) { return reason }
        return length <= limit ? nil : .packetTooBig
    }

    /// Whether a packet has left here in a tunnel, from an endpoint of the daemon's own: another binding's tunnel may lead
    /// back here. One that left from an endpoint that a binding names may go into a second tunnel, as a mobile node's IPv6
    /// does on its way by the home address (docs/setup.md).
    @inline(__always)
    private func isOwnTunnelPacket(_ inner: UnsafeRawPointer, _ source: IPv4Address) -> Bool {
        switch inner.byte(IPv4.Offset.protocol) {
        case IPProtocol.ipv4, IPProtocol.ipv6, IPProtocol.gre, IPProtocol.minimal, IPProtocol.udp: isEndpoint(source)
        default: false
        }
    }

    /// Whether an IPv4 packet's source allows that it is fragmented (RFC 791, 3.2).
    static func mayFragment(_ inner: UnsafeRawPointer) -> Bool {
        inner.networkUInt16(at: IPv4.Offset.fragment) & IPv4.dontFragment == 0
    }

    /// Sequence number and checksum, where the tunnel has them.
    /// - Returns: false where another worker numbers the tunnel's packets: it has got this one, or nobody has.
    @inline(never)
    private mutating func finishGRE(_ packet: inout Packet, _ record: UnsafePointer<BindingRecord>) -> Bool {
        let before = IPv4.minimumHeaderLength + (record.pointee.form.isUDP ? UDPTunnel.headerLength : 0)
        var number: UInt32?
        if record.pointee.sequence != PrefixTable.noValue {
            let owner = Int(sequences[Int(record.pointee.sequence)].owner)
            guard owner == place.index else {
                handOver(&packet, record, greOffset: before, to: owner)
                return false
            }
            number = sequences[Int(record.pointee.sequence)].takeNext()
        }
        finishGRE(
            packet, number: number, offset: before, length: Int(record.pointee.greLength),
            hasChecksum: record.pointee.hasChecksum)
        return true
    }

    /// Writes what is not laid out in advance.
    /// - Parameters:
    ///   - offset: of the header of GRE, from the packet's first byte.
    ///   - length: of that header, in bytes; the number is its last field.
    mutating func finishGRE(_ packet: Packet, number: UInt32?, offset: Int, length: Int, hasChecksum: Bool) {
        let header = packet.start + offset
        if let number { header.storeNetwork(number, at: length - 4) }
        if hasChecksum { GREHeader.writeChecksum(at: header, length: packet.length - offset) }
    }
}

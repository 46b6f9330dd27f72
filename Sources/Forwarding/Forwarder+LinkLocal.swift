// What belongs to the link that a tunnel is (RFC 4213, 3.7 and 3.8; RFC 5454, 3.3.3 and 3.7.1). A node that has registered
// a link-local address reaches the home device by it, and what is said there to all (ff02::/16), so that a DHCPv6 server
// can delegate a prefix to it. The forwarder itself answers only for the tunnel's own end. What a node says of the groups
// that it listens to is the control plane's.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// A packet out of a tunnel with a multicast destination, or a link-local address.
    /// - Parameter homeAddress: where it comes from, if that is a home address.
    @inline(never)
    func classifyOfLink(_ inner: IPv6View, homeAddress: IPv4Address) throws(DropReason) -> PendingPacket {
        let (source, destination) = (inner.source, inner.destination)
        let upper = try inner.upperLayer()
        let isICMPv6 = upper.protocol == IPProtocol.icmpv6 && !upper.isLaterFragment
        let type = isICMPv6 && upper.offset < inner.totalLength ? inner.start.byte(upper.offset) : nil
        if let type, ICMPv6.isListenerDiscovery(type), source.isLinkLocal || source.isUnspecified {
            guard Self.isWholeListenerMessage(inner, upper) else { throw .listenerMalformed }
            // By the home address: that a node listens has nothing to do with its prefixes.
            var pending = PendingPacket(
                to: IPv6Address(mapping: homeAddress), isIPv4: false, length: inner.totalLength)
            pending.lookup = .homeAddress
            pending.isListenerMessage = true
            return pending
        }
        if source.isForbiddenTunnelSource { throw .innerSourceInvalid }
        guard !destination.isMulticast || destination.multicastScope >= IPv6Address.linkLocalScope else {
            throw .multicastNotCarried
        }
        let isOfLink = destination.isLinkLocal || destination.isLinkLocalMulticast
        guard source.isLinkLocal == isOfLink else { throw .linkLocal }
        if isOfLink, let type, ICMPv6.isNeighborDiscovery(type), inner.hopLimit != 255 {
            throw .neighborHopLimit
        }
        var pending = PendingPacket(to: source, isIPv4: false, length: inner.totalLength)
        pending.isLinkLocal = isOfLink
        return pending
    }

    /// RFC 2710, 3 and RFC 3810, 5: hop limit 1, and a router alert in a hop-by-hop option.
    private static func isWholeListenerMessage(_ packet: IPv6View, _ upper: IPv6View.UpperLayer) -> Bool {
        let bytes = UnsafeRawBufferPointer(
            start: packet.start + upper.offset, count: packet.totalLength - upper.offset)
        guard packet.hopLimit == 1, packet.nextHeader == 0, bytes.count >= ICMPv6.headerLength,
            let message = try? ICMPv6View(bytes)
        else { return false }
        return message.verifies(source: packet.source, destination: packet.destination) && packet.hasRouterAlert
    }

    /// The packet of a node that may send it: for the control plane, for the tunnel's own end, or for the home device.
    @inline(never)
    mutating func takeOfLink(_ packet: inout Packet, _ work: PendingPacket, _ record: UnsafePointer<BindingRecord>) {
        if work.isListenerMessage {
            do throws(DropReason) {
                try punt(
                    &packet, .multicastListener, from: work.outerSource, homeAddress: record.pointee.homeAddress)
            } catch {
                drop(&packet, error)
            }
            return
        }
        let own = IPv6Address(linkLocalOf: record.pointee.endpoint)
        guard let solicitation = NeighborSolicitationView(packet.bytes), solicitation.target == own else {
            return transmit(&packet, to: .home)
        }
        let source = solicitation.source
        // Whoever asks from the address that is asked for is answered to nobody.
        guard source != own else { return drop(&packet, .innerSourceInvalid) }
        let usesHomeAddress = BindingReference(rawValue: work.record).usesHomeAddress
        packet.length = NeighborAdvertisement.length
        NeighborAdvertisement(target: own, isRouter: isRouter).write(to: packet.start, destination: source)
        count(CounterIndex.absorbed)
        count(CounterIndex.generated, .access)
        // It is small and may not be fragmented, so its identification says nothing (RFC 6864, 4.1).
        let length = record.pointee.writeHeaders(
            before: packet.start, innerLength: packet.length, isIPv4: false, usesHomeAddress: usesHomeAddress,
            innerTrafficClass: TrafficClass(rawValue: 0), dontFragment: IPv4.dontFragment, identification: 0)
        packet.prepend(length)
        if finishGREIfNeeded(&packet, record) { transmit(&packet, to: .access) }
    }
}

// What belongs to the link that a tunnel is (RFC 4213, 3.7 and 3.8; RFC 5454, 3.3.3 and 3.7.1). A node that has registered
// a link-local address reaches the home device by it, and what is said there to all (ff02::/16), so that a DHCPv6 server
// can delegate a prefix to it. The forwarder itself answers only for the tunnel's own end. What a node says of the groups
// that it listens to is the control plane's.
//
// At the mobile node (RFC 5454, 3.5) all that the home device sends to the link, or says to groups, goes to the home agent.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// A packet from the home side to a multicast group that bears a link-local address. From such a source only Multicast
    /// Listener Discovery goes to groups beyond the link, since a report is sent to the group itself (RFC 2710, 3).
    /// - Returns: whether it is that.
    @inline(never)
    mutating func isListenerMessage(_ view: IPv6View) throws(DropReason) -> Bool {
        var isListenerMessage = false
        if let upper = try? view.upperLayer(), upper.protocol == IPProtocol.icmpv6, !upper.isLaterFragment,
            upper.offset < view.totalLength, view.hopLimit == 1
        {
            isListenerMessage = ICMPv6.isListenerDiscovery(view.start.byte(upper.offset))
        }
        guard view.destination.isLinkLocalMulticast || isListenerMessage else { throw .linkLocal }
        return isListenerMessage
    }

    /// At a mobile node, the tunnel by which a multicast packet of the home side goes: by way of the home address what is
    /// of the link, and what says who listens (RFC 5454, 3.3.3); the rest as all that lies behind the home agent.
    @inline(never)
    mutating func findHomeAgent(of pending: UnsafeMutablePointer<PendingPacket>) {
        let work = pending.pointee
        let isOfLink = work.address.isLinkLocalMulticast || work.isListenerMessage
        let found = prefixes.lookup(isOfLink ? IPv6Prefix.linkLocal.address : work.address)
        guard found != PrefixTable.noValue else { return }
        let reference = BindingReference(rawValue: found)
        let record = records + reference.record
        guard record.pointee.isMobileNode else { return }
        if isOfLink {
            guard record.pointee.homeAddress != .unspecified,
                work.isListenerMessage || (work.isLinkLocal && record.pointee.traits.contains(.carriesLinkLocal))
            else { return }
            let number = UInt32(truncatingIfNeeded: reference.record)
            let usesHomeAddress = !record.pointee.startsAtHomeAddress
            pending.pointee.record = BindingReference(number, usesHomeAddress: usesHomeAddress).rawValue
        } else {
            pending.pointee.record = found
        }
        pending.pointee.lookup = .prefix
    }

    /// A packet out of a tunnel with a multicast destination, or a link-local address.
    /// - Parameters:
    ///   - homeAddress: where it comes from or, if `isByHomeAddressAtNode`, what it comes to, if that is a home address.
    ///   - isByHomeAddressAtNode: whether it comes from the home agent of a mobile node, which is this side, by way of the
    ///     home address.
    ///   - endpoint: where the tunnel ends.
    @inline(never)
    mutating func classifyOfLink(
        _ inner: IPv6View, homeAddress: IPv4Address, isByHomeAddressAtNode: Bool, endpoint: IPv4Address
    ) throws(DropReason) -> PendingPacket {
        let isAtNode = isByHomeAddressAtNode || isNode(at: endpoint, of: homeAddress)
        let (source, destination) = (inner.source, inner.destination)
        let upper = try inner.upperLayer()
        let isICMPv6 = upper.protocol == IPProtocol.icmpv6 && !upper.isLaterFragment
        let type = isICMPv6 && upper.offset < inner.totalLength ? inner.start.byte(upper.offset) : nil
        let isListenerMessage = type.map(ICMPv6.isListenerDiscovery) ?? false
        if isListenerMessage, !isAtNode, source.isLinkLocal || source.isUnspecified {
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
        // A home agent asks who listens to a group by a message to that group (RFC 2710, 3).
        let isOfLink =
            destination.isLinkLocal || destination.isLinkLocalMulticast || (isListenerMessage && source.isLinkLocal)
        guard source.isLinkLocal == isOfLink else { throw .linkLocal }
        if isOfLink, let type, ICMPv6.isNeighborDiscovery(type), inner.hopLimit != 255 {
            throw .neighborHopLimit
        }
        if isListenerMessage, isOfLink, isByHomeAddressAtNode {
            // By the home address too: who listens is asked by way of it, whichever way prefixes come (RFC 5454, 3.3.3).
            var pending = PendingPacket(
                to: IPv6Address(mapping: homeAddress), isIPv4: false, length: inner.totalLength)
            pending.lookup = .nodeAddress
            pending.isListenerMessage = true
            return pending
        }
        var pending = PendingPacket(to: source, isIPv4: false, length: inner.totalLength)
        pending.isLinkLocal = isOfLink
        return pending
    }

    /// Whether there is the home address of a mobile node, which is this side, with that home agent.
    @inline(__always)
    private mutating func isNode(at address: IPv4Address, of homeAgent: IPv4Address) -> Bool {
        let found = nodeAddresses.lookup(address)
        return found != PrefixTable.noValue
            && records[BindingReference(rawValue: found).record].careOfAddress == homeAgent
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

    /// The packet of a node that may send it: for the control plane, for the tunnel's own end, or for the home device. At
    /// the node what its home agent asks is the home device's.
    @inline(never)
    mutating func takeOfLink(_ packet: inout Packet, _ work: PendingPacket, _ record: UnsafePointer<BindingRecord>) {
        if work.isListenerMessage {
            if record.pointee.isMobileNode { return transmit(&packet, to: .home) }
            do throws(DropReason) {
                try punt(
                    &packet, .multicastListener, from: work.outerSource, homeAddress: record.pointee.homeAddress)
            } catch {
                drop(&packet, error)
            }
            return
        }
        let usesHomeAddress = BindingReference(rawValue: work.record).usesHomeAddress
        let own = record.pointee.linkLocalAddress(usesHomeAddress: usesHomeAddress)
        guard let solicitation = NeighborSolicitationView(packet.bytes), solicitation.target == own else {
            return transmit(&packet, to: .home)
        }
        let source = solicitation.source
        // Whoever asks from the address that is asked for is answered to nobody.
        guard source != own else { return drop(&packet, .innerSourceInvalid) }
        packet.length = NeighborAdvertisement.length
        NeighborAdvertisement(target: own, isRouter: isRouter).write(to: packet.start, destination: source)
        count(CounterIndex.absorbed)
        count(CounterIndex.generated, .access)
        // It is small and may not be fragmented, so its identification says nothing (RFC 6864, 4.1).
        let length = record.writeHeaders(
            before: packet.start, innerLength: packet.length, isIPv4: false, usesHomeAddress: usesHomeAddress,
            innerTrafficClass: TrafficClass(rawValue: 0), dontFragment: IPv4.dontFragment, identification: 0)
        packet.prepend(length)
        if finishGREIfNeeded(&packet, record) { transmit(&packet, to: .access) }
    }
}

extension BindingRecord {
    /// The link-local address of this end of a tunnel (RFC 4213, 3.7).
    func linkLocalAddress(usesHomeAddress: Bool) -> IPv6Address {
        IPv6Address(linkLocalOf: usesHomeAddress ? middleSource : endpoint)
    }
}

// The first stage: what kind of packet this is, whether its headers are whole, and by which address its binding is found.
// A packet from the access side is opened here, down to the packet that a node sent.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// - Parameter pending: is made where the packet needs a binding.
    /// - Returns: whether it does.
    @inline(__always)
    mutating func classify(
        _ packet: inout Packet, into pending: UnsafeMutablePointer<PendingPacket>
    ) -> Bool {
        guard packet.length > 0 else { return receivedAndDropped(&packet, .empty) }
        let version = UnsafeRawPointer(packet.start).byte(0) >> 4
        if singleDevice { packet.ingress = version == 4 && !isForNode(packet) ? .access : .home }
        count(CounterIndex.received, packet.ingress, by: Int(packet.segmentCount))
        count(CounterIndex.receivedBytes, packet.ingress, by: packet.length)
        if packet.isSuperFrame {
            // Every segment has headers on a wire.
            count(CounterIndex.receivedBytes, packet.ingress, by: headersOfSegments(packet))
        }
        do throws(DropReason) {
            switch (packet.ingress, version) {
            case (.home, 6): pending.initialize(to: try classifyFromHome(IPv6View(packet.bytes)))
            case (.home, 4): pending.initialize(to: try classifyFromHome(IPv4View(packet.bytes)))
            case (.access, 4): return try classifyFromAccess(&packet, IPv4View(packet.bytes), into: pending)
            case (.access, 6): throw .ipv6NotCarried
            default: throw .notIP
            }
            return true
        } catch {
            drop(&packet, error)
            return false
        }
    }

    private mutating func receivedAndDropped(_ packet: inout Packet, _ reason: DropReason) -> Bool {
        count(CounterIndex.received, packet.ingress)
        drop(&packet, reason)
        return false
    }

    /// On a device that serves both sides: whether an IPv4 packet is for a node's home address, or a network.
    @inline(never)
    private mutating func isForNode(_ packet: Packet) -> Bool {
        guard packet.length >= IPv4.minimumHeaderLength else { return false }
        let destination = IPv4Address(
            rawValue: UnsafeRawPointer(packet.start).networkUInt32(at: IPv4.Offset.destination))
        if homeAddresses.lookup(destination) != PrefixTable.noValue { return true }
        // A network may hold the endpoint itself.
        return knowsNetworks && networks.lookup(IPv6Address(mapping: destination)) != PrefixTable.noValue
            && !isTunnelEnd(destination)
    }

    // MARK: From the home side

    @inline(__always)
    private mutating func classifyFromHome(_ view: IPv6View) throws(DropReason) -> PendingPacket {
        let destination = view.destination
        var pending = PendingPacket(to: destination, isIPv4: false, length: view.totalLength)
        if destination.isMulticast {
            guard destination.multicastScope >= IPv6Address.linkLocalScope else { throw .multicastNotCarried }
            pending.lookup = .group
            if destination.isLinkLocalMulticast || view.source.isLinkLocal {
                pending.isLinkLocal = view.source.isLinkLocal
                pending.isListenerMessage = try isListenerMessage(view)
            }
        } else if destination.isLinkLocal || view.source.isLinkLocal {
            guard destination.isLinkLocal, view.source.isLinkLocal else { throw .linkLocal }
            pending.isLinkLocal = true
        }
        return pending
    }

    @inline(__always)
    private func classifyFromHome(_ view: IPv4View) throws(DropReason) -> PendingPacket {
        let destination = view.destination
        guard destination.isUnicastSource else { throw .multicastNotCarried }
        guard view.timeToLive > 0 else { throw .timeToLiveZero }
        return PendingPacket(to: IPv6Address(mapping: destination), isIPv4: true, length: view.totalLength)
    }

    // MARK: From the access side

    @inline(__always)
    private mutating func classifyFromAccess(
        _ packet: inout Packet, _ view: IPv4View, into pending: UnsafeMutablePointer<PendingPacket>
    ) throws(DropReason) -> Bool {
        var outer = view
        guard outer.source.isUnicastSource else { throw .outerSourceInvalid }
        if packet.isSuperFrame, !mayComeWhole(packet, outer) { throw .superFrameMalformed }
        if outer.isFragment {
            guard try reassemble(&packet, outer, ecn: outer.trafficClass.ecn, via: .unspecified) else { return false }
            outer = try IPv4View(packet.bytes)
        }
        let (source, destination, outerClass) = (outer.source, outer.destination, outer.trafficClass)
        let opened: OpenedTunnel
        switch outer.protocol {
        case IPProtocol.ipv6, IPProtocol.ipv4: opened = DirectTunnel.open(outer)
        case IPProtocol.gre: opened = try GRETunnel.open(outer.payload)
        case IPProtocol.udp where UDPTunnel.isTunnel(outer) || isTunnelToOwnPort(outer):
            opened = try UDPTunnel.open(packet.start, outer)
        case IPProtocol.minimal: opened = try MinimalTunnel.open(packet.start, outer, outer.payload)
        default:
            try takeOwn(&packet, outer)
            return false
        }
        guard
            try classifyInner(
                &packet, opened, outerECN: outerClass.ecn, outerSource: source, endpoint: destination, into: pending)
        else { return false }
        if packet.isSuperFrame, !isWhole(packet, pending.pointee) { throw .superFrameMalformed }
        pending.pointee.isFromTunnel = true
        pending.pointee.form = opened.form
        pending.pointee.outerClass = outerClass.rawValue
        pending.pointee.outerSource = source
        pending.pointee.outerDestination = destination
        if opened.form.isGRE {
            pending.pointee.key = opened.key ?? 0
            pending.pointee.hasKey = opened.key != nil
            pending.pointee.sequence = opened.sequence ?? 0
            pending.pointee.hasSequence = opened.sequence != nil
        }
        if opened.form.isUDP {
            pending.pointee.port = opened.port
            pending.pointee.isToOwnPort = opened.isToOwnPort
        }
        return true
    }

    /// Whether a UDP packet is Mobile Tunnel Data of a home agent to a port that a mobile node has chosen.
    @inline(never)
    private mutating func isTunnelToOwnPort(_ outer: IPv4View) -> Bool {
        guard UDPTunnel.isTunnelFromHomeAgent(outer) else { return false }
        let found = careOfAddresses.lookup(outer.source)
        return found != PrefixTable.noValue && records[BindingReference(rawValue: found).record].isMobileNode
    }

    /// What is in no tunnel: messages to the endpoint itself.
    @inline(never)
    private mutating func takeOwn(_ packet: inout Packet, _ outer: IPv4View) throws(DropReason) {
        guard isTunnelEnd(outer.destination) else { throw .notForEndpoint }
        switch outer.protocol {
        case IPProtocol.icmpv4:
            let message = try ICMPv4View(outer.payload)
            if !relayPathError(&packet, message) { try answerEcho(&packet, outer, message) }
        case IPProtocol.udp where UDPTunnel.isMobileIP(outer):
            _ = try UDPView(outer.payload)
            packet.length = outer.totalLength
            try punt(&packet, .mobileIP, from: outer.source, homeAddress: .unspecified)
        default: throw .unsupportedProtocol
        }
    }

    /// The packet inside, or inside of that where it comes from a home address (RFC 5454, 3.3.2). It counts by its own
    /// length; what lies behind it is padding (RFC 4213, 3.6).
    /// - Returns: false where it waits for other fragments.
    @inline(__always)
    private mutating func classifyInner(
        _ packet: inout Packet, _ opened: OpenedTunnel, outerECN: ECN, outerSource: IPv4Address, endpoint: IPv4Address,
        into pending: UnsafeMutablePointer<PendingPacket>
    ) throws(DropReason) -> Bool {
        guard let first = opened.inner.first, first >> 4 == (opened.protocol == IPProtocol.ipv6 ? 6 : 4) else {
            throw .innerVersion
        }
        if opened.protocol == IPProtocol.ipv6 {
            let inner = try IPv6View(opened.inner)
            pending.initialize(to: try classifyInner(inner, homeAddress: outerSource, endpoint: endpoint))
            pending.pointee.innerOffset = UInt16(truncatingIfNeeded: inner.start - UnsafeRawPointer(packet.start))
            return true
        }
        var inner = try IPv4View(opened.inner)
        let source = inner.source
        guard source.isUnicastSource else { throw .innerSourceInvalid }
        guard inner.timeToLive > 0 else { throw .timeToLiveZero }
        if inner.protocol == IPProtocol.ipv6,
            let (homeAddress, isAtNode) = homeTunnel(of: inner, source, endpoint: endpoint)
        {
            if inner.isFragment {
                guard !packet.isSuperFrame else { throw .superFrameMalformed }
                // Each has its own tunnel header, whose congestion is not to be lost (RFC 6040, 4.2).
                guard let ecn = ECN.decapsulated(inner: inner.trafficClass.ecn, outer: outerECN) else {
                    throw .ecnNotCapable
                }
                guard try reassemble(&packet, inner, ecn: ecn, via: outerSource, tunnel: opened.identity) else {
                    guard opened.sequence != nil else { return false }
                    pending.initialize(
                        to: PendingPacket(to: IPv6Address(mapping: homeAddress), isIPv4: true, length: 0))
                    if isAtNode { pending.pointee.lookup = .nodeAddress }
                    pending.pointee.homeAddress = homeAddress
                    pending.pointee.isAtNode = isAtNode
                    pending.pointee.isHeldFragment = true
                    return true
                }
                inner = try IPv4View(packet.bytes)
            }
            guard let first = inner.payload.first, first >> 4 == 6 else { throw .innerVersion }
            let innermost = try IPv6View(inner.payload)
            pending.initialize(
                to: try classifyInner(innermost, homeAddress: homeAddress, isAtNode: isAtNode, endpoint: endpoint))
            pending.pointee.homeAddress = homeAddress
            pending.pointee.isAtNode = isAtNode
            pending.pointee.middleClass = inner.trafficClass.rawValue
            pending.pointee.innerOffset = UInt16(truncatingIfNeeded: innermost.start - UnsafeRawPointer(packet.start))
            return true
        }
        guard inner.destination.isUnicastSource else { throw .multicastNotCarried }
        pending.initialize(
            to: PendingPacket(to: IPv6Address(mapping: source), isIPv4: true, length: inner.totalLength))
        pending.pointee.innerOffset = UInt16(truncatingIfNeeded: inner.start - UnsafeRawPointer(packet.start))
        return true
    }

    /// Whether a header between the outer one and the packet inside is one by way of the home address (RFC 5454, 3.3.2):
    /// from there to an endpoint, or to a mobile node's from its home agent.
    /// - Returns: that home address, and whether it is this side's own; nil where the packet is IPv4 as any other.
    @inline(__always)
    private mutating func homeTunnel(
        of middle: IPv4View, _ source: IPv4Address, endpoint: IPv4Address
    ) -> (homeAddress: IPv4Address, isAtNode: Bool)? {
        let destination = middle.destination
        if destination == endpoint || isEndpoint(destination) { return (source, false) }
        let found = nodeAddresses.lookup(destination)
        guard found != PrefixTable.noValue,
            records[BindingReference(rawValue: found).record].careOfAddress == source
        else { return nil }
        return (destination, true)
    }

    /// - Parameters:
    ///   - homeAddress: where the packet comes from or, if `isAtNode`, what it comes to, if that is a home address.
    ///   - isAtNode: whether it comes to a mobile node, which is this side.
    @inline(__always)
    private mutating func classifyInner(
        _ inner: IPv6View, homeAddress: IPv4Address, isAtNode: Bool = false, endpoint: IPv4Address
    ) throws(DropReason) -> PendingPacket {
        let source = inner.source
        if source.isLinkLocal || inner.destination.isLinkLocal || inner.destination.isMulticast {
            return try classifyOfLink(
                inner, homeAddress: homeAddress, isByHomeAddressAtNode: isAtNode, endpoint: endpoint)
        }
        if source.isForbiddenTunnelSource { throw .innerSourceInvalid }
        return PendingPacket(to: source, isIPv4: false, length: inner.totalLength)
    }

    /// Puts a fragment to the others of its datagram; where it was the last one missing the datagram takes its place.
    /// - Returns: whether it was.
    @inline(never)
    private mutating func reassemble(
        _ packet: inout Packet, _ fragment: IPv4View, ecn: ECN, via: IPv4Address, tunnel: UInt64 = 0
    ) throws(DropReason) -> Bool {
        let outcome = try reassembler.take(
            fragment, ecn: ecn, via: via, tunnel: tunnel, now: now, memory: &datagramMemory)
        counters[CounterIndex.reassemblyFailures] = reassembler.failures
        switch outcome {
        case .held:
            count(CounterIndex.absorbed)
            packet.verdict = .release
            return false
        case .complete(let start, let length):
            packet.start = start
            packet.length = length
            return true
        }
    }
}

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
        _ packet: inout Packet, into pending: UnsafeMutablePointer<PendingPacket>, now: UInt64
    ) -> Bool {
        guard packet.length > 0 else { return receivedAndDropped(&packet, .empty) }
        let version = UnsafeRawPointer(packet.start).byte(0) >> 4
        if singleDevice { packet.ingress = version == 4 && !isForNode(packet) ? .access : .home }
        count(CounterIndex.received, packet.ingress)
        count(CounterIndex.receivedBytes, packet.ingress, by: packet.length)
        do throws(DropReason) {
            switch (packet.ingress, version) {
            case (.home, 6): pending.initialize(to: try classifyFromHome(IPv6View(packet.bytes)))
            case (.home, 4): pending.initialize(to: try classifyFromHome(IPv4View(packet.bytes)))
            case (.access, 4): return try classifyFromAccess(&packet, IPv4View(packet.bytes), into: pending, now: now)
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

    /// On a device that serves both sides: whether an IPv4 packet is for a node's home address.
    @inline(never)
    private func isForNode(_ packet: Packet) -> Bool {
        guard packet.length >= IPv4.minimumHeaderLength else { return false }
        let destination = IPv4Address(
            rawValue: UnsafeRawPointer(packet.start).networkUInt32(at: IPv4.Offset.destination))
        return homeAddresses.lookup(IPv6Address(mapping: destination)) != PrefixTable.noValue
    }

    // MARK: From the home side

    @inline(__always)
    private func classifyFromHome(_ view: IPv6View) throws(DropReason) -> PendingPacket {
        let destination = view.destination
        if destination.isMulticast { throw .multicastNotCarried }
        if destination.isLinkLocal || view.source.isLinkLocal { throw .linkLocal }
        return PendingPacket(to: destination, isIPv4: false, length: view.totalLength)
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
        _ packet: inout Packet, _ outer: IPv4View, into pending: UnsafeMutablePointer<PendingPacket>, now: UInt64
    ) throws(DropReason) -> Bool {
        if outer.isFragment { throw .outerFragment }
        let (source, destination, outerClass) = (outer.source, outer.destination, outer.trafficClass)
        guard source.isUnicastSource else { throw .outerSourceInvalid }
        let opened: OpenedTunnel
        switch outer.protocol {
        case IPProtocol.ipv6, IPProtocol.ipv4: opened = DirectTunnel.open(outer)
        case IPProtocol.gre: opened = try GRETunnel.open(outer)
        case IPProtocol.udp where UDPTunnel.isTunnel(outer): opened = try UDPTunnel.open(outer)
        case IPProtocol.minimal: opened = try MinimalTunnel.open(packet.start, outer)
        default:
            guard isEndpoint(destination) else { throw .notForEndpoint }
            guard outer.protocol == IPProtocol.icmpv4 else { throw .unsupportedProtocol }
            let message = try ICMPv4View(outer.payload)
            if !relayPathError(&packet, message, now: now) { try answerEcho(&packet, outer, message) }
            return false
        }
        try classifyInner(opened, endpoint: destination, into: pending)
        pending.pointee.isFromTunnel = true
        pending.pointee.form = opened.form
        pending.pointee.outerClass = outerClass.rawValue
        pending.pointee.outerSource = source
        pending.pointee.outerDestination = destination
        pending.pointee.innerOffset &+= UInt16(
            truncatingIfNeeded: opened.inner.baseAddress! - UnsafeRawPointer(packet.start))
        switch opened.form {
        case .direct, .minimal: break
        case .gre:
            pending.pointee.key = opened.key ?? 0
            pending.pointee.hasKey = opened.key != nil
            pending.pointee.sequence = opened.sequence ?? 0
            pending.pointee.hasSequence = opened.sequence != nil
        case .udp: pending.pointee.port = opened.port
        }
        return true
    }

    /// The packet inside, or inside of that where it comes from a home address (RFC 5454, 3.3.2). It counts by its own
    /// length; what lies behind it is padding (RFC 4213, 3.6).
    @inline(__always)
    private func classifyInner(
        _ opened: OpenedTunnel, endpoint: IPv4Address, into pending: UnsafeMutablePointer<PendingPacket>
    ) throws(DropReason) {
        guard let first = opened.inner.first, first >> 4 == (opened.protocol == IPProtocol.ipv6 ? 6 : 4) else {
            throw .innerVersion
        }
        if opened.protocol == IPProtocol.ipv6 {
            return pending.initialize(to: try classifyInner(IPv6View(opened.inner)))
        }
        let inner = try IPv4View(opened.inner)
        let source = inner.source
        guard source.isUnicastSource else { throw .innerSourceInvalid }
        guard inner.timeToLive > 0 else { throw .timeToLiveZero }
        if inner.protocol == IPProtocol.ipv6, inner.destination == endpoint || isEndpoint(inner.destination) {
            if inner.isFragment { throw .outerFragment }
            guard let first = inner.payload.first, first >> 4 == 6 else { throw .innerVersion }
            pending.initialize(to: try classifyInner(IPv6View(inner.payload)))
            pending.pointee.middleSource = source
            pending.pointee.middleClass = inner.trafficClass.rawValue
            pending.pointee.innerOffset = UInt16(truncatingIfNeeded: inner.headerLength)
            return
        }
        guard inner.destination.isUnicastSource else { throw .multicastNotCarried }
        pending.initialize(
            to: PendingPacket(to: IPv6Address(mapping: source), isIPv4: true, length: inner.totalLength))
    }

    @inline(__always)
    private func classifyInner(_ inner: IPv6View) throws(DropReason) -> PendingPacket {
        let source = inner.source
        if source.isForbiddenTunnelSource { throw .innerSourceInvalid }
        if source.isLinkLocal || inner.destination.isLinkLocal { throw .linkLocal }
        if inner.destination.isMulticast { throw .multicastNotCarried }
        return PendingPacket(to: source, isIPv4: false, length: inner.totalLength)
    }
}

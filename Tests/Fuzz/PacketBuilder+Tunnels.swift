// Packets into tunnels, and packets aimed at bindings: with right headers, so that what lies behind the checks of a header
// is reached. What is wrong with them comes by other changes.

import Wire

extension PacketBuilder {
    /// Gives the innermost packet a destination that the binding has, or the outermost the addresses of its tunnel.
    mutating func aim(at target: TunnelTarget) {
        layers.find(in: start, length: length)
        guard layers.count > 0 else { return }
        let index = random.below(2) == 0 ? 0 : random.below(layers.count)
        let layer = layers[index]
        let isSource = index > 0
        switch layer.kind {
        case .ipv4:
            start.storeNetwork(target.insideIPv4(using: &random), at: layer.offset + (isSource ? 12 : 16))
            if index > 0, layers[0].kind == .ipv4 {
                start.storeNetwork(target.careOfAddress, at: layers[0].offset + 12)
                start.storeNetwork(target.endpoint, at: layers[0].offset + 16)
            }
        case .ipv6:
            start.store(target.inside(using: &random), at: layer.offset + (isSource ? 8 : 24))
        default: break
        }
    }

    /// Puts the packet into the binding's tunnel.
    /// - Parameter isFromNode: as the node does, or a node's home agent, to the endpoint; else as the endpoint does.
    mutating func wrap(for target: TunnelTarget, isFromNode: Bool, isOfLink: Bool = false) {
        guard length >= 20 else { return }
        let isIPv6 = byte(0) >> 4 == 6 && length >= 40
        let ends = isFromNode ? (target.careOfAddress, target.endpoint) : (target.endpoint, target.careOfAddress)
        let byHomeAddress = isIPv6 && (isOfLink || target.isByHomeAddress(random.below(2)))
        if isIPv6, isOfLink {
            // Its addresses are those of the link.
        } else if isIPv6 {
            let address = byHomeAddress ? target.homeInside : target.careOfInside
            start.store(address, at: isFromNode ? IPv6.Offset.source : IPv6.Offset.destination)
        } else {
            start.storeNetwork(
                target.insideIPv4(using: &random), at: isFromNode ? IPv4.Offset.source : IPv4.Offset.destination)
            mendIPv4Checksum(at: 0)
        }
        if byHomeAddress {
            let home = isFromNode ? target.homeEnds : (target.homeEnds.1, target.homeEnds.0)
            guard prependIPv4(protocol: IPProtocol.ipv6, home) else { return }
            // Not in the IPv4 tunnel.
            if random.below(8) == 0 { return }
        }
        let payload = isIPv6 && !byHomeAddress ? IPProtocol.ipv6 : IPProtocol.ipv4
        var carried = payload
        switch target.kind {
        case .direct: break
        case .gre:
            guard prependGRE(target, payload) else { return }
            carried = IPProtocol.gre
        case .minimal:
            guard payload == IPProtocol.ipv4, makeMinimal() else { return }
            carried = IPProtocol.minimal
        }
        if target.isUDP {
            guard prependUDP(target, carried, isFromNode: isFromNode) else { return }
            carried = IPProtocol.udp
        }
        _ = prependIPv4(protocol: carried, ends)
    }

    private mutating func prependIPv4(protocol number: UInt8, _ ends: (UInt32, UInt32)) -> Bool {
        guard prepend(IPv4.minimumHeaderLength) else { return false }
        var header = IPv4Header(
            protocol: number, source: IPv4Address(rawValue: ends.0), destination: IPv4Address(rawValue: ends.1))
        header.totalLength = UInt16(length)
        header.trafficClass = TrafficClass(rawValue: UInt8(random.below(256)))
        header.write(to: start)
        return true
    }

    private mutating func prependGRE(_ target: TunnelTarget, _ payload: UInt8) -> Bool {
        var header = GREHeader(protocolType: payload == IPProtocol.ipv6 ? GRE.ipv6 : GRE.ipv4)
        if target.hasKey { header.key = target.key }
        if target.hasSequence {
            // In order by and large, so that packets wait for others and are waited for; seldom anywhere.
            sequence &+= UInt32(random.below(2))
            let number = sequence &+ UInt32(random.below(8))
            header.sequence = random.below(64) == 0 ? UInt32(truncatingIfNeeded: random.next()) : number
        }
        header.hasChecksum = target.hasChecksum
        guard prepend(header.length) else { return false }
        header.write(to: start)
        if header.hasChecksum { GREHeader.writeChecksum(at: start, length: length) }
        return true
    }

    private mutating func prependUDP(_ target: TunnelTarget, _ payload: UInt8, isFromNode: Bool) -> Bool {
        guard prepend(UDP.headerLength + MobileTunnelData.headerLength) else { return false }
        var header = UDPHeader(
            sourcePort: isFromNode ? target.ports.0 : target.ports.1,
            destinationPort: isFromNode ? target.ports.1 : target.ports.0)
        header.length = UInt16(length)
        header.write(to: start)
        MobileTunnelDataHeader(nextHeader: payload).write(to: start + UDP.headerLength)
        return true
    }

    /// Puts a minimal header in place of the packet's own.
    private mutating func makeMinimal() -> Bool {
        guard byte(0) == 0x45, length >= IPv4.minimumHeaderLength else { return false }
        let before = UnsafeRawPointer(start)
        let header = MinimalEncapsulationHeader(
            protocol: before.byte(IPv4.Offset.protocol),
            source: IPv4Address(rawValue: before.networkUInt32(at: IPv4.Offset.source)),
            destination: IPv4Address(rawValue: before.networkUInt32(at: IPv4.Offset.destination)))
        removeFirst(IPv4.minimumHeaderLength - header.length)
        header.write(to: start)
        return true
    }

    /// A message of the tunnel's own link, from a node by way of its home address or for it: neighbour discovery
    /// (RFC 4861), or Multicast Listener Discovery (RFC 2710) with its router alert.
    mutating func makeOfLink(_ target: TunnelTarget) {
        let end = IPv6Address(linkLocalOf: IPv4Address(rawValue: target.homeEnds.1))
        let isListener = random.below(2) == 0
        let options = isListener ? 8 : 0
        resize(IPv6.headerLength + options + 24)
        let body = start + IPv6.headerLength + options
        var header = IPv6Header(
            nextHeader: isListener ? 0 : IPProtocol.icmpv6, source: target.linkLocal, destination: end)
        header.payloadLength = UInt16(options + 24)
        header.hopLimit = isListener ? 1 : 255
        switch random.below(8) {
        case 0: header.hopLimit = 64
        case 1: header.destination = IPv6Address(high: 0xFF02 << 48, low: 1)
        case 2: header.source = IPv6Address(high: 0, low: 0)
        default: break
        }
        header.write(to: start)
        // Hop-by-hop options: a router alert for listener messages, and padding (RFC 2711).
        if isListener { (start + IPv6.headerLength).storeNetwork(0x3A00_0502_0000_0100 as UInt64, at: 0) }
        let types: UInt32 = isListener ? 0x8F84_8382 : 0x8988_8785
        body.storeNetwork(UInt64(0), at: 0)
        body.storeByte(UInt8(truncatingIfNeeded: types >> UInt32(8 * random.below(4))), at: 0)
        body.store(isListener ? TunnelTargets.group : random.below(4) == 0 ? target.linkLocal : end, at: 8)
        mend(lengths: false)
        if random.below(8) != 0 { wrap(for: target, isFromNode: true, isOfLink: true) }
    }

    /// What is in no tunnel and for the control plane: UDP to the port of Mobile IP, of no tunnel's type (RFC 5944, 3).
    mutating func makeRegistration(_ target: TunnelTarget) {
        resize(UDP.headerLength + 24 + random.below(64))
        var header = UDPHeader(sourcePort: target.port, destinationPort: MobileTunnelData.port)
        header.length = UInt16(length)
        header.write(to: start)
        start.storeByte(UInt8(1 + 2 * random.below(2)), at: UDP.headerLength)
        _ = prependIPv4(protocol: IPProtocol.udp, (target.careOfAddress, target.endpoint))
    }
}

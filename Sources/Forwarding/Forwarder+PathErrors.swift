// ICMPv4 errors about tunnel packets, from routers on the path (RFC 4213, 3.4; RFC 2003, 4): where enough of the packet
// is quoted, its source is told by an error of its own family, made in the slot of the one that came. What is quoted may
// be cut off anywhere and is anybody's claim, so it must be of a packet that this forwarder would send to that care-of
// address; and such errors are limited in rate like all others.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// Turns an ICMPv4 error into one to the source of the packet that was in the tunnel, and learns the path's MTU of it.
    /// - Returns: whether it was one that is told on, or learnt of.
    @inline(never)
    mutating func relayPathError(_ packet: inout Packet, _ message: ICMPv4View) -> Bool {
        guard let kind = PathError(message) else { return false }
        let isLearnt = learnPathMTU(kind, message.quote)
        guard let quote = QuotedTunnelPacket(message.quote, in: packet.start), isOurs(quote) else {
            if isLearnt {
                count(CounterIndex.absorbed)
                packet.verdict = .release
            }
            return isLearnt
        }
        count(CounterIndex.absorbed)
        // The error quotes as much of the packet inside as came.
        let inner = packet.start + (quote.inner.baseAddress! - UnsafeRawPointer(packet.start))
        guard quote.isIPv4 ? endpointCount > 0 : errorSource != nil, errorLimit.take(now: now) else {
            packet.verdict = .release
            count(CounterIndex.suppressedErrors)
            return true
        }
        packet.start = inner
        if quote.isIPv4 {
            let quoted = ICMPv4Error.quotedLength(of: quote.inner.count)
            packet.length = quoted
            packet.prepend(ICMPv4Error.overhead)
            kind.icmpv4Error(headerLength: quote.headerLength).write(
                to: packet.start, header: errorHeader(to: quote.source4), quotedLength: quoted)
        } else if let errorSource {
            let quoted = ICMPv6Error.quotedLength(of: quote.inner.count)
            let source = quote.source6
            packet.length = quoted
            packet.prepend(ICMPv6Error.overhead)
            kind.icmpv6Error(headerLength: quote.headerLength).write(
                to: packet.start, source: errorSource, destination: source, quotedLength: quoted)
        }
        count(CounterIndex.generated, .home)
        transmit(&packet, to: .home)
        return true
    }
}

extension Forwarder {
    /// Whether a packet that is quoted is one of a binding's, whose source may be told.
    private mutating func isOurs(_ quote: QuotedTunnelPacket) -> Bool {
        var found = quote.isIPv4 ? homeAddresses.lookup(quote.destination4) : prefixes.lookup(quote.destination6)
        if quote.isIPv4, found == PrefixTable.noValue {
            found = networks.lookup(IPv6Address(mapping: quote.destination4))
        }
        guard found != PrefixTable.noValue else { return false }
        let record = records + BindingReference(rawValue: found).record
        return record.pointee.careOfAddress == quote.outerDestination
            && record.pointee.endpoint == quote.outerSource && !quote.forbidsErrors
    }

    /// Notes what a router said of the path to a care-of address that a binding follows. The outer header is enough for
    /// that (RFC 792 promises no more than eight bytes behind it).
    private mutating func learnPathMTU(_ kind: PathError, _ quote: UnsafeRawBufferPointer) -> Bool {
        guard case .tooBig(let mtu) = kind, let outer = QuotedTunnelPacket.ipv4(quote), isTunnelEnd(outer.source),
            QuotedTunnelPacket.isTunnel(outer.protocol)
        else { return false }
        let slot = paths.lookup(outer.destination)
        guard slot != PrefixTable.noValue else { return false }
        pathMTUs[Int(slot)].lower(
            to: UInt32(mtu), packetLength: UInt32(quote.baseAddress!.networkUInt16(at: IPv4.Offset.totalLength)),
            now: now)
        return true
    }
}

/// What happened to a tunnel packet.
enum PathError {
    /// It was larger than that many bytes and could not be fragmented.
    case tooBig(mtu: Int)
    /// It could not be delivered.
    case unreachable

    /// - Returns: nil where the message is no error, or one that is not told on.
    init?(_ message: ICMPv4View) {
        switch (message.type, message.code) {
        // Network, host and protocol unreachable, and those prohibited or unknown; not port unreachable and source
        // route failed (RFC 2003, 4.1).
        case (ICMPv4.destinationUnreachable, 4):
            guard let length = QuotedTunnelPacket.outerLength(message.quote) else { return nil }
            // Routers older than RFC 1191 say 0.
            self = .tooBig(mtu: message.mtu == 0 ? Int(PathMTU.plateau(below: UInt32(length))) : Int(message.mtu))
        case (ICMPv4.destinationUnreachable, 0...2), (ICMPv4.destinationUnreachable, 6...15): self = .unreachable
        case (ICMPv4.timeExceeded, _): self = .unreachable
        default: return nil
        }
    }

    /// RFC 4213, 3.4: from the perspective of IPv6 the tunnel is a link. An MTU below IPv6's least is not told.
    func icmpv6Error(headerLength: Int) -> ICMPv6Error {
        switch self {
        case .tooBig(let mtu): .packetTooBig(mtu: UInt32(max(mtu - headerLength, IPv6.minimumMTU)))
        case .unreachable: .addressUnreachable
        }
    }

    /// RFC 2003, 4 and 5.1: what fits the tunnel is less by its headers.
    func icmpv4Error(headerLength: Int) -> ICMPv4Error {
        switch self {
        case .tooBig(let mtu):
            .fragmentationNeeded(mtu: UInt16(clamping: max(mtu - headerLength, IPv4.minimumMTU)))
        case .unreachable: .hostUnreachable
        }
    }
}

/// A tunnel packet as far as an ICMPv4 error quotes it, opened down to the packet inside.
struct QuotedTunnelPacket {
    let outerSource: IPv4Address
    let outerDestination: IPv4Address
    /// Bytes of all headers of the tunnel.
    let headerLength: Int
    /// As much of the packet inside as there is.
    let inner: UnsafeRawBufferPointer
    let isIPv4: Bool

    /// - Parameter start: of the memory that the quote lies in, where a header is put back that minimal encapsulation has
    ///   taken.
    /// - Returns: nil where the packet inside can't be told.
    init?(_ quote: UnsafeRawBufferPointer, in start: UnsafeMutableRawPointer) {
        guard let outer = Self.ipv4(quote) else { return nil }
        outerSource = outer.source
        outerDestination = outer.destination
        guard
            let carried = Self.carried(outer),
            let first = carried.protocol == IPProtocol.minimal
                ? Self.restored(outer, carried.bytes, quote, in: start) : Self.opened(carried.protocol, carried.bytes)
        else { return nil }
        var (isIPv6, inner) = first
        // By way of the home address.
        if !isIPv6, let middle = Self.ipv4(inner), middle.protocol == IPProtocol.ipv6,
            middle.source == outer.source || middle.destination == outer.destination
        {
            (isIPv6, inner) = (true, middle.payload)
        }
        guard inner.count >= (isIPv6 ? IPv6.headerLength : IPv4.minimumHeaderLength + 8),
            let start = inner.baseAddress, let origin = quote.baseAddress, start.byte(0) >> 4 == (isIPv6 ? 6 : 4)
        else { return nil }
        // What lies behind the packet inside is padding.
        let length =
            isIPv6
            ? IPv6.headerLength + Int(start.networkUInt16(at: IPv6.Offset.payloadLength))
            : max(Int(start.networkUInt16(at: IPv4.Offset.totalLength)), IPv4.minimumHeaderLength)
        self.inner = UnsafeRawBufferPointer(start: start, count: min(inner.count, length))
        isIPv4 = !isIPv6
        headerLength = start - origin
    }

    /// Whether a protocol is one of tunnels.
    static func isTunnel(_ protocol: UInt8) -> Bool {
        [IPProtocol.ipv4, IPProtocol.ipv6, IPProtocol.gre, IPProtocol.minimal, IPProtocol.udp].contains(`protocol`)
    }

    /// Of the whole outer packet that a quote begins, in bytes, as its header says.
    static func outerLength(_ quote: UnsafeRawBufferPointer) -> Int? {
        ipv4(quote) == nil ? nil : Int(quote.baseAddress!.networkUInt16(at: IPv4.Offset.totalLength))
    }

    /// The same as `opened` of minimal encapsulation (RFC 2004, 3): what was IPv6 lies behind its header; of IPv4 the
    /// header is put back before what is left of the payload.
    private static func restored(
        _ outer: Header, _ bytes: UnsafeRawBufferPointer, _ quote: UnsafeRawBufferPointer,
        in memory: UnsafeMutableRawPointer
    ) -> (isIPv6: Bool, UnsafeRawBufferPointer)? {
        guard let start = bytes.baseAddress, bytes.count >= MinimalEncapsulation.shortHeaderLength,
            outer.payload.baseAddress! - quote.baseAddress! == IPv4.minimumHeaderLength
        else { return nil }
        let length =
            start.byte(1) & 0x80 != 0
            ? MinimalEncapsulation.longHeaderLength : MinimalEncapsulation.shortHeaderLength
        guard bytes.count > length else { return nil }
        if start.byte(0) == IPProtocol.ipv6 {
            return (true, UnsafeRawBufferPointer(rebasing: bytes[length...]))
        }
        // What stands before the payload when the header is back, and did not before.
        let growth = start - quote.baseAddress! + length - IPv4.minimumHeaderLength
        // Read before it is written over.
        let source =
            length == MinimalEncapsulation.longHeaderLength ? start.networkUInt32(at: 8) : outer.source.rawValue
        let (destination, protocolNumber) = (start.networkUInt32(at: 4), start.byte(0))
        let totalLength = quote.baseAddress!.networkUInt16(at: IPv4.Offset.totalLength)
        guard Int(totalLength) > IPv4.minimumHeaderLength + growth else { return nil }
        let header = memory + (quote.baseAddress! - UnsafeRawPointer(memory)) + growth
        header.copyMemory(from: quote.baseAddress!, byteCount: IPv4.Offset.checksum)
        header.storeNetwork(totalLength - UInt16(growth), at: IPv4.Offset.totalLength)
        header.storeByte(protocolNumber, at: IPv4.Offset.protocol)
        header.storeNetwork(source, at: IPv4.Offset.source)
        header.storeNetwork(destination, at: IPv4.Offset.destination)
        IPv4Header.writeChecksum(at: header)
        return (false, UnsafeRawBufferPointer(start: header, count: quote.count - growth))
    }

    /// What an outer header carries, out of UDP where it is in that; nil where that is no tunnel's.
    private static func carried(_ outer: Header) -> (protocol: UInt8, bytes: UnsafeRawBufferPointer)? {
        guard outer.protocol == IPProtocol.udp else { return (outer.protocol, outer.payload) }
        guard let start = outer.payload.baseAddress, outer.payload.count > UDPTunnel.headerLength,
            start.networkUInt16(at: UDP.Offset.sourcePort) == MobileTunnelData.port
                || start.networkUInt16(at: UDP.Offset.destinationPort) == MobileTunnelData.port,
            start.byte(UDP.headerLength) == MobileTunnelData.type
        else { return nil }
        return (
            start.byte(UDP.headerLength + MobileTunnelData.nextHeaderOffset),
            UnsafeRawBufferPointer(rebasing: outer.payload[UDPTunnel.headerLength...])
        )
    }

    /// The family and the bytes of what lies in a tunnel; nil for what is no tunnel, and for minimal encapsulation, of
    /// which `restored` tells.
    private static func opened(
        _ protocol: UInt8, _ bytes: UnsafeRawBufferPointer
    ) -> (isIPv6: Bool, UnsafeRawBufferPointer)? {
        switch `protocol` {
        case IPProtocol.ipv6: return (true, bytes)
        case IPProtocol.ipv4: return (false, bytes)
        case IPProtocol.gre:
            // A checksum can't be verified over a part.
            guard let start = bytes.baseAddress, bytes.count >= GRE.minimumHeaderLength else { return nil }
            let (flags, type) = (start.networkUInt16(at: 0), start.networkUInt16(at: 2))
            let optional = flags & (GRE.Flag.checksum | GRE.Flag.key | GRE.Flag.sequence)
            let length = GRE.minimumHeaderLength + 4 * optional.nonzeroBitCount
            guard bytes.count > length, type == GRE.ipv4 || type == GRE.ipv6 else { return nil }
            return (type == GRE.ipv6, UnsafeRawBufferPointer(rebasing: bytes[length...]))
        default: return nil
        }
    }

    /// An IPv4 header of which all or less than its payload is there. Its checksum counts hops that were taken since.
    struct Header {
        let source: IPv4Address
        let destination: IPv4Address
        let `protocol`: UInt8
        let payload: UnsafeRawBufferPointer
    }

    static func ipv4(_ bytes: UnsafeRawBufferPointer) -> Header? {
        guard let start = bytes.baseAddress, bytes.count >= IPv4.minimumHeaderLength, start.byte(0) >> 4 == 4 else {
            return nil
        }
        let headerLength = Int(start.byte(0) & 0xF) * 4
        guard headerLength >= IPv4.minimumHeaderLength, bytes.count > headerLength,
            start.networkUInt16(at: IPv4.Offset.fragment) & 0x1FFF == 0
        else { return nil }
        return Header(
            source: IPv4Address(rawValue: start.networkUInt32(at: IPv4.Offset.source)),
            destination: IPv4Address(rawValue: start.networkUInt32(at: IPv4.Offset.destination)),
            protocol: start.byte(IPv4.Offset.protocol),
            payload: UnsafeRawBufferPointer(rebasing: bytes[headerLength...])
        )
    }

    // MARK: The packet inside

    var source4: IPv4Address { IPv4Address(rawValue: inner.baseAddress!.networkUInt32(at: IPv4.Offset.source)) }
    var source6: IPv6Address { inner.baseAddress!.ipv6Address(at: IPv6.Offset.source) }

    var destination4: IPv4Address {
        IPv4Address(rawValue: inner.baseAddress!.networkUInt32(at: IPv4.Offset.destination))
    }
    var destination6: IPv6Address { inner.baseAddress!.ipv6Address(at: IPv6.Offset.destination) }

    /// Whether its source must not be told: it is no single host, or the packet is an error itself (RFC 4443, 2.4 e;
    /// RFC 1812, 4.3.2.7).
    var forbidsErrors: Bool {
        let start = inner.baseAddress!
        if isIPv4 {
            let headerLength = Int(start.byte(0) & 0xF) * 4
            guard source4.isUnicastSource, start.networkUInt16(at: IPv4.Offset.fragment) & 0x1FFF == 0,
                headerLength >= IPv4.minimumHeaderLength, inner.count > headerLength
            else { return true }
            guard start.byte(IPv4.Offset.protocol) == IPProtocol.icmpv4 else { return false }
            return ![ICMPv4.echoRequest, ICMPv4.echoReply].contains(start.byte(headerLength))
        }
        guard !source6.isForbiddenTunnelSource, !source6.isLinkLocal else { return true }
        guard start.byte(IPv6.Offset.nextHeader) == IPProtocol.icmpv6 else { return false }
        guard inner.count > IPv6.headerLength else { return true }
        let type = start.byte(IPv6.headerLength)
        return type < 128 || type == ICMPv6.redirect
    }
}

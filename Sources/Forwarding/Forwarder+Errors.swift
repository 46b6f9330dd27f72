// ICMP errors to those whose packets could not go into a tunnel, at a bounded rate, made in the packet's own slot.

import PacketBuffer
import Wire

extension Forwarder {
    /// Drops a packet from the home side and tells its source why, where the reason has an error and the RFCs allow one.
    /// - Parameter mtu: what is told where the packet is too big.
    @inline(never)
    mutating func answer(
        _ packet: inout Packet, dropped reason: DropReason, _ work: PendingPacket, mtu: UInt32
    ) {
        drop(&packet, reason)
        guard reason == .packetTooBig || reason == .noBinding else { return }
        if work.isIPv4 {
            answer(
                &packet, innerLength: Int(work.innerLength),
                reason == .noBinding ? .hostUnreachable : .fragmentationNeeded(mtu: UInt16(truncatingIfNeeded: mtu)))
        } else {
            answer(
                &packet, innerLength: Int(work.innerLength),
                reason == .noBinding ? .noRoute : .packetTooBig(mtu: mtu))
        }
    }

    private mutating func answer(_ packet: inout Packet, innerLength: Int, _ error: ICMPv6Error) {
        guard let view = try? IPv6View(UnsafeRawBufferPointer(start: packet.start, count: innerLength)),
            Self.mayBeAnsweredWithError(view)
        else { return }
        guard let errorSource, errorLimit.take(now: now) else { return count(CounterIndex.suppressedErrors) }
        let source = view.source
        let quoted = ICMPv6Error.quotedLength(of: innerLength)
        packet.length = quoted
        packet.prepend(ICMPv6Error.overhead)
        error.write(to: packet.start, source: errorSource, destination: source, quotedLength: quoted)
        count(CounterIndex.generated, .home)
        transmit(&packet, to: .home)
    }

    /// RFC 4443, 2.4 e: not to what is no single node, and not about an error or a redirect.
    private static func mayBeAnsweredWithError(_ view: IPv6View) -> Bool {
        guard !view.source.isForbiddenTunnelSource, let upper = try? view.upperLayer(), !upper.isLaterFragment else {
            return false
        }
        guard upper.protocol == IPProtocol.icmpv6 else { return true }
        let message = UnsafeRawBufferPointer(start: view.start + upper.offset, count: view.totalLength - upper.offset)
        guard let icmp = try? ICMPv6View(message) else { return false }
        return !icmp.forbidsErrors
    }

    private mutating func answer(_ packet: inout Packet, innerLength: Int, _ error: ICMPv4Error) {
        guard let view = try? IPv4View(UnsafeRawBufferPointer(start: packet.start, count: innerLength)),
            Self.mayBeAnsweredWithError(view)
        else { return }
        guard endpointCount > 0, errorLimit.take(now: now) else { return count(CounterIndex.suppressedErrors) }
        let header = errorHeader(to: view.source)
        let quoted = ICMPv4Error.quotedLength(of: innerLength)
        packet.length = quoted
        packet.prepend(ICMPv4Error.overhead)
        error.write(to: packet.start, header: header, quotedLength: quoted)
        count(CounterIndex.generated, .home)
        transmit(&packet, to: .home)
    }

    /// Of an ICMPv4 error that the first endpoint sends.
    mutating func errorHeader(to destination: IPv4Address) -> IPv4Header {
        var header = IPv4Header(protocol: IPProtocol.icmpv4, source: endpoints[0], destination: destination)
        // RFC 1812, 4.3.2.5: an error has precedence.
        header.trafficClass = TrafficClass(rawValue: 0xC0)
        header.identification = nextIdentification(to: destination)
        header.timeToLive = timeToLive
        return header
    }

    /// RFC 1812, 4.3.2.7: not to what is no single host, not about a later fragment, and not about an error.
    private static func mayBeAnsweredWithError(_ view: IPv4View) -> Bool {
        guard view.source.isUnicastSource, !view.isLaterFragment else { return false }
        guard view.protocol == IPProtocol.icmpv4 else { return true }
        guard let type = view.payload.first else { return false }
        return type == ICMPv4.echoRequest || type == ICMPv4.echoReply
    }
}

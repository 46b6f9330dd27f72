// A packet of TCP or UDP straight behind an IP header without options: what may be joined with its neighbours in its flow
// into a super-frame, by rules under which cutting that gives the same packets again (linux: tcp_gro_receive,
// udp_gro_receive; net/ipv4/af_inet.c, net/ipv6/ip6_offload.c).

/// A segment of TCP or a datagram of UDP with its IP header, to read.
public struct FlowSegment: BitwiseCopyable {
    /// The first byte of the IP header.
    public let start: UnsafeRawPointer
    /// Whether that is IPv4.
    public let isIPv4: Bool
    /// Whether it is TCP; else UDP.
    public let isTCP: Bool
    /// Of all headers, in bytes.
    public let headerLength: Int
    /// In bytes.
    public let payloadLength: Int

    /// - Parameters:
    ///   - start: of a whole IP packet.
    ///   - length: of it, in bytes, as its header says.
    /// - Returns: nil where it is something else, a fragment, or has options or extension headers.
    @inlinable @inline(__always)
    public init?(_ start: UnsafeRawPointer, length: Int, isIPv4: Bool) {
        let number: UInt8
        if isIPv4 {
            guard start.byte(0) == 0x45,
                start.networkUInt16(at: IPv4.Offset.fragment) & ~IPv4.dontFragment == 0
            else { return nil }
            number = start.byte(IPv4.Offset.protocol)
        } else {
            number = start.byte(IPv6.Offset.nextHeader)
        }
        let transportOffset = isIPv4 ? IPv4.minimumHeaderLength : IPv6.headerLength
        switch number {
        case IPProtocol.tcp:
            guard length >= transportOffset &+ TCP.minimumHeaderLength else { return nil }
            let transportLength = TCP.headerLength(at: start + transportOffset)
            guard transportLength >= TCP.minimumHeaderLength, transportOffset &+ transportLength <= length else {
                return nil
            }
            isTCP = true
            headerLength = transportOffset &+ transportLength
        case IPProtocol.udp:
            guard length >= transportOffset &+ UDP.headerLength,
                Int(start.networkUInt16(at: transportOffset &+ UDP.Offset.length)) == length &- transportOffset
            else { return nil }
            isTCP = false
            headerLength = transportOffset &+ UDP.headerLength
        default: return nil
        }
        self.start = start
        self.isIPv4 = isIPv4
        payloadLength = length &- headerLength
    }

    /// Where the header of TCP or UDP begins.
    @inlinable @inline(__always)
    public var transportOffset: Int { isIPv4 ? IPv4.minimumHeaderLength : IPv6.headerLength }

    /// The same.
    @inlinable @inline(__always)
    public var transport: UnsafeRawPointer { start + transportOffset }

    /// A number for both addresses of a packet, the same for all of its flows.
    @inlinable @inline(__always)
    public static func addressDigest(_ start: UnsafeRawPointer, isIPv4: Bool) -> UInt64 {
        let words = start.loadUnaligned(
            fromByteOffset: isIPv4 ? IPv4.Offset.source : IPv6.Offset.source, as: UInt64.self)
        guard !isIPv4 else { return words &* 0x9E37_79B9_7F4A_7C15 }
        var digest = words
        for offset in stride(from: IPv6.Offset.source + 8, to: IPv6.headerLength, by: 8) {
            digest = (digest << 13 | digest >> 51) ^ start.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        }
        return digest &* 0x9E37_79B9_7F4A_7C15
    }

    /// Both ports.
    @inlinable @inline(__always)
    public var ports: UInt32 { transport.loadUnaligned(as: UInt32.self) }

    /// Of TCP.
    @inlinable @inline(__always)
    public var sequence: UInt32 { transport.networkUInt32(at: TCP.Offset.sequence) }

    /// Of TCP: whether it is to be handed over at once, and nothing is to be joined behind it.
    @inlinable @inline(__always)
    public var pushes: Bool { transport.byte(TCP.Offset.flags) & TCP.Flag.push != 0 }

    /// Of IPv4.
    @inlinable @inline(__always)
    public var identification: UInt16 { start.networkUInt16(at: IPv4.Offset.identification) }

    /// Whether fragments can be made of it, so that its identification says which belong together (RFC 6864, 4).
    @inlinable @inline(__always)
    public var mayBeFragmented: Bool {
        isIPv4 && start.networkUInt16(at: IPv4.Offset.fragment) & IPv4.dontFragment == 0
    }

    /// Whether it says nothing beside its payload: of TCP what is urgent, opens or ends a connection goes by itself, and a
    /// reduced window, which cutting would say of the first segment alone.
    @inlinable @inline(__always)
    public var mayBeJoined: Bool {
        guard payloadLength > 0 else { return false }
        if isTCP {
            return transport.byte(TCP.Offset.flags) & ~(TCP.Flag.push | TCP.Flag.congestionEcho)
                == TCP.Flag.acknowledgment
        }
        return transport.networkUInt16(at: UDP.Offset.checksum) != 0
    }

    /// Whether both are of the same flow. The versions of IP are.
    @inlinable @inline(__always)
    public func isSameFlow(as other: UnsafeRawPointer) -> Bool {
        let number = isIPv4 ? IPv4.Offset.protocol : IPv6.Offset.nextHeader
        guard start.byte(number) == other.byte(number),
            ports == (other + transportOffset).loadUnaligned(as: UInt32.self)
        else { return false }
        let first = isIPv4 ? IPv4.Offset.source : IPv6.Offset.source
        for offset in stride(from: first, to: transportOffset, by: 8)
        where !isEqual(to: other, at: offset, as: UInt64.self) { return false }
        return true
    }

    /// Whether nothing in its headers is another than in those of a packet of its flow, but for what differs from segment to
    /// segment.
    @inlinable @inline(__always)
    public func hasSameHeaders(as other: UnsafeRawPointer) -> Bool {
        // Version and traffic class; flags of fragments or flow label; hops left.
        if isIPv4 {
            guard isEqual(to: other, at: 0, as: UInt16.self),
                isEqual(to: other, at: IPv4.Offset.fragment, as: UInt16.self),
                start.byte(IPv4.Offset.timeToLive) == other.byte(IPv4.Offset.timeToLive)
            else { return false }
        } else {
            guard isEqual(to: other, at: 0, as: UInt32.self),
                start.byte(IPv6.Offset.hopLimit) == other.byte(IPv6.Offset.hopLimit)
            else { return false }
        }
        guard isTCP else { return true }
        let push = UInt32(TCP.Flag.push) << 16
        let words = TCP.Offset.dataOffset
        guard isEqual(to: other, at: transportOffset &+ TCP.Offset.acknowledgment, as: UInt32.self),
            // Length, flags and window.
            (transport.networkUInt32(at: words) ^ (other + transportOffset).networkUInt32(at: words)) & ~push == 0
        else { return false }
        for offset in stride(from: transportOffset &+ TCP.minimumHeaderLength, to: headerLength, by: 4)
        where !isEqual(to: other, at: offset, as: UInt32.self) { return false }
        return true
    }

    @inlinable @inline(__always)
    func isEqual<Word: FixedWidthInteger & BitwiseCopyable>(
        to other: UnsafeRawPointer, at offset: Int, as: Word.Type
    ) -> Bool {
        start.loadUnaligned(fromByteOffset: offset, as: Word.self)
            == other.loadUnaligned(fromByteOffset: offset, as: Word.self)
    }

    /// The sum of the pseudo-header for a number of bytes from the transport header on.
    @inlinable @inline(__always)
    public func pseudoHeaderSum(length: Int) -> InternetChecksum {
        var sum = InternetChecksum()
        let first = isIPv4 ? IPv4.Offset.source : IPv6.Offset.source
        sum.add(UnsafeRawBufferPointer(start: start + first, count: transportOffset &- first))
        sum.add(UInt32(truncatingIfNeeded: length))
        sum.add(UInt16(isTCP ? IPProtocol.tcp : IPProtocol.udp))
        return sum
    }

    /// Whether its checksum is right.
    @inlinable
    public var verifiesChecksum: Bool {
        let length = headerLength &- transportOffset &+ payloadLength
        var sum = pseudoHeaderSum(length: length)
        sum.add(UnsafeRawBufferPointer(start: transport, count: length))
        return sum.folded == 0xFFFF
    }

    /// Makes this header that of a super-frame of it and others behind it, as the kernel takes it: with the sum of the
    /// pseudo-header in place of the checksum.
    /// - Parameters:
    ///   - start: the first byte, to write to.
    ///   - payload: of all segments, in bytes.
    ///   - pushes: whether the last does.
    @inlinable
    public func becomeSuperFrame(_ start: UnsafeMutableRawPointer, payload: Int, pushes: Bool) {
        let length = headerLength &+ payload
        if isIPv4 {
            start.storeNetwork(UInt16(truncatingIfNeeded: length), at: IPv4.Offset.totalLength)
            IPv4Header.writeChecksum(at: start, headerLength: IPv4.minimumHeaderLength)
        } else {
            start.storeNetwork(UInt16(truncatingIfNeeded: length &- IPv6.headerLength), at: IPv6.Offset.payloadLength)
        }
        let target = start + transportOffset
        if isTCP {
            if pushes { target.storeByte(transport.byte(TCP.Offset.flags) | TCP.Flag.push, at: TCP.Offset.flags) }
        } else {
            target.storeNetwork(UInt16(truncatingIfNeeded: length &- transportOffset), at: UDP.Offset.length)
        }
        let sum = pseudoHeaderSum(length: length &- transportOffset).folded
        target.storeNetwork(sum, at: isTCP ? TCP.Offset.checksum : UDP.Offset.checksum)
    }
}

// A super-frame is many segments of one flow in one packet of up to 65,535 bytes: one header of IP and TCP or UDP, and the
// payload of all segments behind it. It passes between the kernel and a process with IFF_VNET_HDR, and never a wire. What
// differs from segment to segment follows from the one header (linux: tcp_gso_segment, __udp_gso_segment).

import Glibc

/// A super-frame, to read.
public struct SuperFrameView: BitwiseCopyable {
    /// The first byte of the IP header.
    public let start: UnsafeRawPointer
    /// Headers and the payload of all segments, in bytes.
    public let length: Int
    /// Where the header of TCP or UDP begins.
    public let transportOffset: Int
    /// Of all headers, in bytes.
    public let headerLength: Int
    /// Bytes of payload in each segment but the last.
    public let segmentSize: Int
    /// Whether it is TCP; else UDP.
    public let isTCP: Bool

    /// Checks that the headers lie inside, and that there is a payload.
    /// - Parameters:
    ///   - bytes: the whole packet.
    ///   - transportOffset: where the header of TCP or UDP begins.
    @inlinable
    public init?(_ bytes: UnsafeRawBufferPointer, isTCP: Bool, segmentSize: Int, transportOffset: Int) {
        guard let start = bytes.baseAddress, segmentSize > 0, transportOffset >= IPv4.minimumHeaderLength,
            bytes.count <= Int(UInt16.max),
            transportOffset &+ (isTCP ? TCP.minimumHeaderLength : UDP.headerLength) < bytes.count
        else { return nil }
        let isIPv4 = start.byte(0) >> 4 == 4
        guard isIPv4 || transportOffset >= IPv6.headerLength else { return nil }
        let transportLength = TransportHeader.length(at: start + transportOffset, isTCP: isTCP)
        let headerLength = transportOffset &+ transportLength
        guard !isTCP || transportLength >= TCP.minimumHeaderLength, headerLength < bytes.count else { return nil }
        self.start = start
        length = bytes.count
        self.transportOffset = transportOffset
        self.headerLength = headerLength
        self.segmentSize = segmentSize
        self.isTCP = isTCP
    }

    /// Of all segments, in bytes.
    @inlinable @inline(__always)
    public var payloadLength: Int { length &- headerLength }

    /// How many segments there are.
    @inlinable @inline(__always)
    public var segmentCount: Int { segmentCount(ofSize: segmentSize) }

    /// How many there are with another number of bytes in each but the last.
    @inlinable @inline(__always)
    public func segmentCount(ofSize size: Int) -> Int { (payloadLength &+ size &- 1) / size }

    /// Whether it is IPv4.
    @inlinable @inline(__always)
    public var isIPv4: Bool { start.byte(0) >> 4 == 4 }

    /// Takes segments off the front. The header moves to before what is left, into the payload of what is gone; nothing of
    /// this view is to be used then.
    /// - Parameters:
    ///   - count: less than there are.
    ///   - start: the first byte, to write to.
    /// - Returns: where the packet begins then.
    public func removeSegments(_ count: Int, from start: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        let removed = count * segmentSize
        let (isIPv4, isTCP, transportOffset) = (isIPv4, isTCP, transportOffset)
        let left = length - removed
        let new = start + removed
        memmove(new, start, headerLength)
        if isIPv4 {
            new.storeNetwork(UInt16(truncatingIfNeeded: left), at: IPv4.Offset.totalLength)
            let first = UnsafeRawPointer(new).networkUInt16(at: IPv4.Offset.identification)
            new.storeNetwork(first &+ UInt16(truncatingIfNeeded: count), at: IPv4.Offset.identification)
            IPv4Header.writeChecksum(at: new, headerLength: Int(UnsafeRawPointer(new).byte(0) & 0xF) * 4)
        } else {
            new.storeNetwork(UInt16(truncatingIfNeeded: left - IPv6.headerLength), at: IPv6.Offset.payloadLength)
        }
        let transport = new + transportOffset
        let checksum = transport + (isTCP ? TCP.Offset.checksum : UDP.Offset.checksum)
        if isTCP {
            let number = UnsafeRawPointer(transport).networkUInt32(at: TCP.Offset.sequence)
            transport.storeNetwork(number &+ UInt32(truncatingIfNeeded: removed), at: TCP.Offset.sequence)
            let flags = UnsafeRawPointer(transport).byte(TCP.Offset.flags)
            transport.storeByte(flags & ~TCP.Flag.congestionWindowReduced, at: TCP.Offset.flags)
        } else {
            transport.storeNetwork(UInt16(truncatingIfNeeded: left - transportOffset), at: UDP.Offset.length)
        }
        // The sum of the pseudo-header, in which only the length is another.
        var sum = InternetChecksum()
        sum.add(UnsafeRawPointer(checksum).networkUInt16(at: 0))
        sum.add(~UInt16(truncatingIfNeeded: length - transportOffset))
        sum.add(UInt16(truncatingIfNeeded: left - transportOffset))
        checksum.storeNetwork(sum.folded, at: 0)
        return new
    }

    /// Writes a datagram of UDP over IPv4 without a checksum: that of one that came from the kernel was verified, or was never
    /// made.
    /// - Parameters: as of `writeSegment`.
    /// - Returns: how many bytes it has.
    public func writeDatagram(at offset: Int, to target: UnsafeMutableRawPointer) -> Int {
        let payload = min(segmentSize, payloadLength - offset)
        let length = headerLength + payload
        target.copyMemory(from: start, byteCount: headerLength)
        writeIPv4Header(of: length, number: offset / segmentSize, to: target)
        let transport = target + transportOffset
        transport.storeNetwork(UInt16(UDP.headerLength + payload), at: UDP.Offset.length)
        transport.storeNetwork(UInt16(0), at: UDP.Offset.checksum)
        (target + headerLength).copyMemory(from: start + headerLength + offset, byteCount: payload)
        return length
    }

    /// Makes a copy of the IPv4 header that of a segment.
    /// - Parameters:
    ///   - length: of the segment with all headers, in bytes.
    ///   - number: how many come before it.
    private func writeIPv4Header(of length: Int, number: Int, to target: UnsafeMutableRawPointer) {
        target.storeNetwork(UInt16(truncatingIfNeeded: length), at: IPv4.Offset.totalLength)
        let first = start.networkUInt16(at: IPv4.Offset.identification)
        target.storeNetwork(first &+ UInt16(truncatingIfNeeded: number), at: IPv4.Offset.identification)
        IPv4Header.writeChecksum(at: target, headerLength: Int(start.byte(0) & 0xF) * 4)
    }

    /// Writes a segment.
    /// - Parameters:
    ///   - offset: where its payload begins in that of all, a multiple of `size`.
    ///   - size: of its payload, in bytes, where it is not the last.
    ///   - target: gets `headerLength` bytes and the payload.
    /// - Returns: how many bytes it has.
    public func writeSegment(at offset: Int, size: Int, to target: UnsafeMutableRawPointer) -> Int {
        let payload = min(size, payloadLength - offset)
        let length = headerLength + payload
        target.copyMemory(from: start, byteCount: headerLength)
        if isIPv4 {
            writeIPv4Header(of: length, number: offset / size, to: target)
        } else {
            target.storeNetwork(
                UInt16(truncatingIfNeeded: length - IPv6.headerLength), at: IPv6.Offset.payloadLength)
        }
        let transport = target + transportOffset
        let checksumOffset: Int
        if isTCP {
            checksumOffset = TCP.Offset.checksum
            let isLast = offset + payload == payloadLength
            let number = UnsafeRawPointer(transport).networkUInt32(at: TCP.Offset.sequence)
            transport.storeNetwork(number &+ UInt32(truncatingIfNeeded: offset), at: TCP.Offset.sequence)
            var flags = UnsafeRawPointer(transport).byte(TCP.Offset.flags)
            if !isLast { flags &= ~(TCP.Flag.finish | TCP.Flag.push) }
            if offset > 0 { flags &= ~TCP.Flag.congestionWindowReduced }
            transport.storeByte(flags, at: TCP.Offset.flags)
        } else {
            checksumOffset = UDP.Offset.checksum
            transport.storeNetwork(UInt16(UDP.headerLength + payload), at: UDP.Offset.length)
        }
        // What stands there is the sum of the pseudo-header with the length of all, from which that of one follows, whatever
        // the headers between say of the destination.
        var sum = InternetChecksum()
        sum.add(~UInt16(truncatingIfNeeded: self.length - transportOffset))
        sum.add(UInt16(truncatingIfNeeded: length - transportOffset))
        sum.add(UnsafeRawBufferPointer(start: transport, count: headerLength - transportOffset))
        sum.copy(start + headerLength + offset, to: target + headerLength, count: payload)
        InternetChecksum.store(sum.checksum, at: transport + checksumOffset, isUDP: !isTCP)
        return length
    }
}

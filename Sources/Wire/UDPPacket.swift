// A UDP datagram as a whole IPv4 packet, for those who hand packets to a link or to a forwarder rather than datagrams to a
// socket; and, since nobody fragments for them, its fragments (RFC 791, 3.2).

/// A UDP datagram in IPv4.
public struct UDPPacket: Hashable, Sendable {
    /// Source address.
    public var source: IPv4Address
    /// Source port.
    public var sourcePort: UInt16
    /// Destination address.
    public var destination: IPv4Address
    /// Destination port.
    public var destinationPort: UInt16
    /// What is sent.
    public var payload: [UInt8]
    /// Hops left.
    public var timeToLive: UInt8 = 64
    /// For reassembly.
    public var identification: UInt16 = 0

    /// A datagram with TTL 64.
    public init(
        source: IPv4Address, sourcePort: UInt16, destination: IPv4Address, destinationPort: UInt16, payload: [UInt8]
    ) {
        self.source = source
        self.sourcePort = sourcePort
        self.destination = destination
        self.destinationPort = destinationPort
        self.payload = payload
    }

    /// From the IPv4 header on, with both checksums. Nil where it is longer than an IPv4 packet can be.
    public func bytes() -> [UInt8]? {
        let headers = IPv4.minimumHeaderLength + UDP.headerLength
        guard let totalLength = UInt16(exactly: headers + payload.count) else { return nil }
        var header = IPv4Header(protocol: IPProtocol.udp, source: source, destination: destination)
        header.totalLength = totalLength
        header.timeToLive = timeToLive
        header.identification = identification
        var udp = UDPHeader(sourcePort: sourcePort, destinationPort: destinationPort)
        udp.length = totalLength - UInt16(IPv4.minimumHeaderLength)
        var packet = [UInt8](repeating: 0, count: headers)
        packet.reserveCapacity(Int(totalLength))
        packet += payload
        packet.withUnsafeMutableBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            header.write(to: start)
            let datagram = start + IPv4.minimumHeaderLength
            udp.write(to: datagram)
            var sum = InternetChecksum()
            sum.add(source.rawValue)
            sum.add(destination.rawValue)
            sum.add(UInt16(IPProtocol.udp))
            sum.add(udp.length)
            sum.add(UnsafeRawBufferPointer(start: datagram, count: Int(udp.length)))
            // 0 would say that there is none (RFC 768).
            datagram.storeNetwork(sum.checksum == 0 ? .max : sum.checksum, at: UDP.Offset.checksum)
        }
        return packet
    }

    /// The packet in pieces that fit on a link.
    /// - Parameter mtu: in bytes, 68 at least (RFC 791, 3.2).
    /// - Returns: the packet alone where it fits; nothing where it is longer than an IPv4 packet can be.
    public func fragments(mtu: Int) -> [[UInt8]] {
        precondition(mtu >= 68, "every link carries 68 bytes")
        guard let packet = bytes() else { return [] }
        guard packet.count > mtu else { return [packet] }
        let headerLength = IPv4.minimumHeaderLength
        let payload = packet[headerLength...]
        let step = (mtu - headerLength) / 8 * 8
        return stride(from: 0, to: payload.count, by: step).map { offset in
            let part = payload.dropFirst(offset).prefix(step)
            var fragment = Array(packet[..<headerLength]) + part
            let isLast = offset + part.count == payload.count
            fragment.withUnsafeMutableBytes { bytes in
                guard let start = bytes.baseAddress else { return }
                start.storeNetwork(UInt16(headerLength + part.count), at: IPv4.Offset.totalLength)
                start.storeNetwork(UInt16(offset / 8) | (isLast ? 0 : IPv4.moreFragments), at: IPv4.Offset.fragment)
                IPv4Header.writeChecksum(at: start)
            }
            return fragment
        }
    }
}

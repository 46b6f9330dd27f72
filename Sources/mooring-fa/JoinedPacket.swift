// A raw socket hands over what the network card's driver, or a sender on the same host, has joined: several segments of TCP
// in one packet, with the sum of the pseudo-header in place of the checksum, and without a word of where each ended. Of TCP
// that is no loss, since a stream may be cut anywhere; datagrams can't be told apart any more.

import Wire

/// What the kernel has to be told of a packet out of a tunnel.
enum JoinedPacket {
    /// It is one packet.
    case single
    /// It is segments of TCP, and this is what is to stand before it.
    case segments(VirtioNetHeader)
    /// It is datagrams of UDP that nobody can take apart.
    case datagrams

    /// Looks at an IPv4 packet.
    /// - Parameter mtu: of the link that it goes to, in bytes; segments are no larger.
    init(_ packet: IPv4View, mtu: Int) {
        guard let segment = FlowSegment(packet.start, length: packet.totalLength, isIPv4: true) else {
            self = .single
            return
        }
        let offset = segment.isTCP ? TCP.Offset.checksum : UDP.Offset.checksum
        let sum = segment.pseudoHeaderSum(length: packet.totalLength - segment.transportOffset).folded
        guard segment.transport.networkUInt16(at: offset) == sum, !segment.verifiesChecksum else {
            self = .single
            return
        }
        guard segment.isTCP else {
            self = .datagrams
            return
        }
        let size = mtu - segment.headerLength
        if packet.totalLength > mtu, size > 0 {
            self = .segments(
                VirtioNetHeader(
                    .tcpIPv4, segmentSize: UInt16(truncatingIfNeeded: size),
                    transportOffset: UInt16(segment.transportOffset)))
        } else {
            var header = VirtioNetHeader()
            header.checksumStart = UInt16(segment.transportOffset)
            header.checksumOffset = UInt16(offset)
            self = .segments(header)
        }
    }
}

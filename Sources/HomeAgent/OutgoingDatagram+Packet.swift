// Datagrams from UDP port 434 as whole packets, which the forwarder is given to send.

import MobileIP
import Wire

extension OutgoingDatagram {
    /// What all headers have, in bytes.
    static let headersLength = IPv4.minimumHeaderLength + UDP.headerLength

    /// The datagram as a packet, with both checksums. Nil where it is longer than an IPv4 packet can be.
    public func packet(identification: UInt16) -> [UInt8]? {
        let length = Self.headersLength + payload.count
        guard let totalLength = UInt16(exactly: length) else { return nil }
        var header = IPv4Header(protocol: IPProtocol.udp, source: source, destination: destination)
        header.totalLength = totalLength
        header.identification = identification
        var datagram = UDPHeader(sourcePort: mobileIPPort, destinationPort: destinationPort)
        datagram.length = UInt16(UDP.headerLength + payload.count)
        return [UInt8](unsafeUninitializedCapacity: length) { bytes, count in
            let start = UnsafeMutableRawPointer(bytes.baseAddress!)
            header.write(to: start)
            let udp = start + IPv4.minimumHeaderLength
            datagram.write(to: udp)
            payload.withUnsafeBytes { (udp + UDP.headerLength).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
            var sum = InternetChecksum()
            sum.add(source.rawValue)
            sum.add(destination.rawValue)
            sum.add(UInt16(IPProtocol.udp))
            sum.add(datagram.length)
            sum.add(UnsafeRawBufferPointer(start: udp, count: Int(datagram.length)))
            // 0 would say that there is none (RFC 768).
            udp.storeNetwork(sum.checksum == 0 ? 0xFFFF : sum.checksum, at: UDP.Offset.checksum)
            count = length
        }
    }
}

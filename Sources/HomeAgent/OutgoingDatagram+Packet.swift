// Datagrams from UDP port 434 as whole packets, which the forwarder is given to send.

import MobileIP
import Wire

extension OutgoingDatagram {
    /// The datagram as a packet, with both checksums. Nil where it is longer than an IPv4 packet can be.
    public func packet(identification: UInt16) -> [UInt8]? {
        var packet = UDPPacket(
            source: source, sourcePort: mobileIPPort, destination: destination, destinationPort: destinationPort,
            payload: payload)
        packet.identification = identification
        return packet.bytes()
    }
}

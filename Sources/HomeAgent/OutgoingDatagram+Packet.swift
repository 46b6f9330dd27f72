// Datagrams from UDP port 434 as whole packets, which the forwarder is given to send.

import MobileIP
import Wire

extension OutgoingDatagram {
    /// Of a packet, in bytes: what a device that carries IPv6 takes at the least (RFC 8200, 5).
    private static let mtu = 1280

    /// The datagram as packets, with all checksums: more than one where it is long, since the forwarder takes no more than
    /// its device does. Empty where it is longer than an IPv4 packet can be.
    public func packets(identification: UInt16) -> [[UInt8]] {
        var packet = UDPPacket(
            source: source, sourcePort: mobileIPPort, destination: destination, destinationPort: destinationPort,
            payload: payload)
        packet.identification = identification
        return packet.fragments(mtu: Self.mtu)
    }
}

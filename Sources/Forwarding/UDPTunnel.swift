// UDP tunnels (RFC 3519): Mobile Tunnel Data behind UDP port 434, for nodes behind an address translator. The packet
// inside is IPv4 (next header 4) or, by RFC 5454 3.9, IPv6 (41); GRE and minimal encapsulation inside of UDP are
// another mode than the one that bindings have, and RFC 3519 3.3 then wants the packet dropped. No checksum is sent: the
// packets inside have their own.

import Wire

enum UDPTunnel {
    /// Of a payload of that protocol, 4 or 41, to the node's port.
    static func header(_ ends: TunnelEnds, payload: UInt8, port: UInt16) -> [UInt8] {
        ends.outerHeader(protocol: IPProtocol.udp)
            + written(UDP.headerLength) {
                UDPHeader(sourcePort: MobileTunnelData.port, destinationPort: port).write(to: $0)
            }
            + written(MobileTunnelData.headerLength) { MobileTunnelDataHeader(nextHeader: payload).write(to: $0) }
    }

    /// Whether a UDP packet is Mobile Tunnel Data, told by port and type.
    @inline(__always)
    static func isTunnel(_ outer: IPv4View) -> Bool {
        isMobileIP(outer) && outer.payload.count > UDP.headerLength
            && outer.payload[UDP.headerLength] == MobileTunnelData.type
    }

    /// Whether a UDP packet is for the port of Mobile IP.
    @inline(__always)
    static func isMobileIP(_ outer: IPv4View) -> Bool {
        guard let start = outer.payload.baseAddress, outer.payload.count >= UDP.headerLength else { return false }
        return start.networkUInt16(at: UDP.Offset.destinationPort) == MobileTunnelData.port
    }

    /// Of a packet for which `isTunnel` holds.
    @inline(__always)
    static func open(_ outer: IPv4View) throws(DropReason) -> OpenedTunnel {
        let datagram = try UDPView(outer.payload)
        guard datagram.verifies(source: outer.source, destination: outer.destination) else { throw .udpChecksum }
        let message = try MobileTunnelDataView(datagram.payload)
        guard message.nextHeader == IPProtocol.ipv4 || message.nextHeader == IPProtocol.ipv6 else {
            throw .mobileTunnelDataNextHeader
        }
        var opened = OpenedTunnel(.udp, protocol: message.nextHeader, inner: message.payload)
        opened.port = datagram.sourcePort
        return opened
    }
}

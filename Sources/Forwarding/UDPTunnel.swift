// UDP tunnels (RFC 3519): Mobile Tunnel Data between UDP port 434 of the home agent and a port of a node behind an address
// translator. Inside is IPv4
// (next header 4), by RFC 5454 3.9 IPv6 (41), GRE (47) or minimal encapsulation (55), as the binding has it: what comes in
// another mode is dropped (RFC 3519, 3.3). No checksum is sent: the packets inside have their own.

import Wire

enum UDPTunnel {
    /// UDP and Mobile Tunnel Data, in bytes.
    static var headerLength: Int { UDP.headerLength + MobileTunnelData.headerLength }

    /// Writes both headers before a payload of that protocol.
    /// - Parameters:
    ///   - ports: this end's and the other's.
    ///   - length: from the UDP header to the end of the packet, in bytes.
    /// - Returns: its protocol.
    @inline(__always)
    static func write(
        to start: UnsafeMutableRawPointer, payload: UInt8, ports: (near: UInt16, far: UInt16), length: Int
    ) -> UInt8 {
        var header = UDPHeader(sourcePort: ports.near, destinationPort: ports.far)
        header.length = UInt16(truncatingIfNeeded: length)
        header.write(to: start)
        MobileTunnelDataHeader(nextHeader: payload).write(to: start + UDP.headerLength)
        return IPProtocol.udp
    }

    /// Whether a UDP packet is Mobile Tunnel Data, told by port and type.
    @inline(__always)
    static func isTunnel(_ outer: IPv4View) -> Bool {
        isMobileIP(outer) && outer.payload.count > UDP.headerLength
            && outer.payload[UDP.headerLength] == MobileTunnelData.type
    }

    /// Whether a UDP packet is Mobile Tunnel Data, if it is from a home agent, whose port is the one that is known then.
    static func isTunnelFromHomeAgent(_ outer: IPv4View) -> Bool {
        guard let start = outer.payload.baseAddress, outer.payload.count > UDP.headerLength else { return false }
        return start.networkUInt16(at: UDP.Offset.sourcePort) == MobileTunnelData.port
            && start.byte(UDP.headerLength) == MobileTunnelData.type
    }

    /// Whether a UDP packet is for the port of Mobile IP.
    @inline(__always)
    static func isMobileIP(_ outer: IPv4View) -> Bool {
        guard let start = outer.payload.baseAddress, outer.payload.count >= UDP.headerLength else { return false }
        return start.networkUInt16(at: UDP.Offset.destinationPort) == MobileTunnelData.port
    }

    /// Of a packet for which `isTunnel` holds.
    /// - Parameter start: of the outer packet; with minimal encapsulation its header is written over.
    @inline(__always)
    static func open(_ start: UnsafeMutableRawPointer, _ outer: IPv4View) throws(DropReason) -> OpenedTunnel {
        let datagram = try UDPView(outer.payload)
        guard datagram.verifies(source: outer.source, destination: outer.destination) else { throw .udpChecksum }
        let message = try MobileTunnelDataView(datagram.payload)
        var opened: OpenedTunnel
        switch message.nextHeader {
        case IPProtocol.ipv4, IPProtocol.ipv6:
            opened = OpenedTunnel(.udp, protocol: message.nextHeader, inner: message.payload)
        case IPProtocol.gre:
            opened = try openGRE(message.payload)
        case IPProtocol.minimal:
            let (source, destination) = (datagram.sourcePort, datagram.destinationPort)
            opened = try MinimalTunnel.open(start, outer, message.payload)
            opened.form = .minimalInUDP
            // The datagram's header may have been written over.
            opened.setPort(from: source, to: destination)
            return opened
        default: throw .mobileTunnelDataNextHeader
        }
        opened.setPort(from: datagram.sourcePort, to: datagram.destinationPort)
        return opened
    }

    @inline(never)
    private static func openGRE(_ bytes: UnsafeRawBufferPointer) throws(DropReason) -> OpenedTunnel {
        var opened = try GRETunnel.open(bytes)
        opened.form = .greInUDP
        return opened
    }
}

extension OpenedTunnel {
    /// One of the two ports is that of Mobile IP.
    @inline(__always)
    fileprivate mutating func setPort(from source: UInt16, to destination: UInt16) {
        isToOwnPort = destination != MobileTunnelData.port
        port = isToOwnPort ? destination : source
    }
}

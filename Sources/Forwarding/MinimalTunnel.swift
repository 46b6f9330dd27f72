// Minimal encapsulation (RFC 2004), for IPv4 alone: the packet's own header becomes the outer one, and a minimal
// forwarding header behind it remembers addresses and protocol. It has no room for what fragments must remember, so these
// are refused, as are packets with options, whose meaning in the outer header would be another one.

import Wire

enum MinimalTunnel {
    /// Of IPv6 to the home address (RFC 5454, 3.3.2): what would be the header to the home address is the minimal
    /// forwarding header. The source is the endpoint in both, so it is left out.
    static func header(_ ends: TunnelEnds, homeAddress: IPv4Address) -> [UInt8] {
        let minimal = MinimalEncapsulationHeader(protocol: IPProtocol.ipv6, source: nil, destination: homeAddress)
        return ends.outerHeader(protocol: IPProtocol.minimal) + written(minimal.length) { minimal.write(to: $0) }
    }

    /// Why an IPv4 packet can't be encapsulated (RFC 2004, 3); nil where it can.
    @inline(__always)
    static func refusal(of packet: UnsafeRawPointer) -> DropReason? {
        if packet.byte(0) != 0x45 { return .minimalOptions }
        return packet.networkUInt16(at: IPv4.Offset.fragment) & 0x3FFF != 0 ? .minimalFragment : nil
    }

    /// Bytes that encapsulation adds to an IPv4 packet.
    static let growth = MinimalEncapsulation.longHeaderLength

    /// Encapsulates an IPv4 packet without options, in place: it grows by `growth` bytes at its front.
    /// - Parameter start: of the packet; that many bytes before it may be written to.
    @inline(never)
    static func encapsulate(_ start: UnsafeMutableRawPointer, endpoint: IPv4Address, careOfAddress: IPv4Address) {
        let before = UnsafeRawPointer(start)
        let header = MinimalEncapsulationHeader(
            protocol: before.byte(IPv4.Offset.protocol),
            source: IPv4Address(rawValue: before.networkUInt32(at: IPv4.Offset.source)),
            destination: IPv4Address(rawValue: before.networkUInt32(at: IPv4.Offset.destination)))
        let outer = start - growth
        let totalLength = before.networkUInt16(at: IPv4.Offset.totalLength)
        // Version to protocol; the checksum and the addresses are made anew.
        outer.copyMemory(from: start, byteCount: IPv4.Offset.checksum)
        outer.storeNetwork(totalLength &+ UInt16(growth), at: IPv4.Offset.totalLength)
        outer.storeByte(IPProtocol.minimal, at: IPv4.Offset.protocol)
        outer.storeNetwork(endpoint.rawValue, at: IPv4.Offset.source)
        outer.storeNetwork(careOfAddress.rawValue, at: IPv4.Offset.destination)
        IPv4Header.writeChecksum(at: outer)
        header.write(to: outer + IPv4.minimumHeaderLength)
    }

    /// Opens a packet and puts its own header back in place of the minimal one, so that it lies there as it was.
    /// - Parameter start: of the outer packet, whose header is written over.
    @inline(never)
    static func open(_ start: UnsafeMutableRawPointer, _ outer: IPv4View) throws(DropReason) -> OpenedTunnel {
        guard outer.headerLength == IPv4.minimumHeaderLength else { throw .minimalOptions }
        let minimal = try MinimalEncapsulationView(outer.payload)
        let (source, destination) = (minimal.source ?? outer.source, minimal.destination)
        let (`protocol`, payload) = (minimal.protocol, minimal.payload)
        // The header moves towards the payload by the length of the minimal one.
        let header = start + minimal.headerLength
        header.copyMemory(from: start, byteCount: IPv4.Offset.checksum)
        header.storeNetwork(
            UInt16(IPv4.minimumHeaderLength + payload.count), at: IPv4.Offset.totalLength)
        header.storeByte(`protocol`, at: IPv4.Offset.protocol)
        header.storeNetwork(source.rawValue, at: IPv4.Offset.source)
        header.storeNetwork(destination.rawValue, at: IPv4.Offset.destination)
        IPv4Header.writeChecksum(at: header)
        return OpenedTunnel(
            .minimal, protocol: IPProtocol.ipv4,
            inner: UnsafeRawBufferPointer(start: header, count: IPv4.minimumHeaderLength + payload.count))
    }
}

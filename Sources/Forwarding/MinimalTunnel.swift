// Minimal encapsulation (RFC 2004), for IPv4 alone: the packet's own header becomes the outer one, and a minimal
// forwarding header behind it remembers addresses and protocol. It has no room for what fragments must remember, so these
// are refused, as are packets with options, whose meaning in the outer header would be another one. With UDP (RFC 3519,
// 3.3) its header and that of Mobile Tunnel Data stand between the two.

import Wire

enum MinimalTunnel {
    /// Writes the minimal forwarding header of IPv6 by way of the home address (RFC 5454, 3.3.2): what would be the header
    /// to or from the home address.
    /// - Parameter source: nil where it is that of the outer header.
    /// - Returns: its protocol.
    @inline(__always)
    static func write(to start: UnsafeMutableRawPointer, source: IPv4Address?, destination: IPv4Address) -> UInt8 {
        MinimalEncapsulationHeader(protocol: IPProtocol.ipv6, source: source, destination: destination).write(to: start)
        return IPProtocol.minimal
    }

    /// Why an IPv4 packet can't be encapsulated (RFC 2004, 3); nil where it can.
    @inline(__always)
    static func refusal(of packet: UnsafeRawPointer) -> DropReason? {
        if packet.byte(0) != 0x45 { return .minimalOptions }
        return packet.networkUInt16(at: IPv4.Offset.fragment) & 0x3FFF != 0 ? .minimalFragment : nil
    }

    /// Bytes that encapsulation adds to an IPv4 packet, beside those of UDP.
    static var growth: Int { MinimalEncapsulation.longHeaderLength }

    /// Encapsulates an IPv4 packet without options, in place: it grows at its front.
    /// - Parameter start: of the packet; what is returned, of bytes before it, may be written to.
    /// - Returns: by how many bytes it has grown.
    @inline(never)
    static func encapsulate(_ start: UnsafeMutableRawPointer, _ record: UnsafePointer<BindingRecord>) -> Int {
        let before = UnsafeRawPointer(start)
        let header = MinimalEncapsulationHeader(
            protocol: before.byte(IPv4.Offset.protocol),
            source: IPv4Address(rawValue: before.networkUInt32(at: IPv4.Offset.source)),
            destination: IPv4Address(rawValue: before.networkUInt32(at: IPv4.Offset.destination)))
        let isUDP = record.pointee.form.isUDP
        let growth = Self.growth + (isUDP ? UDPTunnel.headerLength : 0)
        let outer = start - growth
        let totalLength = before.networkUInt16(at: IPv4.Offset.totalLength) &+ UInt16(growth)
        // Version to protocol; the checksum and the addresses are made anew.
        outer.copyMemory(from: start, byteCount: IPv4.Offset.checksum)
        var next = outer + IPv4.minimumHeaderLength
        var payload = IPProtocol.minimal
        if isUDP {
            payload = UDPTunnel.write(
                to: next, payload: payload, ports: record.pointee.ports,
                length: Int(totalLength) - IPv4.minimumHeaderLength)
            next += UDPTunnel.headerLength
        }
        header.write(to: next)
        outer.storeNetwork(totalLength, at: IPv4.Offset.totalLength)
        outer.storeByte(payload, at: IPv4.Offset.protocol)
        outer.storeNetwork(record.pointee.endpoint.rawValue, at: IPv4.Offset.source)
        outer.storeNetwork(record.pointee.careOfAddress.rawValue, at: IPv4.Offset.destination)
        IPv4Header.writeChecksum(at: outer)
        return growth
    }

    /// Opens a packet and puts its own header back before its payload, so that it lies there as it was.
    /// - Parameters:
    ///   - start: of the outer packet, whose headers are written over.
    ///   - bytes: behind the outer header, or behind that of Mobile Tunnel Data.
    @inline(never)
    static func open(
        _ start: UnsafeMutableRawPointer, _ outer: IPv4View, _ bytes: UnsafeRawBufferPointer
    ) throws(DropReason) -> OpenedTunnel {
        guard outer.headerLength == IPv4.minimumHeaderLength else { throw .minimalOptions }
        let minimal = try MinimalEncapsulationView(bytes)
        let (source, destination) = (minimal.source ?? outer.source, minimal.destination)
        let (`protocol`, payload) = (minimal.protocol, minimal.payload)
        let header = start + (minimal.start - UnsafeRawPointer(start)) + minimal.headerLength - IPv4.minimumHeaderLength
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

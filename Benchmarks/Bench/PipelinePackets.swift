// Packets to and from nodes for the benchmark of the forwarder alone, and the bindings that they are for.

import Bindings
import Wire

/// Packets of one kind.
struct PipelinePackets {
    /// Whose packets.
    enum Inner: String, CaseIterable {
        case ipv4
        /// Tunnelled to the care-of address.
        case ipv6
        /// Tunnelled to the home address.
        case ipv6HomeAddress = "ipv6-home-address"

        func isCarried(by encapsulation: Encapsulation) -> Bool { self != .ipv6 || encapsulation != .minimal }
    }

    static let endpoint = IPv4Address("192.0.2.1")!
    private static let correspondent = IPv4Address("192.0.2.200")!
    private static let correspondent6 = IPv6Address(high: 0x2001_0db8_ffff_0000, low: 1)
    private static let port: UInt16 = 40_000

    let encapsulation: Encapsulation
    let inner: Inner
    /// Two of each node.
    let prefixes: [IPv6Prefix]
    /// Bytes of the inner packet.
    let size: Int

    // MARK: Bindings

    static func binding(_ node: Int, _ encapsulation: Encapsulation, _ prefixes: [IPv6Prefix]) -> Binding {
        var binding = Binding(
            id: "\(node)", careOfAddress: careOf(node),
            prefixes: [BoundPrefix(prefixes[2 * node], tunnel: .homeAddress)])
        if encapsulation != .minimal { binding.prefixes.append(BoundPrefix(prefixes[2 * node + 1])) }
        binding.homeAddress = home(node)
        binding.encapsulation = encapsulation
        if encapsulation == .udp { binding.udpPort = port }
        return binding
    }

    private static func careOf(_ node: Int) -> IPv4Address {
        IPv4Address(rawValue: 0x0A00_0000 + UInt32(truncatingIfNeeded: node) & 0x00FF_FFFF)
    }

    /// Spread over 16.0.0.0/4; an odd factor gives each node its own.
    private static func home(_ node: Int) -> IPv4Address {
        IPv4Address(rawValue: 0x1000_0000 + (UInt32(truncatingIfNeeded: node) &* 0x9E37_79B1) & 0x0FFF_FFFF)
    }

    // MARK: Packets

    /// Writes a packet from the home side.
    /// - Parameter flow: its source port.
    /// - Returns: its length.
    func writeToNode(_ node: Int, flow: UInt16, at start: UnsafeMutableRawPointer) -> Int {
        writeInner(node, toNode: true, at: start)
        var udp = UDPHeader(sourcePort: flow, destinationPort: Self.port)
        let headerLength = inner == .ipv4 ? IPv4.minimumHeaderLength : IPv6.headerLength
        udp.length = UInt16(size - headerLength)
        udp.write(to: start + headerLength)
        // Some checksum: nobody looks whether it is right where there is nothing to join.
        start.storeNetwork(UInt16(1), at: headerLength + UDP.Offset.checksum)
        return size
    }

    /// Writes a packet of a node, in its tunnel.
    /// - Returns: its length.
    func writeFromNode(_ node: Int, at start: UnsafeMutableRawPointer) -> Int {
        let middleLength = inner == .ipv6HomeAddress ? IPv4.minimumHeaderLength : 0
        let payload = size + middleLength
        let isIPv6 = inner == .ipv6
        var length = IPv4.minimumHeaderLength
        switch encapsulation {
        case .ipInIP:
            writeOuter(node, isIPv6 ? IPProtocol.ipv6 : IPProtocol.ipv4, length + payload, at: start)
        case .gre:
            GREHeader(protocolType: isIPv6 ? GRE.ipv6 : GRE.ipv4).write(to: start + length)
            length += GRE.minimumHeaderLength
            writeOuter(node, IPProtocol.gre, length + payload, at: start)
        case .udp:
            var udp = UDPHeader(sourcePort: Self.port, destinationPort: MobileTunnelData.port)
            udp.length = UInt16(UDP.headerLength + MobileTunnelData.headerLength + payload)
            udp.write(to: start + length)
            length += UDP.headerLength
            MobileTunnelDataHeader(nextHeader: isIPv6 ? IPProtocol.ipv6 : IPProtocol.ipv4).write(to: start + length)
            length += MobileTunnelData.headerLength
            writeOuter(node, IPProtocol.udp, length + payload, at: start)
        case .minimal:
            return writeMinimal(node, at: start)
        }
        if middleLength > 0 {
            var middle = IPv4Header(protocol: IPProtocol.ipv6, source: Self.home(node), destination: Self.endpoint)
            middle.totalLength = UInt16(payload)
            middle.write(to: start + length)
            length += middleLength
        }
        writeInner(node, toNode: false, at: start + length)
        return length + size
    }

    private func writeOuter(_ node: Int, _ protocol: UInt8, _ length: Int, at start: UnsafeMutableRawPointer) {
        var outer = IPv4Header(protocol: `protocol`, source: Self.careOf(node), destination: Self.endpoint)
        outer.totalLength = UInt16(length)
        outer.write(to: start)
    }

    /// The inner IPv4 header, or that from the home address, is the outer one here.
    private func writeMinimal(_ node: Int, at start: UnsafeMutableRawPointer) -> Int {
        let minimal = MinimalEncapsulationHeader(
            protocol: inner == .ipv4 ? IPProtocol.udp : IPProtocol.ipv6, source: Self.home(node),
            destination: inner == .ipv4 ? Self.correspondent : Self.endpoint)
        let length = IPv4.minimumHeaderLength + minimal.length
        let payload = inner == .ipv4 ? size - IPv4.minimumHeaderLength : size
        writeOuter(node, IPProtocol.minimal, length + payload, at: start)
        minimal.write(to: start + IPv4.minimumHeaderLength)
        if inner != .ipv4 { writeInner(node, toNode: false, at: start + length) }
        return length + payload
    }

    private func writeInner(_ node: Int, toNode: Bool, at start: UnsafeMutableRawPointer) {
        if inner == .ipv4 {
            var header = IPv4Header(
                protocol: IPProtocol.udp, source: toNode ? Self.correspondent : Self.home(node),
                destination: toNode ? Self.home(node) : Self.correspondent)
            header.totalLength = UInt16(size)
            return header.write(to: start)
        }
        let prefix = prefixes[2 * node + (inner == .ipv6 ? 1 : 0)]
        let address = IPv6Address(high: prefix.address.high, low: 1)
        var header = IPv6Header(
            nextHeader: IPProtocol.udp, source: toNode ? Self.correspondent6 : address,
            destination: toNode ? address : Self.correspondent6)
        header.payloadLength = UInt16(size - IPv6.headerLength)
        header.write(to: start)
    }
}

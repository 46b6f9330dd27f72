// Datagrams to and from UDP port 434 as whole packets, as the forwarder hands them out and takes them. What it hands out
// it has looked at: it is a datagram to that port of an endpoint. All of it is checked here again, the UDP checksum for
// the first time: the forwarder counts, this decides.

import MobileIP
import Wire

/// The UDP port of Mobile IPv4 (RFC 5944, 3).
public let mobileIPPort: UInt16 = 434

/// Why a punted packet is no datagram to the home agent.
public enum PuntError: CountedReason {
    case puntNotIPv4
    case puntNotUDP
    case puntOtherPort
    case puntChecksum

    /// A sentence for people: what was wrong.
    public var explanation: String {
        switch self {
        case .puntNotIPv4: "The packet is no whole IPv4 packet, or a fragment of one."
        case .puntNotUDP: "The packet does not carry a whole UDP datagram."
        case .puntOtherPort: "The datagram is to another port than 434."
        case .puntChecksum: "The datagram's checksum is wrong."
        }
    }
}

extension ReceivedDatagram {
    /// Takes a datagram out of its packet.
    /// - Parameters:
    ///   - packet: from its IP header on.
    ///   - homeNetworks: who sends from there is at home.
    public init(packet: UnsafeRawBufferPointer, homeNetworks: [IPv4Prefix] = []) throws(PuntError) {
        let outer: IPv4View
        do { outer = try IPv4View(packet) } catch { throw .puntNotIPv4 }
        guard !outer.isFragment else { throw .puntNotIPv4 }
        guard outer.protocol == IPProtocol.udp, let datagram = try? UDPView(outer.payload) else { throw .puntNotUDP }
        guard datagram.destinationPort == mobileIPPort else { throw .puntOtherPort }
        guard datagram.verifies(source: outer.source, destination: outer.destination) else { throw .puntChecksum }
        self.init(
            payload: Array(datagram.payload), source: outer.source, sourcePort: datagram.sourcePort,
            destination: outer.destination,
            side: homeNetworks.contains { $0.contains(outer.source) } ? .home : .access)
    }
}

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

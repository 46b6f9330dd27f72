// Datagrams to and from UDP port 434 as whole packets, as the forwarder hands them out and takes them. What it hands out
// it has looked at: it is a datagram to that port of an endpoint. All of it is checked here again, the UDP checksum for
// the first time: the forwarder counts, this decides.

import MobileIP
import Wire

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

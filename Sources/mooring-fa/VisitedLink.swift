// What nodes of the visited link send to the agent, and what it sends to them, below the kernel's IP (packet(7)): a node
// may have no address, or one that belongs elsewhere, and does not answer who asks for it (RFC 5944, 4.6). Frames go to
// where the request came from.

import CLinuxNet
import Glibc
import MobileIP
import RouteNetlink
import Wire

/// The link of the visitors.
struct VisitedLink: ~Copyable {
    private static let allNodes = IPv4Address("224.0.0.1")!
    private static let allNodesFrame: [UInt8] = [0x01, 0x00, 0x5E, 0x00, 0x00, 0x01]

    let descriptor: Int32
    private let interface: UInt32
    private let address: IPv4Address
    private let own: Set<IPv4Address>
    private let mtu: Int
    /// Of the packet that was sent last.
    private var identification = UInt16.random(in: 0 ... .max)
    private var buffer = [UInt8](repeating: 0, count: 65536)

    /// - Parameters:
    ///   - address: of the agent on the link.
    ///   - own: all of the agent's.
    init(_ link: Link, address: IPv4Address, own: Set<IPv4Address>) throws(CannotStart) {
        (interface, self.address, self.own) = (UInt32(link.index), address, own)
        mtu = max(Int(link.mtu), 68)
        descriptor = clinuxnet_packet_open(interface, RegistrationSocket.port, AgentSolicitation.type)
        guard descriptor >= 0 else {
            throw CannotStart(-descriptor, "read packets of the visited link", "it needs CAP_NET_RAW")
        }
    }

    deinit { close(descriptor) }

    /// What came from nodes; nil where nothing is left. What is no message for an agent is passed over.
    mutating func receive() throws(CannotStart) -> ForeignAgentEvent? {
        while true {
            var sender = [UInt8](repeating: 0, count: clinuxnet_link_address_limit)
            var (senderLength, needsNoCheck): (UInt32, Bool) = (0, false)
            let count = clinuxnet_packet_receive(
                descriptor, &buffer, buffer.count, &sender, &senderLength, &needsNoCheck)
            if count < 0 {
                if Int32(-count) == EAGAIN { return nil }
                throw CannotStart(Int32(-count), "read packets of the visited link")
            }
            let linkLayerAddress = LinkLayerAddress(Array(sender.prefix(Int(senderLength))))
            if let event = event(length: count, linkLayerAddress, needsNoCheck) { return event }
        }
    }

    private func event(
        length: Int, _ linkLayerAddress: LinkLayerAddress, _ needsNoCheck: Bool
    ) -> ForeignAgentEvent? {
        buffer.withUnsafeBytes { bytes in
            guard let packet = try? IPv4View(UnsafeRawBufferPointer(rebasing: bytes[..<length])), !packet.isFragment,
                own.contains(packet.destination) || !packet.destination.isUnicastSource
            else { return nil }
            let source = VisitingSource(address: packet.source, linkLayerAddress: linkLayerAddress)
            if packet.protocol == IPProtocol.icmpv4 {
                guard (try? AgentSolicitation.parse(Array(packet.payload))) != nil else { return nil }
                return .solicitation(source)
            }
            guard let datagram = try? UDPView(packet.payload),
                needsNoCheck || datagram.verifies(source: packet.source, destination: packet.destination)
            else { return nil }
            return .request(
                VisitingDatagram(
                    payload: Array(datagram.payload), source: source, sourcePort: datagram.sourcePort,
                    destination: packet.destination, timeToLive: packet.timeToLive))
        }
    }

    /// Whether it went out, in fragments where the link needs them: a reply may have many extensions.
    mutating func send(_ reply: VisitingReply) -> Bool {
        identification &+= 1
        var packet = UDPPacket(
            source: reply.source, sourcePort: RegistrationSocket.port, destination: reply.destination,
            destinationPort: reply.destinationPort, payload: reply.payload)
        packet.identification = identification
        let fragments = packet.fragments(mtu: mtu)
        return !fragments.isEmpty && fragments.allSatisfy { send($0, to: reply.linkLayerAddress) }
    }

    /// Sends an agent advertisement. Whether it went out.
    func advertise(_ message: [UInt8], to destination: AdvertisementDestination) -> Bool {
        let (to, frame) =
            switch destination {
            case .allNodes: (Self.allNodes, LinkLayerAddress(Self.allNodesFrame))
            case .node(let source): (source.address, source.linkLayerAddress)
            }
        var header = IPv4Header(protocol: IPProtocol.icmpv4, source: address, destination: to)
        header.timeToLive = 1
        header.totalLength = UInt16(IPv4.minimumHeaderLength + message.count)
        var packet = [UInt8](repeating: 0, count: IPv4.minimumHeaderLength) + message
        packet.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        return send(packet, to: frame)
    }

    private func send(_ packet: [UInt8], to destination: LinkLayerAddress) -> Bool {
        clinuxnet_packet_send(
            descriptor, interface, destination.bytes, UInt32(destination.bytes.count), packet, packet.count) == 0
    }
}

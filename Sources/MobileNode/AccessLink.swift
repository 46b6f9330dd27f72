// An interface of the host as a link with agents on it, below the kernel's IP (packet(7)): an agent is heard and spoken to
// though the node has no address there, or only its home address, and frames go to where the agent's came from, since
// nobody may be asked by ARP (RFC 5944, 3.6.1.1 and 4.6). Advertisements, and datagrams to the port of registrations, go
// into the inbox; of advertisements no more than `AdvertisementRate` allows, whoever sends them.

import CLinuxNet
import Dispatch
import Glibc
import MobileIP
import RouteNetlink
import Wire

/// Why an interface can't be listened to.
struct AccessLinkError: Error, CustomStringConvertible {
    /// What is wrong and what to do.
    let description: String
}

/// An interface that is listened to.
final class AccessLink {
    /// All systems on the link (RFC 5944, 2.1), whom advertisements are sent to.
    private static let allSystemsFrame: [UInt8] = [0x01, 0x00, 0x5E, 0x00, 0x00, 0x01]
    /// All routers on the link (RFC 1256, 4.2), whom solicitations are sent to.
    private static let allRouters = IPv4Address(rawValue: 0xE000_0002)
    private static let allRoutersFrame = LinkLayerAddress([0x01, 0x00, 0x5E, 0x00, 0x00, 0x02])

    let link: Link
    private let descriptor: Int32
    private let source: any DispatchSourceRead
    private var identification = UInt16.random(in: 0 ... .max)

    /// Listens from now on.
    /// - Parameter port: of this node's, to which replies come.
    init(_ link: Link, port: UInt16, inbox: Inbox) throws(AccessLinkError) {
        self.link = link
        let index = UInt32(link.index)
        let opened = clinuxnet_packet_open(index, port, AgentAdvertisement.type)
        guard opened >= 0 else { throw Self.error(-opened, link) }
        let joined = clinuxnet_packet_join(
            opened, index, Self.allSystemsFrame, UInt32(Self.allSystemsFrame.count))
        guard joined == 0 else {
            close(opened)
            throw Self.error(-joined, link)
        }
        descriptor = opened
        source = DispatchSource.makeReadSource(
            fileDescriptor: opened, queue: DispatchQueue(label: "mooring-mn-\(link.name)"))
        let reader = AccessLinkReader(opened, interface: link.name, inbox)
        source.setEventHandler { reader.read() }
        source.setCancelHandler { close(opened) }
        source.activate()
    }

    deinit { source.cancel() }

    private static func error(_ number: Int32, _ link: Link) -> AccessLinkError {
        let isNotPermitted = number == EPERM || number == EACCES
        let advice = isNotPermitted ? "; it needs CAP_NET_RAW, or foreignAgents = \"off\"" : ""
        return AccessLinkError(
            description: "agents can't be heard on \(link.name): \(String(cString: strerror(number)))\(advice)")
    }

    /// Sends an agent solicitation (RFC 5944, 2.2), from no address: the answer then goes to all. Whether it went out.
    func solicit() -> Bool {
        let message = AgentSolicitation().write()
        var header = IPv4Header(protocol: IPProtocol.icmpv4, source: .unspecified, destination: Self.allRouters)
        header.timeToLive = 1
        header.totalLength = UInt16(IPv4.minimumHeaderLength + message.count)
        var packet = [UInt8](repeating: 0, count: IPv4.minimumHeaderLength) + message
        packet.withUnsafeMutableBytes { bytes in
            if let start = bytes.baseAddress { header.write(to: start) }
        }
        return send(packet, to: Self.allRoutersFrame)
    }

    /// Sends a datagram to an agent on the link, in fragments where the link needs them. Whether it went out.
    func send(_ datagram: MobileNode.Datagram, to agent: LinkLayerAddress) -> Bool {
        identification &+= 1
        var packet = UDPPacket(
            source: datagram.source, sourcePort: datagram.sourcePort, destination: datagram.destination,
            destinationPort: datagram.destinationPort, payload: datagram.payload)
        packet.identification = identification
        packet.timeToLive = 255
        let fragments = packet.fragments(mtu: max(Int(link.mtu), 68))
        return !fragments.isEmpty && fragments.allSatisfy { send($0, to: agent) }
    }

    private func send(_ packet: [UInt8], to destination: LinkLayerAddress) -> Bool {
        clinuxnet_packet_send(
            descriptor, UInt32(link.index), destination.bytes, UInt32(destination.bytes.count), packet, packet.count)
            == 0
    }
}

/// Reads an interface's packets, on one queue alone.
private final class AccessLinkReader: @unchecked Sendable {
    /// Packets that are taken before others have their turn.
    private static let turn = 64

    private let descriptor: Int32
    private let interface: String
    private let inbox: Inbox
    private var rate = AdvertisementRate()
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    init(_ descriptor: Int32, interface: String, _ inbox: Inbox) {
        (self.descriptor, self.interface, self.inbox) = (descriptor, interface, inbox)
    }

    func read() {
        for _ in 0..<Self.turn {
            var sender = [UInt8](repeating: 0, count: clinuxnet_link_address_limit)
            var (senderLength, needsNoCheck): (UInt32, Bool) = (0, false)
            let count = clinuxnet_packet_receive(
                descriptor, &buffer, buffer.count, &sender, &senderLength, &needsNoCheck)
            // An interface that is down says so once, and is quiet then.
            guard count >= 0 else { return }
            take(count, LinkLayerAddress(Array(sender.prefix(Int(senderLength)))), needsNoCheck)
        }
    }

    private func take(_ length: Int, _ linkLayerAddress: LinkLayerAddress, _ needsNoCheck: Bool) {
        buffer.withUnsafeBytes { bytes in
            guard let packet = try? IPv4View(UnsafeRawBufferPointer(rebasing: bytes[..<length])), !packet.isFragment
            else { return }
            guard packet.protocol == IPProtocol.udp else {
                guard rate.admits(at: .now) else { return inbox.put { $0.count(.tooFast) } }
                return inbox.put(
                    HeardAdvertisement(
                        message: Array(packet.payload),
                        location: .init(
                            address: packet.source, linkLayerAddress: linkLayerAddress, interface: interface),
                        destination: packet.destination, timeToLive: packet.timeToLive))
            }
            guard let datagram = try? UDPView(packet.payload),
                needsNoCheck || datagram.verifies(source: packet.source, destination: packet.destination)
            else { return }
            inbox.put(
                Inbox.Datagram(
                    payload: Array(datagram.payload), source: packet.source, port: datagram.sourcePort,
                    isFromLink: true))
        }
    }
}

// Keepalives of a tunnel in UDP (RFC 3519, 4.9): ICMP echo requests from the home address to the home agent. They are
// handed to mooringd, which puts them in the tunnel; the answers come out of it and reach a raw socket.

import NIOCore
import NIOPosix
import Wire

/// Makes echo requests, and hears of the answers.
struct KeepaliveSocket {
    let homeAddress: IPv4Address
    private let identifier: UInt16
    private let channel: any Channel

    /// Needs CAP_NET_RAW.
    init(homeAddress: IPv4Address, identifier: UInt16, inbox: Inbox) async throws {
        self.homeAddress = homeAddress
        self.identifier = identifier
        channel = try await NIORawSocketBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EchoReceiver(identifier, inbox))
                }
            }
            .bind(host: "\(homeAddress)", ipProtocol: .icmp).get()
    }

    func close() async { try? await channel.close() }

    /// An echo request from its IPv4 header on (RFC 792).
    func request(sequence: UInt16, to homeAgent: IPv4Address) -> [UInt8] {
        EchoRequest.packet(identifier: identifier, sequence: sequence, from: homeAddress, to: homeAgent)
    }
}

/// ICMP echo requests (RFC 792).
enum EchoRequest {
    static let type: UInt8 = 8
    static let replyType: UInt8 = 0

    /// A packet from its IPv4 header on, without data.
    static func packet(
        identifier: UInt16, sequence: UInt16, from source: IPv4Address, to destination: IPv4Address
    ) -> [UInt8] {
        var message: [UInt8] = [
            type, 0, 0, 0, UInt8(identifier >> 8), UInt8(identifier & 0xFF), UInt8(sequence >> 8),
            UInt8(sequence & 0xFF),
        ]
        let checksum = message.withUnsafeBytes { bytes in
            var sum = InternetChecksum()
            sum.add(bytes)
            return sum.checksum
        }
        (message[2], message[3]) = (UInt8(checksum >> 8), UInt8(checksum & 0xFF))
        var header = IPv4Header(protocol: IPProtocol.icmpv4, source: source, destination: destination)
        header.totalLength = UInt16(IPv4.minimumHeaderLength + message.count)
        var packet = [UInt8](repeating: 0, count: IPv4.minimumHeaderLength)
        packet.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        return packet + message
    }

    /// The sequence number of an echo reply with that identifier; nil for anything else.
    static func replySequence(in packet: UnsafeRawBufferPointer, identifier: UInt16) -> UInt16? {
        guard let view = try? IPv4View(packet), view.protocol == IPProtocol.icmpv4 else { return nil }
        let message = view.payload
        guard message.count >= ICMPv4.headerLength, message[0] == replyType, message[1] == 0,
            UInt16(message[4]) << 8 | UInt16(message[5]) == identifier
        else { return nil }
        return UInt16(message[6]) << 8 | UInt16(message[7])
    }
}

/// Tells of answers to this program's echo requests.
private final class EchoReceiver: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    private let identifier: UInt16
    private let inbox: Inbox

    init(_ identifier: UInt16, _ inbox: Inbox) { (self.identifier, self.inbox) = (identifier, inbox) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let sequence = unwrapInboundIn(data).data.withUnsafeReadableBytes {
            EchoRequest.replySequence(in: $0, identifier: identifier)
        }
        if let sequence { inbox.put(echo: sequence) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

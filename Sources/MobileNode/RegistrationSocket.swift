// The UDP socket that registrations are sent from: bound to the care-of address, so that the home agent sees that one
// (RFC 5944, 3.6.1.1), and made anew when the node moves.

import MobileIP
import NIOCore
import NIOPosix
import Wire

/// A socket for registrations, of one care-of address.
struct RegistrationSocket {
    let address: IPv4Address
    private let channel: any Channel

    /// - Throws: where the address or the port can't be had.
    init(bindingTo address: IPv4Address, port: UInt16, inbox: Inbox) async throws {
        self.address = address
        channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_536))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramReceiver(inbox))
                }
            }
            .bind(host: "\(address)", port: Int(port)).get()
    }

    func send(_ datagram: MobileNode.Datagram) async throws {
        let remote = try SocketAddress(
            ipAddress: "\(datagram.destination)", port: Int(datagram.destinationPort))
        try await channel.writeAndFlush(
            AddressedEnvelope(remoteAddress: remote, data: ByteBuffer(bytes: datagram.payload)))
    }

    func close() async { try? await channel.close() }
}

/// Puts what comes into the inbox.
private final class DatagramReceiver: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    private let inbox: Inbox

    init(_ inbox: Inbox) { self.inbox = inbox }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard let source = IPv4Address(envelope.remoteAddress.ipAddress ?? ""),
            let port = envelope.remoteAddress.port.flatMap({ UInt16(exactly: $0) })
        else { return }
        inbox.put(.init(payload: Array(envelope.data.readableBytesView), source: source, port: port))
    }

    /// Errors of the path, such as that nobody listens: the request is sent again in its time.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

// Operators' questions, on the home agent's event loop. Who may ask, the socket's mode and the kernel's word on who is
// at the other end decide. A connection's next line is taken when the one before is answered, and nothing is read
// from who does not read: so each has one question and one answer in memory at a time.

import ControlProtocol
import FoundationEssentials
import Glibc
import Logging
import NIOCore
import NIOPosix
import OperatorProtocol

/// Serves operators.
final class OperatorServer {
    /// Connections at a time; one more is closed.
    private static let connectionLimit = 32

    private let socket: ControlSocket
    private let channel: any Channel

    private init(socket: ControlSocket, channel: any Channel) {
        self.socket = socket
        self.channel = channel
    }

    /// Starts serving.
    /// - Parameter answer: answers a question, at once or later, on the event loop.
    static func start(
        at path: String, group: UInt32?, on eventLoop: any EventLoop, logger: Logger,
        answer: @escaping (OperatorRequest, @escaping (OperatorReply) -> Void) -> Void
    ) throws(ControlSocketError) -> EventLoopFuture<NIOLoopBound<OperatorServer>> {
        let socket = try ControlSocket.listen(at: path, mode: 0o660, group: group)
        let access = ControlAccess(groups: group.map { [$0] } ?? [])
        // Used on the event loop alone.
        nonisolated(unsafe) let answer = answer
        nonisolated(unsafe) var connections = 0
        return ServerBootstrap(group: eventLoop)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    guard connections < connectionLimit else { throw HomeAgentError("too many connections") }
                    try child.pipeline.syncOperations.addHandler(
                        OperatorConnection(access: access, logger: logger, answer: answer))
                    connections += 1
                    child.closeFuture.assumeIsolated().whenComplete { _ in connections -= 1 }
                }
            }
            .childChannelOption(.autoRead, value: false)
            .withBoundSocket(socket.descriptor)
            .map { NIOLoopBound(OperatorServer(socket: socket, channel: $0), eventLoop: eventLoop) }
    }

    /// Takes no more connections, and removes the socket's file.
    func close() {
        socket.removeFile()
        channel.close(promise: nil)
    }
}

/// A connection.
private final class OperatorConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let access: ControlAccess
    private let logger: Logger
    private let answer: (OperatorRequest, @escaping (OperatorReply) -> Void) -> Void
    private var received = ByteBuffer()
    private var isAnswering = false

    init(
        access: ControlAccess, logger: Logger,
        answer: @escaping (OperatorRequest, @escaping (OperatorReply) -> Void) -> Void
    ) {
        self.access = access
        self.logger = logger
        self.answer = answer
    }

    func channelActive(context: ChannelHandlerContext) {
        let peer = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self) { socket in
            try ControlPeer(ofSocket: socket)
        }
        guard let peer, access.allows(peer) else {
            logger.notice("an operator refused", metadata: ["peer": "\(peer.map { "\($0)" } ?? "unknown")"])
            write(OperatorReply(error: "you may not use this socket; become root, or a member of its group"), context)
            context.close(promise: nil)
            return
        }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        takeLine(context)
    }

    private func takeLine(_ context: ChannelHandlerContext) {
        guard !isAnswering else { return }
        let bytes = received.readableBytesView
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
            guard bytes.count <= OperatorRequest.lineLimit else {
                write(OperatorReply(error: "a line is \(OperatorRequest.lineLimit) bytes at the most"), context)
                return context.close(promise: nil)
            }
            return context.read()
        }
        let line = Data(bytes[..<end])
        received.moveReaderIndex(to: end + 1)
        received.discardReadBytes()
        isAnswering = true
        guard let request = try? JSONDecoder().decode(OperatorRequest.self, from: line) else {
            return write(OperatorReply(error: "no request that this version knows"), context)
        }
        answer(request) { [self] reply in write(reply, context) }
    }

    private func write(_ reply: OperatorReply, _ context: ChannelHandlerContext) {
        guard let line = try? JSONEncoder().encode(reply) else {
            preconditionFailure("texts and numbers can always be encoded")
        }
        var buffer = context.channel.allocator.buffer(capacity: line.count + 1)
        buffer.writeBytes(line)
        buffer.writeInteger(UInt8(ascii: "\n"))
        context.writeAndFlush(wrapOutboundOut(buffer)).assumeIsolated().whenComplete { [self] result in
            isAnswering = false
            if case .success = result { takeLine(context) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

// One client of the server. Bytes are read from the socket only while there is neither a whole frame to serve nor too
// much that waits for the client to take it, so a client that sends much, or reads nothing, fills its own socket and
// nothing else. Requests are served one after the other, for a millisecond or until the one request that passes it is
// done; the next turn waits until the event loop has looked at all other sockets.
//
//   greeting ── Hello ──► serving ── error that ends it, or the daemon stops ──► ending ──► closed
//
// Ending says why, closes its direction, and discards what still comes until the client closes or time is up: closing
// at once would fail the client's writing before it had read the reason.

import Bindings
import NIOCore
import SwiftProtobuf

final class ControlServerConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase { case greeting, serving, ending }

    /// How long requests are served before others have their turn.
    private static let turnTime = TimeAmount.milliseconds(1)
    /// How long the next turn waits, so that the event loop looks at its sockets: it does not while a task is due.
    private static let pause = TimeAmount.microseconds(10)

    private let service: ControlService
    private var frames: ControlFrameReader
    private var phase = Phase.greeting
    private var client: ControlOrigin?
    /// A request that is not done, and its id.
    private var unfinished: (request: () -> ControlAnswer, id: UInt64)?
    private var context: ChannelHandlerContext?
    /// Bounds the time until Hello, then the time that ending takes.
    private var timeout: Scheduled<Void>?
    private var hasInputEnded = false
    private var isInTurn = false
    private var isTurnScheduled = false
    private var isFlushScheduled = false
    private var watch: (id: UInt64, events: ControlWatch)?
    private var events: ControlEventQueue
    private var punts: ControlEventQueue
    /// Bytes of punted packets that were written and that the client's socket has not taken.
    private var puntBytesUnderWay = 0

    init(_ service: ControlService) {
        self.service = service
        frames = ControlFrameReader(limit: service.configuration.frameLimit)
        events = ControlEventQueue(.events, limit: service.configuration.eventLimit)
        punts = ControlEventQueue(.punts, limit: service.configuration.puntLimit)
    }

    // MARK: The channel

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        do {
            let peer = try context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self) { socket in
                try ControlPeer(ofSocket: socket)
            }
            guard let peer else { preconditionFailure("a channel of a Unix socket has a descriptor") }
            client = ControlOrigin(peer)
            guard service.access.allows(peer) else {
                service.logger.notice("Refused \(peer) on the control socket")
                throw ControlError(
                    .notAllowed,
                    "\(peer) may not use this socket; become root, or have mooringd's --socket-group, --allow-user or "
                        + "--allow-group let you in")
            }
            try service.admit(self)
            service.logger.debug("\(peer) has connected to the control socket")
        } catch {
            guard service.keepRefused(self) else { return context.close(promise: nil) }
            end(error as? ControlError ?? ControlError(.notAllowed, "can't tell who you are: \(error)"))
            return
        }
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: service.configuration.helloTimeout) { [self] in
            end(ControlError(.version, "no Hello came within \(service.configuration.helloTimeout.seconds) s"))
        }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase != .ending else { return }
        var received = unwrapInboundIn(data)
        frames.append(&received)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if phase == .ending { context.read() } else { turn() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        sendEvents()
        turn()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        hasInputEnded = true
        if phase == .ending { context.close(promise: nil) } else { turn() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        phase = .ending
        self.context = nil
        service.remove(self)
        if let client { service.handler.hasGone(client) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    // MARK: Requests

    /// Serves requests while there are whole ones, and room for replies.
    private func turn() {
        guard let context, !isInTurn, unfinished == nil, service.isServing else { return }
        isInTurn = true
        defer { isInTurn = false }
        let end = NIODeadline.now() + Self.turnTime
        while phase != .ending, unfinished == nil {
            guard context.channel.isWritable else {
                context.flush()
                // What was flushed may all have been taken at once; then nobody will say that there is room.
                if context.channel.isWritable { scheduleTurn(context) }
                return
            }
            do throws(ControlFrameReader.Failure) {
                guard var frame = try frames.next() else {
                    context.flush()
                    return hasInputEnded ? endOfInput(context) : context.read()
                }
                serve(&frame)
                if NIODeadline.now() >= end {
                    scheduleTurn(context)
                    break
                }
            } catch {
                self.end(ControlError(.badFrame, "\(error)"))
            }
        }
        context.flush()
    }

    private func scheduleTurn(_ context: ChannelHandlerContext) {
        guard !isTurnScheduled else { return }
        isTurnScheduled = true
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [self] in
            isTurnScheduled = false
            turn()
        }
    }

    private func take(_ answer: ControlAnswer, id: UInt64) {
        switch answer {
        case .reply(let body):
            unfinished = nil
            write(body, id: id)
        case .unfinished(let request): unfinished = (request, id)
        }
    }

    /// Goes on with the request that is not done, until it is.
    private func goOn(_ eventLoop: any EventLoop) {
        guard unfinished != nil else { return }
        eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [self] in
            guard service.isServing, let (request, id) = unfinished else { return }
            take(request(), id: id)
            goOn(eventLoop)
            turn()
        }
    }

    /// Goes on where requests have waited.
    func goOnServing() {
        guard let context else { return }
        goOn(context.eventLoop)
        scheduleTurn(context)
    }

    private func serve(_ frame: inout ByteBuffer) {
        if phase == .serving, let client, let batch = PlainBatch(frame),
            let reply = service.handler.put(batch.bindings, removing: batch.removeIDs, from: client)
        {
            return write(reply, id: batch.id)
        }
        let bytes = frame.readBytes(length: frame.readableBytes) ?? []
        let request: ControlRequest
        do {
            request = try ControlRequest(serializedBytes: bytes)
        } catch {
            return end(ControlError(.badRequest, "a frame of \(bytes.count) bytes that is no Request: \(error)"))
        }
        switch (phase, request.body) {
        case (.greeting, .hello(let hello)): greet(hello, id: request.id)
        case (.greeting, _): end(ControlError(.version, "the first request must be Hello"), id: request.id)
        case (_, .hello): write(.error(ControlError(.badRequest, "Hello was said already here")), id: request.id)
        case (_, .watch(let events)): watch(events, id: request.id)
        case (_, let body?):
            guard let client, let context else { preconditionFailure("who is served is known") }
            take(service.handler.handle(body, from: client), id: request.id)
            goOn(context.eventLoop)
        case (_, nil):
            let known = "a Request with none of the bodies that \(service.configuration.name) knows"
            write(.error(ControlError(.badRequest, "\(known); is the client newer?")), id: request.id)
        }
    }

    private func greet(_ hello: ControlHello, id: UInt64) {
        guard hello.version > 0 else {
            return end(
                ControlError(.version, "version 0 is none; the latest here is \(ControlVersion.current)"), id: id)
        }
        guard ControlOrigin.isOwner(hello.owner) else {
            return end(
                ControlError(
                    .badRequest,
                    "\(StrictJSON.quoted(hello.owner)) is no owner: at most 64 letters, digits, dots, underscores and "
                        + "hyphens, the first a letter or digit"), id: id)
        }
        timeout?.cancel()
        phase = .serving
        client?.owner = hello.owner
        if let client { service.logger.debug("\(client.peer) calls itself \(StrictJSON.quoted(hello.client))") }
        var reply = ControlHelloReply()
        reply.version = min(hello.version, ControlVersion.current)
        reply.server = service.configuration.name
        reply.frameLimit = UInt32(service.configuration.frameLimit)
        write(.hello(reply), id: id)
    }

    /// The client will send no more. It may go on to read what it watches.
    private func endOfInput(_ context: ChannelHandlerContext) {
        if frames.pending > 0 {
            let expected = frames.expected.map { " of \($0)" } ?? ""
            end(ControlError(.badFrame, "the stream ended within a frame, after \(frames.pending)\(expected) bytes"))
        } else if watch == nil {
            closeWhenWritten(context)
        }
    }

    // MARK: Replies

    private func write(_ body: ControlReply.OneOf_Body, id: UInt64, promise: EventLoopPromise<Void>? = nil) {
        guard let context else { return promise?.fail(ChannelError.ioOnClosedChannel) ?? () }
        var reply = ControlReply()
        reply.id = id
        reply.body = body
        do {
            var buffer = context.channel.allocator.buffer(capacity: 0)
            try buffer.writeFrame(reply)
            context.write(wrapOutboundOut(buffer), promise: promise)
        } catch {
            preconditionFailure("a message without required fields can always be encoded: \(error)")
        }
    }

    /// Says why, and closes.
    func end(_ error: ControlError, id: UInt64 = 0) {
        guard let context, phase != .ending else { return }
        if let client { service.logger.info("Closing the control connection of \(client.peer): \(error)") }
        phase = .ending
        watch = nil
        service.publisher.remove(self)
        frames = ControlFrameReader(limit: 0)
        timeout?.cancel()
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: service.configuration.closeTimeout) { [self] in
            self.context?.close(promise: nil)
        }
        write(.error(error), id: id)
        closeWhenWritten(context)
        context.read()
    }

    private func closeWhenWritten(_ context: ChannelHandlerContext) {
        let closing = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in
            let connection = closing.value
            connection.context?.close(mode: connection.hasInputEnded ? .all : .output, promise: nil)
        }
    }

    // MARK: Events

    private func watch(_ request: ControlWatch, id: UInt64) {
        write(.watching(ControlWatching()), id: id)
        if !request.punts { punts = ControlEventQueue(.punts, limit: service.configuration.puntLimit) }
        if request.bindings || request.security || request.punts {
            watch = (id, request)
            service.publisher.add(self, forPunts: request.punts)
        } else {
            watch = nil
            service.publisher.remove(self)
        }
    }

    /// Whether events of bindings are watched for here.
    var watchesBindings: Bool { watch?.events.bindings == true }

    /// Counts an event of a binding as lost where there is no room for it.
    /// - Returns: false where there is.
    func losesEvent(at time: UInt64) -> Bool { events.loses(at: time) }

    /// Takes an event for sending, if it is watched for and there is room.
    /// - Returns: whether it did.
    func notify(_ event: ControlEvent) -> Bool {
        guard let context, let watch else { return false }
        let isTaken: Bool
        switch event.body {
        case .binding where watch.events.bindings, .security where watch.events.security:
            isTaken = events.append(event)
        case .punt where watch.events.punts:
            isTaken = punts.append(event)
        case .binding, .security, .punt, .lost, .lostPunts, nil: return false
        }
        sendEvents()
        scheduleFlush(context)
        return isTaken
    }

    /// Events often come in bursts, within one request; they are flushed together, behind it.
    private func scheduleFlush(_ context: ChannelHandlerContext) {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        context.eventLoop.assumeIsolated().execute { [self] in
            isFlushScheduled = false
            sendEvents()
            self.context?.flush()
        }
    }

    private func sendEvents() {
        guard let context, let watch else { return }
        if !context.channel.isWritable { context.flush() }
        while context.channel.isWritable, let event = events.popFirst() { write(.event(event), id: watch.id) }
        while context.channel.isWritable, puntBytesUnderWay < service.configuration.outboundPuntLimit,
            let event = punts.popFirst()
        {
            send(event, id: watch.id, context)
        }
    }

    /// Sends a punted packet, and others when the client's socket has taken it.
    private func send(_ event: ControlEvent, id: UInt64, _ context: ChannelHandlerContext) {
        let size = event.punt.size
        puntBytesUnderWay += size
        let sending = NIOLoopBound(self, eventLoop: context.eventLoop)
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenComplete { _ in sending.value.puntWasSent(size) }
        write(.event(event), id: id, promise: promise)
    }

    private func puntWasSent(_ size: Int) {
        puntBytesUnderWay -= size
        // Not at once: this comes for each packet, in the midst of a flush.
        if let context, puntBytesUnderWay <= service.configuration.outboundPuntLimit / 2 { scheduleFlush(context) }
    }
}

extension TimeAmount {
    fileprivate var seconds: Int64 { nanoseconds / 1_000_000_000 }
}

// The client's side of a connection, on its event loop: requests that wait for their replies, and the stream of events.

import NIOCore
import SwiftProtobuf

final class ControlClientConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private let eventLoop: any EventLoop
    private var context: ChannelHandlerContext?
    private var frames = ControlFrameReader(limit: ControlClient.replyLimit)
    private var lastID: UInt64 = 0
    private var waiting: [UInt64: EventLoopPromise<ControlReply.OneOf_Body>] = [:]
    /// Why nothing more can be asked.
    private var failure: ControlClientError?
    private var watch: (id: UInt64, source: ControlEvents.Producer.Source)?
    /// Takes events as they come, where they are not asked for as a sequence.
    private var delivery: (id: UInt64, deliver: (ControlEvent) -> Void)?
    /// Whether events wait for who watches, so that nothing is read.
    private var isPaused = false
    private var isReadHeldBack = false

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    // MARK: What is asked

    func send(_ body: ControlRequest.OneOf_Body) -> EventLoopFuture<ControlReply.OneOf_Body> {
        send(body, id: nextID())
    }

    private func nextID() -> UInt64 {
        lastID += 1
        return lastID
    }

    private func send(_ body: ControlRequest.OneOf_Body, id: UInt64) -> EventLoopFuture<ControlReply.OneOf_Body> {
        var request = ControlRequest()
        request.id = id
        request.body = body
        var buffer = ByteBuffer()
        do {
            try buffer.writeFrame(request)
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
        return send([buffer], id: id)
    }

    /// Sends a batch that is encoded already.
    func send(_ batch: ControlBatch) -> EventLoopFuture<ControlReply.OneOf_Body> {
        let id = nextID()
        var start = ByteBuffer()
        start.writeRequestStart(id: id, putBindingsLength: batch.message.readableBytes)
        return send([start, batch.message], id: id)
    }

    /// Sends a frame in pieces.
    private func send(_ frame: [ByteBuffer], id: UInt64) -> EventLoopFuture<ControlReply.OneOf_Body> {
        let promise = eventLoop.makePromise(of: ControlReply.OneOf_Body.self)
        guard let context, failure == nil else {
            promise.fail(failure ?? .closed("it was closed here"))
            return promise.futureResult
        }
        waiting[id] = promise
        for piece in frame { context.write(wrapOutboundOut(piece), promise: nil) }
        context.flush()
        return promise.futureResult
    }

    /// Asks for events; the sequence is there once the daemon has said that it watches.
    func watch(_ request: ControlWatch) -> EventLoopFuture<ControlEvents.Producer> {
        let sequence = ControlEvents.Producer.makeSequence(
            backPressureStrategy: .init(lowWatermark: 64, highWatermark: 256), finishOnDeinit: true,
            delegate: EventDemand(self, eventLoop))
        watch?.source.finish()
        let id = nextID()
        watch = (id, sequence.source)
        return send(.watch(request), id: id).map { _ in sequence.sequence }
    }

    /// Asks for events, each of which is handed to `deliver` as it comes.
    func watch(
        _ request: ControlWatch, _ deliver: @escaping (ControlEvent) -> Void
    ) -> EventLoopFuture<ControlReply.OneOf_Body> {
        let id = nextID()
        delivery = (id, deliver)
        return send(.watch(request), id: id)
    }

    // MARK: What comes

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var received = unwrapInboundIn(data)
        frames.append(&received)
        do throws(ControlFrameReader.Failure) {
            while failure == nil, var frame = try frames.next() {
                let bytes = frame.readBytes(length: frame.readableBytes) ?? []
                guard let reply = try? ControlReply(serializedBytes: bytes) else {
                    return fail(.unexpected("\(bytes.count) bytes that are no Reply"))
                }
                take(reply)
            }
        } catch {
            fail(.unexpected("\(error)"))
        }
    }

    private func take(_ reply: ControlReply) {
        switch reply.body {
        case .event(let event):
            if let delivery, delivery.id == reply.id { return delivery.deliver(event) }
            if let watch, watch.id == reply.id, case .stopProducing = watch.source.yield(event) { isPaused = true }
        case .error(let error) where reply.id == 0: fail(.refused(error))
        case .error(let error): waiting.removeValue(forKey: reply.id)?.fail(ControlClientError.refused(error))
        case let body?: waiting.removeValue(forKey: reply.id)?.succeed(body)
        case nil:
            waiting.removeValue(forKey: reply.id)?.fail(
                ControlClientError.unexpected("a reply that this version does not know"))
        }
    }

    func read(context: ChannelHandlerContext) {
        if isPaused { isReadHeldBack = true } else { context.read() }
    }

    /// Reads on, now that events are taken again.
    fileprivate func resume() {
        isPaused = false
        guard isReadHeldBack else { return }
        isReadHeldBack = false
        context?.read()
    }

    // MARK: The end

    /// Ends the connection: all that wait fail, and so does what is asked later.
    func fail(_ error: ControlClientError) {
        guard failure == nil else { return }
        failure = error
        for promise in waiting.values { promise.fail(error) }
        waiting = [:]
        watch?.source.finish(error)
        watch = nil
        delivery = nil
        context?.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.closed("mooringd closed it"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(.closed("\(error)"))
    }

    /// Passes the demand for events on to the connection.
    final class EventDemand: NIOAsyncSequenceProducerDelegate {
        private let connection: NIOLoopBound<ControlClientConnection>

        init(_ connection: ControlClientConnection, _ eventLoop: any EventLoop) {
            self.connection = NIOLoopBound(connection, eventLoop: eventLoop)
        }

        func produceMore() {
            connection.eventLoop.execute { self.connection.value.resume() }
        }

        func didTerminate() {
            // Nobody takes events any more; those that still come must not hold back replies.
            connection.eventLoop.execute { self.connection.value.resume() }
        }
    }
}

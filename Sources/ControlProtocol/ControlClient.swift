// A client's end of the control protocol. Requests of several tasks may be under way on one connection; the server
// answers in their order, and each reply finds its request by its id.

import Bindings
import NIOCore
import NIOPosix

/// A connection to mooringd.
public final class ControlClient: Sendable {
    /// The version of the protocol that both ends use.
    public let version: UInt32
    /// What the daemon calls itself, such as "mooringd 0.1.0".
    public let server: String
    /// The longest message that the daemon takes, in bytes.
    public let frameLimit: Int

    let channel: any Channel
    let connection: NIOLoopBound<ControlClientConnection>

    /// The longest message that is taken from a daemon, in bytes; its pages of bindings are far shorter.
    static let replyLimit = 16 << 20

    private init(channel: any Channel, connection: NIOLoopBound<ControlClientConnection>, hello: ControlHelloReply) {
        self.channel = channel
        self.connection = connection
        version = hello.version
        server = hello.server
        frameLimit = Int(hello.frameLimit)
    }

    /// Connects and says hello.
    /// - Parameters:
    ///   - path: of the daemon's socket.
    ///   - name: tells the daemon's log who this is, such as "mooring 0.1.0".
    ///   - owner: whose the bindings are that are put here (`ControlOrigin.isOwner`).
    ///   - timeout: for the daemon's answer.
    public static func connect(
        to path: String, as name: String, owner: String = "", timeout: TimeAmount = .seconds(5),
        on group: any EventLoopGroup = .singletonMultiThreadedEventLoopGroup
    ) async throws(ControlClientError) -> ControlClient {
        let eventLoop = group.next()
        let connected: (channel: any Channel, connection: NIOLoopBound<ControlClientConnection>)
        // Not looked up in the channel when it is there: a daemon that refuses may have closed it by then.
        let made = eventLoop.makePromise(of: NIOLoopBound<ControlClientConnection>.self)
        do {
            connected = try await ClientBootstrap(group: eventLoop)
                .connectTimeout(timeout)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let connection = ControlClientConnection(channel.eventLoop)
                        try channel.pipeline.syncOperations.addHandler(connection)
                        made.succeed(NIOLoopBound(connection, eventLoop: channel.eventLoop))
                    }
                }
                .connect(unixDomainSocketPath: path)
                .flatMap { channel in made.futureResult.map { (channel, $0) } }
                .get()
        } catch {
            made.fail(error)
            throw .unreachable(ControlClientError.explain(error, path: path))
        }
        let (channel, connection) = connected
        let expiry = eventLoop.scheduleTask(in: timeout) {
            connection.value.fail(
                .unreachable("\(path) takes connections, but no daemon answers; does mooringd hang?"))
        }
        defer { expiry.cancel() }
        do throws(ControlClientError) {
            var hello = ControlHello()
            hello.version = ControlVersion.current
            hello.client = name
            hello.owner = owner
            guard case .hello(let reply) = try await connection.request(.hello(hello)) else {
                throw .unexpected("something else than HelloReply to Hello")
            }
            guard (1...ControlVersion.current).contains(reply.version) else {
                throw .unexpected("version \(reply.version), which was not offered")
            }
            return ControlClient(channel: channel, connection: connection, hello: reply)
        } catch {
            channel.close(promise: nil)
            // One connection too many is no answer to what is to be asked.
            if case .refused(let refusal) = error, refusal.code == .limit { throw .unreachable(refusal.message) }
            throw error
        }
    }

    /// Closes the connection; requests that are under way fail.
    public func close() async {
        try? await channel.close()
    }

    /// Sends a request and waits for its reply, which is no error. `Watch` is `events`'.
    public func request(
        _ body: ControlRequest.OneOf_Body
    ) async throws(ControlClientError) -> ControlReply.OneOf_Body {
        try await connection.request(body)
    }

    /// Sends a batch; its reply comes in its time, as others do.
    func send(_ batch: ControlBatch) -> EventLoopFuture<ControlReply.OneOf_Body> {
        channel.eventLoop.flatSubmit { [connection] in connection.value.send(batch) }
    }

    /// Asks for events.
    ///
    /// While nobody takes the events that have come, nothing more is read from this connection, replies neither: what
    /// watches should have a connection of its own. The daemon then leaves events out and says how many (`lost`).
    /// - Parameter punts: packets for the control plane. Whoever asks for them takes it upon himself to answer
    ///   registrations: the forwarder then takes it that somebody does.
    public func events(
        bindings: Bool = true, security: Bool = true, punts: Bool = false
    ) async throws(ControlClientError) -> ControlEvents {
        var watch = ControlWatch()
        watch.bindings = bindings
        watch.security = security
        watch.punts = punts
        let events = try await ControlClientError.rethrowing {
            try await self.channel.eventLoop.flatSubmit { [connection, watch] in connection.value.watch(watch) }.get()
        }
        return ControlEvents(events)
    }
}

extension NIOLoopBound<ControlClientConnection> {
    fileprivate func request(
        _ body: ControlRequest.OneOf_Body
    ) async throws(ControlClientError) -> ControlReply.OneOf_Body {
        try await ControlClientError.rethrowing {
            try await self.eventLoop.flatSubmit { self.value.send(body) }.get()
        }
    }
}

/// Events, as they happen, from the moment `ControlClient.events` returned. It ends with an error when the connection
/// does, and can be gone through once.
public struct ControlEvents: AsyncSequence {
    typealias Producer = NIOThrowingAsyncSequenceProducer<
        ControlEvent, any Error, NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark,
        ControlClientConnection.EventDemand
    >

    private let producer: Producer

    init(_ producer: Producer) {
        self.producer = producer
    }

    /// Goes through the events.
    public struct AsyncIterator: AsyncIteratorProtocol {
        var iterator: Producer.AsyncIterator

        /// The next event; waits for it.
        public mutating func next() async throws -> ControlEvent? { try await iterator.next() }
    }

    /// Goes through the events.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(iterator: producer.makeAsyncIterator()) }
}

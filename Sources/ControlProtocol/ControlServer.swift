// The daemon's end of the control protocol: a Unix stream socket, all of whose connections and whose handler live on
// one event loop. That loop's thread is the single writer of the forwarder's tables: the handler answers at once and
// needs no locks. How a connection is served is ControlServerConnection; the socket's file is ControlSocket.

import Bindings
import Glibc
import Logging
import NIOCore
import NIOPosix

/// Answers requests. It lives on the server's event loop, and so does all that it touches.
public protocol ControlHandler: AnyObject {
    /// Answers a request: with what belongs to it (`BindingsChanged` to `PutBindings`, and so on) or with an error.
    ///
    /// Called on the server's event loop, one request after the other. `Hello` and `Watch` are the server's own and
    /// never come here. While this runs nothing else does on the socket: it must not wait for anything, and what takes
    /// long goes on in an `unfinished` answer.
    func handle(_ request: ControlRequest.OneOf_Body, from client: ControlOrigin) -> ControlAnswer

    /// Answers a request that puts bindings, each of which is valid by itself, removes others, and does nothing else.
    /// - Returns: nil to be given it by `handle` instead, as every handler may.
    func put(
        _ bindings: [Binding], removing ids: [String], from client: ControlOrigin
    ) -> ControlReply.OneOf_Body?

    /// Is told, on the same loop, that a client's connection has ended.
    func hasGone(_ client: ControlOrigin)

    /// Is told, on the same loop, when the first connection begins to watch for punted packets (true) and when the last
    /// one ends to (false).
    func puntsAreWatched(_ areWatched: Bool)
}

extension ControlHandler {
    /// Leaves it to `handle`.
    public func put(
        _ bindings: [Binding], removing ids: [String], from client: ControlOrigin
    ) -> ControlReply.OneOf_Body? { nil }
}

/// Serves the control protocol on a Unix socket.
public final class ControlServer: Sendable {
    /// Where and to whom it is served, and the bounds.
    public struct Configuration: Sendable {
        /// Of the socket. Its directory must be there.
        public var path: String
        /// Of the socket's file.
        public var mode: UInt32 = 0o660
        /// Whose the socket's file is to be; its members may then use it. Nil: the process's group, which gives no right.
        public var group: UInt32?
        /// Who may use it beside the members of `group`.
        public var access = ControlAccess()
        /// Connections at a time; one more is told so and closed. As many may at a time be about to be told.
        public var connectionLimit = 64
        /// The longest message from a client, in bytes.
        public var frameLimit = 4 << 20
        /// Bytes that wait for a client to read them. Beyond, no more of its requests are taken until it has read; at
        /// most one reply and one event are added to them.
        public var outboundLimit = 1 << 20
        /// Events that wait, beside those bytes, for a client that watches. Beyond, they are left out and counted.
        public var eventLimit = 1024
        /// Bytes of punted packets that wait, beside those bytes and events, for a client that watches for them.
        /// Beyond, they are left out and counted.
        public var puntLimit = 1 << 20
        /// How many of the bytes that wait for a client to read them may be punted packets: the rest is room for events
        /// and replies, however many packets come. At most one packet is added to them.
        public var outboundPuntLimit = 1 << 18
        /// How long a connection may take until its `Hello` is there.
        public var helloTimeout = TimeAmount.seconds(5)
        /// How long a connection that is being closed may take to read what is left for it.
        public var closeTimeout = TimeAmount.seconds(1)
        /// Names the daemon in `HelloReply`.
        public var name = "mooringd \(mooringVersion)"

        /// The defaults, at that path.
        public init(path: String) {
            self.path = path
        }
    }

    private let eventLoop: any EventLoop
    private let channel: any Channel
    private let socket: ControlSocket
    private let service: NIOLoopBound<ControlService>

    private init(
        eventLoop: any EventLoop, channel: any Channel, socket: ControlSocket, service: NIOLoopBound<ControlService>
    ) {
        self.eventLoop = eventLoop
        self.channel = channel
        self.socket = socket
        self.service = service
    }

    /// A listener, whose connections wait until `start`. Where the file is to be a group's, that may take rights that are not
    /// needed later.
    /// - Parameter descriptor: of a listener at that path that another process hands over; nil to make one.
    /// - Throws: `ControlSocketError` where the socket can't be had (another instance listens, the file is no socket,
    ///   rights are missing).
    public static func listen(
        _ configuration: Configuration, adopting descriptor: CInt? = nil, logger: Logger
    ) throws -> ControlSocket {
        if let descriptor { return adopt(descriptor, configuration, logger) }
        return try ControlSocket.listen(at: configuration.path, mode: configuration.mode, group: configuration.group)
    }

    /// Starts serving.
    /// - Parameters:
    ///   - listener: which this owns from now on, also where it throws; nil to make one.
    ///   - eventLoop: of a group that stays until `close` has returned.
    ///   - makeHandler: called once on the event loop, with what publishes events to those who watch.
    /// - Throws: `ControlSocketError` where the socket can't be had (another instance listens, the file is no socket,
    ///   rights are missing), or what `makeHandler` throws.
    public static func start(
        _ configuration: Configuration, at listener: ControlSocket? = nil, on eventLoop: any EventLoop, logger: Logger,
        handler makeHandler: @escaping @Sendable (ControlPublisher) throws -> any ControlHandler
    ) async throws -> ControlServer {
        let socket = try listener ?? listen(configuration, logger: logger)
        let service: NIOLoopBound<ControlService>
        do {
            service = try await eventLoop.submit {
                let publisher = ControlPublisher()
                let handler = try makeHandler(publisher)
                return NIOLoopBound(
                    ControlService(configuration, handler: handler, publisher: publisher, logger: logger),
                    eventLoop: eventLoop)
            }.get()
        } catch {
            socket.removeFile()
            socket.close()
            throw error
        }
        do {
            let channel = try await ServerBootstrap(group: eventLoop)
                .childChannelInitializer { child in service.value.setUp(child) }
                .withBoundSocket(socket.descriptor)
                .get()
            return ControlServer(eventLoop: eventLoop, channel: channel, socket: socket, service: service)
        } catch {
            socket.removeFile()
            throw error
        }
    }

    /// A listener of another process, or where its file is gone, so that nobody can connect to it, a new one. It is too late
    /// for an error: that process is about to end.
    private static func adopt(
        _ descriptor: CInt, _ configuration: Configuration, _ logger: Logger
    ) -> ControlSocket {
        let adopted = ControlSocket(adopting: descriptor, at: configuration.path)
        if adopted.isReachable { return adopted }
        do throws(ControlSocketError) {
            let new = try ControlSocket.listen(
                at: configuration.path, mode: configuration.mode, group: configuration.group)
            logger.warning("The control socket's file was gone and was made anew: \(configuration.path)")
            adopted.close()
            return new
        } catch {
            logger.error(
                "The control socket's file is gone, and nobody can connect until mooringd is restarted: \(error)")
            return adopted
        }
    }

    /// Stops serving: takes no more connections, removes the socket's file, tells each client that the daemon stops,
    /// and returns when all are closed, at the latest after `closeTimeout`.
    public func close() async {
        socket.removeFile()
        try? await eventLoop.flatSubmit { [channel, service, eventLoop] in
            Self.acceptWaiting(of: channel, service).flatMap {
                channel.close(promise: nil)
                return service.value.stop(on: eventLoop)
            }
        }.get()
    }

    /// The listening socket, which another process may be handed.
    public var descriptor: CInt { socket.descriptor }

    /// Accepts connections, or lets them wait in the kernel's queue. On the event loop.
    public func setAccepting(_ accepts: Bool) {
        eventLoop.assertInEventLoop()
        try? channel.syncOptions?.setOption(.autoRead, value: accepts)
    }

    /// Serves requests, or lets them wait, those too that are not done; who sends more fills its own socket. On the event
    /// loop.
    public func setServing(_ serves: Bool) { service.value.setServing(serves) }

    /// Leaves the socket to another process, which has its descriptor: connections that wait are that one's, and the file
    /// stays. Those that are here end as in `close`. On the event loop.
    /// - Returns: when all are closed.
    public func handOver() -> EventLoopFuture<Void> {
        channel.close(promise: nil)
        return service.value.stop(on: eventLoop)
    }

    /// Accepts what has connected and waits in the kernel's queue: closing the listener would reset it without a word.
    private static func acceptWaiting(
        of listener: any Channel, _ service: NIOLoopBound<ControlService>
    ) -> EventLoopFuture<Void> {
        let eventLoop = listener.eventLoop
        let waiting = try? listener.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self) {
            ControlSocket.takeWaiting(of: $0)
        }
        let connected = (waiting ?? []).map { descriptor in
            ClientBootstrap(group: eventLoop)
                .channelInitializer { channel in service.value.setUp(channel) }
                .withConnectedSocket(descriptor)
        }
        return EventLoopFuture.andAllComplete(connected, on: eventLoop)
    }
}

/// Tells those who watch what happens. It belongs to the server's event loop.
public final class ControlPublisher {
    private var watchers: [ObjectIdentifier: ControlServerConnection] = [:]
    private var puntWatchers: Set<ObjectIdentifier> = []
    /// Called when the first begins and when the last ends to watch for punted packets.
    var whenPuntsAreWatched: (Bool) -> Void = { _ in }

    /// Whether anybody watches at all.
    public var isWatched: Bool { !watchers.isEmpty }

    /// Sends an event to all who watch for its kind. It never waits: a watcher who does not read loses events, and is
    /// told how many.
    /// - Returns: whether anybody gets it.
    @discardableResult
    public func publish(_ body: ControlEvent.OneOf_Body) -> Bool {
        guard isWatched else { return false }
        var event = ControlEvent()
        event.time = Self.time()
        event.body = body
        var isTaken = false
        for watcher in watchers.values where watcher.notify(event) { isTaken = true }
        return isTaken
    }

    /// Whether anybody watches for changes of bindings.
    public var bindingsAreWatched: Bool { watchers.values.contains { $0.watchesBindings } }

    /// Sends a change of a binding to all who watch for them and have room. Where none has, the event is not made.
    public func publishChange(_ change: () -> ControlBindingEvent) {
        guard isWatched else { return }
        let time = Self.time()
        let takers = watchers.values.filter { $0.watchesBindings && !$0.losesEvent(at: time) }
        guard !takers.isEmpty else { return }
        var event = ControlEvent()
        event.time = time
        event.body = .binding(change())
        for taker in takers { _ = taker.notify(event) }
    }

    /// Milliseconds since 1970.
    private static func time() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(now.tv_sec) * 1000 + UInt64(now.tv_nsec) / 1_000_000
    }

    func add(_ watcher: ControlServerConnection, forPunts: Bool) {
        watchers[ObjectIdentifier(watcher)] = watcher
        if forPunts {
            changePuntWatchers { $0.insert(ObjectIdentifier(watcher)) }
        } else {
            changePuntWatchers { $0.remove(ObjectIdentifier(watcher)) }
        }
    }

    func remove(_ watcher: ControlServerConnection) {
        watchers[ObjectIdentifier(watcher)] = nil
        changePuntWatchers { $0.remove(ObjectIdentifier(watcher)) }
    }

    private func changePuntWatchers(_ change: (inout Set<ObjectIdentifier>) -> Void) {
        let wereWatched = !puntWatchers.isEmpty
        change(&puntWatchers)
        if wereWatched == puntWatchers.isEmpty { whenPuntsAreWatched(!wereWatched) }
    }
}

/// What the connections of a server share, on its event loop.
final class ControlService {
    let configuration: ControlServer.Configuration
    let access: ControlAccess
    let handler: any ControlHandler
    let publisher: ControlPublisher
    let logger: Logger
    private var connections: [ObjectIdentifier: ControlServerConnection] = [:]
    /// Connections that were not admitted and are being told so.
    private var refused: Set<ObjectIdentifier> = []
    private var whenEmpty: EventLoopPromise<Void>?
    /// Whether requests are served, or wait.
    private(set) var isServing = true

    init(
        _ configuration: ControlServer.Configuration, handler: any ControlHandler, publisher: ControlPublisher,
        logger: Logger
    ) {
        self.configuration = configuration
        self.handler = handler
        self.publisher = publisher
        self.logger = logger
        publisher.whenPuntsAreWatched = { [unowned handler] in handler.puntsAreWatched($0) }
        var access = configuration.access
        if let group = configuration.group { access.groups.insert(group) }
        self.access = access
    }

    /// Makes a channel one of this server's connections.
    func setUp(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            let options = channel.syncOptions
            try options?.setOption(.autoRead, value: false)
            try options?.setOption(.allowRemoteHalfClosure, value: true)
            try options?.setOption(
                .writeBufferWaterMark,
                value: ChannelOptions.Types.WriteBufferWaterMark(
                    low: configuration.outboundLimit / 2, high: configuration.outboundLimit))
            try channel.pipeline.syncOperations.addHandler(ControlServerConnection(self))
        }
    }

    /// Counts a connection, unless there are too many or the daemon stops.
    func admit(_ connection: ControlServerConnection) throws(ControlError) {
        guard whenEmpty == nil else { throw .stopping }
        guard connections.count < configuration.connectionLimit else {
            throw ControlError(
                .limit, "\(configuration.connectionLimit) connections are open, which is the limit; close one")
        }
        connections[ObjectIdentifier(connection)] = connection
    }

    /// Keeps a connection that was not admitted until it has read why, unless there are too many of them too.
    func keepRefused(_ connection: ControlServerConnection) -> Bool {
        refused.count < configuration.connectionLimit && refused.insert(ObjectIdentifier(connection)).inserted
    }

    func remove(_ connection: ControlServerConnection) {
        connections[ObjectIdentifier(connection)] = nil
        refused.remove(ObjectIdentifier(connection))
        publisher.remove(connection)
        if connections.isEmpty { whenEmpty?.succeed() }
    }

    func setServing(_ serves: Bool) {
        guard serves != isServing else { return }
        isServing = serves
        guard serves else { return }
        for connection in connections.values { connection.goOnServing() }
    }

    /// Ends all connections.
    func stop(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        if let whenEmpty { return whenEmpty.futureResult }
        let promise = eventLoop.makePromise(of: Void.self)
        whenEmpty = promise
        for connection in connections.values { connection.end(.stopping) }
        if connections.isEmpty { promise.succeed() }
        return promise.futureResult
    }
}

extension ControlError {
    static let stopping = ControlError(.stopping, "mooringd is stopping")
}

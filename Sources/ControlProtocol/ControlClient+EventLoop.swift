// For a program that lives on the connection's event loop, and does not wait: requests whose replies are futures, which
// may be pipelined, and events that come as calls. A home agent is one.

import Bindings
import NIOCore

extension ControlClient {
    /// The loop that all of the connection is on.
    public var eventLoop: any EventLoop { channel.eventLoop }

    /// Succeeds when the connection has ended, whoever ended it.
    public var closed: EventLoopFuture<Void> { channel.closeFuture }

    /// Sends a request; the reply comes behind those of earlier ones. `Watch` is `watch`'s.
    public func send(_ body: ControlRequest.OneOf_Body) -> EventLoopFuture<ControlReply.OneOf_Body> {
        channel.eventLoop.flatSubmit { [connection] in connection.value.send(body) }
    }

    /// Sends bindings to put and ids of bindings to remove, as one request where they fit one, all or nothing.
    /// - Returns: succeeds when all are done, and fails with the first refusal.
    public func sendPut(_ bindings: [Binding], removing ids: [String]) -> EventLoopFuture<Void> {
        channel.eventLoop.flatSubmit { [connection, frameLimit] in
            let replies = ControlBatches(bindings, removing: ids, limit: frameLimit).map { batch in
                connection.value.send(batch).flatMapThrowing { reply in
                    guard case .bindingsChanged = reply else {
                        throw ControlClientError.unexpected("something else than BindingsChanged to PutBindings")
                    }
                }
            }
            return EventLoopFuture.andAllComplete(replies, on: connection.eventLoop).flatMap {
                EventLoopFuture.andAllSucceed(replies, on: connection.eventLoop)
            }
        }
    }

    /// Asks for events, each of which is handed over as it comes; nothing holds them back. Who gets them bounds what it
    /// keeps of them.
    /// - Parameter deliver: called on the event loop.
    public func watch(
        bindings: Bool = false, security: Bool = false, punts: Bool = false,
        deliver: @escaping @Sendable (ControlEvent) -> Void
    ) -> EventLoopFuture<Void> {
        var watch = ControlWatch()
        watch.bindings = bindings
        watch.security = security
        watch.punts = punts
        return channel.eventLoop.flatSubmit { [connection, watch] in
            connection.value.watch(watch, deliver).map { _ in }
        }
    }
}

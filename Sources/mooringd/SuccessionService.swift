// The daemon's side of a take-over (SuccessionMessage tells what is said): a thread of its own, so that a successor who is
// slow, or none at all, holds up nothing. It goes to the event loop for what belongs there. Only the last step is done on
// the event loop as a whole, while workers rest and requests wait: within bounds, and when it fails all goes on.

import ControlProtocol
import Dispatch
import Forwarding
import Glibc
import Logging
import NIOCore
import ServiceProcess
import Succession

/// Lets successors take over, one at a time.
final class SuccessionService: @unchecked Sendable {
    /// In seconds: how long the successor may take to say what it is, to read a copy of the table, and to read changes.
    private static let (helloLimit, copyLimit, changesLimit) = (5, 120, 30)
    /// How long it may take when no packet flows, in seconds, and how long workers may take to come to rest.
    private static let lastLimit = 2
    private static let restLimit = DispatchTimeInterval.seconds(1)
    /// Changes that are few enough to be the last, and how often changes are sent while requests are served, and while they
    /// wait, before they are the last in any case.
    private static let (fewChanges, roundLimit, quietRoundLimit) = (1024, 8, 4)
    /// How long connections have to end that are there, while others wait, in microseconds.
    private static let connectionTime: UInt32 = 50_000

    private let listener: SuccessionListener
    private let daemon: Daemon
    private let server: ControlServer
    private let logger: Logger

    /// - Parameter daemon: is only touched on its event loop.
    init(_ listener: SuccessionListener, _ daemon: Daemon, _ server: ControlServer, _ logger: Logger) {
        self.listener = listener
        self.daemon = daemon
        self.server = server
        self.logger = logger
    }

    /// Begins to listen, on a thread that ends with the process.
    func start() {
        startThread(named: "mooring-upgrade") { [self] in
            while true {
                do throws(SuccessionError) {
                    if serve(try listener.accept()) { return }
                } catch {
                    logger.error("no successor can take over", metadata: ["reason": "\(error)"])
                    // What is missing, such as descriptors, may be there later.
                    sleep(10)
                }
            }
        }
    }

    /// - Returns: whether it has taken over.
    private func serve(_ connection: SuccessionConnection) -> Bool {
        let process = "\(connection.peer?.process ?? 0)"
        logger.notice("a successor wants to take over", metadata: ["process": "\(process)"])
        do {
            let closed = try handOver(to: connection)
            // It ends the connection when others know of it. Who waits here forwards no more.
            _ = try? connection.receive(within: Self.lastLimit)
            try? closed.wait()
            logger.notice("handed over", metadata: ["process": "\(process)"])
            daemon.workers.leave()
            return true
        } catch {
            logger.warning(
                "not handed over; forwarding goes on", metadata: ["process": "\(process)", "reason": "\(error)"])
            try? connection.send(SuccessionMessage(.refusal, "\(error)"), within: 1)
            try? onLoop { [self] in
                server.setAccepting(true)
                server.setServing(true)
                daemon.checkpoints?.goOn()
            }
            return false
        }
    }

    private func onLoop<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        try daemon.eventLoop.submit(body).wait()
    }

    /// - Returns: when the connections that were here are closed.
    private func handOver(to connection: SuccessionConnection) throws -> EventLoopFuture<Void> {
        let hello = try receive(.hello, from: connection, within: Self.helloLimit)
        let (descriptors, text) = try onLoop { [self] in try offer(to: hello.text) }
        try connection.send(SuccessionMessage(.offer, text), descriptors, within: Self.helloLimit)

        // Used on the event loop only.
        nonisolated(unsafe) let transfer = try onLoop { [self] in
            daemon.checkpoints?.hold()
            nonisolated(unsafe) let transfer = try SuccessionTransfer(
                of: daemon.table, origin: daemon, number: daemon.checkpoints?.number ?? 0)
            return Unshared(transfer)
        }.value
        defer { try? onLoop { transfer.end() } }
        var copy: MemoryFile?
        while copy == nil { copy = try onLoop { try transfer.runCopy() } }
        guard let copy else { preconditionFailure("a copy is made until it is done") }
        try connection.send(SuccessionMessage(.table), [copy.descriptor], within: Self.helloLimit)
        _ = try receive(.done, from: connection, within: Self.copyLimit)

        var last = Int.max
        for _ in 0..<Self.roundLimit {
            let count = try sendChanges(transfer, to: connection)
            // Where they come as fast as they go over there is no end to it.
            if count <= Self.fewChanges || count > last / 2 { break }
            last = count
        }

        // Requests of those who are about to be answered are; who connects now waits for the successor. Then all requests
        // wait, so that packets need not wait for what they change.
        try onLoop { [self] in server.setAccepting(false) }
        usleep(Self.connectionTime)
        try onLoop { [self] in server.setServing(false) }
        for _ in 0..<Self.quietRoundLimit where try sendChanges(transfer, to: connection) <= Self.fewChanges { break }
        return try onLoop { [self] in try finish(transfer, connection) }
    }

    /// Sends what has changed since the last time, while packets flow.
    /// - Returns: how much it was.
    private func sendChanges(_ transfer: SuccessionTransfer, to connection: SuccessionConnection) throws -> Int {
        // Used on the event loop only.
        nonisolated(unsafe) let transfer = transfer
        try onLoop { try transfer.beginChanges() }
        var changes: (file: MemoryFile, count: Int)?
        while changes == nil { changes = try onLoop { try transfer.runChanges() } }
        guard let changes else { preconditionFailure("changes are written until they are done") }
        try connection.send(SuccessionMessage(.changes), [changes.file.descriptor], within: Self.helloLimit)
        _ = try receive(.done, from: connection, within: Self.changesLimit)
        return changes.count
    }

    /// What a successor gets first.
    /// - Throws: where it may not be one.
    private func offer(to settings: String) throws -> (descriptors: [CInt], text: String) {
        let differing = daemon.configuration.settingsThatForbidSuccession(by: settings)
        guard differing.isEmpty else {
            throw SuccessionError(
                "the running daemon has other settings (\(differing.joined(separator: ", "))), which a take-over keeps: "
                    + "start with the same, or restart")
        }
        let queues = daemon.workers.queueDescriptors
        let lock = daemon.checkpoints?.lock
        return (
            queues + [server.descriptor, listener.descriptor] + (lock.map { [$0] } ?? []),
            "queues=\(queues.count)"
        )
    }

    /// The last step, on the event loop.
    private func finish(
        _ transfer: SuccessionTransfer, _ connection: SuccessionConnection
    ) throws -> EventLoopFuture<Void> {
        let start = ContinuousClock.now
        do {
            guard daemon.workers.rest(until: .now() + Self.restLimit) else {
                throw SuccessionError("the workers did not come to rest")
            }
            try transfer.beginChanges()
            guard let rest = try transfer.runChanges(for: nil) else {
                preconditionFailure("all changes were asked for")
            }
            try connection.send(SuccessionMessage(.last), [rest.file.descriptor], within: Self.lastLimit)
            _ = try receive(.done, from: connection, within: Self.lastLimit)
            try connection.send(SuccessionMessage(.yours), within: Self.lastLimit)
            logger.info(
                "the successor forwards",
                metadata: [
                    "changes": "\(rest.count)", "microseconds": "\((ContinuousClock.now - start) / .microseconds(1))",
                ])
        } catch {
            daemon.workers.goOn()
            throw error
        }
        daemon.handOver()
        return server.handOver()
    }

    private func receive(
        _ kind: SuccessionMessage.Kind, from connection: SuccessionConnection, within seconds: Int
    ) throws -> SuccessionMessage {
        guard let received = try connection.receive(within: seconds) else {
            throw SuccessionError("the successor is gone")
        }
        let message = received.message
        if message.kind == .refusal { throw SuccessionError("the successor gave up: \(message.text)") }
        guard message.kind == kind else { throw SuccessionError("the successor says something unexpected") }
        return message
    }
}

/// What is only touched where it belongs, on its way there.
private struct Unshared<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

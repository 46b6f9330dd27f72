// The successor's side of a take-over (SuccessionMessage tells what is said). Until `takeOver` has returned nothing is
// this process's own: where it fails it ends, and the predecessor goes on.

import Bindings
import Checkpoint
import Forwarding
import Glibc
import Logging
import PacketIO
import ServiceProcess
import Succession

/// The daemon that is taken over.
final class Predecessor {
    /// In seconds: how long it may take to answer, and to make a copy of its table.
    private static let (answerLimit, copyLimit) = (10, 120)

    /// The listener of the control socket, which the server is given.
    let controlListener: CInt
    /// That by which the next one takes over.
    let successionListener: SuccessionListener
    /// Of the checkpoint, where there is one.
    let lock: CInt?
    /// Of its devices, until they are taken.
    private var queues: [CInt]
    private var connection: SuccessionConnection?
    private let settings: DaemonConfiguration
    private let limits: CheckpointContents.Limits
    /// Who tells this process to stop before it has taken over wants the predecessor to go on.
    private let signals: SignalSources

    /// Asks a daemon to be taken over.
    /// - Throws: where there is none, or it refuses.
    init(_ settings: DaemonConfiguration, _ signals: SignalSources) throws {
        (self.settings, self.signals) = (settings, signals)
        limits = CheckpointContents.Limits(
            bindings: settings.maxBindings, prefixes: settings.maxPrefixes, members: settings.maxMembers)
        let path = SuccessionListener.path(beside: settings.socket)
        let connection: SuccessionConnection
        do {
            connection = try SuccessionConnection(path: path)
        } catch {
            throw CannotStart("no mooringd can be taken over: \(error); start without --take-over")
        }
        try connection.send(SuccessionMessage(.hello, settings.successionText), within: Self.answerLimit)
        let offer = try Self.receive([.offer], from: connection, within: Self.answerLimit, signals)
        let expected = settings.workerCount * (settings.singleDevice ? 1 : 2)
        // Beside a queue of each device a worker may have a socket for frames.
        let offered = [expected, expected + settings.workerCount].first { offer.message.text == "queues=\($0)" }
        guard let offered, (offered + 2...offered + 3).contains(offer.descriptors.count) else {
            throw CannotStart("the running mooringd offers \(offer.message.text), where \(expected) are needed")
        }
        self.connection = connection
        queues = (0..<offered).map { _ in offer.descriptors.takeNext() }
        controlListener = offer.descriptors.takeNext()
        successionListener = SuccessionListener(descriptor: offer.descriptors.takeNext(), path: path)
        lock = offer.descriptors.count > 0 ? offer.descriptors.takeNext() : nil
    }

    deinit { for descriptor in queues { Glibc.close(descriptor) } }

    /// The queues of its devices. To be called once.
    func takeQueues() throws -> PortQueues {
        let count = settings.workerCount
        defer { queues = [] }
        let home = try TunQueues(
            name: settings.homeDevice, adopting: Array(queues[..<count]),
            offload: settings.singleDevice ? .none : settings.offload.ofHome)
        if settings.singleDevice { return PortQueues(shared: home) }
        let access = try TunQueues(
            name: settings.accessDevice, adopting: Array(queues[count..<2 * count]),
            offload: settings.offload.ofAccess(settings.accessOffload))
        let frames = Array(queues[(2 * count)...])
        return PortQueues(
            home: home, access: access,
            frames: frames.isEmpty ? nil : try FrameSockets(deviceNamed: settings.accessDevice, adopting: frames))
    }

    /// Reads its bindings, as they were some time ago; `takeOver` brings them up to date. To be called once.
    func readTable<Result>(_ body: (CInt, CheckpointContents.Limits) throws -> Result) throws -> Result {
        guard let connection else { preconditionFailure("it is taken over once") }
        let table = try Self.receive([.table], from: connection, within: Self.copyLimit, signals)
        let descriptor = try Self.file(of: table)
        defer { Glibc.close(descriptor) }
        return try body(descriptor, limits)
    }

    /// Follows the changes of the predecessor's table to the last, upon which the predecessor forwards no more.
    /// - Parameter restored: by `readTable`.
    func takeOver(_ restored: inout RestoredBindings) throws {
        // Of the copy.
        guard let connection else { preconditionFailure("it is taken over once") }
        try connection.send(SuccessionMessage(.done), within: Self.answerLimit)
        while true {
            let received = try Self.receive([.changes, .last], from: connection, within: Self.copyLimit, signals)
            let descriptor = try Self.file(of: received)
            defer { Glibc.close(descriptor) }
            try restored.follow(try CheckpointChangeContents(descriptor: descriptor, limits: limits))
            // Behind the answer to the last there is no way back.
            try Self.checkForStop(signals)
            try connection.send(SuccessionMessage(.done), within: Self.answerLimit)
            if received.message.kind == .last { break }
        }
        _ = try Self.receive([.yours], from: connection, within: Self.answerLimit, nil)
    }

    /// Ends the exchange, which the predecessor waits for.
    func close() { connection = nil }

    /// Tells it why there will be no succession.
    func giveUp(_ error: any Error) {
        try? connection?.send(SuccessionMessage(.refusal, "\(error)"), within: 1)
    }

    private static func file(of received: ReceivedMessage) throws -> CInt {
        guard received.descriptors.count > 0 else { throw CannotStart("the running mooringd sent no table") }
        return received.descriptors.takeNext()
    }

    private static func checkForStop(_ signals: SignalSources?) throws {
        guard let signal = signals?.stopSignal else { return }
        throw CannotStart("\(signal) came before it took over; the running mooringd goes on")
    }

    /// - Parameter signals: by which this may end; nil where there is no way back.
    private static func receive(
        _ kinds: [SuccessionMessage.Kind], from connection: SuccessionConnection, within seconds: Int,
        _ signals: SignalSources?
    ) throws -> ReceivedMessage {
        let received = try connection.receive(within: seconds, unless: { signals?.stopSignal != nil })
        guard let received else {
            try checkForStop(signals)
            throw CannotStart("the running mooringd has ended, or takes no successor: start without --take-over")
        }
        let message = received.message
        if message.kind == .refusal { throw CannotStart("the running mooringd is not taken over: \(message.text)") }
        guard kinds.contains(message.kind) else { throw CannotStart("the running mooringd says something unexpected") }
        return received
    }
}

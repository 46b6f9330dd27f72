// The home agent's end of mooringd's socket. Bindings and packets to send go by one connection, where what is asked for
// is done in that order; punted packets come by another, so that a flood of them holds up no reply. Where either ends,
// both are closed, the owner is told, and they are made again, at once and then every two seconds.
//
//   connecting ── both are there ──► resynchronizing ── all bindings are named ──► following
//        ▲                                 │                                          │
//        └───────────── a connection has ended, or the resynchronization was refused ─┘
//
// All of it lives on one event loop.

import Bindings
import ControlProtocol
import Logging
import MobileIP
import NIOCore
import Wire

/// What a dataplane asks of the home agent, and tells it. Called on the event loop.
protocol DataplaneOwner: AnyObject {
    /// Those whose datagrams the forwarder is to hand out.
    var addressesToHear: [IPv4Address] { get }
    /// The forwarder is there; from now on it is told of changes, beside the bindings that it is told of anew.
    func dataplaneReturned()
    /// It is no longer there.
    func dataplaneLost()
    /// From now on it is told of all bindings.
    func resynchronizationBegins()
    /// It has been told of all.
    func dataplaneSynchronized()
    /// Some of the bindings that there are.
    func bindings(from position: Int, limit: Int) -> (bindings: [MobilityBinding], next: Int?)
    /// The forwarder was told of these, as part of all. Its device may be a new one, without routes.
    func named(_ bindings: [MobilityBinding])
    /// Of those that it was told of, as part of all, the forwarder does not take these.
    func refused(_ bindings: [RefusedBinding])
    /// A packet for the control plane, or a number of them that were lost on the way.
    func received(_ punt: ControlPuntEvent)
    func lost(punts: UInt64)
}

/// A binding that the forwarder does not take, and why.
struct RefusedBinding: Sendable {
    let binding: MobilityBinding
    let error: ControlError
}

/// The connections to mooringd.
final class Dataplane {
    /// Whose the bindings are.
    static let bindingOwner = "mooring-ha"
    /// Nodes whose bindings are named before replies to some of them are there.
    private static let pageSize = 1024
    private static let pagesUnderWay = 4
    /// In seconds, between two tries to connect: without a home agent a forwarder that is there again drops registrations.
    private static let longestWait: Int64 = 2

    /// Counts connections, from 1 on; while none is there bindings are not put.
    private(set) var epoch: UInt64 = 0
    private(set) var isConnected = false
    /// Why it is not.
    private(set) var reason = "not tried yet"
    /// Whether the forwarder has been told of all bindings.
    private(set) var isSynchronized = false
    /// The forwarder's; nil until it has told them.
    private(set) var endpoints: [IPv4Address]?

    private let path: String
    private let name: String
    private let receivesPunts: Bool
    let eventLoop: any EventLoop
    private let logger: Logger
    private unowned let owner: any DataplaneOwner
    private(set) var client: ControlClient?
    private var watcher: ControlClient?
    private var isStopped = false
    private var failures: Int64 = 0

    init(
        path: String, name: String, receivesPunts: Bool, eventLoop: any EventLoop, logger: Logger,
        owner: any DataplaneOwner
    ) {
        self.path = path
        self.name = name
        self.receivesPunts = receivesPunts
        self.eventLoop = eventLoop
        self.logger = logger
        self.owner = owner
    }

    // MARK: - Connections

    /// Connects, and goes on to do so.
    func start() {
        guard !isStopped else { return }
        let (path, name, eventLoop, receivesPunts) = (path, name, eventLoop, receivesPunts)
        eventLoop.makeFutureWithTask {
            let client = try await ControlClient.connect(
                to: path, as: name, owner: Self.bindingOwner, on: eventLoop)
            guard receivesPunts else { return (client, nil as ControlClient?) }
            do {
                return (client, try await ControlClient.connect(to: path, as: name, on: eventLoop))
            } catch {
                await client.close()
                throw error
            }
        }.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success((let client, let watcher)): connected(client, watcher)
            case .failure(let error): retry("\(error)")
            }
        }
    }

    /// Ends the connections for good; bindings stay.
    func stop() {
        (isStopped, isConnected) = (true, false)
        client?.closeNow()
        watcher?.closeNow()
    }

    private func connected(_ client: ControlClient, _ watcher: ControlClient?) {
        guard !isStopped else {
            client.closeNow()
            watcher?.closeNow()
            return
        }
        (self.client, self.watcher) = (client, watcher)
        isConnected = true
        epoch += 1
        let epoch = epoch
        logger.info("connected to the forwarder", metadata: ["server": "\(client.server)", "socket": "\(path)"])
        owner.dataplaneReturned()
        for connection in [client, watcher].compactMap({ $0 }) {
            connection.closed.assumeIsolated().whenComplete { [self] _ in hasEnded(epoch, "the connection has ended") }
        }
        // One that has ended already has been told of.
        guard isConnected else { return }
        if let watcher { watch(watcher, epoch) }
        askForEndpoints(client, epoch)
        resynchronize(client, epoch)
    }

    private func hasEnded(_ epoch: UInt64, _ reason: String) {
        guard isConnected, epoch == self.epoch else { return }
        isConnected = false
        isSynchronized = false
        endpoints = nil
        client?.closeNow()
        watcher?.closeNow()
        (client, watcher) = (nil, nil)
        owner.dataplaneLost()
        retry(reason)
    }

    private func retry(_ reason: String) {
        guard !isStopped else { return }
        // Told once, and again when it is another reason.
        if reason != self.reason { logger.warning("no forwarder", metadata: ["reason": "\(reason)"]) }
        self.reason = reason
        let wait = TimeAmount.seconds(min(1 << min(failures, 5), Self.longestWait))
        failures += 1
        eventLoop.assumeIsolated().scheduleTask(in: failures == 1 ? .milliseconds(100) : wait) { [self] in start() }
    }

    private func watch(_ watcher: ControlClient, _ epoch: UInt64) {
        // It is called on this event loop.
        nonisolated(unsafe) let owner = owner
        watcher.watch(punts: true) { event in
            switch event.body {
            case .punt(let punt): owner.received(punt)
            case .lostPunts(let count): owner.lost(punts: count)
            default: break
            }
        }.assumeIsolated().whenFailure { [self] error in hasEnded(epoch, "\(error)") }
    }

    // MARK: - Endpoints

    private func askForEndpoints(_ client: ControlClient, _ epoch: UInt64) {
        client.send(.getStatus(ControlGetStatus())).assumeIsolated().whenSuccess { [self] reply in
            guard epoch == self.epoch, isConnected, case .status(let status) = reply else { return }
            endpoints = status.endpoints.map { IPv4Address(rawValue: $0) }
            warnOfUnheardAddresses()
        }
    }

    /// The home agent's addresses that are no endpoints of the forwarder, so that what is sent to them does not come.
    var unheardAddresses: [IPv4Address] {
        guard let endpoints else { return [] }
        return owner.addressesToHear.filter { !endpoints.contains($0) }
    }

    /// Once for each connection, and where addresses change.
    func warnOfUnheardAddresses() {
        let unheard = unheardAddresses
        guard !unheard.isEmpty, let endpoints else { return }
        let options = unheard.map { "--endpoint \($0)" }.joined(separator: " ")
        logger.warning(
            """
            no registration comes to addresses that are no endpoints of mooringd: start it with \(options) too, or \
            take them out of addresses
            """,
            metadata: [
                "addresses": "\(unheard.map(\.description).joined(separator: ","))",
                "endpoints": "\(endpoints.map(\.description).joined(separator: ","))", "socket": "\(path)",
            ])
    }

    // MARK: - Resynchronization

    private func resynchronize(_ client: ControlClient, _ epoch: UInt64) {
        owner.resynchronizationBegins()
        client.send(.beginResynchronization(ControlBeginResynchronization())).assumeIsolated().whenComplete {
            [self] result in
            switch result {
            case .success:
                let state = Resynchronization()
                for _ in 0..<Self.pagesUnderWay { namePage(state, client, epoch) }
            case .failure(let error): hasEnded(epoch, "\(error)")
            }
        }
    }

    private final class Resynchronization {
        var position: Int? = 0
        var pagesUnderWay = 0
        var isRefused = false
        var isEnded = false
    }

    /// Names the next bindings, and those behind them when these are there.
    private func namePage(_ state: Resynchronization, _ client: ControlClient, _ epoch: UInt64) {
        guard epoch == self.epoch, isConnected else { return }
        guard let position = state.position else { return endResynchronization(state, client, epoch) }
        let page = owner.bindings(from: position, limit: Self.pageSize)
        state.position = page.next
        state.pagesUnderWay += 1
        put(page.bindings, removing: []).assumeIsolated().whenComplete { [self] result in
            state.pagesUnderWay -= 1
            switch result {
            case .success(let refused):
                if !refused.isEmpty {
                    state.isRefused = true
                    owner.refused(refused)
                }
                owner.named(page.bindings)
                namePage(state, client, epoch)
            case .failure: break  // The connection has ended, and whoever sees to that is told.
            }
        }
    }

    private func endResynchronization(_ state: Resynchronization, _ client: ControlClient, _ epoch: UInt64) {
        guard state.pagesUnderWay == 0, !state.isEnded else { return }
        state.isEnded = true
        var end = ControlEndResynchronization()
        end.abandon = state.isRefused
        client.send(.endResynchronization(end)).assumeIsolated().whenComplete { [self] result in
            guard epoch == self.epoch else { return }
            switch result {
            case .success(.resynchronized(let counts)) where !state.isRefused:
                isSynchronized = true
                failures = 0
                reason = ""
                logger.info(
                    "bindings resynchronized",
                    metadata: [
                        "kept": "\(counts.kept)", "added": "\(counts.added)", "replaced": "\(counts.replaced)",
                        "removed": "\(counts.removed)",
                    ])
                owner.dataplaneSynchronized()
            case .success:
                // Who was refused has lost its binding; the rest is named again, and then nothing is in the way.
                eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { [self] in
                    if epoch == self.epoch, isConnected { resynchronize(client, epoch) }
                }
            case .failure(let error): hasEnded(epoch, "\(error)")
            }
        }
    }

    // MARK: - Bindings

    /// Puts bindings and removes others. Where the forwarder refuses, each is tried by itself.
    /// - Returns: bindings that were refused alone; fails where the connection has ended.
    func put(_ bindings: [MobilityBinding], removing removed: [IPv4Address]) -> EventLoopFuture<[RefusedBinding]> {
        guard let client, isConnected else {
            return eventLoop.makeFailedFuture(ControlClientError.closed("there is no forwarder"))
        }
        guard !bindings.isEmpty || !removed.isEmpty else { return eventLoop.makeSucceededFuture([]) }
        let ids = removed.map { MobilityBinding.id(of: $0) }
        return client.sendPut(bindings.map { Binding($0) }, removing: ids).map { [] }.assumeIsolated()
            .flatMapError { [self] error in
                guard case ControlClientError.refused = error else { return eventLoop.makeFailedFuture(error) }
                return putEach(bindings, removing: ids, client)
            }.nonisolated()
    }

    private func putEach(
        _ bindings: [MobilityBinding], removing ids: [String], _ client: ControlClient
    ) -> EventLoopFuture<[RefusedBinding]> {
        var replies: [EventLoopFuture<RefusedBinding?>] = []
        if !ids.isEmpty { replies.append(client.sendPut([], removing: ids).map { nil }) }
        for binding in bindings {
            let reply = client.sendPut([Binding(binding)], removing: []).map { nil as RefusedBinding? }
            replies.append(
                reply.flatMapErrorThrowing { error in
                    guard case ControlClientError.refused(let refusal) = error else { throw error }
                    return RefusedBinding(binding: binding, error: refusal)
                })
        }
        return EventLoopFuture.whenAllSucceed(replies, on: eventLoop).map { $0.compactMap { $0 } }
    }

    // MARK: - Packets

    /// Has packets sent, any number, in their order. Those behind one that the forwarder refuses are sent all the same, behind
    /// others.
    /// - Parameter failed: called with the number of those that were not taken.
    func send(_ packets: [ControlInjectedPacket], failed: @escaping (Int) -> Void) {
        guard let client, isConnected else { return failed(packets.count) }
        for start in stride(from: 0, to: packets.count, by: Self.packetsPerRequest) {
            send(packets[start..<min(start + Self.packetsPerRequest, packets.count)], by: client, failed: failed)
        }
    }

    /// Sends as many as fit one request.
    private func send(
        _ packets: ArraySlice<ControlInjectedPacket>, by client: ControlClient, failed: @escaping (Int) -> Void
    ) {
        client.send(.inject(.with { $0.packets = Array(packets) })).assumeIsolated().whenFailure { [self] error in
            guard case ControlClientError.refused(let refusal) = error else { return failed(packets.count) }
            let left = packets.dropFirst(Int(refusal.taken))
            // Where the forwarder's queue is full, it is for all of them.
            guard refusal.code != .limit, left.count > 1 else { return failed(left.count) }
            failed(1)
            send(left.dropFirst(), by: client, failed: failed)
        }
    }

    private static let packetsPerRequest = 256
}

extension ControlClient {
    /// Closes without waiting for it.
    fileprivate func closeNow() {
        Task { await close() }
    }
}

// The home agent around its state machine: datagrams, deadlines and operators' requests in, actions carried out. All of
// it lives on one event loop, and what waits for others is done in batches:
//
//   datagrams ─► intake ─┐                     ┌───────────────┐      ┌─────────────────────────────────────────────┐
//   operators, nodes ────┼─► HomeAgent ─► batch ─► store (one transaction) ─► routes that go ─► bindings ─► routes
//   deadlines ───────────┘   up to 256 events  └───────────────┘      │ that come ─► datagrams, one batch at a time │
//                                                                     └─────────────────────────────────────────────┘
//
// While one batch is being stored the next is gathered, so the busier it is, the larger batches are, and the fewer
// transactions. Where the store fails all waits and is tried again: nothing is told that is not kept.
//
// Bounds: `intakeLimit` datagrams wait, more are counted and dropped (their senders send again); `batchLimit` batches
// are under way. Events of operators and of files come a bounded part at a time from who has them.

import ControlProtocol
import Logging
import MobileIP
import NIOCore
import Wire

/// How datagrams come and go.
public enum ListenMode: String, CaseIterable, Sendable {
    /// By way of the forwarder, to whose endpoints they come.
    case forwarder
    /// By UDP sockets of its own.
    case udp
}

/// A running home agent. It belongs to its event loop.
final class HomeAgentService {
    /// Datagrams that wait at the most.
    static let intakeLimit = 4096
    /// Events of a batch.
    static let batchSize = 256
    /// Batches that are under way.
    static let batchLimit = 4
    /// How long the end waits for what is under way.
    private static let stopLimit = TimeAmount.seconds(3)
    /// How long until a store that failed is tried again.
    private static let storeRetry = TimeAmount.seconds(1)

    let eventLoop: any EventLoop
    private(set) var logger: Logger
    private(set) var settings: HomeAgentSettings
    var agent: MobileIP.HomeAgent
    var counters = HomeAgentCounters()
    let store: RegistrationStore
    let routes: HomeRoutes?
    private(set) var dataplane: Dataplane!
    /// Nil where nodes are not asked for the groups that they listen to.
    private(set) var multicast: MulticastService?
    /// Sends datagrams where this listens by itself.
    var sockets: DatagramSockets?
    /// By identity, as the files have them.
    var nodes: [NodeIdentity: ServedNode] = [:]
    /// By their names.
    private(set) var policies: [String: NodePolicy] = [:]
    /// Where operators' nodes are kept; nil for nowhere.
    private(set) var directory: NodeDirectory?
    /// Files of the directory, by the nodes that stand alone in one.
    var ownFiles: [NodeIdentity: String] = [:]
    /// Reads and writes files.
    let files: FileWork
    let startTime = Moment.now.nanoseconds
    /// Nodes of a list that is being asked for.
    var nodeList: [NodeIdentity] = []
    /// Whether files are to be read anew, and that has not begun.
    var isReloadWaiting = false

    private var intake = CircularBuffer<ReceivedDatagram>(initialCapacity: 1024)
    private var events = CircularBuffer<(event: HomeAgentEvent, done: (() -> Void)?)>()
    private var isTurnScheduled = false
    private let timer: DeadlineTimer
    /// Batches that are being stored, in their order, and those that are stored.
    private var batchesUnderWay = 0
    private var stored = CircularBuffer<ActionBatch>()
    private var isApplying = false
    private var securityLog: SecurityLog
    private var packetIdentification = UInt16.random(in: .min ... .max)
    private var isStopping = false
    private var whenIdle: [EventLoopPromise<Void>] = []

    init(
        _ settings: HomeAgentSettings, store: RegistrationStore, routes: HomeRoutes?, eventLoop: any EventLoop,
        logger: Logger
    ) {
        self.settings = settings
        self.store = store
        self.routes = routes
        self.eventLoop = eventLoop
        timer = DeadlineTimer(on: eventLoop)
        self.logger = logger
        files = FileWork(on: eventLoop)
        securityLog = SecurityLog(logger)
        agent = MobileIP.HomeAgent(settings.homeAgent, random: SystemRandomNumberGenerator())
        dataplane = Dataplane(
            path: settings.forwarderSocket, name: "mooring-ha \(mooringVersion)",
            receivesPunts: settings.listen == .forwarder || settings.multicast != nil, eventLoop: eventLoop,
            logger: logger, owner: self)
        multicast = settings.multicast.map { configuration in
            MulticastService(
                configuration, dataplane: dataplane, eventLoop: eventLoop,
                count: { [unowned self] in counters.count($0) },
                queriesNotSent: { [unowned self] in counters.count(ServiceOutcome.queryNotSent, $0) })
        }
    }

    // MARK: - Start

    /// Takes nodes and what was stored of them, before anything comes.
    func begin(with files: HomeAgentFiles) throws {
        perform(.dataplaneLost)
        take(namesOf: files)
        let served = files.nodes
        nodes = Dictionary(served.map { ($0.identity, $0) }, uniquingKeysWith: { $1 })
        perform(.nodesChanged(put: served, removed: []))
        var restored = 0
        var changed: [NodeIdentity: StoredRegistration?] = [:]
        var kept: Set<HomeRoute> = []
        let now = Moment.now
        try store.records(at: now) { records in
            let before = Dictionary(records.map { ($0.identity, $0) }, uniquingKeysWith: { $1 })
            let batch = perform(.restored(records), at: now)
            for (identity, record) in batch.records where !(record?.says(the: before[identity]) ?? false) {
                changed[identity] = .some(record)
            }
            restored += batch.records.count { $0.value?.binding != nil }
            kept.formUnion(batch.routesToAdd)
        }
        if !changed.isEmpty { try store.write(changed, at: now) }
        if let routes {
            let stale = try routes.removeStale(keeping: kept)
            if stale > 0 { logger.info("routes of an earlier run removed", metadata: ["count": "\(stale)"]) }
            _ = routes.change(removing: [], adding: Array(kept), on: eventLoop)
        }
        logger.info("registrations restored", metadata: ["bindings": "\(restored)", "nodes": "\(nodes.count)"])
        scheduleDeadline()
    }

    /// Hands an event to the state machine outside of any batch.
    @discardableResult
    func perform(_ event: HomeAgentEvent, at now: Moment = .now) -> ActionBatch {
        var batch = ActionBatch(epoch: 0, at: now)
        for action in agent.handle(event, at: now) { batch.add(action) }
        report(batch)
        return batch
    }

    // MARK: - What comes

    /// Takes a datagram, or drops it where too many wait.
    func receive(_ datagram: ReceivedDatagram) {
        guard intake.count < Self.intakeLimit, !isStopping else { return counters.count(ServiceOutcome.intakeFull) }
        intake.append(datagram)
        scheduleTurn()
    }

    /// Takes an event that is no datagram.
    /// - Parameter done: called when all that it asks for has been done.
    func take(_ event: HomeAgentEvent, done: (() -> Void)? = nil) {
        events.append((event, done))
        scheduleTurn()
    }

    private func scheduleTurn() {
        guard !isTurnScheduled, batchesUnderWay < Self.batchLimit else { return }
        isTurnScheduled = true
        eventLoop.assumeIsolated().execute { [self] in
            isTurnScheduled = false
            turn()
        }
    }

    private func scheduleDeadline() {
        timer.set(to: agent.nextDeadline) { [self] in take(.deadline) }
    }

    // MARK: - Batches

    private func turn() {
        guard batchesUnderWay < Self.batchLimit, !events.isEmpty || !intake.isEmpty else { return }
        var batch = ActionBatch(epoch: dataplane.epoch, at: .now)
        for _ in 0..<Self.batchSize {
            let event: HomeAgentEvent
            if let first = events.popFirst() {
                event = first.event
                if let done = first.done { batch.completions.append(done) }
            } else if let datagram = intake.popFirst() {
                event = .datagram(datagram)
            } else {
                break
            }
            for action in agent.handle(event, at: batch.moment) { batch.add(action) }
        }
        report(batch)
        scheduleDeadline()
        if !batch.isEmpty {
            batchesUnderWay += 1
            keep(batch)
        }
        if !events.isEmpty || !intake.isEmpty { scheduleTurn() }
    }

    private func report(_ batch: ActionBatch) {
        for outcome in batch.outcomes { counters.count(outcome) }
        for exception in batch.exceptions where !securityLog.log(exception, at: batch.moment.nanoseconds) {
            counters.count(ServiceOutcome.exceptionNotLogged)
        }
    }

    /// Stores what a batch asks for.
    private func keep(_ batch: ActionBatch) {
        // What is there to be stored keeps its order with what is not.
        nonisolated(unsafe) let (service, batch) = (self, batch)
        store.write(batch.records, at: batch.moment) { error in
            service.eventLoop.execute { service.isKept(batch, error) }
        }
    }

    private func isKept(_ batch: ActionBatch, _ error: RegistrationStoreError?) {
        if let error {
            storeFailures += 1
            counters.count(ServiceOutcome.storeFailed)
            if storeFailures.nonzeroBitCount == 1 {
                logger.critical(
                    "registrations can't be stored; nothing is answered until they can be",
                    metadata: ["reason": "\(error)", "failures": "\(storeFailures)"])
            }
            unkept.append(batch)
            guard unkept.count == 1 else { return }
            eventLoop.assumeIsolated().scheduleTask(in: Self.storeRetry) { [self] in
                let batches = unkept
                unkept = []
                for batch in batches { keep(batch) }
            }
            return
        }
        // One that failed goes before those behind it.
        guard unkept.isEmpty else { return unkept.append(batch) }
        if storeFailures > 0 { logger.notice("registrations are stored again") }
        storeFailures = 0
        stored.append(batch)
        apply()
    }
    private var unkept: [ActionBatch] = []
    private var storeFailures: UInt64 = 0

    /// Carries out the rest of the first batch that is stored, when the one before is done.
    private func apply() {
        guard !isApplying, let first = stored.popFirst() else { return }
        isApplying = true
        var batch = first
        let routesGone = change(removing: batch.routesToRemove, adding: [])
        routesGone.assumeIsolated().flatMap { [self] _ in
            // What was handled for an earlier connection, or none, was named in the resynchronization since.
            guard batch.epoch == dataplane.epoch, dataplane.isConnected else {
                return eventLoop.makeSucceededFuture([RefusedBinding]())
            }
            return dataplane.put(batch.bindingsToPut, removing: batch.homeAddressesToRemove).assumeIsolated()
                .map { [self] refused in
                    followLinks(
                        put: batch.bindingsToPut,
                        gone: batch.homeAddressesToRemove + refused.map(\.binding.homeAddress))
                    return refused
                }
                .flatMapErrorThrowing { _ in [] }  // The connection has ended, which its owner is told.
                .nonisolated()
        }.flatMap { [self] refused in
            for refused in refused {
                let homeAddress = refused.binding.homeAddress
                refuse(
                    refused, former: batch.formers[homeAddress], replies: batch.withdrawReplies(for: homeAddress))
            }
            return change(removing: [], adding: batch.routesToAdd)
        }.whenComplete { [self] _ in
            send(batch.datagrams)
            for done in batch.completions { done() }
            isApplying = false
            batchesUnderWay -= 1
            if batchesUnderWay == 0 { endWaiting() }
            apply()
            if !events.isEmpty || !intake.isEmpty { scheduleTurn() }
        }
    }

    private func endWaiting() {
        for promise in whenIdle { promise.succeed() }
        whenIdle = []
    }

    func change(removing: [HomeRoute], adding: [HomeRoute]) -> EventLoopFuture<Void> {
        guard let routes else { return eventLoop.makeSucceededVoidFuture() }
        return routes.change(removing: removing, adding: adding, on: eventLoop).assumeIsolated().map { [self] failed in
            if failed > 0 { counters.count(ServiceOutcome.routeFailed, failed) }
        }.nonisolated()
    }

    private func send(_ datagrams: [OutgoingDatagram]) {
        guard !datagrams.isEmpty else { return }
        let failed: (Int) -> Void = { [self] in counters.count(ServiceOutcome.replyNotSent, $0) }
        if let sockets { return sockets.send(datagrams, failed: failed) }
        var packets: [ControlInjectedPacket] = []
        packets.reserveCapacity(datagrams.count)
        for datagram in datagrams {
            packetIdentification &+= 1
            let pieces = datagram.packets(identification: packetIdentification)
            if pieces.isEmpty { failed(1) }
            for piece in pieces {
                packets.append(
                    .with {
                        $0.packet = .init(piece)
                        $0.side = datagram.side == .home ? .home : .access
                    })
            }
        }
        dataplane.send(packets, failed: failed)
    }

    // MARK: - Change and end

    private func take(namesOf files: HomeAgentFiles) {
        (policies, directory, ownFiles) = (files.policies, files.directory, files.ownFiles)
    }

    /// Takes another configuration and other nodes, as far as they may change while it runs.
    func change(to files: HomeAgentFiles) {
        let (new, served) = (files.settings, files.nodes)
        let fixed = new.settingsThatNeedRestart(comparedTo: settings)
        if !fixed.isEmpty {
            logger.warning("settings need a restart", metadata: ["settings": "\(fixed.joined(separator: ", "))"])
        }
        logger.logLevel = Logger.Level(rawValue: new.logLevel) ?? logger.logLevel
        let hasOtherAddresses = settings.homeAgent.addresses != new.homeAgent.addresses
        settings.homeAgent = new.homeAgent
        if hasOtherAddresses { dataplane.warnOfUnheardAddresses() }
        take(.configurationChanged(new.homeAgent))
        take(namesOf: files)
        let now = Dictionary(served.map { ($0.identity, $0) }, uniquingKeysWith: { $1 })
        let removed = nodes.keys.filter { now[$0] == nil }
        let put = served.filter { $0.differs(from: nodes[$0.identity]) }
        nodes = now
        // Some at a time, so that datagrams are answered in between.
        for start in stride(from: 0, to: removed.count, by: Self.batchSize) {
            take(.nodesChanged(put: [], removed: Array(removed[start..<min(start + Self.batchSize, removed.count)])))
        }
        for start in stride(from: 0, to: put.count, by: Self.batchSize) {
            take(.nodesChanged(put: Array(put[start..<min(start + Self.batchSize, put.count)]), removed: []))
        }
        followPolicies(of: put)
        logger.info(
            "configuration read again", metadata: ["nodesPut": "\(put.count)", "nodesRemoved": "\(removed.count)"])
    }

    /// Takes no more, and finishes what is under way. Bindings stay with the forwarder, and routes with the kernel: a
    /// home agent that comes back finds them as they are.
    func stop() -> EventLoopFuture<Void> {
        isStopping = true
        let idle = eventLoop.makePromise(of: Void.self)
        if batchesUnderWay == 0 {
            idle.succeed()
        } else {
            whenIdle.append(idle)
            // A store that fails, or a forwarder that hangs, is not waited for: nobody was told.
            eventLoop.assumeIsolated().scheduleTask(in: Self.stopLimit) { [self] in endWaiting() }
        }
        return idle.futureResult.assumeIsolated().map { [self] in
            sockets?.close()
            dataplane.stop()
            store.close()
        }.nonisolated()
    }
}

extension StoredRegistration {
    /// Whether it says the same, apart from when its lifetime ends, which is told by different clocks.
    fileprivate func says(the other: StoredRegistration?) -> Bool {
        guard let other else { return false }
        return replay == other.replay && delegated == other.delegated && binding == other.binding
            && (expiry == nil) == (other.expiry == nil)
    }
}

extension ServedNode {
    fileprivate func differs(from other: ServedNode?) -> Bool {
        guard let other else { return true }
        return homeAddress != other.homeAddress || associations != other.associations || policy != other.policy
            || prefixes != other.prefixes || implicitPrefixes != other.implicitPrefixes || networks != other.networks
            || implicitNetworks != other.implicitNetworks
    }
}

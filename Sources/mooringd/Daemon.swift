// The running daemon: tables, workers, control socket and timers together. Everything here belongs to the event loop's
// thread; only the workers run beside it, and see nothing but the tables.

import Bindings
import Checkpoint
import ControlProtocol
import Forwarding
import Glibc
import Logging
import NIOCore
import PacketIO
import Wire

/// The daemon's state, for the event loop's thread.
final class Daemon {
    /// How often lifetimes and notes of the workers are looked at.
    static let tickInterval = TimeAmount.milliseconds(200)
    /// How often the devices are looked at though the kernel tells nothing of them, in ticks.
    static let ticksPerDeviceWatch = 10
    /// Bindings that go at a time when their lifetimes have passed.
    static let expiryLimit = 1024
    /// Of so many that go together each is logged, of more their number.
    static let expiriesLoggedByName = 16
    /// Of so many endpoints that can't be routed each is logged, of more their number.
    static let endpointsLoggedByName = 8
    /// Security exceptions that are logged, a second.
    static let exceptionsPerSecond: UInt64 = 10

    var configuration: DaemonConfiguration
    let table: BindingTable
    let workers: Workers
    let startTime = bootTimeNanoseconds()

    private let hostSetup: HostSetup
    var logger: Logger
    /// Clients that name all bindings of their owners.
    var resynchronizations = Resynchronizations()
    /// Whose the bindings of the file are; no client can have that name.
    static let fileOwner = "--bindings"
    /// Ids that the binding file put, and memberships, which go when it no longer names them.
    var fileBindings: Set<String> = []
    var fileMembers: [IPv6Address: Set<String>] = [:]
    /// Of the binding file that was read last.
    var fileDigest: CheckpointFileDigest?
    /// Saves the bindings, where that is wanted.
    var checkpoints: CheckpointSchedule?
    private var exceptionLimit = TokenBucket(perSecond: exceptionsPerSecond, burst: 2 * exceptionsPerSecond)
    private var suppressedExceptions: UInt64 = 0
    private var ticks = 0
    /// Tells those who watch. Set when the server is there.
    var publisher: ControlPublisher?
    /// Packets of the workers for those who watch.
    private(set) lazy var punts = PuntDelivery(
        on: eventLoop, take: { [workers] in workers.takePunts(limit: $0) }, deliver: { [unowned self] in deliver($0) })
    let eventLoop: any EventLoop
    /// Whether another process forwards from now on. Then nothing of the host is this one's any more.
    private(set) var hasSuccessor = false

    init(
        configuration: DaemonConfiguration, table: BindingTable, workers: Workers, hostSetup: HostSetup,
        eventLoop: any EventLoop, logger: Logger
    ) {
        self.configuration = configuration
        self.table = table
        self.workers = workers
        self.hostSetup = hostSetup
        self.eventLoop = eventLoop
        self.logger = logger
    }

    // MARK: Bindings

    /// Puts all bindings or none, routes their endpoints, and tells those who watch.
    /// - Parameters: as of `BindingTable.put`.
    func put(
        _ bindings: [Binding], superseding superseded: Set<String> = [], expecting expected: [String: UInt64] = [:],
        ending: [BindingTable.Group] = [], beginning: [BindingTable.Group] = [], by owner: String,
        in resynchronization: BindingTable.Resynchronization? = nil
    ) throws(BindingTableError) -> BindingTable.Changes {
        let changes = try table.put(
            bindings, superseding: superseded, expecting: expected, ending: ending, beginning: beginning, by: owner,
            in: resynchronization, now: bootTimeNanoseconds())
        routeEndpoints()
        guard announces else { return changes }
        for binding in changes.removed { announce(.removed, binding) }
        for binding in changes.handedOver { announce(.replaced, binding) }
        // Those that were only named again are neither.
        let (added, replaced) = (Set(changes.added), Set(changes.replaced))
        for binding in bindings {
            if added.contains(binding.id) { announce(.added, binding) }
            if replaced.contains(binding.id) { announce(.replaced, binding) }
        }
        return changes
    }

    /// Whether anybody is told of changes; where not, nothing is made for them.
    private var announces: Bool { publisher?.bindingsAreWatched == true || logger.logLevel <= .debug }

    /// Removes bindings, and tells those who watch.
    /// - Returns: how many there were.
    func remove(_ ids: [String]) -> Int {
        let removed = table.remove(ids)
        haveGone(removed)
        return removed.count
    }

    /// Tells those who watch what was removed.
    func haveGone(_ removed: [Binding]) {
        routeEndpoints()
        guard announces else { return }
        for binding in removed { announce(.removed, binding) }
    }

    /// Puts what the binding file names, and removes what it named before and does not now, memberships in groups too.
    /// - Throws: `BindingError` or `BindingTableError`; all is then as it was.
    func load(file path: String) throws {
        // Before it is read: where it changes meanwhile it is read again at the next start.
        let digest = CheckpointFileDigest(contentsOf: path)
        let file = try BindingFile(contentsOf: path)
        let changes = try replaceFile(by: file)
        fileDigest = digest
        logger.info(
            "bindings loaded",
            metadata: [
                "file": "\(path)", "added": "\(changes.added.count)", "replaced": "\(changes.replaced.count)",
                "removed": "\(changes.removed.count)", "joined": "\(changes.joined)", "left": "\(changes.left)",
            ])
    }

    func replaceFile(by file: BindingFile) throws(BindingTableError) -> BindingTable.Changes {
        let members = Dictionary(uniqueKeysWithValues: file.groups.map { ($0.group, Set($0.members)) })
        // What somebody has put since is no longer the file's.
        let changes = try put(
            file.resolvedBindings,
            superseding: fileBindings.filter { table.owner(of: $0) == Self.fileOwner },
            ending: fileMembers.map { group, ids in
                BindingTable.Group(address: group, members: Array(ids.subtracting(members[group] ?? [])))
            },
            beginning: file.groups.map { BindingTable.Group(address: $0.group, members: $0.members) },
            by: Self.fileOwner)
        fileBindings = Set(file.bindings.map(\.id))
        fileMembers = members
        fileDigest = nil
        checkpoints?.startOver()
        return changes
    }

    private func announce(_ change: ControlBindingEvent.Change, _ binding: Binding) {
        logger.debug(
            "binding \(change.verb)", metadata: ["id": "\(binding.id)", "careOfAddress": "\(binding.careOfAddress)"])
        publisher?.publishChange {
            .with {
                $0.change = change
                $0.binding = ControlBinding(binding)
            }
        }
    }

    /// Leads packets to the endpoints that bindings name to the access device, and only those.
    func routeEndpoints() {
        let problems = hostSetup.follow(Set(table.namedEndpoints.keys), at: bootTimeNanoseconds())
        for problem in problems.prefix(Self.endpointsLoggedByName) {
            logger.error("endpoint not routed; it is tried again", metadata: ["reason": "\(problem)"])
        }
        let others = problems.count - Self.endpointsLoggedByName
        if others > 0 { logger.error("further endpoints not routed", metadata: ["count": "\(others)"]) }
    }

    /// Leaves all to a successor.
    func handOver() {
        hasSuccessor = true
        hostSetup.leave()
    }

    // MARK: Time

    /// What is due: lifetimes that have passed, packets that nobody had a right to send.
    func tick() {
        if hasSuccessor { return }
        let now = bootTimeNanoseconds()
        expire(now: now)
        checkpoints?.tick(now: now)
        ticks += 1
        if hostSetup.isRetryDue(at: now) { routeEndpoints() }
        hostSetup.watchDevices(isLookDue: ticks.isMultiple(of: Self.ticksPerDeviceWatch))
        let (exceptions, omitted) = workers.drainSecurityExceptions()
        suppressedExceptions += omitted
        for exception in exceptions { report(exception, now: now) }
    }

    /// Lets bindings go whose lifetime has passed; where there are many, some at a time, so that requests are served
    /// between.
    private func expire(now: UInt64) {
        let expired = table.expire(now: now, limit: Self.expiryLimit)
        guard !expired.isEmpty else { return }
        routeEndpoints()
        if expired.count <= Self.expiriesLoggedByName {
            for binding in expired { logger.info("binding expired", metadata: ["id": "\(binding.id)"]) }
        } else {
            logger.info("bindings expired", metadata: ["count": "\(expired.count)"])
        }
        for binding in expired { announce(.expired, binding) }
        guard expired.count == Self.expiryLimit else { return }
        // Runs on the event loop, to which all of this belongs.
        nonisolated(unsafe) let daemon = self
        eventLoop.execute { daemon.expire(now: now) }
    }

    private func report(_ exception: SecurityException, now: UInt64) {
        guard exceptionLimit.take(now: now) else {
            suppressedExceptions += 1
            return
        }
        // Of an inner source that is nobody's, whoever is at the outer one has sent it.
        let holder = table.holder(of: exception.innerSource) ?? table.holder(atCareOf: exception.outerSource)
        logger.warning(
            "security exception",
            metadata: [
                "reason": "\(exception.reason.name)", "outerSource": "\(exception.outerSource)",
                "innerSource": "\(exception.innerSource)", "binding": "\(holder ?? "none")",
                "suppressed": "\(suppressedExceptions)",
            ])
        publisher?.publish(
            .security(
                .with {
                    $0.reason = exception.reason.name
                    $0.outerSource = exception.outerSource.rawValue
                    $0.innerSource = exception.innerSource.networkOrder
                    $0.binding = holder ?? ""
                    $0.suppressed = suppressedExceptions
                }))
        suppressedExceptions = 0
    }

    // MARK: Packets for the control plane

    private func deliver(_ packet: PuntedPacket) -> Bool {
        let binding = packet.homeAddress.flatMap { table.holder(of: IPv6Address(mapping: $0)) }
        return publisher?.publish(.punt(ControlPuntEvent(packet, binding: binding))) ?? false
    }

    // MARK: Packets that wait for others

    /// How often a worker that may be asleep is woken while packets wait in it.
    static let waitingInterval = TimeAmount.milliseconds(10)
    private var isWatchingWaiting = false

    /// Wakes workers from time to time, until no packet waits in any.
    func watchWaiting(on eventLoop: any EventLoop) {
        guard !isWatchingWaiting else { return }
        isWatchingWaiting = true
        // Runs on the event loop, to which all of this belongs.
        nonisolated(unsafe) let daemon = self
        eventLoop.scheduleRepeatedTask(initialDelay: Self.waitingInterval, delay: Self.waitingInterval) { task in
            if !daemon.workers.releaseWaiting() {
                daemon.isWatchingWaiting = false
                task.cancel()
            }
        }
    }

    // MARK: Reload

    /// Takes over what may change while packets flow, and says what needs a restart. A configuration or binding file
    /// that is wrong changes nothing.
    func reload(_ resolve: () throws -> DaemonConfiguration) {
        if hasSuccessor { return }
        do {
            let new = try resolve()
            let fixed = new.settingsThatNeedRestart(comparedTo: configuration)
            if !fixed.isEmpty {
                logger.warning("settings need a restart", metadata: ["settings": "\(fixed.joined(separator: ", "))"])
            }
            let needed = Int(new.tunnelMTU) + IPv4.minimumHeaderLength
            guard configuration.singleDevice || needed <= configuration.accessMTU else {
                throw ConfigurationError(
                    "tunnel MTU \(new.tunnelMTU) does not fit the access device's MTU \(configuration.accessMTU), which "
                        + "changes only at a restart")
            }
            try hostSetup.apply()
            if let path = new.bindings {
                try load(file: path)
            } else if !fileBindings.isEmpty {
                _ = try replaceFile(by: BindingFile())
                logger.info("bindings of the file that is named no more removed")
            }
            try table.setDefaults(endpoint: table.configuration.endpoint, tunnelMTU: new.tunnelMTU)
            logger.logLevel = new.logLevel
            // The rest stays what it is, and is compared with again at the next reload.
            configuration.bindings = new.bindings
            configuration.tunnelMTU = new.tunnelMTU
            configuration.logLevel = new.logLevel
            logger.info("configuration read again")
        } catch {
            logger.error("configuration not changed", metadata: ["reason": "\(error)"])
        }
    }
}

extension ControlBindingEvent.Change {
    fileprivate var verb: String {
        switch self {
        case .added: "added"
        case .replaced: "replaced"
        case .removed: "removed"
        case .expired: "expired"
        case .unspecified, .UNRECOGNIZED: "changed"
        }
    }
}

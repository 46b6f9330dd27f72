// The table that the daemon begins with: empty, or as the last checkpoint that can be used has it. A checkpoint is taken
// whole or not at all: each is tried on a table of its own.

import Bindings
import Checkpoint
import Forwarding
import Glibc
import Logging
import Wire

/// A table, and what of its state lies beside it.
struct RestoredBindings {
    /// Revisions that were given behind the last checkpoint are not known. None is given that may be one of them.
    private static let revisionGap: UInt64 = 1 << 32
    /// Bindings that are named in the log which could not be restored.
    private static let loggedRefusals = 10

    let table: BindingTable
    /// Whether there is a checkpoint, or a predecessor.
    let isRestored: Bool
    /// Whether a predecessor forwards by these bindings.
    let isOfPredecessor: Bool
    /// What came from the binding file, and from which.
    private(set) var fileBindings: Set<String> = []
    private(set) var fileMembers: [IPv6Address: Set<String>] = [:]
    private(set) var fileDigest: CheckpointFileDigest?
    /// Of the checkpoint; 0 where there is none.
    private(set) var number: UInt64 = 0
    /// Where checkpoints are written, and the lock that keeps others from it.
    let file: CheckpointFile?
    let lock: CInt?

    /// Restores what there is.
    /// - Throws: where the operator has something to put right first.
    init(_ settings: DaemonConfiguration, _ logger: Logger) throws {
        let configuration = BindingTable.Configuration(settings)
        guard let path = settings.checkpoint else {
            table = try BindingTable(configuration)
            (file, lock, isRestored, isOfPredecessor) = (nil, nil, false, false)
            return
        }
        let file = CheckpointFile(path: path)
        self.file = file
        // Where systemd has not made it (StateDirectory=). What is wrong otherwise, the lock will tell.
        mkdir(file.directory, 0o700)
        do throws(CheckpointError) {
            lock = try file.lock()
        } catch {
            if error == .inUse { throw CannotStart("the checkpoint \(path) \(error)") }
            logger.error("checkpoints can't be written", metadata: ["file": "\(path)", "reason": "\(error)"])
            lock = nil
        }
        let limits = CheckpointContents.Limits(
            bindings: settings.maxBindings, prefixes: settings.maxPrefixes, members: settings.maxMembers)
        var isEmpty = true
        let start = ContinuousClock.now
        let found = try file.load(
            unusable: { path, error in
                isEmpty = false
                logger.error("checkpoint can't be used", metadata: ["file": "\(path)", "reason": "\(error)"])
            },
            { (descriptor, path) throws(CheckpointError) in
                let (table, contents, refused) = try Self.table(configuration, descriptor, limits, logger)
                logger.notice(
                    "bindings restored",
                    metadata: [
                        "file": "\(path)", "bindings": "\(table.count)",
                        "expired": "\(contents.bindingCount - table.count - refused)",
                        "members": "\(table.memberCount)",
                        "milliseconds": "\(Int((ContinuousClock.now - start) / .milliseconds(1)))",
                    ])
                return (table, contents)
            })
        isOfPredecessor = false
        isRestored = found != nil
        if let found {
            table = found.0
            take(found.1)
        } else {
            table = try BindingTable(configuration)
            if isEmpty {
                logger.notice("there is no checkpoint yet", metadata: ["file": "\(path)"])
            } else {
                logger.critical("no checkpoint can be used: there are no bindings", metadata: ["file": "\(path)"])
            }
        }
    }

    /// Begins with those of a daemon that is taken over, as they were when it copied them.
    init(_ settings: DaemonConfiguration, of predecessor: Predecessor, _ logger: Logger) throws {
        file = settings.checkpoint.map(CheckpointFile.init(path:))
        lock = predecessor.lock
        (isRestored, isOfPredecessor) = (true, true)
        let contents: CheckpointContents
        let refused: Int
        (table, contents, refused) = try predecessor.readTable { descriptor, limits in
            try Self.table(
                BindingTable.Configuration(settings), descriptor, limits, revisionGap: 0, continuesSequences: true,
                logger)
        }
        guard refused == 0 else {
            throw CannotStart("\(refused) of the running mooringd's bindings are not allowed by these settings")
        }
        take(contents)
    }

    /// Carries out what has changed since in a predecessor's table.
    mutating func follow(_ changes: CheckpointChangeContents) throws {
        let now = CheckpointClock.now()
        try table.follow(
            changes.bindings.map { $0.carried(from: changes.header.clock, over: now) }, removed: changes.removed,
            groups: changes.groups, lastRevision: changes.lastRevision, now: now.bootTime)
        fileBindings.subtract(changes.removed)
        for saved in changes.bindings {
            let id = saved.binding.id
            if changes.fileBindings.contains(id) { fileBindings.insert(id) } else { fileBindings.remove(id) }
        }
        for group in changes.groups {
            let members = changes.fileMembers[group.address] ?? []
            fileMembers[group.address] = members.isEmpty ? nil : members
        }
        fileDigest = changes.file
    }

    private mutating func take(_ contents: CheckpointContents) {
        fileBindings = contents.fileBindings
        fileMembers = contents.fileMembers
        fileDigest = contents.file
        number = contents.header.number
    }

    private static func table(
        _ configuration: BindingTable.Configuration, _ descriptor: CInt, _ limits: CheckpointContents.Limits,
        revisionGap: UInt64 = revisionGap, continuesSequences: Bool = false, _ logger: Logger
    ) throws(CheckpointError) -> (BindingTable, CheckpointContents, refused: Int) {
        guard let table = try? BindingTable(configuration) else {
            throw .failed("making a table", errorNumber: ENOMEM)
        }
        let now = CheckpointClock.now()
        func orMalformed<Result>(
            _ body: () throws(BindingTableError) -> Result
        ) throws(CheckpointError) -> Result {
            do { return try body() } catch { throw .malformed("\(error)") }
        }
        var contents = try CheckpointContents(descriptor: descriptor, limits: limits)
        var restoration = BindingTable.Restoration(
            into: table, expecting: contents.bindingCount, continuesSequences: continuesSequences, now: now.bootTime)
        let clock = contents.header.clock
        try contents.read { saved throws(CheckpointError) in
            try orMalformed { () throws(BindingTableError) in
                try restoration.add(saved.carried(from: clock, over: now))
            }
        }
        let refused = try orMalformed { () throws(BindingTableError) in
            try restoration.finish(groups: contents.groups, lastRevision: contents.lastRevision + revisionGap)
        }
        for (id, reason) in refused.prefix(loggedRefusals) {
            logger.warning("binding not restored", metadata: ["id": "\(id)", "reason": "\(reason)"])
        }
        if refused.count > loggedRefusals {
            logger.warning("more bindings not restored", metadata: ["count": "\(refused.count - loggedRefusals)"])
        }
        return (table, contents, refused.count)
    }
}

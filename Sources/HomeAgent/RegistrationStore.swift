// Registrations in a file, so that they outlive a restart: an SQLite database with one row a node, written in
// transactions of a whole batch, which a crash leaves whole. It is in WAL mode and locked while it is open, so that no
// second home agent writes to it.
//
// What a power cut may lose: with `full`, nothing that was told; a transaction is on the disk before it counts as done.
// With `normal`, the transactions of the last seconds, but never a part of one: then a node may have to register again,
// one that deregistered may come back until its lifetime ends, and a request of those seconds could be replayed, for as
// long as its timestamp is good. A crash of the program or its end loses nothing either way.
//
// Ends of lifetimes are kept by two clocks: the time of day, and the time since the machine was started, which nobody
// can set. As long as the machine was not restarted, the second one decides, so a jump of the clock changes nothing.

import Dispatch
import GRDB
import Glibc
import MobileIP
import Synchronization
import Wire

/// Why the database can't be used.
public struct RegistrationStoreError: Error, Hashable, CustomStringConvertible {
    /// What is wrong and what to do.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Whether a transaction waits for the disk.
public enum StoreDurability: String, CaseIterable, Sendable {
    /// It does.
    case full
    /// Only the file system's own pace decides.
    case normal
}

/// The registrations in a database.
public final class RegistrationStore: Sendable {
    /// "Moor": tells our databases from others (PRAGMA application_id).
    private static let applicationID = 0x4D6F_6F72
    /// Of the schema (PRAGMA user_version).
    private static let version = 1

    let queue: DatabaseQueue
    /// The row of this start of the machine.
    private let boot: Int64
    private let path: String
    private let lastFailure = Mutex<RegistrationStoreError?>(nil)
    /// Why the last transaction of those on the database's own queue failed; nil where it did not.
    var failure: RegistrationStoreError? { lastFailure.withLock(\.self) }

    /// Opens a database, or makes it.
    /// - Throws: where it is locked, damaged, of another program or of a later version.
    public init(path: String, durability: StoreDurability) throws(RegistrationStoreError) {
        self.path = path
        var configuration = Configuration()
        configuration.label = "mooring-store"
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            try database.execute(sql: "PRAGMA synchronous = \(durability == .full ? "FULL" : "NORMAL")")
        }
        do {
            // Keys do not lie in it, but who is where does.
            let before = umask(0o077)
            defer { umask(before) }
            queue = try DatabaseQueue(path: path, configuration: configuration)
            boot = try queue.writeWithoutTransaction { database in
                try Self.checkOwner(database)
                try database.execute(sql: "PRAGMA journal_mode = WAL")
                var number: Int64 = 0
                try database.inTransaction(.immediate) {
                    try Self.migrate(database)
                    number = try Self.bootNumber(database)
                    return .commit
                }
                return number
            }
        } catch {
            throw Self.explain(error, path)
        }
    }

    /// Looks for damage of the file as a whole; reading it finds damage of a row.
    public func check() throws(RegistrationStoreError) {
        do {
            let problem = try queue.read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") }
            guard problem == "ok" else { throw RegistrationStoreError(problem ?? "no answer") }
        } catch {
            throw Self.explain(error, path)
        }
    }

    // MARK: - Reading

    /// Hands over all records, some at a time, with the ends of lifetimes by the time of day as it is now.
    public func records(
        at now: Moment, inGroupsOf size: Int = 4096, _ take: ([StoredRegistration]) throws -> Void
    ) throws(RegistrationStoreError) {
        do {
            try queue.read { database in
                let rows = try Row.fetchCursor(database, sql: RegistrationRow.select)
                var group: [StoredRegistration] = []
                group.reserveCapacity(size)
                while let row = try rows.next() {
                    group.append(try RegistrationRow.record(row, boot: boot, at: now))
                    guard group.count == size else { continue }
                    try take(group)
                    group.removeAll(keepingCapacity: true)
                }
                if !group.isEmpty { try take(group) }
            }
        } catch {
            throw Self.explain(error, path)
        }
    }

    // MARK: - Writing

    /// Stores and forgets records in one transaction.
    /// - Parameter moment: when they were made.
    public func write(
        _ records: [NodeIdentity: StoredRegistration?], at moment: Moment
    ) throws(RegistrationStoreError) {
        do {
            try queue.writeWithoutTransaction { [boot] in try Self.write(records, boot, moment, to: $0) }
        } catch {
            throw Self.explain(error, path)
        }
    }

    /// Does the same on the database's own queue, in the order of the calls.
    func write(
        _ records: [NodeIdentity: StoredRegistration?], at moment: Moment,
        done: @escaping @Sendable (RegistrationStoreError?) -> Void
    ) {
        queue.asyncWriteWithoutTransaction { [self] database in
            var failure: RegistrationStoreError?
            do { try Self.write(records, boot, moment, to: database) } catch { failure = Self.explain(error, path) }
            // To write nothing may go well where all else fails.
            if failure != nil || !records.isEmpty { lastFailure.withLock { $0 = failure } }
            done(failure)
        }
    }

    private static func write(
        _ records: [NodeIdentity: StoredRegistration?], _ boot: Int64, _ moment: Moment, to database: Database
    ) throws {
        try database.inTransaction(.immediate) {
            let store = try database.cachedStatement(sql: RegistrationRow.upsert)
            let forget = try database.cachedStatement(sql: RegistrationRow.delete)
            for (identity, record) in records {
                if let record {
                    store.setUncheckedArguments(
                        StatementArguments(RegistrationRow.values(of: record, boot: boot, at: moment)))
                    try store.execute()
                } else {
                    forget.setUncheckedArguments([RegistrationRow.key(of: identity)])
                    try forget.execute()
                }
            }
            return .commit
        }
    }

    /// Ends it; what was written is in the one file then.
    public func close() {
        try? queue.close()
    }

    // MARK: - Schema

    /// Before anything is written.
    private static func checkOwner(_ database: Database) throws {
        let application = try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        let tables = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema") ?? 0
        guard application == applicationID || (application == 0 && tables == 0) else {
            throw RegistrationStoreError("is a database of another program; name another file")
        }
        guard version <= Self.version else {
            throw RegistrationStoreError(
                "has version \(version), and this mooring-ha knows \(Self.version) at the most; run the later one")
        }
    }

    private static func migrate(_ database: Database) throws {
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        guard version < 1 else { return }
        try database.execute(sql: RegistrationRow.schema)
        try database.execute(sql: "PRAGMA application_id = \(applicationID)")
        try database.execute(sql: "PRAGMA user_version = \(Self.version)")
    }

    private static func bootNumber(_ database: Database) throws -> Int64 {
        guard let name = bootName() else { return 0 }
        try database.execute(sql: "INSERT OR IGNORE INTO boot (name) VALUES (?)", arguments: [name])
        return try Int64.fetchOne(database, sql: "SELECT number FROM boot WHERE name = ?", arguments: [name]) ?? 0
    }

    /// What the kernel calls this start of the machine; nil where it does not say.
    private static func bootName() -> String? {
        guard let file = fopen("/proc/sys/kernel/random/boot_id", "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 36)
        guard fread(&bytes, 1, bytes.count, file) == bytes.count else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func explain(_ error: any Error, _ path: String) -> RegistrationStoreError {
        switch error {
        case let error as RegistrationStoreError:
            return error.description.hasPrefix(path) ? error : RegistrationStoreError("\(path): \(error.description)")
        case let error as DatabaseError:
            switch error.resultCode {
            case .SQLITE_BUSY, .SQLITE_LOCKED:
                return RegistrationStoreError("\(path) is in use; does another mooring-ha run with it?")
            case .SQLITE_CORRUPT:
                return RegistrationStoreError(
                    "\(path) is damaged (\(error.message ?? "no details")); move it away, and nodes register anew")
            case .SQLITE_NOTADB:
                return RegistrationStoreError("\(path) is no database; name another file, or move it away")
            case .SQLITE_CANTOPEN:
                return RegistrationStoreError("\(path) can't be opened or made; look at its directory and its owner")
            case .SQLITE_FULL: return RegistrationStoreError("\(path) can't grow: the disk is full")
            case .SQLITE_READONLY:
                return RegistrationStoreError("\(path) may not be written; look at its owner and mode")
            default: return RegistrationStoreError("\(path): \(error.message ?? "\(error)")")
            }
        default: return RegistrationStoreError("\(path): \(error)")
        }
    }
}

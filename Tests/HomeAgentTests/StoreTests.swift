// Registrations in a database: what comes back, by which clock lifetimes end, and what is no database of ours.

import Foundation
import GRDB
import MobileIP
import TestSupport
import Testing
import Wire

@testable import HomeAgent

@Suite("Store of registrations") struct StoreTests {
    private static let now = SampleRegistrations.now

    private static func write(_ records: [StoredRegistration], to store: RegistrationStore) throws {
        try store.write(Dictionary(uniqueKeysWithValues: records.map { ($0.identity, $0) }), at: now)
    }

    private static func records(
        of store: RegistrationStore, at moment: Moment = now
    ) throws -> [NodeIdentity: StoredRegistration] {
        var all: [NodeIdentity: StoredRegistration] = [:]
        try store.records(at: moment, inGroupsOf: 2) { records in
            #expect(records.count <= 2)
            for record in records { all[record.identity] = record }
        }
        return all
    }

    @Test("what was stored is there after it was closed and opened, and what was forgotten is not")
    func keeps() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/registrations.db"
            var store = try RegistrationStore(path: path, durability: .full)
            try Self.write(SampleRegistrations.all, to: store)
            try store.write([SampleRegistrations.simple.identity: nil], at: Self.now)
            store.close()
            store = try RegistrationStore(path: path, durability: .normal)
            try store.check()
            let expected = SampleRegistrations.all.filter { $0 != SampleRegistrations.simple }
            let found = try Self.records(of: store)
            #expect(found == Dictionary(uniqueKeysWithValues: expected.map { ($0.identity, $0) }))
            // Who is where is nobody else's business.
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            store.close()
        }
    }

    @Test("a record takes the place of the one before")
    func replaces() async throws {
        try await TemporaryDirectory.with { directory in
            let store = try RegistrationStore(path: directory + "/registrations.db", durability: .normal)
            try Self.write([SampleRegistrations.full], to: store)
            var record = SampleRegistrations.full
            record.binding = nil
            record.expiry = nil
            try Self.write([record], to: store)
            #expect(try Self.records(of: store) == [record.identity: record])
            store.close()
        }
    }

    @Test("lifetimes end by the time since the start of the machine, however the clock was set")
    func clocks() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/registrations.db"
            var store = try RegistrationStore(path: path, durability: .normal)
            try Self.write([SampleRegistrations.simple], to: store)
            store.close()
            store = try RegistrationStore(path: path, durability: .normal)
            // 100 seconds later by the one clock, a day earlier by the other.
            let later = Moment(
                timeOfDay: Self.now.timeOfDay.advanced(byUnits: -86400 << 32),
                nanoseconds: Self.now.nanoseconds + 100_000_000_000)
            let record = try #require(try Self.records(of: store, at: later).values.first)
            #expect(record.expiry?.units(since: later.timeOfDay) == 500 << 32)
            store.close()

            // Once the machine was started again only the time of day is left.
            try await DatabaseQueue(path: path).write { try $0.execute(sql: "UPDATE boot SET name = 'another'") }
            store = try RegistrationStore(path: path, durability: .normal)
            let afterwards = try #require(try Self.records(of: store, at: later).values.first)
            #expect(afterwards.expiry == SampleRegistrations.simple.expiry)
            store.close()
        }
    }

    @Test("two can't have one database")
    func locks() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/registrations.db"
            let store = try RegistrationStore(path: path, durability: .normal)
            let error = #expect(throws: RegistrationStoreError.self) {
                try RegistrationStore(path: path, durability: .normal)
            }
            #expect(error?.description.contains("does another mooring-ha run") == true, "\(error!)")
            store.close()
        }
    }

    @Test(
        "what is no database of ours is not touched, and the error says what it is",
        arguments: [
            ("CREATE TABLE other (x)", "is a database of another program"),
            ("PRAGMA application_id = 77", "is a database of another program"),
            ("PRAGMA application_id = 1299148658; PRAGMA user_version = 2", "has version 2"),
        ])
    func foreign(_ sql: String, _ words: String) async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/registrations.db"
            let other = try DatabaseQueue(path: path)
            try await other.write { try $0.execute(sql: sql) }
            try other.close()
            let before = try Data(contentsOf: URL(fileURLWithPath: path))
            let error = #expect(throws: RegistrationStoreError.self) {
                try RegistrationStore(path: path, durability: .full)
            }
            #expect(error?.description.contains(words) == true, "\(error!)")
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
        }
    }

    @Test("a file that is no database, and a directory that is not there, are told apart")
    func unusable() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/registrations.db"
            try Data(repeating: 7, count: 8192).write(to: URL(fileURLWithPath: path))
            var error = #expect(throws: RegistrationStoreError.self) {
                try RegistrationStore(path: path, durability: .full)
            }
            #expect(error?.description.contains("is no database") == true, "\(error!)")
            error = #expect(throws: RegistrationStoreError.self) {
                try RegistrationStore(path: directory + "/missing/registrations.db", durability: .full)
            }
            #expect(error?.description.contains("can't be opened or made") == true, "\(error!)")
        }
    }

    @Test("damage of a page, and of a row, is found before anything is restored of it")
    func damage() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/registrations.db"
            var store = try RegistrationStore(path: path, durability: .normal)
            try Self.write(
                (1...2000).map { SampleRegistrations.registration(of: IPv4Address(rawValue: 0x0A00_0000 + $0)) },
                to: store)
            store.close()
            let queue = try DatabaseQueue(path: path)
            try await queue.write {
                try $0.execute(
                    sql: "UPDATE registration SET prefixes = x'00' WHERE home_address = ?", arguments: [0x0A00_0001])
            }
            try queue.close()
            store = try RegistrationStore(path: path, durability: .normal)
            try store.check()
            var error = #expect(throws: RegistrationStoreError.self) { try store.records(at: Self.now) { _ in } }
            #expect(error?.description.contains("makes no sense") == true, "\(error!)")
            store.close()

            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes.replaceSubrange(20_000..<24_000, with: repeatElement(0xA5, count: 4000))
            try bytes.write(to: URL(fileURLWithPath: path))
            error = #expect(throws: RegistrationStoreError.self) {
                let store = try RegistrationStore(path: path, durability: .normal)
                defer { store.close() }
                try store.check()
            }
            #expect(error?.description.contains(path) == true, "\(error!)")
        }
    }
}

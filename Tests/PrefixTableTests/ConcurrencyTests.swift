// One writer, readers on threads of their own. A value says which prefix it belongs to, so that an answer that is torn,
// or that comes from memory in use for something else, shows. Meant to be run under `--sanitize=thread` too.

import Foundation
import PrefixTable
import Synchronization
import TestSupport
import Testing
import Wire

/// Threads that look things up until they are told to stop; what they find wrong.
final class Readers: Sendable {
    private let stopping = Atomic<Bool>(false)
    private let found = Mutex<[String]>([])
    private let lookups = Atomic<Int>(0)
    private let started = DispatchGroup()
    private let ended = DispatchGroup()

    /// Starts threads that call `check` in a loop; it looks something up and says what was wrong with the answer.
    init(
        _ count: Int, of states: QuiescentStates,
        check: @escaping @Sendable (inout SeededGenerator) -> String?
    ) throws {
        for index in 0..<count {
            let reader = try #require(states.register())
            started.enter()
            ended.enter()
            Thread.detachNewThread { [self] in
                var generator = SeededGenerator(seed: UInt64(index))
                reader.goOnline()
                started.leave()
                while !stopping.load(ordering: .relaxed) {
                    for _ in 0..<64 {
                        if let wrong = check(&generator) {
                            found.withLock { if $0.count < 10 { $0.append(wrong) } }
                        }
                    }
                    lookups.add(64, ordering: .relaxed)
                    reader.quiesce()
                    // Now and then a worker sleeps.
                    if generator.next().isMultiple(of: 512) {
                        reader.goOffline()
                        sched_yield()
                        reader.goOnline()
                    }
                }
                reader.goOffline()
                ended.leave()
            }
        }
        started.wait()
    }

    /// Waits until readers have made that many look-ups since the start.
    func waitForLookups(_ count: Int) {
        while lookups.load(ordering: .relaxed) < count { sched_yield() }
    }

    /// Ends the threads; returns what they found.
    func stop() -> [String] {
        stopping.store(true, ordering: .relaxed)
        ended.wait()
        return found.withLock { $0 }
    }
}

/// A thread that changes a table often.
private final class Writer: Sendable {
    private let count = Atomic(0)
    private let result = Mutex<Result<Void, any Error>?>(nil)

    var changes: Int { count.load(ordering: .relaxed) }
    var hasEnded: Bool { result.withLock { $0 != nil } }
    var failure: String? {
        if case .failure(let error) = result.withLock({ $0 }) { "\(error)" } else { nil }
    }

    init(begin: @escaping @Sendable () throws -> Void, change: @escaping @Sendable () throws -> Void) {
        Thread.detachNewThread { [self] in
            let outcome = Result {
                try begin()
                for _ in 0..<18_000 {
                    try change()
                    count.add(1, ordering: .relaxed)
                }
            }
            result.withLock { $0 = outcome }
        }
    }
}

@Suite("Prefix table with concurrent readers")
struct ConcurrencyTests {
    @Test("every answer is the value of a prefix that holds the address; what does not change is always found")
    func answers() throws {
        let seed = RandomTest.seed(for: "prefix table with concurrent readers")
        let states = QuiescentStates()
        let table = try PrefixTable(capacity: 2000, quiescentStates: states)
        var source = PrefixSource(seed: seed)
        var catalogue: [IPv6Prefix] = []
        while catalogue.count < 300 {
            let prefix = source.prefix()
            if prefix.length > 2, !catalogue.contains(prefix) { catalogue.append(prefix) }
        }
        // Prefixes that stay, in a corner of their own.
        let steady = (0..<16).map {
            IPv6Prefix(containing: IPv6Address(high: 0x3FFF << 48 | $0 << 40, low: 9), length: 128)
        }
        let all = catalogue + steady
        for (value, prefix) in all.enumerated() where prefix.length == 128 {
            try table.insert(prefix, value: UInt32(value))
        }
        let reader = table.reader
        let readers = try Readers(2, of: states) { [catalogue, all] generator in
            if Bool.random(using: &generator) {
                let index = Int.random(in: 0..<16, using: &generator)
                let address = all[catalogue.count + index].address
                let value = reader.lookup(address)
                return value == UInt32(catalogue.count + index) ? nil : "\(address) gave \(value), but does not change"
            }
            let prefix = all.randomElement(using: &generator) ?? all[0]
            let address = Bool.random(using: &generator) ? prefix.address : prefix.last
            let value = reader.lookup(address)
            guard value != PrefixTable.noValue else { return nil }
            guard value < UInt32(all.count) else { return "\(address) gave \(value), which nobody put" }
            return all[Int(value)].contains(address)
                ? nil : "\(address) gave \(all[Int(value)]), which does not hold it"
        }
        for _ in 0..<RandomTest.count(30_000) {
            let index = Int.random(in: 0..<catalogue.count, using: &source.generator)
            if Int.random(in: 0..<5, using: &source.generator) < 2 {
                table.remove(catalogue[index])
            } else {
                try table.insert(catalogue[index], value: UInt32(index))
            }
        }
        readers.waitForLookups(10_000)
        #expect(readers.stop() == [], "seed \(seed)")
    }

    @Test("memory that is used again while readers look is never seen as what it was")
    func reuse() throws {
        let states = QuiescentStates()
        // So small that every number is used again and again.
        let table = try PrefixTable(capacity: 2, quiescentStates: states)
        let prefixes = (0..<64).map { IPv6Prefix(containing: IPv6Address(high: $0 << 58 | 7, low: 3), length: 128) }
        let reader = table.reader
        let readers = try Readers(2, of: states) { generator in
            let index = Int.random(in: 0..<64, using: &generator)
            let value = reader.lookup(prefixes[index].address)
            return value == PrefixTable.noValue || value == UInt32(index) ? nil : "prefix \(index) gave \(value)"
        }
        for step in 0..<RandomTest.count(30_000) {
            try table.insert(prefixes[step % 64], value: UInt32(step % 64))
            table.remove(prefixes[(step + 63) % 64])
        }
        readers.waitForLookups(10_000)
        #expect(readers.stop() == [])
    }

    @Test(
        "an address that is held at every moment is found at every moment, whatever holds it",
        arguments: [
            // A longer prefix is put before a shorter goes, and the other way round.
            ["2001:db8::/48", "2001:db8::/64"], ["2001:db8::/64", "2001:db8::/128"], ["::/0", "2001:db8::/64"],
            ["::/0", "2001:db8::/128"], ["2001:db8::/32", "2001:db8::/48", "2001:db8::/64"],
            ["::/0", "2000::/3", "2001:db8::/32", "2001:db8::/127", "2001:db8::/128"],
        ],
        [[], ["2001:db8:8000::/33", "2001:db8:0:8000::/64", "2001:db8::8000:0:0:0/65", "2001:db8::1/128", "8000::/1"]])
    func neverMissed(_ texts: [String], _ besides: [String]) throws {
        let states = QuiescentStates()
        let table = try PrefixTable(capacity: 100, quiescentStates: states)
        let prefixes = try texts.map { try #require(IPv6Prefix($0)) }
        let address = try #require(IPv6Address("2001:db8::"))
        // Prefixes beside them make places where ways part.
        for (value, text) in besides.enumerated() {
            try table.insert(try #require(IPv6Prefix(text)), value: UInt32(1000 + value))
        }
        try table.insert(prefixes[0], value: 0)
        let reader = table.reader
        let readers = try Readers(2, of: states) { _ in
            let value = reader.lookup(address)
            return value < UInt32(prefixes.count) ? nil : "gave \(value)"
        }
        var held = 0
        for step in 0..<RandomTest.count(40_000) {
            let next = (held + 1 + step % max(prefixes.count - 1, 1)) % prefixes.count
            guard next != held else { continue }
            try table.insert(prefixes[next], value: UInt32(next))
            table.remove(prefixes[held])
            held = next
        }
        readers.waitForLookups(10_000)
        #expect(readers.stop() == [])
    }

    @Test("a writer who changes much while a reader does not get to run waits for it, and takes no more than there is")
    func starved() throws {
        let states = QuiescentStates()
        // So small that all its room is what there is beside what prefixes take. The writer's, until it has ended.
        nonisolated(unsafe) let table = try PrefixTable(capacity: 300, quiescentStates: states)
        let reader = try #require(states.register())
        reader.goOnline()
        // A node that is full is made anew at each change, and takes 17 lines.
        let prefixes = (0..<256).map {
            IPv6Prefix(containing: IPv6Address(high: 0x2001 << 48 | $0, low: 0), length: 64)
        }
        let writer = Writer {
            for prefix in prefixes { try table.insert(prefix, value: 1) }
        } change: {
            table.remove(prefixes[7])
            try table.insert(prefixes[7], value: 2)
        }
        // As long as the writer goes on the reader does not.
        var seen = -1
        while !writer.hasEnded {
            if writer.changes == seen { reader.quiesce() }
            seen = writer.changes
            usleep(20_000)
        }
        #expect(writer.failure == nil)
        reader.goOffline()
        #expect(table.reader.lookup(prefixes[7].address) == 2)
    }
}

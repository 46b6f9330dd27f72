// Many prefixes close together, as an operator's home agent has them: enough that nodes of 16 bits take the place of others.
// What is expected comes from a dictionary for each length. Look-ups in batches must answer as those one by one do.

import PrefixTable
import TestSupport
import Testing
import Wire

@Suite("Dense prefix table")
struct DenseTableTests {
    /// The value that each prefix has, by length.
    private struct Expected {
        var values: [UInt8: [IPv6Address: UInt32]] = [:]

        subscript(prefix: IPv6Prefix) -> UInt32? {
            get { values[prefix.length]?[prefix.address] }
            set { values[prefix.length, default: [:]][prefix.address] = newValue }
        }

        func lookup(_ address: IPv6Address) -> UInt32 {
            for length in values.keys.sorted(by: >) {
                if let value = values[length]?[IPv6Prefix(containing: address, length: length).address] {
                    return value
                }
            }
            return PrefixTable.noValue
        }
    }

    private func check(
        _ table: PrefixTable, _ expected: Expected, _ addresses: [IPv6Address], _ place: Comment
    ) {
        var results = [UInt32](repeating: 1, count: addresses.count)
        addresses.withUnsafeBytes { addresses in
            results.withUnsafeMutableBytes { results in
                table.reader.lookup(
                    count: results.count / 4, addresses: addresses.baseAddress!, stride: 16,
                    results: results.baseAddress!, resultStride: 4)
            }
        }
        for (address, result) in zip(addresses, results) {
            let value = expected.lookup(address)
            if result != value || table.reader.lookup(address) != value {
                Issue.record("\(address): \(result), not \(value); \(place)")
                return
            }
        }
    }

    @Test(
        "tens of thousands of prefixes in one /32 answer right while they come, change and go, in batches and one by one",
        arguments: [false, true])
    func dense(_ withOthers: Bool) throws {
        let seed = RandomTest.seed(for: "dense prefix table")
        var generator = SeededGenerator(seed: seed)
        let table = try PrefixTable(capacity: 80_000, quiescentStates: QuiescentStates())
        var expected = Expected()
        var known: [IPv6Prefix] = []
        func put(_ prefix: IPv6Prefix) throws {
            let value = UInt32.random(in: 0...PrefixTable.largestValue, using: &generator)
            #expect(try table.insert(prefix, value: value) == expected[prefix], "\(prefix), seed \(seed)")
            if expected[prefix] == nil { known.append(prefix) }
            expected[prefix] = value
        }
        func addresses() -> [IPv6Address] {
            (0..<500).map { _ in
                var address = IPv6Address(high: 0x2001_0DB8 << 32 | generator.next() >> 32, low: generator.next())
                if generator.next() % 3 > 0, let prefix = known.randomElement(using: &generator) {
                    let host = IPv6Prefix(containing: IPv6Address(high: .max, low: .max), length: prefix.length).address
                    address = IPv6Address(
                        high: prefix.address.high | (address.high & ~host.high),
                        low: prefix.address.low | (address.low & ~host.low))
                }
                return address
            }
        }
        if withOthers {
            // Outside of the /32, above it, and around it.
            for prefix in ["fe80::1/128", "2001:db8::/29", "::/0", "2a00::/12"] { try put(IPv6Prefix(prefix)!) }
        }
        for round in 0..<24 {
            for _ in 0..<2000 {
                let high = 0x2001_0DB8 << 32 | generator.next() >> 32
                let length: UInt8 = [44, 48, 48, 52, 56, 56, 57, 60, 62, 64, 64, 72].randomElement(using: &generator)!
                try put(IPv6Prefix(containing: IPv6Address(high: high, low: generator.next()), length: length))
            }
            check(table, expected, addresses(), "growing, round \(round), seed \(seed)")
        }
        // 16 bits of it are told apart in one step by now: look-ups through that node, changes in it, prefixes across it.
        for length in stride(from: UInt8(33), through: 48, by: 1) {
            let address = IPv6Address(high: 0x2001_0DB8 << 32 | generator.next() >> 32, low: 0)
            try put(IPv6Prefix(containing: address, length: length))
        }
        check(table, expected, addresses(), "short ones, seed \(seed)")
        known.shuffle(using: &generator)
        while !known.isEmpty {
            for prefix in known.suffix(4000) {
                #expect(table.remove(prefix) == expected[prefix])
                expected[prefix] = nil
            }
            known.removeLast(min(4000, known.count))
            check(table, expected, addresses(), "shrinking, \(known.count) left, seed \(seed)")
        }
        #expect(table.count == 0)
    }

    @Test("prefixes that take turns leave no memory behind")
    func memory() throws {
        var generator = SeededGenerator(seed: 7)
        let states = QuiescentStates()
        let table = try PrefixTable(capacity: 1000, quiescentStates: states)
        let bytes = table.bytesInUse
        for _ in 0..<200 {
            let prefixes = Set(
                (0..<500).map { _ in
                    IPv6Prefix(
                        containing: IPv6Address(high: 0x2001 << 48 | generator.next() >> 16, low: generator.next()),
                        length: UInt8.random(in: 20...128, using: &generator))
                })
            for prefix in prefixes { try table.insert(prefix, value: 1) }
            #expect(table.bytesInUse > bytes)
            for prefix in prefixes { table.remove(prefix) }
            #expect(table.count == 0)
            #expect(table.bytesInUse == bytes)
        }
    }

    @Test("dense networks that empty but for a few prefixes leave what these few take, and all answers right")
    func sparseAgain() throws {
        let seed = RandomTest.seed(for: "dense networks that empty")
        var generator = SeededGenerator(seed: seed)
        let table = try PrefixTable(capacity: 40_000, quiescentStates: QuiescentStates())
        let bytes = table.bytesInUse
        var expected = Expected()
        func put(_ prefix: IPv6Prefix) throws {
            let value = UInt32.random(in: 0...PrefixTable.largestValue, using: &generator)
            try table.insert(prefix, value: value)
            expected[prefix] = value
        }
        var kept: [IPv6Prefix] = []
        for network in UInt64(1)...2 {
            let high = 0x2001_0DB8 << 32 | network << 16
            var prefixes: Set<IPv6Prefix> = []
            // All of some parts, so that short ones lie hidden; in others longer ones stand where nodes lead further down.
            for number in UInt64(0)..<17_000 {
                prefixes.insert(IPv6Prefix(containing: IPv6Address(high: high | number, low: 0), length: 64))
                if number.isMultiple(of: 16) {
                    let address = IPv6Address(high: high | generator.next() >> 48, low: generator.next())
                    let length = UInt8.random(in: 49...128, using: &generator)
                    prefixes.insert(IPv6Prefix(containing: address, length: length))
                }
            }
            for length in UInt8(47)...60 {
                prefixes.insert(IPv6Prefix(containing: IPv6Address(high: high, low: 0), length: length))
            }
            var leaving = prefixes.sorted { ($0.address, $0.length) < ($1.address, $1.length) }
            leaving.shuffle(using: &generator)
            for prefix in leaving { try put(prefix) }
            kept += leaving.suffix(40)
            leaving.removeLast(40)
            func addresses() -> [IPv6Address] {
                (0..<500).map { number in
                    let random = IPv6Address(
                        high: high &- 0x8000 &+ generator.next() >> 46, low: generator.next())
                    return number % 2 == 0 ? random : kept.randomElement(using: &generator)?.address ?? random
                }
            }
            for (index, prefix) in leaving.enumerated() {
                #expect(table.remove(prefix) == expected[prefix], "\(prefix), seed \(seed)")
                expected[prefix] = nil
                if index % 1000 == 0 { check(table, expected, addresses(), "\(index) gone, seed \(seed)") }
            }
            check(table, expected, addresses(), "network \(network), seed \(seed)")
        }
        #expect(table.count == kept.count)
        #expect(table.bytesInUse < bytes + kept.count * 1024, "seed \(seed)")
        for prefix in kept { #expect(table.remove(prefix) == expected[prefix], "\(prefix), seed \(seed)") }
        #expect(table.bytesInUse == bytes, "seed \(seed)")
    }
}

import PrefixTable
import TestSupport
import Testing
import Wire

@Suite("Prefix table")
struct PrefixTableTests {
    private func table(capacity: Int = 4096) throws -> PrefixTable {
        try PrefixTable(capacity: capacity, quiescentStates: QuiescentStates())
    }

    private func prefix(_ text: String) throws -> IPv6Prefix { try #require(IPv6Prefix(text)) }
    private func address(_ text: String) throws -> IPv6Address { try #require(IPv6Address(text)) }

    @Test("answers as a slow linear search does, while prefixes come, change and go")
    func oracle() throws {
        let seed = RandomTest.seed(for: "prefix table against a linear search")
        for round in 0..<UInt64(RandomTest.count(5)) {
            var source = PrefixSource(seed: seed &+ round)
            let table = try table()
            var oracle = LinearOracle()
            var known: [IPv6Prefix] = []
            for step in 0..<1500 {
                let isGrowing = (step / 300).isMultiple(of: 2)
                let takesOut = Int.random(in: 0..<10, using: &source.generator) < (isGrowing ? 3 : 7)
                if takesOut, let prefix = known.randomElement(using: &source.generator) {
                    #expect(table.remove(prefix) == oracle.remove(prefix), "seed \(seed), step \(step), \(prefix)")
                } else {
                    let prefix = source.prefix()
                    known.append(prefix)
                    let value = UInt32.random(in: 0...PrefixTable.largestValue, using: &source.generator)
                    #expect(
                        try table.insert(prefix, value: value) == oracle.insert(prefix, value: value),
                        "seed \(seed), step \(step), \(prefix)")
                }
                guard step.isMultiple(of: 10) else { continue }
                compare(table, oracle, &source, "seed \(seed), step \(step)")
            }
            for prefix in known { #expect(table.remove(prefix) == oracle.remove(prefix)) }
            #expect(table.count == 0)
            #expect(table.reader.lookup(source.address()) == PrefixTable.noValue)
        }
    }

    private func compare(
        _ table: PrefixTable, _ oracle: LinearOracle, _ source: inout PrefixSource, _ place: Comment
    ) {
        #expect(table.count == oracle.values.count, place)
        let some = oracle.values.keys.prefix(3).flatMap { [$0.address, $0.last] }
        for address in some + (0..<4).map({ _ in source.address() }) {
            #expect(table.reader.lookup(address) == oracle.lookup(address) ?? PrefixTable.noValue, place)
        }
        let prefix = source.prefix()
        #expect(table.value(of: prefix) == oracle.values[prefix], place)
        var overlaps: [IPv6Prefix: UInt32] = [:]
        table.forEachOverlap(with: prefix) {
            overlaps[$0] = $1
            return true
        }
        #expect(overlaps == oracle.overlaps(with: prefix), place)
    }

    @Test("an empty table knows nothing")
    func empty() throws {
        let table = try table()
        #expect(table.reader.lookup(.unspecified) == PrefixTable.noValue)
        #expect(table.value(of: try prefix("::/0")) == nil)
        #expect(table.remove(try prefix("::/0")) == nil)
        #expect(table.remove(try prefix("2001:db8::/32")) == nil)
        #expect(table.count == 0)
    }

    @Test("a prefix of each length holds its first and last address, and none beside them")
    func lengths() throws {
        for length in UInt8(0)...128 {
            let table = try table()
            let held = IPv6Prefix(
                containing: IPv6Address(high: 0x2001_0DB8_5A5A_A5A5, low: 0x1234_5678_9ABC_DEF0), length: length)
            #expect(try table.insert(held, value: 7) == nil)
            #expect(table.reader.lookup(held.address) == 7 && table.reader.lookup(held.last) == 7)
            for bit in 0..<Int(length) {
                #expect(table.reader.lookup(held.address.turning(bit)) == PrefixTable.noValue, "\(held), bit \(bit)")
            }
            #expect(table.remove(held) == 7)
            #expect(table.reader.lookup(held.address) == PrefixTable.noValue)
        }
    }

    @Test("the default route answers where nothing longer does, and can be replaced and removed")
    func defaultRoute() throws {
        let table = try table()
        let all = try prefix("::/0")
        try table.insert(try prefix("2001:db8::/32"), value: 2)
        #expect(try table.insert(all, value: 1) == nil)
        #expect(table.count == 2)
        #expect(table.reader.lookup(try address("2001:db8::1")) == 2)
        #expect(table.reader.lookup(try address("2001:db9::1")) == 1)
        #expect(try table.insert(all, value: 3) == 1)
        #expect(table.reader.lookup(.unspecified) == 3)
        #expect(table.remove(all) == 3)
        #expect(table.remove(all) == nil)
        #expect(table.count == 1)
        #expect(table.reader.lookup(try address("2001:db9::1")) == PrefixTable.noValue)
        #expect(table.reader.lookup(try address("2001:db8::1")) == 2)
    }

    @Test("129 prefixes within each other: each address has the longest that holds it", arguments: [true, false])
    func nested(_ shortestFirst: Bool) throws {
        let table = try table()
        let base = IPv6Address(high: 0xAAAA_AAAA_AAAA_AAAA, low: 0x5555_5555_5555_5555)
        let lengths = shortestFirst ? Array(UInt8(0)...128) : (UInt8(0)...128).reversed()
        for length in lengths { try table.insert(IPv6Prefix(containing: base, length: length), value: UInt32(length)) }
        #expect(table.count == 129)
        #expect(table.reader.lookup(base) == 128)
        // Where bit n is the first that differs, the longest prefix that holds the address has n bits.
        for bit in 0..<128 { #expect(table.reader.lookup(base.turning(bit)) == UInt32(bit)) }
        // Every second one taken out: the next shorter answers.
        for length in stride(from: UInt8(1), through: 127, by: 2) {
            #expect(table.remove(IPv6Prefix(containing: base, length: length)) == UInt32(length))
        }
        for bit in 0..<128 { #expect(table.reader.lookup(base.turning(bit)) == UInt32(bit & ~1)) }
    }

    @Test("128 prefixes that part at each bit from one address, put and removed in any order")
    func comb() throws {
        var generator = SeededGenerator(seed: RandomTest.seed(for: "prefixes that part at each bit"))
        for _ in 0..<5 {
            let table = try table()
            let base = IPv6Address(high: generator.next(), low: generator.next())
            for bit in (0..<128).shuffled(using: &generator) {
                try table.insert(
                    IPv6Prefix(containing: base.turning(bit), length: UInt8(bit + 1)), value: UInt32(bit))
            }
            #expect(table.reader.lookup(base) == PrefixTable.noValue)
            for bit in (0..<128).shuffled(using: &generator) {
                let held = IPv6Prefix(containing: base.turning(bit), length: UInt8(bit + 1))
                #expect(table.reader.lookup(held.last) == UInt32(bit))
                #expect(table.remove(held) == UInt32(bit))
                #expect(table.reader.lookup(held.last) == PrefixTable.noValue)
            }
            #expect(table.count == 0)
        }
    }

    @Test("putting a prefix again gives it another value and says which it had")
    func replace() throws {
        let table = try table()
        let held = try prefix("2001:db8::/48")
        #expect(try table.insert(held, value: 1) == nil)
        #expect(try table.insert(held, value: 2) == 1)
        #expect(table.count == 1)
        #expect(table.value(of: held) == 2)
        #expect(table.value(of: try prefix("2001:db8::/47")) == nil)
        #expect(table.value(of: try prefix("2001:db8::/49")) == nil)
    }

    @Test("where two prefixes part, no prefix comes to be, until it is put")
    func fork() throws {
        let table = try table()
        let fork = try prefix("2001:db8::/47")
        try table.insert(try prefix("2001:db8:0::/48"), value: 1)
        try table.insert(try prefix("2001:db8:1::/48"), value: 2)
        #expect(table.value(of: fork) == nil && table.count == 2)
        #expect(table.remove(fork) == nil)
        #expect(try table.insert(fork, value: 3) == nil)
        #expect(table.count == 3)
        #expect(table.remove(try prefix("2001:db8:0::/48")) == 1)
        #expect(table.reader.lookup(try address("2001:db8:0::1")) == 3)
        #expect(table.remove(fork) == 3)
        #expect(table.reader.lookup(try address("2001:db8:0::1")) == PrefixTable.noValue)
        #expect(table.reader.lookup(try address("2001:db8:1::1")) == 2)
    }

    @Test("overlaps can be stopped at the first")
    func stopped() throws {
        let table = try table()
        for text in ["2001:db8::/32", "2001:db8::/48", "2001:db8::/64"] { try table.insert(try prefix(text), value: 1) }
        var seen: [IPv6Prefix] = []
        table.forEachOverlap(with: try prefix("2001:db8::/64")) { held, _ in
            seen.append(held)
            return false
        }
        #expect(seen == [try prefix("2001:db8::/32")])
    }

    @Test("a full table refuses a new prefix with nothing changed, and takes it when there is room again")
    func full() throws {
        let table = try table(capacity: 8)
        let held = try (0..<8).map { try prefix("2001:db8:\(String($0 * 3, radix: 16))::/48") }
        for (value, prefix) in held.enumerated() { try table.insert(prefix, value: UInt32(value)) }
        // A leaf, a prefix above others, one where two part, and the default route.
        for text in ["2001:db9::/48", "2001:db8::/32", "2001:db8::/46", "::/0"] {
            let error = #expect(throws: PrefixTableFull.self) { try table.insert(try prefix(text), value: 99) }
            #expect(error?.description.contains("full with 8 prefixes") == true)
            #expect(table.count == 8)
            #expect(table.value(of: try prefix(text)) == nil)
        }
        for (value, prefix) in held.enumerated() { #expect(table.reader.lookup(prefix.last) == UInt32(value)) }
        #expect(try table.insert(held[3], value: 33) == 3, "a value can be changed in a full table")
        #expect(table.remove(held[0]) == 0)
        #expect(try table.insert(try prefix("::/0"), value: 99) == nil)
        #expect(table.reader.lookup(held[0].address) == 99)
    }

    @Test("memory of removed prefixes is used again: a small table lives through any number of changes")
    func reuse() throws {
        let table = try table(capacity: 4)
        var source = PrefixSource(seed: 11)
        for _ in 0..<20_000 {
            let some = [source.prefix(), source.prefix(), source.prefix()]
            for prefix in some { try table.insert(prefix, value: 1) }
            for prefix in Set(some) { #expect(table.remove(prefix) == 1) }
        }
        #expect(table.count == 0)
    }

    @Test("no value may be the one that says that there is none")
    func reservedValue() async {
        await #expect(processExitsWith: .failure) {
            let table = try PrefixTable(capacity: 1, quiescentStates: QuiescentStates())
            try table.insert(IPv6Prefix(containing: .unspecified, length: 0), value: PrefixTable.noValue)
        }
    }
}

// A table that is filled at once answers as one into which the same prefixes were put one by one, also when it changes
// from then on.

import TestSupport
import Testing
import Wire

@testable import PrefixTable

@Suite("Prefix table filled at once")
struct BulkTests {
    /// Those that lie in no other, and the others.
    private func parted(_ prefixes: [ValuedPrefix]) -> (outer: [ValuedPrefix], inner: [ValuedPrefix]) {
        var (outer, inner): ([ValuedPrefix], [ValuedPrefix]) = ([], [])
        for next in prefixes {
            if let last = outer.last, last.prefix.overlaps(next.prefix) {
                inner.append(next)
            } else {
                outer.append(next)
            }
        }
        return (outer, inner)
    }

    /// Fills a table as a restored one is.
    private func filled(_ prefixes: [ValuedPrefix]) throws -> PrefixTable {
        let table = try PrefixTable(capacity: prefixes.count + 100, quiescentStates: QuiescentStates())
        let (outer, inner) = parted(ValuedPrefix.sorted(prefixes))
        table.fillRules(prefixes)
        guard outer.first?.prefix.length != 0 else {
            for next in outer + inner { try table.insert(next.prefix, value: next.value) }
            return table
        }
        try outer.withUnsafeBufferPointer { try table.fillTrie($0) }
        for next in inner { try table.insert(next.prefix, value: next.value) }
        return table
    }

    @Test("it answers as a slow linear search does, and goes on to, while prefixes come, change and go")
    func oracle() throws {
        let seed = RandomTest.seed(for: "prefix table filled at once")
        for round in 0..<UInt64(RandomTest.count(10)) {
            var source = PrefixSource(seed: seed &+ round)
            var oracle = LinearOracle()
            for _ in 0..<[0, 1, 2, 30, 300][Int(round % 5)] {
                _ = oracle.insert(source.prefix(), value: .random(in: 0...PrefixTable.largestValue))
            }
            let table = try filled(oracle.values.map { ValuedPrefix($0.key, value: $0.value) })
            for step in 0..<400 {
                let known = oracle.values.keys.randomElement() ?? source.prefix()
                for address in [known.address, known.last, source.address()] {
                    let expected = oracle.lookup(address) ?? PrefixTable.noValue
                    #expect(table.reader.lookup(address) == expected, "seed \(seed), round \(round), step \(step)")
                }
                #expect(table.value(of: known) == oracle.values[known])
                #expect(table.count == oracle.values.count)
                if Bool.random(using: &source.generator) {
                    #expect(table.remove(known) == oracle.remove(known))
                } else {
                    let prefix = source.prefix()
                    #expect(try table.insert(prefix, value: 5) == oracle.insert(prefix, value: 5))
                }
            }
            for prefix in oracle.values.keys { #expect(table.remove(prefix) != nil) }
            #expect(table.count == 0 && table.reader.lookup(source.address()) == PrefixTable.noValue)
        }
    }

    @Test(
        "prefixes of one length beside each other: all of them, or some",
        arguments: [52, 56, 59, 60, 64, 65, 80] as [UInt8],
        [1, 3])
    func dense(length: UInt8, stride step: Int) throws {
        let count = 20_000
        let prefixes = (0..<count).map { number in
            let bits = UInt64(number * step)
            let high =
                0x2001_0DB8_0000_0000 &+ (length <= 64 ? bits << UInt64(64 - length) : bits >> UInt64(length - 64))
            let low = length <= 64 ? 0 : bits << UInt64(128 - length)
            return ValuedPrefix(
                IPv6Prefix(containing: IPv6Address(high: high, low: low), length: length), value: UInt32(number))
        }
        let table = try filled(prefixes.shuffled())
        #expect(table.count == count)
        for next in prefixes {
            guard table.reader.lookup(next.prefix.address) == next.value,
                table.reader.lookup(next.prefix.last) == next.value
            else {
                Issue.record("\(next.prefix) gives \(table.reader.lookup(next.prefix.address)), not \(next.value)")
                return
            }
        }
        // What was put one by one takes no less, and not much more: the nodes are of the same kinds.
        let other = try PrefixTable(capacity: count, quiescentStates: QuiescentStates())
        for next in prefixes { try other.insert(next.prefix, value: next.value) }
        other.memory.reclaim()
        let (lines, others) = (table.memory.linesInUse, other.memory.linesInUse)
        #expect(lines <= others && lines * 2 > others, "\(lines) lines, one by one \(others)")
        for next in prefixes.dropFirst(2) { #expect(table.remove(next.prefix) == next.value) }
        #expect(table.reader.lookup(prefixes[1].prefix.address) == 1)
        #expect(table.reader.lookup(prefixes[2].prefix.address) == PrefixTable.noValue)
    }

    @Test("prefixes are sorted, wherever the bits lie in which they differ", arguments: [0, 20, 47, 60, 64, 100, 120])
    func sorted(bit: Int) {
        var generator = SeededGenerator(seed: RandomTest.seed(for: "sorted prefixes"))
        for count in [0, 1, 2, 1000] {
            let prefixes = (0..<count).map { number in
                var address = IPv6Address(high: 0x2001_0DB8_5A5A_A5A5, low: 0x1234_5678_9ABC_DEF0)
                for turned in bit..<min(bit + 24, 128) where Bool.random(using: &generator) {
                    address = address.turning(turned)
                }
                let length: UInt8 = [UInt8(bit), 64, 128].randomElement(using: &generator) ?? 64
                return ValuedPrefix(IPv6Prefix(containing: address, length: length), value: UInt32(number))
            }
            let sorted = ValuedPrefix.sorted(prefixes)
            #expect(sorted.map(\.prefix) == prefixes.map(\.prefix).sorted())
            #expect(Set(sorted.map(\.value)) == Set(prefixes.map(\.value)))
        }
    }
}

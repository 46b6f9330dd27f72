// The prefixes themselves, each with its value, for the writer: which value exactly a prefix has, and which is the longest
// of those that hold it. A hash table with open addressing; what is removed leaves no mark, since those behind it move up. It
// grows by half where it is four fifths full, and halves where it is one fifth full.

import CPrefetch
import Glibc
import Wire

/// Prefixes and their values.
final class PrefixRules {
    private struct Rule: BitwiseCopyable {
        var high: UInt64
        var low: UInt64
        var value: UInt32
        /// Of the prefix, plus one; 0 where there is none.
        var lengthPlusOne: UInt32
    }

    private var memory: ReservedMemory<Rule>
    private var rules: UnsafeMutablePointer<Rule>
    private var size: Int
    private static var leastSize: Int { 64 }
    private let seed = UInt64.random(in: .min ... .max)
    private(set) var count = 0
    /// How many prefixes there are of each length.
    private(set) var countByLength = [Int](repeating: 0, count: 129)

    /// What they take.
    var bytes: Int { size * MemoryLayout<Rule>.stride }

    /// None.
    init() {
        size = Self.leastSize
        memory = ReservedMemory(capacity: size, for: "prefixes")
        rules = memory.base
    }

    private func resize(to newSize: Int) {
        let (old, oldSize, oldMemory) = (rules, size, memory)
        size = newSize
        memory = ReservedMemory(capacity: size, for: "prefixes")
        rules = memory.base
        for index in 0..<oldSize where old[index].lengthPlusOne != 0 {
            var place = home(old[index].high, old[index].low, old[index].lengthPlusOne)
            while rules[place].lengthPlusOne != 0 { place = behind(place) }
            rules[place] = old[index]
        }
        withExtendedLifetime(oldMemory) {}
    }

    private func home(_ high: UInt64, _ low: UInt64, _ lengthPlusOne: UInt32) -> Int {
        var hash = (high ^ seed) &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 32
        hash = (hash ^ low ^ UInt64(lengthPlusOne) << 56) &* 0xBF58_476D_1CE4_E5B9
        hash ^= hash >> 29
        hash = hash &* 0x94D0_49BB_1331_11EB
        return Int(truncatingIfNeeded: hash.multipliedFullWidth(by: UInt64(size)).high)
    }

    private func behind(_ place: Int) -> Int { place + 1 == size ? 0 : place + 1 }

    private func distance(from first: Int, to second: Int) -> Int {
        second >= first ? second - first : second - first + size
    }

    /// The place of a prefix, or the free one where it belongs.
    private func place(_ prefix: IPv6Prefix) -> Int {
        let length = UInt32(prefix.length) + 1
        var place = home(prefix.address.high, prefix.address.low, length)
        while rules[place].lengthPlusOne != 0,
            rules[place].lengthPlusOne != length || rules[place].high != prefix.address.high
                || rules[place].low != prefix.address.low
        {
            place = behind(place)
        }
        return place
    }

    /// The value of exactly that prefix.
    func value(of prefix: IPv6Prefix) -> UInt32? {
        guard countByLength[Int(prefix.length)] > 0 else { return nil }
        let place = place(prefix)
        return rules[place].lengthPlusOne == 0 ? nil : rules[place].value
    }

    /// Makes room for so many, and some more, at once.
    func reserve(_ count: Int) {
        if count * 5 > size * 4 { resize(to: count + count / 2) }
    }

    /// Has the place of a prefix fetched, which will be asked for soon.
    func prefetch(_ prefix: IPv6Prefix) {
        CPrefetch_line(rules + home(prefix.address.high, prefix.address.low, UInt32(prefix.length) + 1))
    }

    /// Puts a prefix, or gives it another value.
    /// - Returns: the value that it had.
    func insert(_ prefix: IPv6Prefix, _ value: UInt32) -> UInt32? {
        if (count + 1) * 5 > size * 4 { resize(to: size + size / 2) }
        let place = place(prefix)
        if rules[place].lengthPlusOne != 0 {
            defer { rules[place].value = value }
            return rules[place].value
        }
        rules[place] = Rule(
            high: prefix.address.high, low: prefix.address.low, value: value, lengthPlusOne: UInt32(prefix.length) + 1)
        count += 1
        countByLength[Int(prefix.length)] += 1
        return nil
    }

    /// Takes a prefix out.
    /// - Returns: the value that it had.
    func remove(_ prefix: IPv6Prefix) -> UInt32? {
        guard countByLength[Int(prefix.length)] > 0 else { return nil }
        var hole = place(prefix)
        guard rules[hole].lengthPlusOne != 0 else { return nil }
        let value = rules[hole].value
        var next = behind(hole)
        while rules[next].lengthPlusOne != 0 {
            // It may move up if its home is not behind the hole.
            let home = home(rules[next].high, rules[next].low, rules[next].lengthPlusOne)
            if distance(from: home, to: next) >= distance(from: hole, to: next) {
                rules[hole] = rules[next]
                hole = next
            }
            next = behind(next)
        }
        rules[hole].lengthPlusOne = 0
        count -= 1
        countByLength[Int(prefix.length)] -= 1
        if size > Self.leastSize, count * 5 < size { resize(to: max(size / 2, Self.leastSize)) }
        return value
    }

    /// The longest prefix of those lengths that holds an address.
    func longest(holding address: IPv6Address, lengths: ClosedRange<Int>) -> (length: Int, value: UInt32)? {
        for length in lengths.reversed() where countByLength[length] > 0 {
            if let value = value(of: IPv6Prefix(containing: address, length: UInt8(length))) { return (length, value) }
        }
        return nil
    }
}

// What a table of prefixes should answer, found the slow way: by looking at every prefix.

import TestSupport
import Wire

struct LinearOracle {
    private(set) var values: [IPv6Prefix: UInt32] = [:]

    mutating func insert(_ prefix: IPv6Prefix, value: UInt32) -> UInt32? {
        values.updateValue(value, forKey: prefix)
    }

    mutating func remove(_ prefix: IPv6Prefix) -> UInt32? {
        values.removeValue(forKey: prefix)
    }

    func lookup(_ address: IPv6Address) -> UInt32? {
        values.filter { Self.holds($0.key, address) }.max { $0.key.length < $1.key.length }?.value
    }

    func overlaps(with prefix: IPv6Prefix) -> [IPv6Prefix: UInt32] {
        values.filter { Self.holds($0.key, prefix.address) || Self.holds(prefix, $0.key.address) }
    }

    /// Bit by bit, so that it has nothing in common with what it checks.
    private static func holds(_ prefix: IPv6Prefix, _ address: IPv6Address) -> Bool {
        (0..<Int(prefix.length)).allSatisfy { bit($0, of: prefix.address) == bit($0, of: address) }
    }

    static func bit(_ index: Int, of address: IPv6Address) -> Bool {
        let half = index < 64 ? address.high : address.low
        return half & (1 << UInt64(63 - index % 64)) != 0
    }
}

/// Prefixes that lie close together: within each other, beside each other, parting at every bit.
struct PrefixSource {
    var generator: SeededGenerator
    private let bases: [IPv6Address]

    init(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        bases = (0..<3).map { _ in IPv6Address(high: generator.next(), low: generator.next()) }
        self.generator = generator
    }

    /// A base address with up to three bits turned.
    mutating func address() -> IPv6Address {
        var address = bases.randomElement(using: &generator) ?? .unspecified
        for _ in 0..<Int.random(in: 0...3, using: &generator) {
            address = address.turning(Int.random(in: 0..<128, using: &generator))
        }
        return address
    }

    /// All lengths occur; the ends and the boundary between the two halves are frequent.
    mutating func prefix() -> IPv6Prefix {
        let length: UInt8 =
            Bool.random(using: &generator)
            ? .random(in: 0...128, using: &generator)
            : [0, 1, 32, 48, 56, 63, 64, 65, 127, 128].randomElement(using: &generator) ?? 0
        return IPv6Prefix(containing: address(), length: length)
    }
}

extension IPv6Address {
    /// The address that differs in one bit.
    func turning(_ bit: Int) -> IPv6Address {
        bit < 64
            ? IPv6Address(high: high ^ 1 << UInt64(63 - bit), low: low)
            : IPv6Address(high: high, low: low ^ 1 << UInt64(127 - bit))
    }
}

extension IPv6Prefix {
    /// The last address of the prefix.
    var last: IPv6Address {
        (Int(length)..<128).reduce(address) { $0.turning($1) }
    }
}

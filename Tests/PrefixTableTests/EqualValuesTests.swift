// Prefixes of few values side by side: what stands beside each other is often the same, so that nodes keep it as one, cut it
// in two and join it again.

import PrefixTable
import TestSupport
import Testing
import Wire

@Suite("Prefixes of few values")
struct EqualValuesTests {
    /// Each is about a byte of the address at one depth, with prefixes that end in it and further down.
    @Test(
        "what is beside each other is told apart, whatever was put, replaced and taken out",
        arguments: [0, 48, 56, 64, 120])
    func fewValues(_ depth: Int) throws {
        let seed = RandomTest.seed(for: "prefixes of few values")
        var generator = SeededGenerator(seed: seed)
        let table = try PrefixTable(capacity: 1000, quiescentStates: QuiescentStates())
        var oracle = LinearOracle()
        let base = IPv6Address(high: 0x2001_0DB8_0001_0002, low: 0x0003_0004_0005_0006)
        func address(_ byte: Int, _ below: UInt64) -> IPv6Address {
            let mask = IPv6Prefix(containing: IPv6Address(high: .max, low: .max), length: UInt8(depth)).address
            var address = IPv6Address(high: base.high & mask.high, low: base.low & mask.low)
            if depth < 64 {
                address.high |= UInt64(byte) << UInt64(56 - depth)
                if depth < 56 { address.high |= below >> UInt64(depth + 8) }
            } else {
                address.low |= UInt64(byte) << UInt64(120 - depth)
                if depth < 120 { address.low |= below >> UInt64(depth - 56) }
            }
            return address
        }
        let longest = min(depth + 20, 128)
        for round in 0..<RandomTest.count(800) {
            let length = UInt8(
                [0, depth, Int.random(in: depth...depth + 8, using: &generator), depth + 8, longest]
                    .randomElement(using: &generator)!)
            let prefix = IPv6Prefix(
                containing: address(Int.random(in: 0..<256, using: &generator), generator.next()), length: length)
            if Bool.random(using: &generator) {
                let value = UInt32.random(in: 0..<2, using: &generator)
                #expect(try table.insert(prefix, value: value) == oracle.insert(prefix, value: value))
            } else {
                let victim = oracle.values.keys.randomElement(using: &generator) ?? prefix
                #expect(table.remove(victim) == oracle.remove(victim))
            }
            let addresses = stride(from: round % 5, to: 256, by: 5).map { address($0, generator.next()) }
            var results = [UInt32](repeating: 7, count: addresses.count)
            addresses.withUnsafeBytes { addresses in
                results.withUnsafeMutableBytes { results in
                    table.reader.lookup(
                        count: results.count / 4, addresses: addresses.baseAddress!, stride: 16,
                        results: results.baseAddress!, resultStride: 4)
                }
            }
            for (address, result) in zip(addresses, results) {
                let expected = oracle.lookup(address) ?? PrefixTable.noValue
                guard result == expected, table.reader.lookup(address) == expected else {
                    Issue.record("\(address): \(result), not \(expected); round \(round), seed \(seed)")
                    return
                }
            }
        }
    }
}

import PrefixTable
import TestSupport
import Testing
import Wire

@Suite("Address table")
struct AddressTableTests {
    @Test("every answer is that of a dictionary, whatever was put and taken out", arguments: [8, 300, 20_000])
    func oracle(addresses: Int) throws {
        let seed = RandomTest.seed(for: "address table")
        var generator = SeededGenerator(seed: seed)
        let table = AddressTable(quiescentStates: QuiescentStates())
        let reader = table.reader
        var oracle: [IPv4Address: UInt32] = [:]
        // Neighbours, and those at both ends of all addresses.
        let all = (0..<UInt32(addresses)).map { IPv4Address(rawValue: $0 % 3 == 0 ? ~$0 : $0) }
        for step in 0..<RandomTest.count(100_000) {
            let address = all.randomElement(using: &generator) ?? all[0]
            // Now it grows, now it shrinks.
            if Int.random(in: 0..<10, using: &generator) < (step / 10_000 % 2 == 0 ? 7 : 3) {
                let value = UInt32.random(in: 0...AddressTable.largestValue, using: &generator)
                table.insert(address, value: value)
                oracle[address] = value
            } else {
                let removed = table.remove(address)
                #expect(removed == oracle.removeValue(forKey: address), "seed \(seed), step \(step)")
            }
            let asked = all.randomElement(using: &generator) ?? all[0]
            #expect(table.value(of: asked) == oracle[asked], "seed \(seed), step \(step)")
            #expect(reader.lookup(asked) == oracle[asked] ?? PrefixTable.noValue, "seed \(seed), step \(step)")
            #expect(table.count == oracle.count, "seed \(seed), step \(step)")
        }
        for address in all {
            #expect(reader.lookup(address) == oracle[address] ?? PrefixTable.noValue, "seed \(seed)")
        }
    }

    @Test("many at once have the answers of one at a time")
    func batches() {
        let table = AddressTable(quiescentStates: QuiescentStates())
        for value in 0..<5000 as Range<UInt32> {
            table.insert(IPv4Address(rawValue: 0xC000_0200 + value * 2), value: value)
        }
        var entries = (0..<300).map { (IPv6Address(mapping: IPv4Address(rawValue: 0xC000_0200 + $0)), UInt64(9)) }
        let stride = MemoryLayout<(IPv6Address, UInt64)>.stride
        entries.withUnsafeMutableBytes { bytes in
            let start = bytes.baseAddress!
            table.reader.lookup(count: 300, mapped: start, stride: stride, results: start + 16)
        }
        for (index, entry) in entries.enumerated() {
            let expected = index % 2 == 0 ? UInt32(index / 2) : PrefixTable.noValue
            #expect(UInt32(truncatingIfNeeded: entry.1) == expected)
        }
    }

    @Test("it grows with its addresses, 11 to 24 bytes each, and gives back what it has outgrown")
    func memory() {
        let table = AddressTable(quiescentStates: QuiescentStates())
        for value in 0..<200_000 as Range<UInt32> {
            table.insert(IPv4Address(rawValue: value &* 2_654_435_761), value: value)
        }
        #expect(table.bytesInUse < 200_000 * 24)
        // Marks of what was taken out don't fill it.
        for step in 0..<1_000_000 as Range<UInt32> {
            table.remove(IPv4Address(rawValue: step &* 2_654_435_761))
            table.insert(IPv4Address(rawValue: (step + 200_000) &* 2_654_435_761), value: step)
        }
        #expect(table.count == 200_000)
        #expect(table.bytesInUse < 200_000 * 24)
    }

    @Test("readers find what does not change, and of the rest nothing that nobody put")
    func concurrency() throws {
        let states = QuiescentStates()
        let table = AddressTable(quiescentStates: states)
        func address(_ index: Int) -> IPv4Address { IPv4Address(rawValue: UInt32(truncatingIfNeeded: index * 7)) }
        // The first 64 stay. A value tells whose it is.
        for index in 0..<64 { table.insert(address(index), value: UInt32(index)) }
        let reader = table.reader
        let readers = try Readers(2, of: states) { generator in
            let index = Int.random(in: 0..<2000, using: &generator)
            let value = reader.lookup(IPv4Address(rawValue: UInt32(index * 7)))
            if index < 64 {
                return value == UInt32(index) ? nil : "address \(index) gave \(value), but does not change"
            }
            return value == PrefixTable.noValue || value % 2000 == UInt32(index)
                ? nil : "address \(index) gave \(value)"
        }
        var generator = SeededGenerator(seed: RandomTest.seed(for: "address table with readers"))
        for step in 0..<RandomTest.count(50_000) {
            let index = Int.random(in: 64..<2000, using: &generator)
            if Bool.random(using: &generator) {
                table.insert(address(index), value: UInt32(index + 2000 * (step % 100)))
            } else {
                table.remove(address(index))
            }
        }
        readers.waitForLookups(10_000)
        #expect(readers.stop() == [])
    }
}

// Prefixes and addresses to look up: read from files, or made as an operator's home agent has them.

import Foundation
import Wire

/// What the table is filled with and asked for.
struct PrefixSet {
    var prefixes: [IPv6Prefix]
    var addresses: [IPv6Address]

    /// Reads records of 17 bytes (address, length) and of 16 bytes (address).
    init(prefixes: String, addresses: String) throws {
        self.prefixes = try Self.records(prefixes, size: 17).map { record in
            guard record[16] <= 128 else { throw BenchError("\(prefixes): a length of \(record[16])") }
            return IPv6Prefix(containing: Self.address(record), length: record[16])
        }
        self.addresses = try Self.records(addresses, size: 16).map(Self.address)
        guard !self.prefixes.isEmpty, !self.addresses.isEmpty else { throw BenchError("the files hold nothing") }
    }

    private static func records(_ path: String, size: Int) throws -> [[UInt8]] {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        guard bytes.count.isMultiple(of: size) else { throw BenchError("\(path): no records of \(size) bytes") }
        return stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<$0 + size]) }
    }

    private static func address(_ bytes: [UInt8]) -> IPv6Address {
        func word(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
        return IPv6Address(high: word(0..<8), low: word(8..<16))
    }

    /// An operator's /32: some 3 % of the prefixes are /48, 50 % /56, 15 % /60 and 32 % /64, none within another. Nine of
    /// ten addresses lie in a prefix, the tenth anywhere in the /32.
    init(count: Int, addresses addressCount: Int, seed: UInt64 = 1) {
        var random = Random(seed)
        let base: UInt64 = 0x2001_0DB8 << 32
        var sites = (0..<65_536).map { UInt64($0) }
        sites.shuffle(using: &random)
        let whole = min(count * 3 / 100, 1 << 15)
        prefixes = sites[..<whole].map { Self.prefix(base | $0 << 16, 48) }
        let rest = Array(sites[whole...])
        // /56 slots of the other sites, each given away once: as it is, in eight /60 or in sixteen /64.
        var given: Set<UInt64> = []
        func slot() -> UInt64 {
            while true {
                let slot = rest[Int(random.next() % UInt64(rest.count))] << 8 | random.next() % 256
                if given.insert(slot).inserted { return slot }
            }
        }
        for _ in 0..<count / 2 { prefixes.append(Self.prefix(base | slot() << 8, 56)) }
        for _ in 0..<count * 15 / 800 {
            let slot = slot()
            for nibble in (0..<16).shuffled(using: &random).prefix(8) {
                prefixes.append(Self.prefix(base | slot << 8 | UInt64(nibble) << 4, 60))
            }
        }
        for _ in 0..<count * 32 / 1600 {
            let slot = slot()
            for byte in (0..<256).shuffled(using: &random).prefix(16) {
                prefixes.append(Self.prefix(base | slot << 8 | UInt64(byte), 64))
            }
        }
        if prefixes.isEmpty { prefixes = [Self.prefix(base, 48)] }
        prefixes.shuffle(using: &random)
        addresses = []
        addresses.reserveCapacity(addressCount)
        for _ in 0..<addressCount {
            let low = random.next()
            if random.next() % 10 == 0 {
                addresses.append(IPv6Address(high: base | random.next() >> 32, low: low))
            } else {
                let prefix = prefixes[Int(random.next() % UInt64(prefixes.count))]
                let host = UInt64.max >> UInt64(prefix.length)
                addresses.append(IPv6Address(high: prefix.address.high | random.next() & host, low: low))
            }
        }
    }

    /// As many addresses, the nth of them as likely as 1/n (Zipf's law).
    var skewedAddresses: [IPv6Address] {
        var random = Random(2)
        let exponent = log(Double(addresses.count))
        return (0..<addresses.count).map { _ in
            let uniform = Double(random.next() >> 11) / Double(1 << 53)
            return addresses[min(Int(exp(uniform * exponent)) - 1, addresses.count - 1)]
        }
    }

    private static func prefix(_ high: UInt64, _ length: UInt8) -> IPv6Prefix {
        IPv6Prefix(containing: IPv6Address(high: high, low: 0), length: length)
    }

    private struct Random: RandomNumberGenerator {
        private var state: UInt64
        init(_ seed: UInt64) { state = seed }

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
            return value ^ (value >> 31)
        }
    }
}

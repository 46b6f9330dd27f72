// Home addresses for nodes that have none of their own (RFC 2794): a bit for each address of the pools. The search for a
// free one goes on where the last one ended, so that an address that was given back is not another's at once.

import Wire

/// Which addresses of the pools are taken.
struct HomeAddressPools {
    private struct Pool {
        let prefix: IPv4Prefix
        let size: Int
        /// Bits that are set are taken, or no addresses of the pool.
        var words: [UInt64]
        var free: Int
        /// The word at which the next search begins.
        var next = 0

        init(_ prefix: IPv4Prefix) {
            precondition(prefix.length >= HomeAddressPools.shortestPrefix, "a pool of more than 2²⁴ addresses")
            self.prefix = prefix
            size = 1 << (32 - Int(prefix.length))
            words = Array(repeating: 0, count: (size + 63) / 64)
            if size % 64 > 0 { words[words.count - 1] = ~0 << UInt64(size % 64) }
            free = size
        }

        mutating func mark(_ index: Int, taken: Bool) {
            let bit: UInt64 = 1 << UInt64(index % 64)
            guard (words[index / 64] & bit != 0) != taken else { return }
            words[index / 64] ^= bit
            free += taken ? -1 : 1
        }

        mutating func takeFree() -> IPv4Address? {
            guard free > 0 else { return nil }
            while words[next] == ~0 { next = next + 1 == words.count ? 0 : next + 1 }
            let index = next * 64 + (~words[next]).trailingZeroBitCount
            mark(index, taken: true)
            // The next node finds another word's; one is used up only when all have been.
            next = next + 1 == words.count ? 0 : next + 1
            return IPv4Address(rawValue: prefix.address.rawValue + UInt32(index))
        }
    }

    /// In bits.
    static let shortestPrefix: UInt8 = 8
    private var pools: [Pool]

    /// All free but for the first and the last of each pool, which may be a network's and its broadcast address.
    init(_ prefixes: [IPv4Prefix]) {
        pools = prefixes.map { prefix in
            var pool = Pool(prefix)
            if prefix.length < 31 {
                pool.mark(0, taken: true)
                pool.mark(pool.size - 1, taken: true)
            }
            return pool
        }
    }

    /// An address that was free and now is taken.
    mutating func takeFree() -> IPv4Address? {
        for index in pools.indices {
            guard let address = pools[index].takeFree() else { continue }
            // It may be another pool's too.
            mark(address, taken: true)
            return address
        }
        return nil
    }

    /// Whether it is a pool's, and no network's or broadcast address.
    func contains(_ address: IPv4Address) -> Bool {
        pools.contains { pool in
            guard pool.prefix.contains(address) else { return false }
            let index = Int(address.rawValue - pool.prefix.address.rawValue)
            return pool.prefix.length >= 31 || (index > 0 && index < pool.size - 1)
        }
    }

    /// Marks an address, where it is a pool's.
    mutating func mark(_ address: IPv4Address, taken: Bool) {
        guard contains(address) else { return }
        for index in pools.indices where pools[index].prefix.contains(address) {
            pools[index].mark(Int(address.rawValue - pools[index].prefix.address.rawValue), taken: taken)
        }
    }
}

// When bindings go: a hierarchical timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987). A
// binding is put into the list of the tick in which its lifetime passes, or of the span of ticks that holds it where that is
// further off; when time reaches a span, its list is dealt out among finer ones. So putting, renewing and removing cost the
// same however many bindings there are, and nothing is sorted. The lists are linked through the bindings themselves.

/// The lifetimes of the bindings of a store.
struct LifetimeWheel: ~Copyable {
    /// In place of a number: none.
    static var none: UInt32 { .max }
    /// A tick has 2^20 nanoseconds, about a millisecond. Within it, lifetimes are compared to the nanosecond.
    private static var tickBits: UInt64 { 20 }
    /// A span of the next level has as many ticks as fit eight bits.
    private static var levels: Int { 6 }
    private static var slotsPerLevel: Int { 256 }

    private let bindings: UnsafeMutablePointer<StoredBinding>
    /// The first of each list.
    private let heads: UnsafeMutablePointer<UInt32>
    /// Which lists are not empty: four words a level.
    private let occupied: UnsafeMutablePointer<UInt64>
    /// The tick that time has reached.
    private var current: UInt64 = 0
    private var count = 0
    /// Nothing is due before this, in nanoseconds.
    private(set) var earliest = UInt64.max

    /// Nothing has a lifetime.
    /// - Parameter bindings: which hold the links.
    init(linking bindings: UnsafeMutablePointer<StoredBinding>) {
        self.bindings = bindings
        heads = .allocate(capacity: Self.levels * Self.slotsPerLevel)
        heads.initialize(repeating: Self.none, count: Self.levels * Self.slotsPerLevel)
        occupied = .allocate(capacity: Self.levels * 4)
        occupied.initialize(repeating: 0, count: Self.levels * 4)
    }

    deinit {
        heads.deallocate()
        occupied.deallocate()
    }

    /// Puts a binding that is not in it, by its expiry.
    /// - Parameter now: in nanoseconds; the clock never runs backwards.
    mutating func insert(_ number: UInt32, now: UInt64) {
        if count == 0 { current = now >> Self.tickBits }
        let expiry = bindings[Int(number)].expiry
        link(number, into: list(of: expiry))
        count += 1
        earliest = min(earliest, expiry)
    }

    /// Takes out a binding that is in it.
    mutating func remove(_ number: UInt32) {
        unlink(number, from: list(of: bindings[Int(number)].expiry))
        count -= 1
        if count == 0 { earliest = .max }
    }

    /// Takes out those whose time has come.
    /// - Parameter limit: how many at the most; the rest is for the next call.
    mutating func takeDue(now: UInt64, limit: Int) -> [UInt32] {
        guard now >= earliest else { return [] }
        var due: [UInt32] = []
        let last = now >> Self.tickBits
        while count > 0 {
            takeDue(&due, now: now, limit: limit)
            if due.count == limit { return due }
            guard let (tick, level) = next, tick <= last else { break }
            current = tick
            if level > 0 { dealOut(level: level) }
        }
        current = max(current, last)
        findEarliest()
        return due
    }

    /// Of the current tick.
    private mutating func takeDue(_ due: inout [UInt32], now: UInt64, limit: Int) {
        let list = Int(current & 255)
        var number = heads[list]
        while number != Self.none, due.count < limit {
            let following = bindings[Int(number)].next
            if bindings[Int(number)].expiry <= now {
                unlink(number, from: list)
                count -= 1
                due.append(number)
            }
            number = following
        }
    }

    /// Moves what is in the span that has begun to where it belongs now.
    private mutating func dealOut(level: Int) {
        let list = level * Self.slotsPerLevel + Int(current >> (8 * UInt64(level)) & 255)
        var number = heads[list]
        while number != Self.none {
            let following = bindings[Int(number)].next
            unlink(number, from: list)
            link(number, into: self.list(of: bindings[Int(number)].expiry))
            number = following
        }
    }

    /// The next tick behind the current one at which a list begins, and the level of that: the lower a level, the sooner.
    private var next: (tick: UInt64, level: Int)? {
        for level in 0..<Self.levels {
            let bits = 8 * UInt64(level)
            let slot = Int(current >> bits & 255)
            if let found = firstOccupied(level, behind: slot) {
                return (((current >> (bits + 8)) << 8 | UInt64(found)) << bits, level)
            }
        }
        return nil
    }

    private func firstOccupied(_ level: Int, behind slot: Int) -> Int? {
        var word = (slot + 1) / 64
        guard word < 4 else { return nil }
        var bits = occupied[level * 4 + word] & (~0 << UInt64((slot + 1) % 64))
        while bits == 0 {
            word += 1
            guard word < 4 else { return nil }
            bits = occupied[level * 4 + word]
        }
        return word * 64 + bits.trailingZeroBitCount
    }

    private mutating func findEarliest() {
        earliest = .max
        var number = heads[Int(current & 255)]
        if number == Self.none {
            // Not before the list begins; that is near enough to look again then.
            if let (tick, _) = next { earliest = tick << Self.tickBits }
            return
        }
        while number != Self.none {
            earliest = min(earliest, bindings[Int(number)].expiry)
            number = bindings[Int(number)].next
        }
    }

    private func list(of expiry: UInt64) -> Int {
        let tick = max(expiry >> Self.tickBits, current)
        let level = (63 - (tick ^ current | 1).leadingZeroBitCount) / 8
        // 136 years, the longest lifetime, are below the last level's end.
        precondition(level < Self.levels, "a lifetime has 32 bits")
        return level * Self.slotsPerLevel + Int(tick >> (8 * UInt64(level)) & 255)
    }

    private func link(_ number: UInt32, into list: Int) {
        let head = heads[list]
        bindings[Int(number)].next = head
        bindings[Int(number)].previous = Self.none
        if head != Self.none { bindings[Int(head)].previous = number }
        heads[list] = number
        occupied[list / 64] |= 1 << UInt64(list % 64)
    }

    private func unlink(_ number: UInt32, from list: Int) {
        let (before, behind) = (bindings[Int(number)].previous, bindings[Int(number)].next)
        if behind != Self.none { bindings[Int(behind)].previous = before }
        if before != Self.none {
            bindings[Int(before)].next = behind
        } else {
            heads[list] = behind
            if behind == Self.none { occupied[list / 64] &= ~(1 << UInt64(list % 64)) }
        }
    }
}

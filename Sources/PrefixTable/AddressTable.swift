// Exact match of IPv4 addresses: a hash table whose slots are single words, so that a look-up reads one cache line almost
// always. It takes 11 to 16 bytes an address, where the trie of prefixes takes three times as much, and asks for no order.
//
// One writer changes it in place, readers take no lock. A slot holds an address and its value together, so a reader sees
// both or neither. Slots never move while readers may look: what is taken out leaves a mark, over which look-ups go on to
// what was put behind it, unless nothing stands behind. Where the table grows, by half, or has too many marks, it is
// written anew beside the old one, which is let go when every reader has passed a quiescent point.
//
// The hash has a secret in it: whoever chooses addresses, as mobile nodes do, can't choose them to fall together.

import CPrefetch
import Synchronization
import Wire

/// A table from IPv4 addresses to numbers, for one writer. Look-ups are made by a `Reader`.
public final class AddressTable {
    /// A word: the address above, the value below. Two values say that there is none.
    typealias Slot = Atomic<UInt64>

    /// Slots, and behind their number the slots themselves.
    struct Block {
        /// In front of the slots: how many there are.
        static let headerSize = 64

        let start: UnsafeMutableRawPointer
        /// Where it is the writer's.
        private var memory: ReservedMemory<UInt64>?

        init(count: Int) {
            let memory = ReservedMemory<UInt64>(
                capacity: Self.headerSize / MemoryLayout<UInt64>.stride + count, for: "addresses")
            self.memory = memory
            start = UnsafeMutableRawPointer(memory.base)
            start.storeBytes(of: UInt64(count), as: UInt64.self)
            let slots = (start + Self.headerSize).bindMemory(to: Slot.self, capacity: count)
            for index in 0..<count { (slots + index).initialize(to: Slot(AddressTable.emptySlot)) }
        }

        init(start: UnsafeMutableRawPointer) { self.start = start }

        @inline(__always)
        var count: Int { start.load(as: Int.self) }
        var slots: UnsafeMutablePointer<Slot> { (start + Self.headerSize).assumingMemoryBound(to: Slot.self) }
        var byteCount: Int { Self.headerSize + count * MemoryLayout<UInt64>.stride }

        /// The slot at which the search for an address begins.
        /// - Parameter factor: odd; the table's secret.
        @inline(__always)
        func first(_ address: IPv4Address, _ factor: UInt64) -> Int {
            let hash = UInt64(address.rawValue) &* factor
            return Int(truncatingIfNeeded: hash.multipliedFullWidth(by: UInt64(truncatingIfNeeded: count)).high)
        }

        /// The slot behind one; behind the last is the first.
        @inline(__always)
        func next(_ index: Int) -> Int { index &+ 1 == count ? 0 : index &+ 1 }
    }

    /// No value is larger.
    public static let largestValue = UInt32.max - 2
    /// Nothing is there, and nothing behind belongs to an address before.
    static let emptySlot = UInt64(UInt32.max)
    /// Nothing is there, but look-ups go on.
    static let mark = UInt64(UInt32.max - 1)

    /// Addresses it holds.
    public private(set) var count = 0
    /// Bytes that it has in use, those that wait for readers included.
    public var bytesInUse: Int { block.byteCount + oldBytes }

    private let root: UnsafeMutablePointer<Atomic<UnsafeMutableRawPointer>>
    private let factor = UInt64.random(in: .min ... .max) | 1
    private var block: Block
    /// Slots that are not empty.
    private var used = 0
    private var limbo: Limbo<Block>
    private var oldBytes = 0

    /// An empty table.
    /// - Parameter quiescentStates: of the threads that look things up.
    public init(quiescentStates: QuiescentStates) {
        block = Block(count: 64)
        root = .allocate(capacity: 1)
        root.initialize(to: Atomic(block.start))
        limbo = Limbo(quiescentStates)
    }

    deinit {
        root.deallocate()
    }

    /// Looks things up, on a thread that has registered with the table's quiescent states. The table must outlive it.
    public var reader: Reader { Reader(root: root, factor: factor) }

    /// Puts an address, or gives it another value.
    /// - Parameter value: at most `largestValue`.
    /// - Returns: the value it had; nil where it is new.
    @discardableResult
    public func insert(_ address: IPv4Address, value: UInt32) -> UInt32? {
        precondition(value <= Self.largestValue, "two values say that there is none")
        if oldBytes > 0 { releaseOld() }
        let word = UInt64(address.rawValue) << 32 | UInt64(value)
        var free: Int?
        var index = first(address)
        while true {
            let slot = block.slots[index].load(ordering: .relaxed)
            if slot == Self.emptySlot { break }
            if slot == Self.mark {
                free = free ?? index
            } else if slot >> 32 == word >> 32 {
                block.slots[index].store(word, ordering: .releasing)
                return UInt32(truncatingIfNeeded: slot)
            }
            index = next(index)
        }
        if free == nil {
            // Behind the last free slot a look-up for what is not there would never end.
            guard (used + 1) * 4 <= block.count * 3 else {
                // Where it is full of marks it need not grow. What is half full of addresses is full enough: look-ups then
                // read one line.
                let size = block.count
                makeAnew(slots: (count + 1) * 2 > size ? size + size / 2 : size)
                return insert(address, value: value)
            }
            used += 1
        }
        block.slots[free ?? index].store(word, ordering: .releasing)
        count += 1
        return nil
    }

    /// Makes room for so many addresses, and some more, at once.
    public func reserve(_ count: Int) {
        if count * 4 > block.count * 3 { makeAnew(slots: count + count / 2) }
    }

    /// Has the slot of an address fetched, which will be put or looked for soon.
    public func prefetch(_ address: IPv4Address) { CPrefetch_line(block.slots + first(address)) }

    /// Takes an address out.
    /// - Returns: the value it had; nil where it was not there.
    @discardableResult
    public func remove(_ address: IPv4Address) -> UInt32? {
        guard let index = place(of: address) else { return nil }
        let value = UInt32(truncatingIfNeeded: block.slots[index].load(ordering: .relaxed))
        count -= 1
        guard block.slots[next(index)].load(ordering: .relaxed) == Self.emptySlot else {
            block.slots[index].store(Self.mark, ordering: .releasing)
            return value
        }
        // Nothing stands behind, so neither this nor the marks before it are needed any more.
        block.slots[index].store(Self.emptySlot, ordering: .releasing)
        used -= 1
        var before = previous(index)
        while block.slots[before].load(ordering: .relaxed) == Self.mark {
            block.slots[before].store(Self.emptySlot, ordering: .releasing)
            used -= 1
            before = previous(before)
        }
        return value
    }

    /// The value of an address; nil where it is not there.
    public func value(of address: IPv4Address) -> UInt32? {
        place(of: address).map { UInt32(truncatingIfNeeded: block.slots[$0].load(ordering: .relaxed)) }
    }

    private func place(of address: IPv4Address) -> Int? {
        var index = first(address)
        while true {
            let slot = block.slots[index].load(ordering: .relaxed)
            if slot == Self.emptySlot { return nil }
            if slot != Self.mark, slot >> 32 == UInt64(address.rawValue) { return index }
            index = next(index)
        }
    }

    private func first(_ address: IPv4Address) -> Int { block.first(address, factor) }

    private func next(_ index: Int) -> Int { block.next(index) }

    private func previous(_ index: Int) -> Int { index == 0 ? block.count - 1 : index - 1 }

    /// Writes all into a new block.
    private func makeAnew(slots: Int) {
        let old = block
        block = Block(count: slots)
        for index in 0..<old.count {
            let slot = old.slots[index].load(ordering: .relaxed)
            guard slot != Self.emptySlot, slot != Self.mark else { continue }
            var target = first(IPv4Address(rawValue: UInt32(truncatingIfNeeded: slot >> 32)))
            while block.slots[target].load(ordering: .relaxed) != Self.emptySlot { target = next(target) }
            block.slots[target].store(slot, ordering: .relaxed)
        }
        used = count
        root.pointee.store(block.start, ordering: .releasing)
        oldBytes += old.byteCount
        limbo.append(old)
    }

    /// Lets go of the blocks that no reader sees any more.
    private func releaseOld() {
        limbo.release { block in
            oldBytes -= block.byteCount
        }
    }

    /// The reading side: plain values, no reference counted.
    public struct Reader: @unchecked Sendable {
        let root: UnsafeMutablePointer<Atomic<UnsafeMutableRawPointer>>
        let factor: UInt64

        /// The value of an address; `PrefixTable.noValue` where it is not there.
        @inline(__always)
        public func lookup(_ address: IPv4Address) -> UInt32 {
            let block = Block(start: root.pointee.load(ordering: .acquiring))
            return lookup(address, block)
        }

        /// Looks up addresses that stand in their IPv4-mapped form. What is fetched for one is waited for with the others.
        /// - Parameters:
        ///   - addresses: the first; the others follow `stride` bytes apart.
        ///   - results: where the first value is put, or `PrefixTable.noValue`; the others follow `stride` bytes apart.
        public func lookup(
            count: Int, mapped addresses: UnsafeRawPointer, stride: Int, results: UnsafeMutableRawPointer
        ) {
            let block = Block(start: root.pointee.load(ordering: .acquiring))
            for index in 0..<count {
                let address = Self.address(addresses + index &* stride)
                CPrefetch_line(block.slots + block.first(address, factor))
            }
            for index in 0..<count {
                let value = lookup(Self.address(addresses + index &* stride), block)
                (results + index &* stride).storeBytes(of: value, as: UInt32.self)
            }
        }

        @inline(__always)
        private static func address(_ mapped: UnsafeRawPointer) -> IPv4Address {
            IPv4Address(unmapping: mapped.load(as: IPv6Address.self))
        }

        @inline(__always)
        private func lookup(_ address: IPv4Address, _ block: Block) -> UInt32 {
            var index = block.first(address, factor)
            while true {
                let slot = block.slots[index].load(ordering: .acquiring)
                if slot == AddressTable.emptySlot { return PrefixTable.noValue }
                if slot >> 32 == UInt64(address.rawValue), slot != AddressTable.mark {
                    return UInt32(truncatingIfNeeded: slot)
                }
                index = block.next(index)
            }
        }
    }
}

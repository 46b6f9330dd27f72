// Many prefixes into an empty table. In their order, those below a node stand beside each other: each node is made once,
// from below, and not anew for each of its slots, and what one prefix has touched is at hand for the next.

import Synchronization
import Wire

extension PrefixTable {
    /// Puts prefixes into the trie of an empty table that no reader looks at yet; `fillRules` is told of them too. The two
    /// have no memory in common, so each may have a thread.
    /// - Parameter prefixes: in the order of their addresses, and none within another; none of length 0.
    /// - Throws: `PrefixTableFull`. The table is then of no more use.
    public func fillTrie(_ prefixes: UnsafeBufferPointer<ValuedPrefix>) throws(PrefixTableFull) {
        precondition(entry(root).isNone, "only an empty table is filled")
        guard prefixes.count > 0 else { return }
        let space = BulkSpace()
        defer { space.deallocate() }
        set(root, try branch(prefixes, depth: 0, space))
    }

    /// Has the rule of a prefix fetched, which will be put or asked for soon.
    public func prefetch(_ prefix: IPv6Prefix) { rules.prefetch(prefix) }

    /// Puts prefixes into the rules of an empty table, in any order. Those that are not in the trie, as they lie in others,
    /// are then put one by one.
    public func fillRules(_ prefixes: [ValuedPrefix]) {
        // So many places are waited for at a time.
        let ahead = 16
        rules.reserve(prefixes.count)
        for (index, next) in prefixes.enumerated() {
            if index + ahead < prefixes.count { rules.prefetch(prefixes[index + ahead].prefix) }
            _ = rules.insert(next.prefix, next.value)
        }
    }

    /// What a slot holds for prefixes that are longer than `depth` bits, of which they share the first.
    private func branch(
        _ prefixes: UnsafeBufferPointer<ValuedPrefix>, depth: Int, _ space: BulkSpace
    ) throws(PrefixTableFull) -> PrefixEntry {
        guard memory.hasRoom(for: Self.linesPerInsertion) else { throw PrefixTableFull(capacity: capacity) }
        let first = prefixes[0]
        if prefixes.count == 1 { return makeBranch(first.prefix, first.value, depth: depth, in: .none) }
        // What the first and the last share, all do.
        let last = prefixes[prefixes.count - 1].prefix.address
        let nodeDepth = first.prefix.address.sharedLength(with: last) & ~7
        let entries = space.entries(nodeDepth)
        entries.update(repeating: .none, count: 256)
        var start = 0
        while start < prefixes.count {
            let (prefix, value) = (prefixes[start].prefix, prefixes[start].value)
            if prefix.length <= nodeDepth + 8 {
                let own = PrefixEntry(value: value, rank: Int(prefix.length) - nodeDepth)
                for slot in Self.slots(of: prefix, nodeDepth, bits: 8) { entries[slot] = own }
                start += 1
                continue
            }
            let slot = prefix.address.byte(nodeDepth)
            var end = start + 1
            while end < prefixes.count, prefixes[end].prefix.address.byte(nodeDepth) == slot { end += 1 }
            entries[slot] = try branch(
                UnsafeBufferPointer(rebasing: prefixes[start..<end]), depth: nodeDepth + 8, space)
            start = end
        }
        // Those below have used it meanwhile.
        slots.update(from: entries, count: 256)
        set(space.link, makeNode8(inherited: .none, handed: .none))
        widen(space.link, nodeDepth)
        let new = entry(space.link)
        guard nodeDepth > depth else { return new }
        return makeLink(first.prefix.address, from: depth, to: nodeDepth, inherited: .none, handed: .none, new)
    }
}

/// What nodes are put together in.
private struct BulkSpace {
    /// The slots of a node, and of one that is made below it meanwhile, and so on.
    private let levels = UnsafeMutablePointer<PrefixEntry>.allocate(capacity: 16 * 256)
    /// Where a node stands before it has its place.
    let link = PrefixSlot.allocate(capacity: 1)

    init() { link.initialize(to: Atomic(0)) }

    func deallocate() {
        levels.deallocate()
        link.deallocate()
    }

    /// Of a node of that depth.
    func entries(_ depth: Int) -> UnsafeMutablePointer<PrefixEntry> { levels + depth / 8 * 256 }
}

// A node of 16 bits takes as much as thousands of prefixes whether they are there or not. So when many have gone it is looked
// at, and where little is left, nodes of 8 bits take its place again. To look at all of it takes tens of microseconds, which
// so many removals bear that it does not matter.

import Synchronization
import Wire

extension PrefixTable {
    /// Entries down to which a node of 16 bits stays: a quarter of those for which it is made, lest the two take turns.
    private static var sparseCount: Int { 1 << 12 }

    /// How many prefixes or nodes may go from a node of 16 bits before it is looked at. Of the prefixes, and nodes, that end
    /// in it there are half as many as entries at the least; so a quarter of the entries is still there then, and there is
    /// no way to leave such nodes behind with next to nothing in them.
    /// - Parameter entries: that are in it.
    static func removalsAllowed(_ entries: Int) -> UInt32 { UInt32(entries / 4) }

    /// A prefix, or a node, has gone from a node of 16 bits.
    /// - Parameters:
    ///   - step: at which the node stands.
    ///   - address: one that led to it.
    /// - Returns: whether nothing is left, so that the node is to go.
    func noteRemoval16(_ step: Step, _ address: IPv6Address) -> Bool {
        let node = node(entry(step.link))
        let allowed = node.start.load(fromByteOffset: PrefixNode.Offset.removals16, as: UInt32.self)
        if allowed > 0 {
            node.start.storeBytes(of: allowed - 1, toByteOffset: PrefixNode.Offset.removals16, as: UInt32.self)
            return false
        }
        let entries = entryCount16(node)
        node.start.storeBytes(
            of: Self.removalsAllowed(max(entries, Self.sparseCount)), toByteOffset: PrefixNode.Offset.removals16,
            as: UInt32.self)
        // Nodes of 8 bits with so few entries take less room than the one that goes.
        if 1...Self.sparseCount ~= entries, memory.hasRoom(for: PrefixMemory.largeLines) { narrow(step, address) }
        return entries == 0
    }

    /// Prefixes and nodes in a node of 16 bits; what is the same in slots beside each other, 256 at the most, counts once.
    private func entryCount16(_ node: PrefixNode) -> Int {
        var count = 0
        var last = PrefixEntry.none
        for slot in 0..<1 << 16 {
            let entry = node.load(node.offset16(of: slot))
            if entry != last || slot & 255 == 0, entry.isOwn || entry.isNode { count += 1 }
            last = entry
        }
        return count
    }

    /// Puts nodes of 8 bits in place of one of 16: the reverse of `widen`.
    private func narrow(_ step: Step, _ address: IPv6Address) {
        let here = entry(step.link)
        let wide = node(here)
        let all = IPv6Prefix(containing: address, length: UInt8(step.depth)).address
        let upper = (0..<256).map { slot in
            lowered(wide, slot, address: all.settingByte(step.depth, to: slot), depth: step.depth, step.handed)
        }
        slots.update(from: upper, count: 256)
        set(step.link, makeNode8(inherited: inherited(here), handed: step.handed))
        retire(here)
    }

    /// What a slot of a node of 8 bits holds in place of 256 of a node of 16 bits.
    /// - Parameters:
    ///   - address: that leads to the slot.
    ///   - handed: what slots hold in which no prefix ends.
    private func lowered(
        _ wide: PrefixNode, _ upperSlot: Int, address: IPv6Address, depth: Int, _ handed: PrefixEntry
    ) -> PrefixEntry {
        // It may be hidden by longer ones, so the slots don't tell.
        let found = rules.longest(holding: address, lengths: depth + 1...depth + 8)
        let above = found.map { PrefixEntry(value: $0.value, rank: $0.length - depth) } ?? .none
        let handedBelow = above.handedDown.or(handed)
        var isEmpty = true
        for slot in 0..<256 {
            let held = wide.load(wide.offset16(of: upperSlot << 8 | slot))
            if held.isNode {
                let own = inherited(held)
                setInherited(held, to: own.isNone || own.rank <= 8 ? .none : own.lowered(by: 8))
                slots[slot] = held
                isEmpty = false
            } else if held.isOwn, held.rank > 8 {
                slots[slot] = held.lowered(by: 8)
                isEmpty = false
            } else {
                slots[slot] = handedBelow
            }
        }
        return isEmpty ? above.or(handed) : makeNode8(inherited: above, handed: handedBelow)
    }
}

// A prefix leaves its slots to the longest shorter one of its node. A node that holds nothing any more goes, and with it
// those above that then hold nothing.

import Synchronization
import Wire

extension PrefixTable {
    /// A node on the way to a prefix.
    struct Step {
        let link: PrefixSlot
        let depth: Int
        /// Which of its slots leads on; of a skip 0.
        var slot = 0
    }

    /// Takes a prefix out of the trie, in which it is; it is longer than 0, and gone from the rules.
    func takeOut(_ prefix: IPv6Prefix) {
        let length = Int(prefix.length)
        path.removeAll(keepingCapacity: true)
        path.append(Step(link: root, depth: 0))
        while true {
            let (link, depth) = (path[path.count - 1].link, path[path.count - 1].depth)
            let here = entry(link)
            let node = node(here)
            var next: (link: PrefixSlot, depth: Int)
            switch here.kind {
            case PrefixEntry.Kind.node8:
                if length <= depth + 8 { return clear8(prefix) }
                let slot = prefix.address.byte(depth)
                guard let offset = node.offset8(of: slot) else { preconditionFailure("a rule is in the trie") }
                path[path.count - 1].slot = slot
                next = (node.slot(offset), depth + 8)
            case PrefixEntry.Kind.node4: return clear4(prefix)
            case PrefixEntry.Kind.node16:
                if length <= depth + 16 { return clear16(prefix) }
                path[path.count - 1].slot = prefix.address.pair(depth)
                next = (node.slot(PrefixNode.Offset.entries16 + prefix.address.pair(depth) * 4), depth + 16)
            case PrefixEntry.Kind.skip: next = (node.slot(PrefixNode.Offset.entrySkip), node.depth)
            default: preconditionFailure("a rule is in the trie")
            }
            path.append(Step(link: next.link, depth: next.depth))
        }
    }

    /// What takes a prefix's place in its node.
    private func successor(of prefix: IPv6Prefix, _ depth: Int) -> PrefixEntry {
        guard Int(prefix.length) - 1 > depth,
            let found = rules.longest(holding: prefix.address, lengths: depth + 1...Int(prefix.length) - 1)
        else { return .none }
        return PrefixEntry(value: found.value, rank: found.length - depth)
    }

    /// What a slot holds when a prefix of that rank goes which covered it; nil where it stays.
    private func uncovered(_ old: PrefixEntry, rank: Int, to new: PrefixEntry) -> PrefixEntry? {
        if old.isNode {
            let inherited = inherited(old)
            if !inherited.isNone, inherited.rank == rank { setInherited(old, to: new) }
            return nil
        }
        return old.kind == PrefixEntry.Kind.value && old.rank == rank ? new : nil
    }

    private func clear8(_ prefix: IPv6Prefix) {
        let (link, depth) = (path[path.count - 1].link, path[path.count - 1].depth)
        let here = entry(link)
        let node = node(here)
        let (new, rank) = (successor(of: prefix, depth), Int(prefix.length) - depth)
        let range = Self.slots(of: prefix, depth, bits: 8)
        var isEmptied = false
        for slot in range {
            guard let offset = node.offset8(of: slot), let entry = uncovered(node.load(offset), rank: rank, to: new)
            else { continue }
            if entry.isNone { isEmptied = true } else { node.store(entry, offset) }
        }
        guard isEmptied else { return }
        if range.count == 1 { return removeSlot(range.lowerBound) }
        fillSlots(from: here)
        for slot in range where slots[slot].kind == PrefixEntry.Kind.value && slots[slot].rank == rank {
            slots[slot] = .none
        }
        let replacement = makeNode8(inherited: inherited(here))
        set(link, replacement)
        retire(here)
        if self.node(replacement).count8 == 0 { removeNode() }
    }

    private func clear4(_ prefix: IPv6Prefix) {
        let step = path[path.count - 1]
        let here = entry(step.link)
        let node = node(here)
        let (new, rank) = (successor(of: prefix, step.depth), Int(prefix.length) - step.depth)
        // What its empty slots hold is what comes from above. The slots may all be taken, so it is asked for.
        let above = new.isNone ? handedDown.inherited : new
        for slot in Self.slots(of: prefix, step.depth, bits: 4) {
            if let entry = uncovered(node.load(slot * 4), rank: rank, to: above) { node.store(entry, slot * 4) }
        }
        if (0..<16).allSatisfy({ node.load($0 * 4).kind != PrefixEntry.Kind.value }) { removeNode() }
    }

    /// The value that the last node of the path gets from the node right above it.
    private var handedDown: PrefixEntry {
        guard path.count > 1 else { return .none }
        let (step, parent) = (path[path.count - 1], path[path.count - 2])
        guard entry(parent.link).kind != PrefixEntry.Kind.skip, step.depth > parent.depth else { return .none }
        guard let found = rules.longest(holding: addressOfLast, lengths: parent.depth + 1...step.depth) else {
            return .none
        }
        return PrefixEntry(value: found.value, rank: found.length - parent.depth)
    }

    /// The address of the last node of the path: its bits up to the node's depth.
    private var addressOfLast: IPv6Address {
        var address = IPv6Address.unspecified
        for step in path.dropLast() {
            let here = entry(step.link)
            switch here.kind {
            case PrefixEntry.Kind.skip: address = node(here).address
            case PrefixEntry.Kind.node16:
                address = address.settingByte(step.depth, to: step.slot >> 8)
                    .settingByte(step.depth + 8, to: step.slot & 0xFF)
            default: address = address.settingByte(step.depth, to: step.slot)
            }
        }
        return address
    }

    private func clear16(_ prefix: IPv6Prefix) {
        let step = path[path.count - 1]
        let node = node(entry(step.link))
        let (new, rank) = (successor(of: prefix, step.depth), Int(prefix.length) - step.depth)
        for slot in Self.slots(of: prefix, step.depth, bits: 16) {
            let offset = PrefixNode.Offset.entries16 + slot * 4
            if let entry = uncovered(node.load(offset), rank: rank, to: new) { node.store(entry, offset) }
        }
    }

    // MARK: Emptied

    /// Takes a slot out of the last node of the path, and the node where that was all.
    private func removeSlot(_ slot: Int) {
        let link = path[path.count - 1].link
        let here = entry(link)
        if node(here).count8 == 1 { return removeNode() }
        set(link, makeNode8(like: here, settingSlot: slot, to: .none))
        retire(here)
    }

    /// Takes the last node of the path out, which holds nothing any more, and with it a skip that led to it alone; a
    /// value from above takes its place.
    private func removeNode() {
        let step = path.removeLast()
        let here = entry(step.link)
        guard let parent = path.last else {
            set(root, .none)
            return retire(here)
        }
        let above = entry(parent.link)
        if above.kind == PrefixEntry.Kind.skip {
            removeNode()
        } else {
            let inherited = inherited(here)
            if above.kind == PrefixEntry.Kind.node16 || !inherited.isNone {
                set(step.link, inherited)
            } else {
                removeSlot(parent.slot)
            }
        }
        retire(here)
    }
}

// A prefix leaves its slots to the longest shorter one of its node, or to what is handed down. A node in which nothing ends
// any more goes, and with it those above that then hold nothing.

import Synchronization
import Wire

extension PrefixTable {
    /// A node on the way to a prefix.
    struct Step {
        let link: PrefixSlot
        let depth: Int
        /// What its slots hold in which no prefix ends.
        let handed: PrefixEntry
        /// Which of its slots leads on; of a skip 0.
        var slot = 0
    }

    /// Takes a prefix out of the trie, in which it is; it is gone from the rules.
    func takeOut(_ prefix: IPv6Prefix) {
        let length = Int(prefix.length)
        if length == 0 {
            if let entry = uncovered(entry(root), rank: 1, to: .none, handed: .none) { set(root, entry) }
            return
        }
        path.removeAll(keepingCapacity: true)
        clear(prefix)
        while let last = path.last, entry(last.link).kind == PrefixEntry.Kind.node16 {
            guard noteRemoval16(last, prefix.address) else { return }
            removeNode()
        }
    }

    /// Clears the slots of a prefix. The path ends at its node then, or where that is gone too, above it.
    private func clear(_ prefix: IPv6Prefix) {
        let length = Int(prefix.length)
        var (link, depth, handed) = (root, 0, PrefixEntry.none)
        while true {
            let here = entry(link)
            precondition(here.isNode, "a rule is in the trie")
            let node = node(here)
            handed = inherited(here).handedDown.or(handed)
            path.append(Step(link: link, depth: depth, handed: handed))
            switch here.kind {
            case PrefixEntry.Kind.sparse8, PrefixEntry.Kind.runs8:
                if length <= depth + 8 { return clear8(prefix) }
                let slot = prefix.address.byte(depth)
                path[path.count - 1].slot = slot
                (link, depth) = (node.slot(node.offset8(of: slot)), depth + 8)
            case PrefixEntry.Kind.node16:
                if length <= depth + 16 { return clear16(prefix) }
                let slot = prefix.address.pair(depth)
                path[path.count - 1].slot = slot
                (link, depth) = (node.slot(node.offset16(of: slot)), depth + 16)
            default: (link, depth) = (node.slot(PrefixNode.Offset.entrySkip), node.depth)
            }
        }
    }

    /// What takes a prefix's place of those that end in its node.
    private func successor(of prefix: IPv6Prefix, _ depth: Int) -> PrefixEntry {
        guard Int(prefix.length) - 1 > depth,
            let found = rules.longest(holding: prefix.address, lengths: depth + 1...Int(prefix.length) - 1)
        else { return .none }
        return PrefixEntry(value: found.value, rank: found.length - depth)
    }

    /// What a slot holds when a prefix of that rank goes which covered it; nil where it stays.
    private func uncovered(
        _ old: PrefixEntry, rank: Int, to new: PrefixEntry, handed: PrefixEntry
    ) -> PrefixEntry? {
        if old.isNode {
            let inherited = inherited(old)
            if !inherited.isNone, inherited.rank == rank {
                setInherited(old, to: new)
                handDown(new.handedDown.or(handed), to: old)
            }
            return nil
        }
        return old.isOwn && old.rank == rank ? new.or(handed) : nil
    }

    private func clear8(_ prefix: IPv6Prefix) {
        let step = path[path.count - 1]
        let here = entry(step.link)
        let node = node(here)
        let (new, rank) = (successor(of: prefix, step.depth), Int(prefix.length) - step.depth)
        let range = Self.slots(of: prefix, step.depth, bits: 8)
        if range.count == 1 {
            let slot = range.lowerBound
            if let entry = uncovered(node.load8(slot), rank: rank, to: new, handed: step.handed) {
                setLastSlot(slot, to: entry)
            }
            return
        }
        fillSlots(from: here)
        var isChanged = false
        for slot in range {
            guard let entry = uncovered(slots[slot], rank: rank, to: new, handed: step.handed) else { continue }
            slots[slot] = entry
            isChanged = true
        }
        guard isChanged else { return }
        guard (0..<256).contains(where: { slots[$0].isOwn || slots[$0].isNode }) else { return removeNode() }
        set(step.link, makeNode8(like: here))
        retire(here)
    }

    private func clear16(_ prefix: IPv6Prefix) {
        let step = path[path.count - 1]
        let node = node(entry(step.link))
        let (new, rank) = (successor(of: prefix, step.depth), Int(prefix.length) - step.depth)
        for slot in Self.slots(of: prefix, step.depth, bits: 16) {
            let offset = node.offset16(of: slot)
            if let entry = uncovered(node.load(offset), rank: rank, to: new, handed: step.handed) {
                node.store(entry, offset)
            }
        }
    }

    // MARK: Emptied

    /// Sets a slot of the path's last node, one of 8 bits, to what is no node; the node goes where that leaves nothing.
    private func setLastSlot(_ slot: Int, to new: PrefixEntry) {
        let link = path[path.count - 1].link
        let here = entry(link)
        let node = node(here)
        if node.offsets8(of: slot..<slot + 1) != nil {
            let own = node.offset8(of: slot)
            if new.isOwn { return node.store(new, own) }
            let isLast = !node.entries8.contains { $0 != own && (node.load($0).isOwn || node.load($0).isNode) }
            if isLast { return removeNode() }
        }
        set(link, makeNode8(like: here, settingSlot: slot, to: new))
        retire(here)
    }

    /// Takes the last node of the path out, in which nothing ends any more, and with it a skip that led to it alone.
    private func removeNode() {
        let step = path.removeLast()
        let here = entry(step.link)
        if let parent = path.last {
            let left = inherited(here).or(parent.handed)
            switch entry(parent.link).kind {
            case PrefixEntry.Kind.skip: removeNode()
            case PrefixEntry.Kind.node16: set(step.link, left)
            default: setLastSlot(parent.slot, to: left)
            }
        } else {
            set(root, inherited(here))
        }
        retire(here)
    }
}

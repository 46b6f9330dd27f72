// A prefix finds its node, which may have to be made, and takes the slots that no longer prefix has.

import Synchronization
import Wire

extension PrefixTable {
    /// Puts a prefix into the trie; it is longer than 0.
    func place(_ prefix: IPv6Prefix, _ value: UInt32) {
        let length = Int(prefix.length)
        var (link, depth) = (root, 0)
        /// The node above, where it is one of 8 bits right above.
        var above: PrefixSlot?
        while true {
            let here = entry(link)
            let node = node(here)
            switch here.kind {
            case PrefixEntry.Kind.node8:
                if length <= depth + 8 { return paint8(link, depth, above, prefix, value) }
                let slot = prefix.address.byte(depth)
                guard let offset = node.offset8(of: slot) else {
                    let new = makeBranch(prefix, value, depth: depth + 8, inherited: .none)
                    return addSlot(slot, new, to: link, depth, above)
                }
                (above, link, depth) = (link, node.slot(offset), depth + 8)
            case PrefixEntry.Kind.node4:
                if length <= depth + 4 { return paint4(here, depth, prefix, value) }
                // Readers see either; both say the same.
                let inherited = inherited(here)
                clearSlots()
                for slot in 0..<256 {
                    let entry = node.load((slot >> 4) * 4)
                    if entry.kind == PrefixEntry.Kind.value { slots[slot] = entry }
                }
                set(link, makeNode8(inherited: inherited))
                retire(here)
            case PrefixEntry.Kind.node16:
                if length <= depth + 16 { return paint16(here, depth, prefix, value) }
                (above, link) = (nil, node.slot(PrefixNode.Offset.entries16 + prefix.address.pair(depth) * 4))
                depth += 16
            case PrefixEntry.Kind.skip:
                let below = node.depth
                let shared = min(prefix.address.sharedLength(with: node.address), length - 1)
                if shared >= below {
                    (above, link, depth) = (nil, node.slot(PrefixNode.Offset.entrySkip), below)
                } else {
                    cut(link, at: shared & ~7, from: depth)
                }
            default:
                // A value, or nothing, and the prefix is longer than what this slot tells apart.
                return set(link, makeBranch(prefix, value, depth: depth, inherited: here))
            }
        }
    }

    /// Makes a node in the middle of a skip.
    private func cut(_ link: PrefixSlot, at depth: Int, from start: Int) {
        let here = entry(link)
        let (skip, below) = (node(here), node(here).depth)
        let (address, inherited) = (skip.address, inherited(here))
        var lower = skip.load(PrefixNode.Offset.entrySkip)
        if below > depth + 8 { lower = makeLink(address, from: depth + 8, to: below, inherited: .none, lower) }
        clearSlots()
        slots[address.byte(depth)] = lower
        var new = makeNode8(inherited: depth > start ? .none : inherited)
        if depth > start { new = makeLink(address, from: start, to: depth, inherited: inherited, new) }
        set(link, new)
        retire(here)
    }

    /// What a slot holds when a prefix comes that covers it; nil where it stays.
    private func covered(_ old: PrefixEntry, by new: PrefixEntry) -> PrefixEntry? {
        if old.isNode {
            let inherited = inherited(old)
            if inherited.isNone || inherited.rank <= new.rank { setInherited(old, to: new) }
            return nil
        }
        return old.kind != PrefixEntry.Kind.value || old.rank <= new.rank ? new : nil
    }

    private func addSlot(
        _ slot: Int, _ new: PrefixEntry, to link: PrefixSlot, _ depth: Int, _ above: PrefixSlot?
    ) {
        let here = entry(link)
        set(link, makeNode8(like: here, settingSlot: slot, to: new))
        retire(here)
        if let above, node(entry(link)).count8.isMultiple(of: 16) { widen(above, depth - 8) }
    }

    private func paint8(_ link: PrefixSlot, _ depth: Int, _ above: PrefixSlot?, _ prefix: IPv6Prefix, _ value: UInt32) {
        let here = entry(link)
        let node = node(here)
        let new = PrefixEntry(value: value, rank: Int(prefix.length) - depth)
        let range = Self.slots(of: prefix, depth, bits: 8)
        if range.count == 1, node.offset8(of: range.lowerBound) == nil {
            return addSlot(range.lowerBound, new, to: link, depth, above)
        }
        var isMissing = false
        for slot in range {
            if let offset = node.offset8(of: slot) {
                if let entry = covered(node.load(offset), by: new) { node.store(entry, offset) }
            } else {
                isMissing = true
            }
        }
        guard isMissing else { return }
        fillSlots(from: here)
        for slot in range where slots[slot].isNone { slots[slot] = new }
        set(link, makeNode8(inherited: inherited(here)))
        retire(here)
    }

    private func paint4(_ here: PrefixEntry, _ depth: Int, _ prefix: IPv6Prefix, _ value: UInt32) {
        let new = PrefixEntry(value: value, rank: Int(prefix.length) - depth)
        for slot in Self.slots(of: prefix, depth, bits: 4) {
            if let entry = covered(node(here).load(slot * 4), by: new) { node(here).store(entry, slot * 4) }
        }
    }

    private func paint16(_ here: PrefixEntry, _ depth: Int, _ prefix: IPv6Prefix, _ value: UInt32) {
        let new = PrefixEntry(value: value, rank: Int(prefix.length) - depth)
        for slot in Self.slots(of: prefix, depth, bits: 16) {
            let offset = PrefixNode.Offset.entries16 + slot * 4
            if let entry = covered(node(here).load(offset), by: new) { node(here).store(entry, offset) }
        }
    }

    // MARK: 16 bits

    /// Slots of a node and those below it from which on a node of 16 bits takes their place: a quarter of its own, so that
    /// it is no larger than they are by much.
    private static var denseCount: Int { 1 << 14 }

    /// Puts a node of 16 bits in place of one of 8 and those right below it, where these hold much.
    private func widen(_ link: PrefixSlot, _ depth: Int) {
        let here = entry(link)
        let upper = node(here)
        guard depth.isMultiple(of: 16), upper.count8 >= 64 else { return }
        var count = 0
        for slot in 0..<256 {
            guard let offset = upper.offset8(of: slot) else { continue }
            let entry = upper.load(offset)
            count += entry.kind == PrefixEntry.Kind.node8 ? node(entry).count8 : 1
        }
        guard count >= Self.denseCount else { return }
        let new = PrefixEntry(node: PrefixEntry.Kind.node16, line: memory.take(PrefixMemory.largeLines))
        let wide = node(new)
        wide.start.storeBytes(of: inherited(here).rawValue, as: UInt32.self)
        let entries = (wide.start + PrefixNode.Offset.entries16).assumingMemoryBound(to: UInt32.self)
        entries.update(repeating: 0, count: 1 << 16)
        for slot in 0..<256 {
            guard let offset = upper.offset8(of: slot) else { continue }
            spread(upper.load(offset), to: entries + slot * 256, depth: depth + 8)
        }
        set(link, new)
        // Those below may be read by way of the old node still.
        for slot in 0..<256 {
            guard let offset = upper.offset8(of: slot) else { continue }
            let entry = upper.load(offset)
            if entry.kind == PrefixEntry.Kind.node8 || entry.kind == PrefixEntry.Kind.node4 { retire(entry) }
            if entry.kind == PrefixEntry.Kind.skip, node(entry).depth == depth + 16 { retire(entry) }
        }
        retire(here)
    }

    /// Writes what 256 slots of a node of 16 bits hold in place of one slot of a node of 8 bits.
    private func spread(_ entry: PrefixEntry, to entries: UnsafeMutablePointer<UInt32>, depth: Int) {
        let node = node(entry)
        switch entry.kind {
        case PrefixEntry.Kind.node8, PrefixEntry.Kind.node4:
            let above = inherited(entry)
            for slot in 0..<256 {
                var found = above
                if entry.kind == PrefixEntry.Kind.node4 {
                    let own = node.load((slot >> 4) * 4)
                    if own.kind == PrefixEntry.Kind.value { found = own.raised(by: 8) }
                } else if let offset = node.offset8(of: slot) {
                    found = node.load(offset)
                    if found.isNode {
                        let handed = inherited(found)
                        setInherited(found, to: handed.isNone ? above : handed.raised(by: 8))
                    } else {
                        found = found.raised(by: 8)
                    }
                }
                entries[slot] = found.rawValue
            }
        case PrefixEntry.Kind.skip:
            let above = inherited(entry)
            entries.update(repeating: above.rawValue, count: 256)
            var below = entry
            if node.depth == depth + 8 {
                below = node.load(PrefixNode.Offset.entrySkip)
                setInherited(below, to: above)
            }
            entries[node.address.byte(depth)] = below.rawValue
        default:
            entries.update(repeating: entry.rawValue, count: 256)
        }
    }
}

// A prefix finds its node, which may have to be made, and takes the slots that no longer prefix has.

import Synchronization
import Wire

extension PrefixTable {
    /// Puts a prefix into the trie.
    func place(_ prefix: IPv6Prefix, _ value: UInt32) {
        let length = Int(prefix.length)
        var (link, depth) = (root, 0)
        /// What the node's slots hold in which no prefix ends.
        var handed = PrefixEntry.none
        /// The node above, where it is one of 8 bits right above.
        var above: PrefixSlot?
        if length == 0 {
            if let entry = covered(entry(root), by: PrefixEntry(value: value, rank: 1)) { set(root, entry) }
            return
        }
        while true {
            let here = entry(link)
            let node = node(here)
            if here.isNode { handed = inherited(here).handedDown.or(handed) }
            switch here.kind {
            case PrefixEntry.Kind.sparse8, PrefixEntry.Kind.runs8:
                if length <= depth + 8 { return paint8(link, depth, above, prefix, value) }
                let slot = prefix.address.byte(depth)
                let offset = node.offset8(of: slot)
                guard node.load(offset).isNode else {
                    let new = makeBranch(prefix, value, depth: depth + 8, in: node.load(offset))
                    if node.offsets8(of: slot..<slot + 1) != nil { return node.store(new, offset) }
                    return setSlot(slot, to: new, in: link, depth, above)
                }
                (above, link, depth) = (link, node.slot(offset), depth + 8)
            case PrefixEntry.Kind.node16:
                if length <= depth + 16 { return paint16(here, depth, prefix, value) }
                (above, link) = (nil, node.slot(node.offset16(of: prefix.address.pair(depth))))
                depth += 16
            case PrefixEntry.Kind.skip:
                let below = node.depth
                let shared = min(prefix.address.sharedLength(with: node.address), length - 1)
                if shared >= below {
                    (above, link, depth) = (nil, node.slot(PrefixNode.Offset.entrySkip), below)
                } else {
                    cut(link, at: shared & ~7, from: depth, handed: handed)
                }
            default:
                // A value, or nothing, and the prefix is longer than what this slot tells apart.
                return set(link, makeBranch(prefix, value, depth: depth, in: here))
            }
        }
    }

    /// Makes a node in the middle of a skip.
    private func cut(_ link: PrefixSlot, at depth: Int, from start: Int, handed: PrefixEntry) {
        let here = entry(link)
        let (skip, below) = (node(here), node(here).depth)
        let (address, inherited) = (skip.address, inherited(here))
        var lower = skip.load(PrefixNode.Offset.entrySkip)
        if below > depth + 8 {
            lower = makeLink(address, from: depth + 8, to: below, inherited: .none, handed: handed, lower)
        }
        var new = makeNode8(
            inherited: depth > start ? .none : inherited, handed: handed, slot: address.byte(depth), lower)
        if depth > start {
            new = makeLink(address, from: start, to: depth, inherited: inherited, handed: handed, new)
        }
        set(link, new)
        retire(here)
    }

    /// What a slot holds when a prefix comes that covers it; nil where it stays.
    private func covered(_ old: PrefixEntry, by new: PrefixEntry) -> PrefixEntry? {
        if old.isNode {
            let inherited = inherited(old)
            if inherited.isNone || inherited.rank <= new.rank {
                setInherited(old, to: new)
                handDown(new.handedDown, to: old)
            }
            return nil
        }
        return !old.isOwn || old.rank <= new.rank ? new : nil
    }

    /// Sets a slot of a node of 8 bits in which it has no entry of its own.
    private func setSlot(
        _ slot: Int, to new: PrefixEntry, in link: PrefixSlot, _ depth: Int, _ above: PrefixSlot?
    ) {
        let here = entry(link)
        let before = node(here).count8
        set(link, makeNode8(like: here, settingSlot: slot, to: new))
        retire(here)
        // To look at all beside it is worth while now and then.
        if let above, node(entry(link)).count8 >> 4 > before >> 4 { widen(above, depth - 8) }
    }

    private func paint8(_ link: PrefixSlot, _ depth: Int, _ above: PrefixSlot?, _ prefix: IPv6Prefix, _ value: UInt32) {
        let here = entry(link)
        let node = node(here)
        let new = PrefixEntry(value: value, rank: Int(prefix.length) - depth)
        let range = Self.slots(of: prefix, depth, bits: 8)
        if let offsets = node.offsets8(of: range) {
            for offset in offsets { if let entry = covered(node.load(offset), by: new) { node.store(entry, offset) } }
        } else if range.count == 1 {
            let slot = range.lowerBound
            if let entry = covered(node.load8(slot), by: new) { setSlot(slot, to: entry, in: link, depth, above) }
        } else {
            fillSlots(from: here)
            for slot in range { if let entry = covered(slots[slot], by: new) { slots[slot] = entry } }
            set(link, makeNode8(like: here))
            retire(here)
        }
    }

    private func paint16(_ here: PrefixEntry, _ depth: Int, _ prefix: IPv6Prefix, _ value: UInt32) {
        let node = node(here)
        let new = PrefixEntry(value: value, rank: Int(prefix.length) - depth)
        for slot in Self.slots(of: prefix, depth, bits: 16) {
            let offset = node.offset16(of: slot)
            if let entry = covered(node.load(offset), by: new) { node.store(entry, offset) }
        }
    }

    // MARK: 16 bits

    /// Slots of a node and those below it from which on a node of 16 bits takes their place: a quarter of its own, so that
    /// it is no larger than they are by much.
    private static var denseCount: Int { 1 << 14 }

    /// Puts a node of 16 bits in place of one of 8 and those right below it, where these hold much.
    func widen(_ link: PrefixSlot, _ depth: Int) {
        let here = entry(link)
        let upper = node(here)
        guard depth.isMultiple(of: 16), upper.count8 >= 64 else { return }
        var count = 0
        for offset in upper.entries8 {
            let entry = upper.load(offset)
            count += entry.isNode8 ? filledCount(node(entry)) : 1
        }
        guard count >= Self.denseCount else { return }
        let new = PrefixEntry(node: PrefixEntry.Kind.node16, line: memory.take(PrefixMemory.largeLines))
        let wide = node(new)
        wide.start.storeBytes(
            of: inherited(here).rawValue, toByteOffset: PrefixNode.Offset.inherited16, as: UInt32.self)
        wide.start.storeBytes(of: UInt32(depth), toByteOffset: PrefixNode.Offset.depth16, as: UInt32.self)
        wide.start.storeBytes(
            of: Self.removalsAllowed(count), toByteOffset: PrefixNode.Offset.removals16, as: UInt32.self)
        let entries = (wide.start + PrefixNode.Offset.entries16).assumingMemoryBound(to: UInt32.self)
        for slot in 0..<256 { spread(upper.load8(slot), to: entries + slot * 256, depth: depth + 8) }
        set(link, new)
        // Those below may be read by way of the old node still.
        for offset in upper.entries8 {
            let entry = upper.load(offset)
            let isGone =
                entry.isNode8
                || entry.kind == PrefixEntry.Kind.skip && node(entry).depth == depth + 16
            if isGone { retire(entry) }
        }
        retire(here)
    }

    /// Entries of a node of 8 bits that are prefixes or nodes.
    private func filledCount(_ node: PrefixNode) -> Int {
        node.entries8.count { node.load($0).isOwn || node.load($0).isNode }
    }

    /// Writes what 256 slots of a node of 16 bits hold in place of one slot of a node of 8 bits.
    private func spread(_ entry: PrefixEntry, to entries: UnsafeMutablePointer<UInt32>, depth: Int) {
        let node = node(entry)
        switch entry.kind {
        case PrefixEntry.Kind.sparse8, PrefixEntry.Kind.runs8:
            let above = inherited(entry)
            for slot in 0..<256 {
                var found = node.load8(slot)
                if found.isNode {
                    let own = inherited(found)
                    setInherited(found, to: own.isNone ? above : own.raised(by: 8))
                } else {
                    found = found.isOwn ? found.raised(by: 8) : above.or(found)
                }
                entries[slot] = found.rawValue
            }
        case PrefixEntry.Kind.skip:
            let above = inherited(entry)
            entries.update(
                repeating: above.or(node.load(PrefixNode.Offset.handedSkip)).rawValue, count: 256)
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

// Nodes made and taken apart, by the writer.

import Synchronization
import Wire

extension PrefixTable {
    /// Lines that one insertion may take: a skip cut in two, a node where it is cut, the new node and its skip, a node made
    /// anew, and one of 16 bits in place of two.
    static var linesPerInsertion: Int { 5 * 17 + 4 + PrefixMemory.largeLines }

    func entry(_ slot: PrefixSlot) -> PrefixEntry { PrefixEntry(rawValue: slot.pointee.load(ordering: .relaxed)) }

    func set(_ slot: PrefixSlot, _ entry: PrefixEntry) { slot.pointee.store(entry.rawValue, ordering: .releasing) }

    func lines(_ entry: PrefixEntry) -> Int {
        switch entry.kind {
        case PrefixEntry.Kind.node8: PrefixNode.lines8(node(entry).count8)
        case PrefixEntry.Kind.node16: PrefixMemory.largeLines
        default: 1
        }
    }

    func retire(_ entry: PrefixEntry) { memory.retire(UInt32(entry.line), lines: lines(entry)) }

    // MARK: Making

    /// A node of 8 bits with what stands in `slots`.
    func makeNode8(inherited: PrefixEntry) -> PrefixEntry {
        var count = 0
        for slot in 0..<256 where !slots[slot].isNone { count += 1 }
        let line = memory.take(PrefixNode.lines8(count))
        let new = PrefixEntry(node: PrefixEntry.Kind.node8, line: line)
        let start = node(new).start
        start.storeBytes(of: inherited.rawValue, toByteOffset: PrefixNode.Offset.inherited8, as: UInt32.self)
        var written = 0
        for quarter in 0..<4 {
            start.storeBytes(of: UInt8(written), toByteOffset: PrefixNode.Offset.ranks8 + quarter, as: UInt8.self)
            var bitmap: UInt64 = 0
            for bit in 0..<64 where !slots[quarter * 64 + bit].isNone {
                bitmap |= 1 << UInt64(bit)
                start.storeBytes(
                    of: slots[quarter * 64 + bit].rawValue, toByteOffset: PrefixNode.Offset.entries8 + written * 4,
                    as: UInt32.self)
                written += 1
            }
            start.storeBytes(of: bitmap, toByteOffset: quarter * 8, as: UInt64.self)
        }
        return new
    }

    /// A node of 8 bits like another, with one slot more, or one less where the entry is none.
    func makeNode8(like old: PrefixEntry, settingSlot slot: Int, to entry: PrefixEntry) -> PrefixEntry {
        let from = node(old)
        let count = from.count8
        let newCount = entry.isNone ? count - 1 : count + 1
        let new = PrefixEntry(
            node: PrefixEntry.Kind.node8, line: memory.take(PrefixNode.lines8(newCount)))
        let to = node(new)
        to.start.copyMemory(from: from.start, byteCount: PrefixNode.Offset.entries8)
        let quarter = slot >> 6
        let bit = UInt64(1) << UInt64(slot & 63)
        let word = from.start.load(fromByteOffset: quarter * 8, as: UInt64.self)
        to.start.storeBytes(of: word ^ bit, toByteOffset: quarter * 8, as: UInt64.self)
        let before =
            Int(from.start.load(fromByteOffset: PrefixNode.Offset.ranks8 + quarter, as: UInt8.self))
            + (word & (bit - 1)).nonzeroBitCount
        for later in quarter + 1..<4 where later < 4 {
            let rank = from.start.load(fromByteOffset: PrefixNode.Offset.ranks8 + later, as: UInt8.self)
            to.start.storeBytes(
                of: entry.isNone ? rank - 1 : rank + 1, toByteOffset: PrefixNode.Offset.ranks8 + later, as: UInt8.self)
        }
        let (source, target) = (from.start + PrefixNode.Offset.entries8, to.start + PrefixNode.Offset.entries8)
        target.copyMemory(from: source, byteCount: before * 4)
        if entry.isNone {
            (target + before * 4).copyMemory(from: source + (before + 1) * 4, byteCount: (count - before - 1) * 4)
        } else {
            (target + before * 4).storeBytes(of: entry.rawValue, as: UInt32.self)
            (target + (before + 1) * 4).copyMemory(from: source + before * 4, byteCount: (count - before) * 4)
        }
        return new
    }

    /// A node of 4 bits whose slots are every sixteenth of `slots`.
    func makeNode4() -> PrefixEntry {
        let new = PrefixEntry(node: PrefixEntry.Kind.node4, line: memory.take(1))
        let start = node(new).start
        for slot in 0..<16 {
            start.storeBytes(of: slots[slot * 16].rawValue, toByteOffset: slot * 4, as: UInt32.self)
        }
        return new
    }

    func makeSkip(_ address: IPv6Address, depth: Int, inherited: PrefixEntry, to below: PrefixEntry) -> PrefixEntry {
        let new = PrefixEntry(node: PrefixEntry.Kind.skip, line: memory.take(1))
        let start = node(new).start
        let address = IPv6Prefix(containing: address, length: UInt8(depth)).address
        start.storeBytes(of: address.high, as: UInt64.self)
        start.storeBytes(of: address.low, toByteOffset: 8, as: UInt64.self)
        start.storeBytes(of: inherited.rawValue, toByteOffset: PrefixNode.Offset.inheritedSkip, as: UInt32.self)
        start.storeBytes(of: UInt32(depth), toByteOffset: PrefixNode.Offset.depthSkip, as: UInt32.self)
        start.storeBytes(of: below.rawValue, toByteOffset: PrefixNode.Offset.entrySkip, as: UInt32.self)
        return new
    }

    /// What a slot at `depth` holds for a single prefix that is longer: a node for it, and a skip to that where the two are
    /// further apart.
    func makeBranch(_ prefix: IPv6Prefix, _ value: UInt32, depth: Int, inherited: PrefixEntry) -> PrefixEntry {
        let nodeDepth = (Int(prefix.length) - 1) & ~7
        let isSkipped = nodeDepth > depth
        let rank = Int(prefix.length) - nodeDepth
        let own = isSkipped ? PrefixEntry.none : inherited
        clearSlots()
        for slot in Self.slots(of: prefix, nodeDepth, bits: 8) { slots[slot] = PrefixEntry(value: value, rank: rank) }
        let new: PrefixEntry
        if rank <= 4 {
            for slot in stride(from: 0, to: 256, by: 16) where slots[slot].isNone { slots[slot] = own.inherited }
            new = makeNode4()
        } else {
            new = makeNode8(inherited: own)
        }
        guard isSkipped else { return new }
        return makeLink(prefix.address, from: depth, to: nodeDepth, inherited: inherited, new)
    }

    /// What leads to a node that begins further down: a node of 8 bits where that is all between, which takes no more
    /// memory than a skip and is gone through like others; else a skip.
    func makeLink(
        _ address: IPv6Address, from depth: Int, to below: Int, inherited: PrefixEntry, _ node: PrefixEntry
    ) -> PrefixEntry {
        guard below == depth + 8 else { return makeSkip(address, depth: below, inherited: inherited, to: node) }
        clearSlots()
        slots[address.byte(depth)] = node
        return makeNode8(inherited: inherited)
    }

    // MARK: Taking apart

    func clearSlots() { slots.update(repeating: .none, count: 256) }

    /// Spreads a node of 8 bits out.
    func fillSlots(from entry: PrefixEntry) {
        let node = node(entry)
        for slot in 0..<256 { slots[slot] = node.load8(slot) }
    }

    /// The slots of a node that a prefix covers which ends in it.
    static func slots(of prefix: IPv6Prefix, _ depth: Int, bits: Int) -> Range<Int> {
        let first = bits == 16 ? prefix.address.pair(depth) : prefix.address.byte(depth) >> (8 - bits)
        return first..<first + 1 << (depth + bits - Int(prefix.length))
    }

    /// The value that a node has from above.
    func inherited(_ entry: PrefixEntry) -> PrefixEntry {
        let node = node(entry)
        switch entry.kind {
        case PrefixEntry.Kind.node8: return node.load(PrefixNode.Offset.inherited8)
        case PrefixEntry.Kind.node16: return node.load(0)
        case PrefixEntry.Kind.skip: return node.load(PrefixNode.Offset.inheritedSkip)
        default:
            for slot in 0..<16 where node.load(slot * 4).kind == PrefixEntry.Kind.inherited {
                return node.load(slot * 4).own
            }
            return .none
        }
    }

    /// Hands a value down to a node.
    func setInherited(_ entry: PrefixEntry, to value: PrefixEntry) {
        let node = node(entry)
        switch entry.kind {
        case PrefixEntry.Kind.node8: node.store(value, PrefixNode.Offset.inherited8)
        case PrefixEntry.Kind.node16: node.store(value, 0)
        case PrefixEntry.Kind.skip: node.store(value, PrefixNode.Offset.inheritedSkip)
        default:
            for slot in 0..<16 {
                let kind = node.load(slot * 4).kind
                if kind == PrefixEntry.Kind.none || kind == PrefixEntry.Kind.inherited {
                    node.store(value.inherited, slot * 4)
                }
            }
        }
    }
}

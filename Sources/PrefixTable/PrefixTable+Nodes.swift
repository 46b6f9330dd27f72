// Nodes made and taken apart, by the writer.

import Synchronization
import Wire

extension PrefixTable {
    /// Lines that one insertion may take: a skip cut in two, a node where it is cut, the new node and its skip, a node made
    /// anew, and one of 16 bits in place of two.
    static var linesPerInsertion: Int { 5 * 17 + 4 + PrefixMemory.largeLines }

    func entry(_ slot: PrefixSlot) -> PrefixEntry { PrefixEntry(rawValue: slot.pointee.load(ordering: .relaxed)) }

    func set(_ slot: PrefixSlot, _ entry: PrefixEntry) { slot.pointee.store(entry.rawValue, ordering: .releasing) }

    func retire(_ entry: PrefixEntry) {
        let lines =
            switch entry.kind {
            case PrefixEntry.Kind.sparse8, PrefixEntry.Kind.runs8: PrefixNode.lines8(node(entry).count8)
            case PrefixEntry.Kind.node16: PrefixMemory.largeLines
            default: 1
            }
        memory.retire(entry.line, lines: lines)
    }

    // MARK: Making

    /// A node of 8 bits with what stands in `slots`, where no prefix ends that is what is handed down.
    func makeNode8(inherited: PrefixEntry, handed: PrefixEntry) -> PrefixEntry {
        var (filled, runs) = (0, 1)
        for slot in 0..<256 {
            if slots[slot] != handed { filled += 1 }
            if slot > 0, slots[slot] != slots[slot - 1] { runs += 1 }
        }
        let isSparse = filled <= runs
        let (new, start) = takeNode8(
            isSparse ? PrefixEntry.Kind.sparse8 : PrefixEntry.Kind.runs8, entries: isSparse ? filled : runs)
        start.storeBytes(of: inherited.rawValue, toByteOffset: PrefixNode.Offset.inherited8, as: UInt32.self)
        start.storeBytes(of: handed.rawValue, toByteOffset: PrefixNode.Offset.handed8, as: UInt32.self)
        var written = 0
        for quarter in 0..<4 {
            start.storeBytes(of: UInt8(written), toByteOffset: PrefixNode.Offset.before8 + quarter, as: UInt8.self)
            var bitmap: UInt64 = 0
            for slot in quarter * 64..<quarter * 64 + 64 {
                let hasEntry = isSparse ? slots[slot] != handed : slot == 0 || slots[slot] != slots[slot - 1]
                guard hasEntry else { continue }
                bitmap |= 1 << UInt64(slot & 63)
                start.storeBytes(
                    of: slots[slot].rawValue, toByteOffset: PrefixNode.Offset.entries8 + written * 4, as: UInt32.self)
                written += 1
            }
            start.storeBytes(of: bitmap, toByteOffset: quarter * 8, as: UInt64.self)
        }
        return new
    }

    /// A node of 8 bits in place of another, with what stands in `slots`.
    func makeNode8(like old: PrefixEntry) -> PrefixEntry {
        makeNode8(inherited: inherited(old), handed: node(old).load(PrefixNode.Offset.handed8))
    }

    /// A node of 8 bits of whose slots one holds something of its own. Where prefixes are scattered most are such.
    func makeNode8(inherited: PrefixEntry, handed: PrefixEntry, slot: Int, _ entry: PrefixEntry) -> PrefixEntry {
        let (new, start) = takeNode8(PrefixEntry.Kind.sparse8, entries: 1)
        start.initializeMemory(as: UInt8.self, repeating: 0, count: PrefixNode.Offset.entries8)
        start.storeBytes(of: inherited.rawValue, toByteOffset: PrefixNode.Offset.inherited8, as: UInt32.self)
        start.storeBytes(of: handed.rawValue, toByteOffset: PrefixNode.Offset.handed8, as: UInt32.self)
        start.storeBytes(of: entry.rawValue, toByteOffset: PrefixNode.Offset.entries8, as: UInt32.self)
        setBit8(slot, true, start)
        countBits8(start)
        return new
    }

    private func takeNode8(_ kind: UInt32, entries: Int) -> (PrefixEntry, start: UnsafeMutableRawPointer) {
        let new = PrefixEntry(node: kind, line: memory.take(PrefixNode.lines8(entries)))
        return (new, node(new).start)
    }

    /// A node of 8 bits like another but for one slot, which had no entry of its own, or is to have none any more. Of a
    /// run, what remains of it before and behind the slot stays, and the slot joins a run beside it that holds the same.
    func makeNode8(like old: PrefixEntry, settingSlot slot: Int, to entry: PrefixEntry) -> PrefixEntry {
        let from = node(old)
        let count = from.count8
        let number = from.number8(of: slot)
        /// Entries that stay before the slot's own, whether it gets one, and the first of those that stay behind it.
        var (before, isWritten, behind) = (number, true, number)
        /// Whether a run begins behind the slot.
        var beginsBehind: Bool?
        if old.kind == PrefixEntry.Kind.sparse8 {
            if from.hasBit8(slot) { (before, isWritten) = (number - 1, false) }
        } else {
            func held(_ number: Int) -> PrefixEntry { from.load(PrefixNode.Offset.handed8 + number * 4) }
            let (isFirst, isLast) = (from.hasBit8(slot), slot == 255 || from.hasBit8(slot + 1))
            let joinsBefore = isFirst && slot > 0 && held(number - 1) == entry
            let joinsBehind = isLast && slot < 255 && held(number + 1) == entry
            before = isFirst ? number - 1 : number
            isWritten = !joinsBefore
            behind = !isLast ? number - 1 : joinsBehind ? number + 1 : number
            if slot < 255 { beginsBehind = !joinsBehind }
        }
        let (new, start) = takeNode8(old.kind, entries: before + (isWritten ? 1 : 0) + count - behind)
        var target = start + PrefixNode.Offset.entries8
        let source = from.start + PrefixNode.Offset.entries8
        start.copyMemory(from: from.start, byteCount: PrefixNode.Offset.entries8 + before * 4)
        target += before * 4
        if isWritten {
            target.storeBytes(of: entry.rawValue, as: UInt32.self)
            target += 4
        }
        target.copyMemory(from: source + behind * 4, byteCount: (count - behind) * 4)
        setBit8(slot, isWritten, start)
        if let beginsBehind { setBit8(slot + 1, beginsBehind, start) }
        countBits8(start)
        return new
    }

    private func setBit8(_ slot: Int, _ isSet: Bool, _ start: UnsafeMutableRawPointer) {
        let (offset, bit) = (slot >> 6 * 8, UInt64(1) << UInt64(slot & 63))
        let word = start.load(fromByteOffset: offset, as: UInt64.self)
        start.storeBytes(of: isSet ? word | bit : word & ~bit, toByteOffset: offset, as: UInt64.self)
    }

    private func countBits8(_ start: UnsafeMutableRawPointer) {
        var count = 0
        for quarter in 0..<4 {
            start.storeBytes(of: UInt8(count), toByteOffset: PrefixNode.Offset.before8 + quarter, as: UInt8.self)
            count += start.load(fromByteOffset: quarter * 8, as: UInt64.self).nonzeroBitCount
        }
    }

    private func makeSkip(
        _ address: IPv6Address, depth: Int, inherited: PrefixEntry, handed: PrefixEntry, to below: PrefixEntry
    ) -> PrefixEntry {
        let new = PrefixEntry(node: PrefixEntry.Kind.skip, line: memory.take(1))
        let start = node(new).start
        let address = IPv6Prefix(containing: address, length: UInt8(depth)).address
        start.storeBytes(of: address.high, as: UInt64.self)
        start.storeBytes(of: address.low, toByteOffset: 8, as: UInt64.self)
        start.storeBytes(of: inherited.rawValue, toByteOffset: PrefixNode.Offset.inheritedSkip, as: UInt32.self)
        start.storeBytes(of: UInt32(depth), toByteOffset: PrefixNode.Offset.depthSkip, as: UInt32.self)
        start.storeBytes(of: below.rawValue, toByteOffset: PrefixNode.Offset.entrySkip, as: UInt32.self)
        start.storeBytes(of: handed.rawValue, toByteOffset: PrefixNode.Offset.handedSkip, as: UInt32.self)
        return new
    }

    /// What a slot holds for a single prefix that is longer: a node for it, and a skip to that where the two are further
    /// apart.
    /// - Parameters:
    ///   - depth: how many bits lie before what the slot leads to.
    ///   - old: what the slot holds until then, no node.
    func makeBranch(_ prefix: IPv6Prefix, _ value: UInt32, depth: Int, in old: PrefixEntry) -> PrefixEntry {
        let nodeDepth = (Int(prefix.length) - 1) & ~7
        let isSkipped = nodeDepth > depth
        let (inherited, handed) = (old.isOwn ? old : .none, old.handedDown)
        let inheritedBelow = isSkipped ? .none : inherited
        let own = PrefixEntry(value: value, rank: Int(prefix.length) - nodeDepth)
        let range = Self.slots(of: prefix, nodeDepth, bits: 8)
        let new: PrefixEntry
        if range.count == 1 {
            new = makeNode8(inherited: inheritedBelow, handed: handed, slot: range.lowerBound, own)
        } else {
            setSlots(to: handed)
            for slot in range { slots[slot] = own }
            new = makeNode8(inherited: inheritedBelow, handed: handed)
        }
        guard isSkipped else { return new }
        return makeLink(prefix.address, from: depth, to: nodeDepth, inherited: inherited, handed: handed, new)
    }

    /// What leads to a node that begins further down: a node of 8 bits where that is all between, which takes no more
    /// memory than a skip and is gone through like others; else a skip.
    func makeLink(
        _ address: IPv6Address, from depth: Int, to below: Int, inherited: PrefixEntry, handed: PrefixEntry,
        _ node: PrefixEntry
    ) -> PrefixEntry {
        guard below == depth + 8 else {
            return makeSkip(address, depth: below, inherited: inherited, handed: handed, to: node)
        }
        return makeNode8(inherited: inherited, handed: handed, slot: address.byte(depth), node)
    }

    // MARK: Taking apart

    func setSlots(to entry: PrefixEntry) { slots.update(repeating: entry, count: 256) }

    /// Spreads a node of 8 bits out.
    func fillSlots(from entry: PrefixEntry) {
        let node = node(entry)
        for slot in 0..<256 { slots[slot] = node.load8(slot) }
    }

    /// The slots of a node that a prefix covers which ends in it.
    static func slots(of prefix: IPv6Prefix, _ depth: Int, bits: Int) -> Range<Int> {
        let first = bits == 16 ? prefix.address.pair(depth) : prefix.address.byte(depth)
        return first..<first + 1 << (depth + bits - Int(prefix.length))
    }

    // MARK: Handing down

    /// The prefix that ends in the slot which leads to a node.
    func inherited(_ entry: PrefixEntry) -> PrefixEntry { node(entry).load(Self.inheritedOffset(entry)) }

    func setInherited(_ entry: PrefixEntry, to value: PrefixEntry) {
        node(entry).store(value, Self.inheritedOffset(entry))
    }

    private static func inheritedOffset(_ entry: PrefixEntry) -> Int {
        switch entry.kind {
        case PrefixEntry.Kind.sparse8, PrefixEntry.Kind.runs8: PrefixNode.Offset.inherited8
        case PrefixEntry.Kind.node16: PrefixNode.Offset.inherited16
        default: PrefixNode.Offset.inheritedSkip
        }
    }

    /// Gives a value to all slots of a node, and of those below it, in which no prefix ends.
    func handDown(_ value: PrefixEntry, to entry: PrefixEntry) {
        let node = node(entry)
        func hand(_ offset: Int) {
            let held = node.load(offset)
            if held.isNode {
                if inherited(held).isNone { handDown(value, to: held) }
            } else if !held.isOwn {
                node.store(value, offset)
            }
        }
        switch entry.kind {
        case PrefixEntry.Kind.sparse8, PrefixEntry.Kind.runs8:
            node.store(value, PrefixNode.Offset.handed8)
            for offset in node.entries8 { hand(offset) }
        case PrefixEntry.Kind.node16:
            for slot in 0..<1 << 16 { hand(node.offset16(of: slot)) }
        default:
            node.store(value, PrefixNode.Offset.handedSkip)
            hand(PrefixNode.Offset.entrySkip)
        }
    }
}

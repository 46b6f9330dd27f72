// Which prefixes have an address in common with another (RFC 5454, 3.3): those that hold it, by the rules of each length,
// and those in it, by what the trie has there. A prefix in it that longer ones cover wholly shows in no slot; it holds
// those that do, so the rules tell of it.

import Synchronization
import Wire

extension PrefixTable {
    /// Calls `body` with each prefix that has an address in common with `prefix`, the shorter before the longer of those
    /// that hold it, then those in it in any order, until it returns false.
    public func forEachOverlap(with prefix: IPv6Prefix, _ body: (IPv6Prefix, UInt32) -> Bool) {
        for length in 0...Int(prefix.length) where rules.countByLength[length] > 0 {
            let holder = IPv6Prefix(containing: prefix.address, length: UInt8(length))
            if let value = rules.value(of: holder), !body(holder, value) { return }
        }
        var told: Set<IPv6Prefix> = []
        guard entry(root).isNode else { return }
        _ = visit(entry(root), depth: 0, .unspecified, prefix) { found in
            guard found.length > prefix.length else { return true }
            for length in Int(prefix.length) + 1..<Int(found.length) + 1 where rules.countByLength[length] > 0 {
                let inside = IPv6Prefix(containing: found.address, length: UInt8(length))
                guard let value = rules.value(of: inside), told.insert(inside).inserted else { continue }
                if !body(inside, value) { return false }
            }
            return true
        }
    }

    /// Calls `body` with the prefixes that have slots within `prefix`, until it returns false.
    private func visit(
        _ here: PrefixEntry, depth: Int, _ address: IPv6Address, _ prefix: IPv6Prefix,
        _ body: (IPv6Prefix) -> Bool
    ) -> Bool {
        let node = node(here)
        switch here.kind {
        case PrefixEntry.Kind.sparse8, PrefixEntry.Kind.runs8:
            let range = prefix.length > depth ? Self.range(of: prefix, depth, bits: 8) : 0..<256
            for slot in range {
                let below = address.settingByte(depth, to: slot)
                guard visitSlot(node.load8(slot), depth, depth + 8, below, prefix, body) else { return false }
            }
        case PrefixEntry.Kind.node16:
            let range = prefix.length > depth ? Self.range(of: prefix, depth, bits: 16) : 0..<1 << 16
            for slot in range {
                let entry = node.load(node.offset16(of: slot))
                if entry.isNone { continue }
                let below = address.settingByte(depth, to: slot >> 8).settingByte(depth + 8, to: slot & 0xFF)
                guard visitSlot(entry, depth, depth + 16, below, prefix, body) else { return false }
            }
        default:
            let shared = min(Int(prefix.length), node.depth)
            guard node.address.shares(shared, with: prefix.address) else { return true }
            return visit(
                node.load(PrefixNode.Offset.entrySkip), depth: node.depth, node.address, prefix, body)
        }
        return true
    }

    private func visitSlot(
        _ entry: PrefixEntry, _ depth: Int, _ depthBelow: Int, _ address: IPv6Address, _ prefix: IPv6Prefix,
        _ body: (IPv6Prefix) -> Bool
    ) -> Bool {
        if entry.isNode { return visit(entry, depth: depthBelow, address, prefix, body) }
        guard entry.isOwn else { return true }
        return body(IPv6Prefix(containing: address, length: UInt8(depth + entry.rank)))
    }

    /// The slots of a node that a prefix touches, which may be longer than what the node tells apart.
    private static func range(of prefix: IPv6Prefix, _ depth: Int, bits: Int) -> Range<Int> {
        if Int(prefix.length) <= depth + bits { return slots(of: prefix, depth, bits: bits) }
        let slot = bits == 16 ? prefix.address.pair(depth) : prefix.address.byte(depth)
        return slot..<slot + 1
    }
}

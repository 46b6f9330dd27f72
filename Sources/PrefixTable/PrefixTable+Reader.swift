// Looking things up: one address, or many at once. Many go down the trie side by side, a step each in turn, and what the
// next step of each will read is fetched while the others take theirs, so that memory is waited for together. At each step
// they are sorted by the kind of node that comes next, so that no branch depends on a single address: a branch that the
// processor guesses wrong costs as much as a step.

import CPrefetch
import Synchronization
import Wire

extension PrefixTable {
    /// The reading side: plain values, no reference counted.
    public struct Reader: @unchecked Sendable {
        let base: UnsafeMutableRawPointer
        let root: UnsafeMutablePointer<Atomic<UInt32>>
        let removals: UnsafeMutablePointer<Atomic<UInt64>>

        /// The value of the longest prefix that holds `address`; `noValue` where none does.
        public func lookup(_ address: IPv6Address) -> UInt32 {
            let before = removals.pointee.load(ordering: .acquiring)
            let found = walk(address, from: entry(0), depth: 0, best: entry(1))
            return found.isNone ? valueOfNone(address, removals: before) : found.value
        }

        /// Looks up many addresses.
        /// - Parameters:
        ///   - addresses: the first; the others follow `stride` bytes apart.
        ///   - results: where the first value is put, or `noValue`; the others follow `resultStride` bytes apart.
        public func lookup(
            count: Int, addresses: UnsafeRawPointer, stride: Int, results: UnsafeMutableRawPointer, resultStride: Int
        ) {
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 2 * Self.width) { state in
                withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 3 * Self.width) { places in
                    let walkers = Walkers(state.baseAddress!, places.baseAddress!)
                    var done = 0
                    while done < count {
                        let some = min(Self.width, count &- done)
                        lookupSome(
                            some, addresses + done &* stride, stride, results + done &* resultStride, resultStride,
                            walkers)
                        done &+= some
                    }
                }
            }
        }

        /// How many go side by side.
        private static var width: Int { 64 }

        /// Of the root and, behind it, of the prefix of length 0.
        @inline(__always)
        private func entry(_ index: Int) -> PrefixEntry {
            PrefixEntry(rawValue: root[index].load(ordering: .acquiring))
        }

        /// What an address has for which nothing was found.
        /// - Parameter before: removals that had begun before it was looked up.
        @inline(__always)
        private func valueOfNone(_ address: IPv6Address, removals before: UInt64) -> UInt32 {
            removals.pointee.load(ordering: .acquiring) == before ? PrefixTable.noValue : lookupAgain(address)
        }

        @inline(never)
        private func lookupAgain(_ address: IPv6Address) -> UInt32 {
            while true {
                let before = removals.pointee.load(ordering: .acquiring)
                let found = walk(address, from: entry(0), depth: 0, best: entry(1))
                if !found.isNone { return found.value }
                if removals.pointee.load(ordering: .acquiring) == before { return PrefixTable.noValue }
            }
        }

        /// Goes down from a node to the longest prefix.
        @inline(__always)
        private func walk(
            _ address: IPv6Address, from entry: PrefixEntry, depth: Int, best: PrefixEntry
        ) -> PrefixEntry {
            var (entry, depth, best) = (entry, depth, best)
            while true {
                let node = PrefixNode(base, entry)
                switch entry.kind {
                case PrefixEntry.Kind.node8:
                    best = node.load(PrefixNode.Offset.inherited8).or(best)
                    entry = node.load8(address.byte(depth))
                    depth &+= 8
                case PrefixEntry.Kind.node4: return node.load((address.byte(depth) &>> 4) &* 4).or(best)
                case PrefixEntry.Kind.node16:
                    best = node.load(0).or(best)
                    entry = node.load(PrefixNode.Offset.entries16 &+ address.pair(depth) &* 4)
                    depth &+= 16
                case PrefixEntry.Kind.skip:
                    best = node.load(PrefixNode.Offset.inheritedSkip).or(best)
                    depth = node.depth
                    guard address.shares(depth, with: node.address) else { return best }
                    entry = node.load(PrefixNode.Offset.entrySkip)
                default: return entry.or(best)
                }
            }
        }

        /// Addresses on their way down, by their numbers. Those that have gone through nodes of 8 and 4 bits alone are at
        /// the same depth; the others are few where prefixes are dense, and go on behind them.
        private struct Walkers {
            /// What each goes to next.
            let entries: UnsafeMutablePointer<UInt32>
            /// The longest prefix of each.
            let best: UnsafeMutablePointer<UInt32>
            /// Those that go on.
            let places: UnsafeMutablePointer<UInt8>
            var count = 0
            /// Where they are, in bits; a multiple of 8.
            var depth = 0
            /// Those that came to a node of another kind, and where each is.
            let rare: UnsafeMutablePointer<UInt8>
            let depths: UnsafeMutablePointer<UInt8>
            var rareCount = 0

            /// Room for what each has, in 4 bytes and in one.
            @inline(__always)
            init(_ words: UnsafeMutablePointer<UInt32>, _ bytes: UnsafeMutablePointer<UInt8>) {
                (entries, best) = (words, words + width)
                (places, rare, depths) = (bytes, bytes + width, bytes + 2 &* width)
            }
        }

        @inline(__always)
        private func lookupSome(
            _ count: Int, _ addresses: UnsafeRawPointer, _ stride: Int, _ results: UnsafeMutableRawPointer,
            _ resultStride: Int, _ walkers: consuming Walkers
        ) {
            let before = removals.pointee.load(ordering: .acquiring)
            begin(count, addresses, stride, &walkers)
            while walkers.count != 0 { takeStep(addresses, stride, &walkers) }
            while walkers.rareCount != 0 { takeRareStep(addresses, stride, &walkers) }
            for index in 0..<count {
                let found = PrefixEntry(rawValue: walkers.best[index])
                let value =
                    found.isNone
                    ? valueOfNone((addresses + index &* stride).load(as: IPv6Address.self), removals: before)
                    : found.value
                (results + index &* resultStride).storeBytes(of: value, as: UInt32.self)
            }
        }

        /// Takes the first steps, which are the same for all: past what all prefixes share, and through a node of 16
        /// bits behind it.
        @inline(__always)
        private func begin(
            _ count: Int, _ addresses: UnsafeRawPointer, _ stride: Int, _ walkers: inout Walkers
        ) {
            var (below, shared, handed) = (entry(0), IPv6Address(high: 0, low: 0), entry(1))
            let outside = handed
            if below.kind == PrefixEntry.Kind.skip {
                let skip = PrefixNode(base, below)
                (walkers.depth, shared) = (skip.depth, skip.address)
                handed = skip.load(PrefixNode.Offset.inheritedSkip).or(handed)
                below = skip.load(PrefixNode.Offset.entrySkip)
            }
            let mask = IPv6Prefix(
                containing: IPv6Address(high: .max, low: .max), length: UInt8(walkers.depth)
            ).address
            let isWide = below.kind == PrefixEntry.Kind.node16
            let wide = PrefixNode(base, below)
            let inner = isWide ? wide.load(0).or(handed) : handed
            let depth = walkers.depth
            if isWide { walkers.depth &+= 16 }
            for index in 0..<count {
                let place = addresses + index &* stride
                let address = place.load(as: IPv6Address.self)
                let difference = (address.high ^ shared.high) & mask.high | (address.low ^ shared.low) & mask.low
                let isShared: UInt32 = difference == 0 ? .max : 0
                var next = below
                if isWide { next = wide.load(PrefixNode.Offset.entries16 &+ place.addressPair(depth) &* 4) }
                settle(
                    index, PrefixEntry(rawValue: next.rawValue & isShared), inner.or(outside, unless: isShared),
                    &walkers)
            }
        }

        /// Takes all that go on through a node of 8 or 4 bits each.
        @inline(__always)
        private func takeStep(_ addresses: UnsafeRawPointer, _ stride: Int, _ walkers: inout Walkers) {
            let left = walkers.count
            let half = addresses + ((walkers.depth &>> 6) & 1) &* 8
            let shift = UInt64(56 &- (walkers.depth & 63))
            walkers.count = 0
            walkers.depth &+= 8
            for position in 0..<left {
                let index = Int(walkers.places[position])
                let address = (half + index &* stride).load(as: UInt64.self)
                let slot = Int(truncatingIfNeeded: (address &>> shift) & 0xFF)
                let best = PrefixEntry(rawValue: walkers.best[index])
                let (next, longest) = pass(PrefixEntry(rawValue: walkers.entries[index]), slot, best: best)
                settle(index, next, longest, &walkers)
            }
        }

        /// What a slot of a node of 8 or 4 bits leads to, and the longest prefix so far.
        @inline(__always)
        private func pass(
            _ entry: PrefixEntry, _ slot: Int, best: PrefixEntry
        ) -> (next: PrefixEntry, longest: PrefixEntry) {
            let node = PrefixNode(base, entry)
            let isFour = entry.isNode4Mask
            let (isThere, offset) = node.place8(slot)
            let mask = Int(Int32(bitPattern: isFour))
            let found = node.load(offset ^ ((offset ^ ((slot &>> 4) &* 4)) & mask))
            let above = PrefixEntry(rawValue: node.load(PrefixNode.Offset.inherited8).rawValue & ~isFour)
            return (
                PrefixEntry(rawValue: found.rawValue & (isFour | isThere)), above.or(best, unless: above.isSomeMask)
            )
        }

        /// Keeps what a slot held, and has the next node fetched.
        @inline(__always)
        private func settle(_ index: Int, _ next: PrefixEntry, _ longest: PrefixEntry, _ walkers: inout Walkers) {
            let (isNode, isRare) = (next.isNodeMask, next.isRareNodeMask)
            keep(index, next, longest, isNode, walkers)
            // Written to both lists; each counts its own.
            walkers.places[walkers.count] = UInt8(truncatingIfNeeded: index)
            walkers.count &+= Int(isNode & ~isRare & 1)
            walkers.rare[walkers.rareCount] = UInt8(truncatingIfNeeded: index)
            walkers.rareCount &+= Int(isRare & 1)
            walkers.depths[index] = UInt8(truncatingIfNeeded: walkers.depth)
        }

        @inline(__always)
        private func keep(
            _ index: Int, _ next: PrefixEntry, _ longest: PrefixEntry, _ isNode: UInt32, _ walkers: borrowing Walkers
        ) {
            walkers.best[index] = next.or(longest, unless: next.isSomeMask & ~isNode).rawValue
            walkers.entries[index] = next.rawValue
            // Nothing leads to line 0.
            let start = PrefixNode(base, PrefixEntry(rawValue: next.rawValue & isNode)).start
            CPrefetch_line(start)
            CPrefetch_line(start + PrefixMemory.lineSize)
        }

        /// Takes those that came to a skip or a node of 16 bits a step further, each from where it is.
        @inline(__always)
        private func takeRareStep(_ addresses: UnsafeRawPointer, _ stride: Int, _ walkers: inout Walkers) {
            let left = walkers.rareCount
            walkers.rareCount = 0
            for position in 0..<left {
                let index = Int(walkers.rare[position])
                let address = addresses + index &* stride
                let entry = PrefixEntry(rawValue: walkers.entries[index])
                let best = PrefixEntry(rawValue: walkers.best[index])
                let node = PrefixNode(base, entry)
                var (next, longest, depth) = (PrefixEntry.none, best, Int(walkers.depths[index]))
                switch entry.kind {
                case PrefixEntry.Kind.skip:
                    longest = node.load(PrefixNode.Offset.inheritedSkip).or(best)
                    depth = node.depth
                    let isShared = address.load(as: IPv6Address.self).shares(depth, with: node.address)
                    if isShared { next = node.load(PrefixNode.Offset.entrySkip) }
                case PrefixEntry.Kind.node16:
                    longest = node.load(0).or(best)
                    next = node.load(PrefixNode.Offset.entries16 &+ address.addressPair(depth) &* 4)
                    depth &+= 16
                default:
                    (next, longest) = pass(entry, address.addressByte(depth), best: best)
                    depth &+= 8
                }
                let isNode = next.isNodeMask
                keep(index, next, longest, isNode, walkers)
                walkers.depths[index] = UInt8(truncatingIfNeeded: depth)
                walkers.rare[walkers.rareCount] = UInt8(truncatingIfNeeded: index)
                walkers.rareCount &+= Int(isNode & 1)
            }
        }
    }
}

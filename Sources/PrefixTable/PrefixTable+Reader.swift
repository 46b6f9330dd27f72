// Looking things up: one address, or many at once. Many go down the trie side by side, a step each in turn, and what the
// next step of each will read is fetched while the others take theirs, so that memory is waited for together. No branch
// depends on a single address: one that the processor guesses wrong costs as much as a step.

import CPrefetch
import Synchronization
import Wire

extension PrefixTable {
    /// The reading side: plain values, no reference counted.
    public struct Reader: @unchecked Sendable {
        let base: UnsafeMutableRawPointer
        let root: UnsafeMutablePointer<Atomic<UInt32>>

        /// The value of the longest prefix that holds `address`; `noValue` where none does.
        public func lookup(_ address: IPv6Address) -> UInt32 {
            var (entry, depth) = (rootEntry, 0)
            while true {
                let node = PrefixNode(base, entry)
                switch entry.kind {
                case PrefixEntry.Kind.sparse8, PrefixEntry.Kind.runs8:
                    entry = node.load8(address.byte(depth))
                    depth &+= 8
                case PrefixEntry.Kind.node16:
                    entry = node.load(node.offset16(of: address.pair(depth)))
                    depth &+= 16
                case PrefixEntry.Kind.skip:
                    depth = node.depth
                    let isShared = address.shares(depth, with: node.address)
                    entry = node.load(isShared ? PrefixNode.Offset.entrySkip : PrefixNode.Offset.handedSkip)
                default: return entry.value
                }
            }
        }

        /// Looks up many addresses.
        /// - Parameters:
        ///   - addresses: the first; the others follow `stride` bytes apart.
        ///   - results: where the first value is put, or `noValue`; the others follow `resultStride` bytes apart.
        public func lookup(
            count: Int, addresses: UnsafeRawPointer, stride: Int, results: UnsafeMutableRawPointer, resultStride: Int
        ) {
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: Self.width) { entries in
                withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 2 * Self.width) { places in
                    let walkers = Walkers(entries.baseAddress!, places.baseAddress!)
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

        @inline(__always)
        private var rootEntry: PrefixEntry { PrefixEntry(rawValue: root.pointee.load(ordering: .acquiring)) }

        /// Addresses on their way down, by their numbers. Those that have gone through nodes of 8 bits alone are at the
        /// same depth; the others are few where prefixes are dense, and go on behind them.
        private struct Walkers {
            /// What each goes to next, or has come to.
            let entries: UnsafeMutablePointer<UInt32>
            /// Those that go on.
            let places: UnsafeMutablePointer<UInt8>
            var count = 0
            /// Where they are, in bits; a multiple of 8.
            var depth = 0
            /// Where each of the others is.
            let depths: UnsafeMutablePointer<UInt8>

            /// Room for what each has, in 4 bytes and in one.
            @inline(__always)
            init(_ words: UnsafeMutablePointer<UInt32>, _ bytes: UnsafeMutablePointer<UInt8>) {
                (entries, places, depths) = (words, bytes, bytes + width)
            }
        }

        @inline(__always)
        private func lookupSome(
            _ count: Int, _ addresses: UnsafeRawPointer, _ stride: Int, _ results: UnsafeMutableRawPointer,
            _ resultStride: Int, _ walkers: consuming Walkers
        ) {
            begin(count, addresses, stride, &walkers)
            while walkers.count != 0 { takeStep(addresses, stride, &walkers) }
            var anyBits: UInt32 = 0
            for index in 0..<count { anyBits |= walkers.entries[index] }
            if PrefixEntry(rawValue: anyBits).isRare {
                collectRare(count, &walkers)
                while walkers.count != 0 { takeRareStep(addresses, stride, &walkers) }
            }
            for index in 0..<count {
                let found = PrefixEntry(rawValue: walkers.entries[index])
                (results + index &* resultStride).storeBytes(of: found.value, as: UInt32.self)
            }
        }

        /// Takes the first steps, which are the same for all: past what all prefixes share, and through a node of 16
        /// bits behind it.
        @inline(__always)
        private func begin(
            _ count: Int, _ addresses: UnsafeRawPointer, _ stride: Int, _ walkers: inout Walkers
        ) {
            var (below, outside, shared, depth) = (rootEntry, PrefixEntry.none, UInt64(0), 0)
            if below.kind == PrefixEntry.Kind.skip {
                let skip = PrefixNode(base, below)
                // What all share is shorter than half of an address, but for a few prefixes that lie close together.
                if skip.depth < 64 {
                    (depth, shared) = (skip.depth, skip.address.high)
                    outside = skip.load(PrefixNode.Offset.handedSkip)
                    below = skip.load(PrefixNode.Offset.entrySkip)
                }
            }
            let mask = ~(UInt64.max &>> UInt64(depth))
            if below.kind == PrefixEntry.Kind.node16 {
                let entries = PrefixNode(base, below)
                walkers.depth = depth &+ 16
                for index in 0..<count {
                    let address = (addresses + index &* stride).load(as: UInt64.self)
                    let slot = Int(truncatingIfNeeded: (address &<< UInt64(depth)) &>> 48)
                    let next = entries.load(entries.offset16(of: slot))
                    keep(index, (address ^ shared) & mask == 0 ? next : outside, &walkers)
                }
            } else {
                walkers.depth = depth
                for index in 0..<count {
                    let address = (addresses + index &* stride).load(as: UInt64.self)
                    keep(index, (address ^ shared) & mask == 0 ? below : outside, &walkers)
                }
            }
        }

        /// Takes all that go on through a node of 8 bits each.
        @inline(__always)
        private func takeStep(_ addresses: UnsafeRawPointer, _ stride: Int, _ walkers: inout Walkers) {
            let left = walkers.count
            let bytes = addresses.addressByte(walkers.depth)
            walkers.count = 0
            walkers.depth &+= 8
            for position in 0..<left {
                let index = Int(walkers.places[position])
                let slot = Int((bytes + index &* stride).load(as: UInt8.self))
                let node = PrefixNode(base, PrefixEntry(rawValue: walkers.entries[index]))
                keep(index, node.load8(slot), &walkers)
            }
        }

        /// Keeps what a slot held; where it is a node of 8 bits, the address goes on. One at a rare node stays behind.
        @inline(__always)
        private func keep(_ index: Int, _ next: PrefixEntry, _ walkers: inout Walkers) {
            let goesOn = next.node8Mask
            fetch(next.offset & goesOn)
            walkers.entries[index] = next.rawValue
            walkers.places[walkers.count] = UInt8(truncatingIfNeeded: index)
            walkers.count &-= goesOn
        }

        /// Has the first three lines of a node fetched, which most have no more of. Nothing leads to line 0.
        @inline(__always)
        private func fetch(_ offset: Int) {
            CPrefetch_line(base + offset)
            CPrefetch_line(base + offset + PrefixMemory.lineSize)
            CPrefetch_line(base + offset + 2 * PrefixMemory.lineSize)
        }

        // MARK: Behind the others

        /// Finds those that stayed behind.
        @inline(__always)
        private func collectRare(_ count: Int, _ walkers: inout Walkers) {
            for index in 0..<count { keepRare(index, PrefixEntry(rawValue: walkers.entries[index]), &walkers) }
        }

        @inline(__always)
        private func keepRare(_ index: Int, _ next: PrefixEntry, _ walkers: inout Walkers) {
            let goesOn = next.isNode
            fetch(goesOn ? next.offset : 0)
            walkers.places[walkers.count] = UInt8(truncatingIfNeeded: index)
            walkers.count &+= goesOn ? 1 : 0
        }

        /// Takes them a step further, each from where it is; the first is one whose node knows its depth.
        @inline(__always)
        private func takeRareStep(_ addresses: UnsafeRawPointer, _ stride: Int, _ walkers: inout Walkers) {
            let left = walkers.count
            walkers.count = 0
            for position in 0..<left {
                let index = Int(walkers.places[position])
                let address = addresses + index &* stride
                let entry = PrefixEntry(rawValue: walkers.entries[index])
                let node = PrefixNode(base, entry)
                var (next, depth) = (PrefixEntry.none, 0)
                switch entry.kind {
                case PrefixEntry.Kind.skip:
                    depth = node.depth
                    let isShared = address.load(as: IPv6Address.self).shares(depth, with: node.address)
                    next = node.load(isShared ? PrefixNode.Offset.entrySkip : PrefixNode.Offset.handedSkip)
                case PrefixEntry.Kind.node16:
                    depth = node.depth16
                    next = node.load(node.offset16(of: address.addressPair(depth)))
                    depth &+= 16
                default:
                    depth = Int(walkers.depths[index])
                    next = node.load8(Int(address.addressByte(depth).load(as: UInt8.self)))
                    depth &+= 8
                }
                walkers.entries[index] = next.rawValue
                walkers.depths[index] = UInt8(truncatingIfNeeded: depth)
                keepRare(index, next, &walkers)
            }
        }
    }
}

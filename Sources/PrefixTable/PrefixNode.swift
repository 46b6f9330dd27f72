// Nodes of the trie, as bytes in lines of 64. A node begins at some depth, a number of bits that all addresses below it
// share, and tells apart the next 4, 8 or 16; one that skips stands where all addresses below share more bits than that.
//
//     node 8    bitmap of the slots that hold something (32 bytes) │ inherited (4) │ slots before each quarter (4) │ entries
//     node 4    16 entries, one line
//     node 16   inherited, one line │ 65,536 entries
//     skip      address (16 bytes) │ inherited (4) │ depth of the node below (4) │ its entry (4)
//
// Inherited is the value that the slot above would have if this node were not in it. A node of 4 bits has no place for it:
// its empty slots hold it.

import Synchronization
import Wire

typealias PrefixSlot = UnsafeMutablePointer<Atomic<UInt32>>

/// A node, by the address of its first byte.
@usableFromInline
struct PrefixNode {
    @usableFromInline
    enum Offset {
        @inlinable static var inherited8: Int { 32 }
        @inlinable static var ranks8: Int { 36 }
        @inlinable static var entries8: Int { 40 }
        @inlinable static var entries16: Int { 64 }
        @inlinable static var inheritedSkip: Int { 16 }
        @inlinable static var depthSkip: Int { 20 }
        @inlinable static var entrySkip: Int { 24 }
    }

    @usableFromInline let start: UnsafeMutableRawPointer

    @inlinable @inline(__always)
    init(_ start: UnsafeMutableRawPointer) { self.start = start }

    /// The node that an entry names.
    @inline(__always)
    init(_ base: UnsafeMutableRawPointer, _ entry: PrefixEntry) {
        start = base + entry.line &* PrefixMemory.lineSize
    }

    @inlinable @inline(__always)
    func load(_ offset: Int) -> PrefixEntry {
        PrefixEntry(
            rawValue: (start + offset).assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .acquiring))
    }

    func store(_ entry: PrefixEntry, _ offset: Int) {
        slot(offset).pointee.store(entry.rawValue, ordering: .releasing)
    }

    func slot(_ offset: Int) -> PrefixSlot { (start + offset).assumingMemoryBound(to: Atomic<UInt32>.self) }

    // MARK: Of 8 bits

    /// Where a slot's entry stands; nil where the slot is empty.
    func offset8(of slot: Int) -> Int? {
        let (isThere, offset) = place8(slot)
        return isThere == 0 ? nil : offset
    }

    /// Whether a slot holds something, as a mask, and where its entry stands; the first where it holds nothing.
    @inline(__always)
    func place8(_ slot: Int) -> (isThere: UInt32, offset: Int) {
        let quarter = slot &>> 6
        let word = start.load(fromByteOffset: quarter &* 8, as: UInt64.self)
        let before = Int(start.load(fromByteOffset: Offset.ranks8 &+ quarter, as: UInt8.self))
        let isThere = 0 &- ((word &>> UInt64(slot)) & 1)
        let place = before &+ (word & ((1 &<< UInt64(slot)) &- 1)).nonzeroBitCount
        return (UInt32(truncatingIfNeeded: isThere), Offset.entries8 &+ (place & Int(bitPattern: UInt(isThere))) &* 4)
    }

    /// What a slot holds.
    @inline(__always)
    func load8(_ slot: Int) -> PrefixEntry {
        let (isThere, offset) = place8(slot)
        return PrefixEntry(rawValue: load(offset).rawValue & isThere)
    }

    /// How many slots hold something.
    var count8: Int {
        Int(start.load(fromByteOffset: Offset.ranks8 + 3, as: UInt8.self))
            + start.load(fromByteOffset: 24, as: UInt64.self).nonzeroBitCount
    }

    static func lines8(_ count: Int) -> Int { (Offset.entries8 + count * 4 + 63) / 64 }

    // MARK: Skips

    @inlinable @inline(__always)
    var depth: Int { Int(start.load(fromByteOffset: Offset.depthSkip, as: UInt32.self)) }

    @inlinable @inline(__always)
    var address: IPv6Address {
        IPv6Address(high: start.load(as: UInt64.self), low: start.load(fromByteOffset: 8, as: UInt64.self))
    }
}

extension UnsafeRawPointer {
    /// The 8 bits from `depth` on, a multiple of 8, of the address that lies here: without a branch.
    @inline(__always)
    func addressByte(_ depth: Int) -> Int { addressBits(depth, 8) }

    /// The 16 bits from `depth` on, a multiple of 16, of the address that lies here.
    @inline(__always)
    func addressPair(_ depth: Int) -> Int { addressBits(depth, 16) }

    @inline(__always)
    private func addressBits(_ depth: Int, _ count: UInt64) -> Int {
        // Its halves lie one behind the other.
        let half = load(fromByteOffset: ((depth &>> 6) & 1) &* 8, as: UInt64.self)
        return Int(truncatingIfNeeded: (half &<< UInt64(depth)) &>> (64 &- count))
    }
}

extension IPv6Address {
    /// The 8 bits from `depth` on, a multiple of 8 below 128.
    @inline(__always)
    func byte(_ depth: Int) -> Int { bits(depth, 8) }

    /// The 16 bits from `depth` on, a multiple of 16 of at most 112.
    @inline(__always)
    func pair(_ depth: Int) -> Int { bits(depth, 16) }

    @inline(__always)
    private func bits(_ depth: Int, _ count: UInt64) -> Int {
        let half = depth < 64 ? high : low
        return Int(truncatingIfNeeded: (half &<< UInt64(depth)) &>> (64 &- count))
    }

    /// Whether the first `length` bits, up to 128, are those of another.
    @inlinable @inline(__always)
    func shares(_ length: Int, with other: IPv6Address) -> Bool {
        let (high, low) = (high ^ other.high, low ^ other.low)
        return length <= 64
            ? length == 0 || high &>> UInt64(64 &- length) == 0
            : high == 0 && low &>> UInt64(128 &- length) == 0
    }

    /// How many leading bits the two have in common, 0 to 128.
    func sharedLength(with other: IPv6Address) -> Int {
        high != other.high
            ? (high ^ other.high).leadingZeroBitCount : 64 + (low ^ other.low).leadingZeroBitCount
    }

    /// The address with the 8 bits from `depth` on set to a slot's number.
    func settingByte(_ depth: Int, to slot: Int) -> IPv6Address {
        var address = self
        if depth < 64 {
            address.high = high & ~(0xFF << UInt64(56 - depth)) | UInt64(slot) << UInt64(56 - depth)
        } else {
            address.low = low & ~(0xFF << UInt64(120 - depth)) | UInt64(slot) << UInt64(120 - depth)
        }
        return address
    }
}

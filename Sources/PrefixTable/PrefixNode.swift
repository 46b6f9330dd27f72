// Nodes of the trie, as bytes in lines of 64. A node begins at some depth, a number of bits that all addresses below it
// share, and tells apart the next 8 or 16; one that skips stands where all addresses below share more bits than that.
//
//     node 8    bitmap (32 bytes) │ inherited (4) │ bits before each quarter (4) │ handed (4) │ an entry for each bit
//     node 16   inherited (4) │ depth (4) │ removals (4) │ padding to a line │ 65,536 entries
//     skip      address (16 bytes) │ inherited (4) │ depth of the node below (4) │ its entry (4) │ handed (4)
//
// A node of 8 bits is one of two. Of a sparse one, the bitmap tells which slots have an entry; all others hold what is
// handed down. Of the other, slots beside each other that hold the same are a run, and the bitmap tells where runs begin.
// Either way a reader counts the bits up to its slot's, and reads the entry of that number; that of number 0 is what is
// handed down. Whichever takes less is made: sparse for prefixes that end with a byte of the address, runs for others.
//
// Handed down is the longest prefix further up, to slots in which none ends, and to what lies outside of a skip. Thus the
// last entry that a reader comes to is its answer. Inherited is the prefix that ends in the slot which leads to a node, if
// one does; only the writer asks for it. Removals are how many the writer allows before it looks at the node.

import Synchronization
import Wire

typealias PrefixSlot = UnsafeMutablePointer<Atomic<UInt32>>

/// A node, by the address of its first byte.
struct PrefixNode {
    enum Offset {
        static var inherited8: Int { 32 }
        static var before8: Int { 36 }
        static var handed8: Int { 40 }
        static var entries8: Int { 44 }
        static var inherited16: Int { 0 }
        static var depth16: Int { 4 }
        static var removals16: Int { 8 }
        static var entries16: Int { 64 }
        static var inheritedSkip: Int { 16 }
        static var depthSkip: Int { 20 }
        static var entrySkip: Int { 24 }
        static var handedSkip: Int { 28 }
    }

    let start: UnsafeMutableRawPointer
    /// All bits are set for a node of 8 bits whose bitmap tells where runs begin, none for a sparse one.
    private let runsMask: Int

    /// The node that an entry names.
    @inline(__always)
    init(_ base: UnsafeMutableRawPointer, _ entry: PrefixEntry) {
        start = base + entry.offset
        runsMask = 0 &- Int(entry.rawValue & 1)
    }

    @inline(__always)
    func load(_ offset: Int) -> PrefixEntry {
        PrefixEntry(
            rawValue: (start + offset).assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .acquiring))
    }

    func store(_ entry: PrefixEntry, _ offset: Int) {
        slot(offset).pointee.store(entry.rawValue, ordering: .releasing)
    }

    func slot(_ offset: Int) -> PrefixSlot { (start + offset).assumingMemoryBound(to: Atomic<UInt32>.self) }

    // MARK: Of 8 bits

    /// Where that stands which a slot holds.
    @inline(__always)
    func offset8(of slot: Int) -> Int {
        let quarter = slot &>> 6
        let word = start.load(fromByteOffset: quarter &* 8, as: UInt64.self)
        let before = Int(start.load(fromByteOffset: Offset.before8 &+ quarter, as: UInt8.self))
        // The slot's own bit becomes the highest; shifts take the lowest six bits of a number.
        let upToSlot = word &<< ~UInt64(truncatingIfNeeded: slot)
        let hasEntry = Int(truncatingIfNeeded: Int64(bitPattern: upToSlot) &>> 63) | runsMask
        return Offset.handed8 &+ ((before &+ upToSlot.nonzeroBitCount) & hasEntry) &* 4
    }

    /// How many bits are set up to a slot's: entries have numbers from 1 on.
    func number8(of slot: Int) -> Int {
        let word = start.load(fromByteOffset: slot >> 6 * 8, as: UInt64.self)
        return Int(start.load(fromByteOffset: Offset.before8 + (slot >> 6), as: UInt8.self))
            + (word << UInt64(63 - slot & 63)).nonzeroBitCount
    }

    /// What a slot holds.
    @inline(__always)
    func load8(_ slot: Int) -> PrefixEntry { load(offset8(of: slot)) }

    /// Whether a slot's bit is set.
    func hasBit8(_ slot: Int) -> Bool {
        start.load(fromByteOffset: slot >> 6 * 8, as: UInt64.self) >> UInt64(slot & 63) & 1 != 0
    }

    /// Where the entries stand that are those of the slots of a range and of no others; nil where there are none such.
    func offsets8(of range: Range<Int>) -> StrideThrough<Int>? {
        let areOwn =
            runsMask == 0
            ? range.allSatisfy(hasBit8)
            : hasBit8(range.lowerBound) && (range.upperBound == 256 || hasBit8(range.upperBound))
        guard areOwn else { return nil }
        return stride(from: offset8(of: range.lowerBound), through: offset8(of: range.upperBound - 1), by: 4)
    }

    /// How many entries there are.
    var count8: Int {
        Int(start.load(fromByteOffset: Offset.before8 + 3, as: UInt8.self))
            + start.load(fromByteOffset: 24, as: UInt64.self).nonzeroBitCount
    }

    /// Where all entries stand.
    var entries8: StrideTo<Int> { stride(from: Offset.entries8, to: Offset.entries8 + count8 * 4, by: 4) }

    static func lines8(_ count: Int) -> Int { (Offset.entries8 + count * 4 + 63) / 64 }

    // MARK: Of 16 bits

    /// Where a slot's entry stands.
    @inline(__always)
    func offset16(of slot: Int) -> Int { Offset.entries16 &+ slot &* 4 }

    /// How many bits lie before it.
    @inline(__always)
    var depth16: Int { Int(start.load(fromByteOffset: Offset.depth16, as: UInt32.self)) }

    // MARK: Skips

    /// How many bits lie before the node below.
    @inline(__always)
    var depth: Int { Int(start.load(fromByteOffset: Offset.depthSkip, as: UInt32.self)) }

    @inline(__always)
    var address: IPv6Address {
        IPv6Address(high: start.load(as: UInt64.self), low: start.load(fromByteOffset: 8, as: UInt64.self))
    }
}

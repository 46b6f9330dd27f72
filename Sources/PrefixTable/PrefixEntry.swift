// What stands in a slot of a node: nothing, a value, or a node below. 32 bits, so that it is changed by one store.
//
//     bit    31 ........................ 7  6 .. 3  2 .. 0
//     value │ value (25 bits)             │ rank   │ kind │
//     node  │ line of its first byte (29 bits)     │ kind │
//
// The rank of a value is how many bits its prefix is longer than the node's own, less one: it tells the writer which of
// two prefixes is the longer, and readers pass it over.

/// The content of a slot.
struct PrefixEntry: Equatable, BitwiseCopyable, Sendable {
    enum Kind {
        /// Nothing; or, with a bit of the rank set, a prefix that ends further up, handed down to a slot in which none ends.
        static var handedDown: UInt32 { 0 }
        /// A prefix that ends in this node.
        static var value: UInt32 { 1 }
        // Nodes; bit 1 says that it is one of those that are rare further down, bit 2 that it is one of the others.
        static var node16: UInt32 { 2 }
        static var skip: UInt32 { 3 }
        static var sparse8: UInt32 { 4 }
        static var runs8: UInt32 { 5 }
    }

    let rawValue: UInt32

    @inline(__always)
    init(rawValue: UInt32) { self.rawValue = rawValue }

    static var none: PrefixEntry { PrefixEntry(rawValue: 0) }

    /// - Parameter rank: 1 to 16, bits beyond those of the node.
    init(value: UInt32, rank: Int) { rawValue = value << 7 | UInt32(rank - 1) << 3 | Kind.value }

    init(node kind: UInt32, line: UInt32) { rawValue = line << 3 | kind }

    @inline(__always)
    var kind: UInt32 { rawValue & 7 }

    /// Of a node, in bytes from the first of all lines.
    @inline(__always)
    var offset: Int { Int(rawValue & ~7) &* (PrefixMemory.lineSize / 8) }

    var line: UInt32 { rawValue >> 3 }

    /// Of a value; `PrefixTable.noValue` where it is nothing. Without a branch, which the processor would guess wrong.
    @inline(__always)
    var value: UInt32 { rawValue &>> 7 | ~(0 &- ((rawValue | (0 &- rawValue)) &>> 31)) }

    var isNone: Bool { rawValue == 0 }

    @inline(__always)
    var isNode: Bool { kind >= Kind.node16 }

    var isNode8: Bool { rawValue & 4 != 0 }

    /// Whether it is a skip or a node of 16 bits.
    @inline(__always)
    var isRare: Bool { rawValue & 2 != 0 }

    /// Whether it is a prefix that ends in this node.
    var isOwn: Bool { kind == Kind.value }

    /// Of a prefix that ends in this node, in bits: 1 to 16.
    var rank: Int { Int(rawValue >> 3 & 15) + 1 }

    /// All bits are set for a node of 8 bits, none for all else: for readers, without a branch.
    @inline(__always)
    var node8Mask: Int { 0 &- Int(truncatingIfNeeded: (rawValue &>> 2) & 1) }

    // MARK: For the writer

    /// The same value, as it is handed down.
    var handedDown: PrefixEntry { isNone ? self : PrefixEntry(rawValue: rawValue & ~0x7F | 1 << 3 | Kind.handedDown) }

    /// The same value seen from a node that begins so many bits further up.
    func raised(by bits: Int) -> PrefixEntry { isNone ? self : PrefixEntry(value: value, rank: rank + bits) }

    /// The same value seen from a node that begins so many bits further down, in which its prefix ends too.
    func lowered(by bits: Int) -> PrefixEntry { PrefixEntry(value: value, rank: rank - bits) }

    /// The entry, or another where this is nothing.
    func or(_ other: PrefixEntry) -> PrefixEntry { isNone ? other : self }
}

// What stands in a slot of a node: nothing, a value, or a node below. 32 bits, so that it is changed by one store.
//
//     bit    31 ........................ 7  6 .. 3  2 .. 0
//     value │ value (25 bits)             │ rank   │ kind │
//     node  │ line of its first byte (29 bits)     │ kind │
//
// The rank of a value is how many bits its prefix is longer than the node's own, less one: it tells the writer which of
// two prefixes is the longer, and readers pass it over.

/// The content of a slot.
@usableFromInline
struct PrefixEntry: Equatable, BitwiseCopyable, Sendable {
    @usableFromInline
    enum Kind {
        @inlinable static var none: UInt32 { 0 }
        /// A prefix that ends in this node.
        @inlinable static var value: UInt32 { 1 }
        /// A prefix that ends further up, where a node has no other place for it.
        @inlinable static var inherited: UInt32 { 2 }
        // Bit 2 says that it is a node, bit 1 that it is one of those that are rare further down.
        @inlinable static var node8: UInt32 { 4 }
        @inlinable static var node4: UInt32 { 5 }
        @inlinable static var node16: UInt32 { 6 }
        @inlinable static var skip: UInt32 { 7 }
    }

    @usableFromInline let rawValue: UInt32

    @inlinable @inline(__always)
    init(rawValue: UInt32) { self.rawValue = rawValue }

    static var none: PrefixEntry { PrefixEntry(rawValue: 0) }

    /// - Parameter rank: 1 to 16, bits beyond those of the node.
    init(value: UInt32, rank: Int) { rawValue = value << 7 | UInt32(rank - 1) << 3 | Kind.value }

    init(node kind: UInt32, line: UInt32) { rawValue = line << 3 | kind }

    @inlinable @inline(__always)
    var kind: UInt32 { rawValue & 7 }

    @inlinable @inline(__always)
    var line: Int { Int(rawValue >> 3) }

    @inlinable @inline(__always)
    var value: UInt32 { rawValue >> 7 }

    /// The entry, or another where this is none.
    @inline(__always)
    func or(_ other: PrefixEntry) -> PrefixEntry { rawValue != 0 ? self : other }

    @inline(__always)
    var isNone: Bool { rawValue == 0 }
    var isNode: Bool { kind >= Kind.node8 }

    /// Of a value, in bits: 1 to 16.
    var rank: Int { Int(rawValue >> 3 & 15) + 1 }

    // MARK: Without a branch

    // Whether a slot holds a value or a node can't be guessed, and a wrong guess costs as much as all else of a step. So
    // these are masks, all bits set for true: the compiler makes no branch of them.

    /// Whether it is anything.
    @inline(__always)
    var isSomeMask: UInt32 { 0 &- ((rawValue | (0 &- rawValue)) &>> 31) }

    /// Whether it is a node.
    @inline(__always)
    var isNodeMask: UInt32 { 0 &- ((rawValue &>> 2) & 1) }

    /// Of a node of 8 or 4 bits: whether it is the latter.
    @inline(__always)
    var isNode4Mask: UInt32 { 0 &- (rawValue & 1) }

    /// Whether it is a node of neither 8 nor 4 bits.
    @inline(__always)
    var isRareNodeMask: UInt32 { 0 &- ((rawValue &>> 2) & (rawValue &>> 1) & 1) }

    /// The entry, or another where a mask is clear.
    @inline(__always)
    func or(_ other: PrefixEntry, unless mask: UInt32) -> PrefixEntry {
        PrefixEntry(rawValue: other.rawValue ^ ((other.rawValue ^ rawValue) & mask))
    }

    // MARK: Values handed down

    /// The same value, as it is handed down.
    var inherited: PrefixEntry { isNone ? self : PrefixEntry(rawValue: rawValue & ~7 | Kind.inherited) }

    /// The value that was handed down, as it stood above.
    var own: PrefixEntry { isNone ? self : PrefixEntry(rawValue: rawValue & ~7 | Kind.value) }

    /// The same value seen from a node that begins so many bits further up.
    func raised(by bits: Int) -> PrefixEntry { isNone ? self : PrefixEntry(value: value, rank: rank + bits) }
}

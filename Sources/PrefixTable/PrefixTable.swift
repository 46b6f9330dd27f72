// Longest-prefix match for IPv6: a binary trie in which a chain of nodes with one child is one node (Morrison 1968).
// One writer changes it in place; readers take no lock. A node's prefix never changes once the node can be reached:
// what the writer changes are children and values, each a single atomic store, so that a look-up sees the table either
// before or after it. A node that is taken out keeps its content until every reader has passed a quiescent point.
//
// A look-up is no single moment, though: where a prefix is put and a longer one that held the same address is removed
// while a reader stands between the two, it would see neither. So a reader that has found nothing looks again until no
// removal has begun meanwhile; an address that is held at every moment is found.
//
// The same walk answers the writer's question whether a prefix overlaps one that is held (RFC 5454, 3.3): what overlaps
// lies on the way to it, or below it.

import Glibc
import Synchronization
import Wire

/// A node. Number 0 is the root, `::/0`; as a child, 0 means that there is none.
@usableFromInline
struct PrefixNode: ~Copyable {
    @usableFromInline let prefix: IPv6Prefix
    @usableFromInline let value: Atomic<UInt32>
    @usableFromInline let zeroChild: Atomic<UInt32>
    @usableFromInline let oneChild: Atomic<UInt32>

    init(prefix: IPv6Prefix, value: UInt32) {
        self.prefix = prefix
        self.value = Atomic(value)
        zeroChild = Atomic(0)
        oneChild = Atomic(0)
    }
}

/// A table from IPv6 prefixes to numbers, for one writer. Look-ups are made by a `Reader`.
public final class PrefixTable {
    /// In place of a value: nothing is there.
    public static let noValue = UInt32.max

    /// Prefixes it holds at the most.
    public let capacity: Int
    /// Prefixes it holds.
    public private(set) var count = 0

    private let nodes: Slab<PrefixNode>
    /// Removals that have begun.
    private let removals: UnsafeMutablePointer<Atomic<UInt64>>

    /// An empty table.
    /// - Parameters:
    ///   - capacity: prefixes it holds at the most; positive.
    ///   - quiescentStates: of the threads that look things up.
    /// - Throws: `SlabError` where there is no address space for it.
    public init(capacity: Int, quiescentStates: QuiescentStates) throws(SlabError) {
        precondition(capacity > 0, "a table holds at least one prefix")
        self.capacity = capacity
        // A prefix needs a node of its own and at most one where its way parts from another's. As many again may be
        // waiting for the readers.
        nodes = try Slab(capacity: capacity * 4 + 4096, quiescentStates: quiescentStates)
        removals = .allocate(capacity: 1)
        removals.initialize(to: Atomic(0))
        guard let root = nodes.take(), root == 0 else { preconditionFailure("an empty slab gives number 0 first") }
        initialize(root, prefix: IPv6Prefix(containing: .unspecified, length: 0), value: Self.noValue)
    }

    deinit { removals.deallocate() }

    /// Looks things up, on a thread that has registered with the table's quiescent states. The table must outlive it.
    public var reader: Reader { Reader(nodes: nodes.base, removals: removals) }

    /// Puts a prefix, or gives it another value.
    /// - Parameter value: not `noValue`.
    /// - Returns: the value it had; nil where the prefix is new.
    /// - Throws: `PrefixTableFull`, with nothing changed.
    @discardableResult
    public func insert(_ prefix: IPv6Prefix, value: UInt32) throws(PrefixTableFull) -> UInt32? {
        precondition(value != Self.noValue, "that value says that there is none")
        var node: UInt32 = 0
        while true {
            if nodes.base[Int(node)].prefix.length == prefix.length {
                return try setValue(of: node, to: value)
            }
            let side = prefix.address.bit(nodes.base[Int(node)].prefix.length)
            let child = self.child(of: node, side)
            if child == 0 {
                guard count < capacity else { throw PrefixTableFull(capacity: capacity) }
                setChild(of: node, side, to: newNode(prefix, value: value))
                count += 1
                return nil
            }
            let childPrefix = nodes.base[Int(child)].prefix
            let shared = min(
                prefix.address.sharedLength(with: childPrefix.address), prefix.length, childPrefix.length)
            if shared == childPrefix.length {
                node = child
                continue
            }
            guard count < capacity else { throw PrefixTableFull(capacity: capacity) }
            let new = newNode(prefix, value: value)
            if shared == prefix.length {
                setChild(of: new, childPrefix.address.bit(shared), to: child)
                setChild(of: node, side, to: new)
            } else {
                let fork = newNode(IPv6Prefix(containing: prefix.address, length: shared), value: Self.noValue)
                setChild(of: fork, childPrefix.address.bit(shared), to: child)
                setChild(of: fork, prefix.address.bit(shared), to: new)
                setChild(of: node, side, to: fork)
            }
            count += 1
            return nil
        }
    }

    /// Takes a prefix out.
    /// - Returns: the value it had; nil where it was not there.
    @discardableResult
    public func remove(_ prefix: IPv6Prefix) -> UInt32? {
        var grandparent: UInt32 = 0
        var parent: UInt32 = 0
        var node: UInt32 = 0
        while nodes.base[Int(node)].prefix != prefix {
            let here = nodes.base[Int(node)].prefix
            guard here.length < prefix.length, here.contains(prefix.address) else { return nil }
            (grandparent, parent) = (parent, node)
            node = child(of: node, prefix.address.bit(here.length))
            guard node != 0 else { return nil }
        }
        let old = self.value(of: node)
        guard old != Self.noValue else { return nil }
        // Before its first effect, so that who sees the effect sees this too; behind all insertions before it.
        removals.pointee.add(1, ordering: .acquiringAndReleasing)
        nodes.base[Int(node)].value.store(Self.noValue, ordering: .releasing)
        count -= 1
        collapse(node, below: parent)
        // The node above may have been there only to part two ways, of which one is now gone.
        if parent != 0, value(of: parent) == Self.noValue { collapse(parent, below: grandparent) }
        return old
    }

    /// The value of exactly that prefix; nil where it is not there.
    public func value(of prefix: IPv6Prefix) -> UInt32? {
        var result: UInt32?
        forEachOverlap(with: prefix) { other, value in
            if other == prefix { result = value }
            return other.length < prefix.length
        }
        return result
    }

    /// Calls `body` with each prefix that has an address in common with `prefix`, the shorter before the longer, until
    /// it returns false.
    public func forEachOverlap(with prefix: IPv6Prefix, _ body: (IPv6Prefix, UInt32) -> Bool) {
        var pending: [UInt32] = [0]
        while let node = pending.popLast() {
            let here = nodes.base[Int(node)].prefix
            guard here.overlaps(prefix) else { continue }
            let value = self.value(of: node)
            if value != Self.noValue, !body(here, value) { return }
            if here.length < prefix.length {
                let next = child(of: node, prefix.address.bit(here.length))
                if next != 0 { pending.append(next) }
            } else {
                for side in [true, false] {
                    let next = child(of: node, side)
                    if next != 0 { pending.append(next) }
                }
            }
        }
    }

    // MARK: Nodes

    /// Takes a node without value and with at most one child out of the trie.
    private func collapse(_ node: UInt32, below parent: UInt32) {
        guard node != 0 else { return }
        let (zero, one) = (child(of: node, false), child(of: node, true))
        guard zero == 0 || one == 0 else { return }
        let side = nodes.base[Int(node)].prefix.address.bit(nodes.base[Int(parent)].prefix.length)
        setChild(of: parent, side, to: zero | one)
        nodes.retire(node)
    }

    private func newNode(_ prefix: IPv6Prefix, value: UInt32) -> UInt32 {
        while true {
            if let number = nodes.take() {
                initialize(number, prefix: prefix, value: value)
                return number
            }
            // Only retired nodes are left, and readers pass within one batch.
            sched_yield()
        }
    }

    private func initialize(_ node: UInt32, prefix: IPv6Prefix, value: UInt32) {
        (nodes.base + Int(node)).initialize(to: PrefixNode(prefix: prefix, value: value))
    }

    private func setValue(of node: UInt32, to value: UInt32) throws(PrefixTableFull) -> UInt32? {
        if self.value(of: node) == Self.noValue {
            guard count < capacity else { throw PrefixTableFull(capacity: capacity) }
            count += 1
        }
        let old = nodes.base[Int(node)].value.exchange(value, ordering: .acquiringAndReleasing)
        return old == Self.noValue ? nil : old
    }

    private func value(of node: UInt32) -> UInt32 {
        nodes.base[Int(node)].value.load(ordering: .relaxed)
    }

    private func child(of node: UInt32, _ side: Bool) -> UInt32 {
        side
            ? nodes.base[Int(node)].oneChild.load(ordering: .relaxed)
            : nodes.base[Int(node)].zeroChild.load(ordering: .relaxed)
    }

    private func setChild(of node: UInt32, _ side: Bool, to child: UInt32) {
        if side {
            nodes.base[Int(node)].oneChild.store(child, ordering: .releasing)
        } else {
            nodes.base[Int(node)].zeroChild.store(child, ordering: .releasing)
        }
    }
}

extension PrefixTable {
    /// The reading side: plain values, no reference counted.
    public struct Reader: @unchecked Sendable {
        @usableFromInline let nodes: UnsafeMutablePointer<PrefixNode>
        @usableFromInline let removals: UnsafeMutablePointer<Atomic<UInt64>>

        /// The value of the longest prefix that holds `address`; `noValue` where none does.
        @inlinable @inline(__always)
        public func lookup(_ address: IPv6Address) -> UInt32 {
            let value = walk(address)
            return value == PrefixTable.noValue ? lookupAgain(address) : value
        }

        @usableFromInline @inline(never)
        func lookupAgain(_ address: IPv6Address) -> UInt32 {
            while true {
                let before = removals.pointee.load(ordering: .acquiring)
                let value = walk(address)
                if value != PrefixTable.noValue || removals.pointee.load(ordering: .acquiring) == before {
                    return value
                }
            }
        }

        @inlinable @inline(__always)
        func walk(_ address: IPv6Address) -> UInt32 {
            var best = nodes[0].value.load(ordering: .acquiring)
            var length: UInt8 = 0
            var node = nodes
            while length < 128 {
                let child =
                    address.bit(length)
                    ? node.pointee.oneChild.load(ordering: .acquiring)
                    : node.pointee.zeroChild.load(ordering: .acquiring)
                if child == 0 { break }
                node = nodes + Int(child)
                if !node.pointee.prefix.contains(address) { break }
                let value = node.pointee.value.load(ordering: .acquiring)
                if value != PrefixTable.noValue { best = value }
                length = node.pointee.prefix.length
            }
            return best
        }
    }
}

extension IPv6Address {
    /// The bit at `index`, 0 being the most significant; `index` is below 128.
    @inlinable @inline(__always)
    func bit(_ index: UInt8) -> Bool {
        index < 64 ? (high >> UInt64(63 - index)) & 1 != 0 : (low >> UInt64(127 - index)) & 1 != 0
    }

    /// How many leading bits the two have in common, 0 to 128.
    func sharedLength(with other: IPv6Address) -> UInt8 {
        high != other.high
            ? UInt8((high ^ other.high).leadingZeroBitCount) : UInt8(64 + (low ^ other.low).leadingZeroBitCount)
    }
}

/// The table holds as many prefixes as it may.
public struct PrefixTableFull: Error, CustomStringConvertible {
    /// How many that is.
    public let capacity: Int
    /// Says what to do.
    public var description: String { "the table is full with \(capacity) prefixes: raise the limit" }
}

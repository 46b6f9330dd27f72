// Longest-prefix match for IPv6: a trie whose nodes tell 8 bits apart, with a bitmap of where runs of equal slots begin
// (Asai and Ohara's poptrie is the nearest), and 16 bits where prefixes are dense. Bits that all prefixes below a node
// share are skipped. Each slot holds the longest prefix of all that hold its addresses, or leads to a node for them; so a
// look-up reads one slot of each node on its way, and the last one is its answer.
//
// One writer changes it in place; readers take no lock. A slot changes by a single store. What a node has in common with
// readers otherwise (its bitmap) never changes: where runs change, a new node takes the place of the old one, whose memory
// is used again when every reader has passed a quiescent point.
//
// A prefix is handed down to all slots below it in which no longer one ends. So a reader, which may come to a node just
// when it is replaced, still finds there what was true when it came: at no moment is an address that is held by one prefix
// or another found to be held by none. What this costs is that a prefix which holds many others takes as long to put as
// those are many; prefixes of two mobile nodes never overlap (RFC 5454, 3.3).

import Glibc
import Synchronization
import Wire

/// A table from IPv6 prefixes to numbers, for one writer. Look-ups are made by a `Reader`.
public final class PrefixTable {
    /// In place of a value: nothing is there.
    public static let noValue = UInt32.max
    /// No value is larger.
    public static let largestValue = UInt32(1) << 25 - 1

    /// Prefixes it holds at the most.
    public let capacity: Int
    /// Prefixes it holds.
    public var count: Int { rules.count }
    /// Bytes that it has in use, those that wait for readers included.
    public var bytesInUse: Int {
        memory.reclaim()
        return memory.linesInUse * PrefixMemory.lineSize + rules.bytes
    }

    let rules: PrefixRules
    let memory: PrefixMemory
    /// What leads to the first node: a slot of a node that isn't there, in which the prefix of length 0 ends.
    let root: PrefixSlot
    /// The slots of a node that is made anew.
    let slots = UnsafeMutablePointer<PrefixEntry>.allocate(capacity: 256)

    /// The way to a prefix that is taken out.
    var path: [Step] = []

    /// An empty table.
    /// - Parameters:
    ///   - capacity: prefixes it holds at the most; positive.
    ///   - quiescentStates: of the threads that look things up.
    /// - Throws: `SlabError` where there is no address space for it.
    public init(capacity: Int, quiescentStates: QuiescentStates) throws(SlabError) {
        precondition(capacity > 0, "a table holds at least one prefix")
        self.capacity = capacity
        rules = PrefixRules()
        // A prefix may need two nodes of 8 bits and two that skip; nodes may wait for the readers.
        memory = try PrefixMemory(lines: min(capacity * 16 + (1 << 18), 1 << 29 - 1), quiescentStates: quiescentStates)
        root = .allocate(capacity: 1)
        root.initialize(to: Atomic(0))
        slots.initialize(repeating: .none, count: 256)
    }

    deinit {
        root.deallocate()
        slots.deallocate()
    }

    /// Looks things up, on a thread that has registered with the table's quiescent states. The table must outlive it.
    public var reader: Reader { Reader(base: memory.base, root: root) }

    /// Puts a prefix, or gives it another value.
    /// - Parameter value: at most `largestValue`.
    /// - Returns: the value it had; nil where the prefix is new.
    /// - Throws: `PrefixTableFull`, with nothing changed.
    @discardableResult
    public func insert(_ prefix: IPv6Prefix, value: UInt32) throws(PrefixTableFull) -> UInt32? {
        precondition(value <= Self.largestValue, "a value has 25 bits")
        guard count < capacity || rules.value(of: prefix) != nil, memory.hasRoom(for: Self.linesPerInsertion) else {
            throw PrefixTableFull(capacity: capacity)
        }
        let old = rules.insert(prefix, value)
        place(prefix, value)
        return old
    }

    /// Takes a prefix out.
    /// - Returns: the value it had; nil where it was not there.
    @discardableResult
    public func remove(_ prefix: IPv6Prefix) -> UInt32? {
        guard let old = rules.remove(prefix) else { return nil }
        takeOut(prefix)
        return old
    }

    /// The value of exactly that prefix; nil where it is not there.
    public func value(of prefix: IPv6Prefix) -> UInt32? { rules.value(of: prefix) }

    func node(_ entry: PrefixEntry) -> PrefixNode { PrefixNode(memory.base, entry) }
}

/// The table holds as many prefixes as it may.
public struct PrefixTableFull: Error, CustomStringConvertible {
    /// How many that is.
    public let capacity: Int
    /// Says what to do.
    public var description: String { "the table is full with \(capacity) prefixes: raise the limit" }
}

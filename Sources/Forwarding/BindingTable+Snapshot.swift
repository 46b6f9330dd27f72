// All bindings of a table, out of it and into another: what a checkpoint is made of and what it is restored from. Copying
// takes a while and must not hold up changes, so the table notes the names of what is touched meanwhile.

import Bindings
import PrefixTable
import Wire

/// Names of what was touched while somebody copies a table.
struct TouchedNames<Name: Hashable> {
    /// How often something was touched, since the table was made.
    private(set) var count: UInt64 = 0
    /// What, since `isNoting` was set.
    private(set) var names: Set<Name> = []
    /// Whether names are kept. They are dropped where they no longer are.
    var isNoting = false {
        didSet { names = [] }
    }

    mutating func note(_ name: Name) {
        count &+= 1
        if isNoting { names.insert(name) }
    }

    /// The names so far; from now on they begin anew.
    mutating func take() -> Set<Name> {
        defer { names = [] }
        return names
    }
}

extension BindingTable {
    /// A binding with all that the table keeps of it.
    public struct Saved: Sendable {
        /// Its lifetime is what it was when it was put.
        public var binding: Binding
        /// When its lifetime ends, in nanoseconds on the clock of `put`; nil for ever.
        public var expiry: UInt64?
        /// As in `State`.
        public var revision: UInt64
        /// What went through it.
        public var traffic: BindingTraffic
        /// Of a GRE tunnel with sequence numbers: the next to send, and the last that was accepted.
        public var sequence: SequenceNumbers?

        /// Whose it is; empty where nobody has said.
        public var owner: String

        /// A binding with what is kept of it.
        public init(
            binding: Binding, expiry: UInt64?, revision: UInt64, traffic: BindingTraffic,
            sequence: SequenceNumbers?, owner: String
        ) {
            self.binding = binding
            self.expiry = expiry
            self.revision = revision
            self.traffic = traffic
            self.sequence = sequence
            self.owner = owner
        }
    }

    /// Where a GRE tunnel with sequence numbers is.
    public struct SequenceNumbers: Hashable, Sendable {
        /// The next to send.
        public var next: UInt32
        /// The last that was accepted.
        public var lastAccepted: UInt32

        /// A place in both directions.
        public init(next: UInt32, lastAccepted: UInt32) {
            self.next = next
            self.lastAccepted = lastAccepted
        }
    }

    /// How often a binding or group was touched since the table was made: the same number means that nothing has changed.
    public var touchCount: UInt64 { touched.count &+ groups.touched.count }

    /// How many bindings and groups were touched since `isNotingTouched` was set, or `takeTouched` called.
    public var touchedNameCount: Int { touched.names.count + groups.touched.names.count }

    /// Whether the names of what is touched are kept, for `takeTouched`.
    public var isNotingTouched: Bool {
        get { touched.isNoting }
        set {
            touched.isNoting = newValue
            groups.touched.isNoting = newValue
        }
    }

    /// What was touched since it was last asked: bindings that were put, changed or removed, and groups whose members
    /// changed.
    public func takeTouched() -> (ids: Set<String>, groups: Set<IPv6Address>) {
        (touched.take(), groups.touched.take())
    }

    /// All numbers of bindings are below it. A binding keeps its number as long as it is there, however often it is put.
    public var numberEnd: Int { Int(store.end) }

    /// The addresses of all groups.
    public var groupAddresses: [IPv6Address] { groups.addresses }

    /// The ids of a group's members, in the order in which they joined; none where there is no such group.
    public func members(ofGroup address: IPv6Address) -> [String] { groups.members(of: address) }

    /// What the table keeps of the binding of that number, which is below `numberEnd`; nil where there is none.
    public func saved(at number: Int) -> Saved? {
        store.isThere(UInt32(number)) ? saved(entry(UInt32(number))) : nil
    }

    /// What the table keeps of a binding; nil where there is none.
    public func saved(_ id: String) -> Saved? { entry(of: id).map(saved) }

    private func saved(_ entry: Entry) -> Saved {
        Saved(
            binding: entry.binding, expiry: entry.expiry, revision: entry.stored.revision,
            traffic: BindingTraffic(traffic.base[Int(entry.number)]),
            sequence: sequenceNumbers(of: entry), owner: owners[entry.stored.owner])
    }

    /// Sets what packets have changed of a binding that is there.
    func go(on saved: Saved, continuesSequence: Bool = true) {
        guard let entry = entry(of: saved.binding.id) else { preconditionFailure("what was put is there") }
        traffic.base[Int(entry.number)].set(saved.traffic)
        if continuesSequence, let numbers = saved.sequence, let slot = entry.sequence {
            sequences.base[Int(slot)].numbers = numbers
        }
    }

    /// Makes those of a group's members that are bound, and can be, members of it.
    func restoreMembers(of group: Group) throws(BindingTableError) {
        try join(group.address, group.members.filter { entry(of: $0)?.binding.carriesMulticast ?? false })
    }

    /// Where a GRE tunnel with sequence numbers is; nil where a binding has none.
    func sequenceNumbers(of entry: Entry) -> SequenceNumbers? { entry.sequence.map { sequences.base[Int($0)].numbers } }
}

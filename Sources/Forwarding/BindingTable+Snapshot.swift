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

    /// Fills a new table with what another one had.
    /// - Parameters:
    ///   - saved: bindings; those whose lifetime has passed are left out.
    ///   - groups: with their members in the order in which they joined; members that are not bound are left out.
    ///   - lastRevision: revisions that are given from now on are greater.
    ///   - continuesSequences: whether GRE's sequence numbers go on where they were: only where nothing was sent since.
    ///   - now: in nanoseconds, on the clock of `put`.
    /// - Returns: bindings that the table's configuration does not allow, and why; they were left out.
    /// - Throws: where bindings contradict each other or are more than the table holds. The table is then of no more use.
    public func restore(
        _ saved: [Saved], groups: [Group], lastRevision: UInt64, continuesSequences: Bool, now: UInt64
    ) throws(BindingTableError) -> [(id: String, reason: BindingTableError)] {
        precondition(store.count == 0, "only a new table is restored to")
        var refused: [(id: String, reason: BindingTableError)] = []
        self.lastRevision = lastRevision
        self.now = now
        // Neighbours one after the other: what the tables hold of the one is at hand for the next.
        var order: [(key: UInt64, index: Int)] = []
        order.reserveCapacity(saved.count)
        for (index, saved) in saved.enumerated() where saved.expiry.map({ $0 > now }) ?? true {
            let address = saved.binding.prefixes.first?.prefix.address
            order.append((address?.high ?? UInt64(saved.binding.homeAddress?.rawValue ?? 0), index))
        }
        order.sort { $0.key < $1.key }
        for (_, index) in order {
            let saved = saved[index]
            do throws(BindingTableError) {
                try checkAlone(saved.binding)
            } catch {
                refused.append((saved.binding.id, error))
                continue
            }
            try checkBesideOthers(saved.binding)
            // Who names all bindings anew begins with a greater revision, so this one waits to be named.
            let owner = try owners.number(of: saved.owner)
            apply(
                saved.binding, expiry: saved.expiry, revision: saved.revision,
                owner: owner, named: saved.revision)
            go(on: saved, continuesSequence: continuesSequences)
        }
        for group in groups { try restoreMembers(of: group) }
        return refused
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

    private func checkAlone(_ binding: Binding) throws(BindingTableError) {
        do { try binding.validate() } catch { throw .malformed(binding.id, error) }
        try checkEndpoint(binding, defaultEndpoint: configuration.endpoint)
    }

    /// Checks what concerns others in a table to which bindings are only added.
    private func checkBesideOthers(_ binding: Binding) throws(BindingTableError) {
        guard store.count < configuration.bindingLimit else {
            throw .tooManyBindings(limit: configuration.bindingLimit)
        }
        guard prefixes.count + binding.prefixes.count <= configuration.prefixLimit else {
            throw .tooManyPrefixes(limit: configuration.prefixLimit)
        }
        guard store.number(of: binding.id) == nil else {
            throw .malformed(binding.id, BindingError("binding \(binding.id)", "stands twice"))
        }
        for bound in binding.prefixes {
            var found: (holder: String, held: IPv6Prefix)?
            prefixes.forEachOverlap(with: bound.prefix) { held, reference in
                found = id(of: BindingReference(rawValue: reference)).map { ($0, held) }
                return false
            }
            if let found { throw .conflict(binding.id, bound.prefix, holder: found.holder, held: found.held) }
        }
        if let address = binding.homeAddress, let holder = holder(of: IPv6Address(mapping: address)) {
            throw .homeAddressConflict(binding.id, address, holder: holder)
        }
    }
}

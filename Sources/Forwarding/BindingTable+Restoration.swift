// A new table is filled with what another one had. Nobody looks into it meanwhile, so what put does binding by binding is
// done table by table: bindings and their records are laid down one behind the other as they come; at the end their
// prefixes are sorted, which shows those that overlap (RFC 5454, 3.3), and become a trie on a thread of their own, while
// ids and addresses are put into their tables, those ahead being fetched while one is put.

import Bindings
import PrefixTable
import Synchronization
import Wire

extension BindingTable {
    /// Bindings on their way into a new table.
    public struct Restoration {
        private let table: BindingTable
        private let continuesSequences: Bool
        private let now: UInt64
        /// Their values are references to bindings.
        private var prefixes: [ValuedPrefix] = []
        private var networks: [ValuedPrefix] = []
        private var refused: [(id: String, reason: BindingTableError)] = []
        /// The owner that came last, of whom there are few.
        private var owner: (name: String, number: UInt8)?

        /// Begins.
        /// - Parameters:
        ///   - table: a new one, which nobody reads yet, and which is of no use where an error is thrown.
        ///   - count: how many bindings are said to come. What comes counts; for these memory is got ready meanwhile.
        ///   - continuesSequences: whether GRE's sequence numbers go on where they were: only where nothing was sent since.
        ///   - now: in nanoseconds, on the clock of `put`.
        public init(into table: BindingTable, expecting count: Int, continuesSequences: Bool, now: UInt64) {
            precondition(table.count == 0, "only a new table is restored to")
            let count = min(count, table.configuration.bindingLimit)
            table.populate(count)
            self.table = table
            self.continuesSequences = continuesSequences
            self.now = now
            table.now = now
            // Where there are more, they move.
            prefixes.reserveCapacity(min(2 * count, table.configuration.prefixLimit))
        }

        /// Adds a binding, unless its lifetime has passed or the table's configuration does not allow it.
        /// - Throws: where there are more than the table holds.
        public mutating func add(_ saved: Saved) throws(BindingTableError) {
            if let expiry = saved.expiry, expiry <= now { return }
            let binding = saved.binding
            do throws(BindingTableError) {
                do { try binding.validate() } catch { throw .malformed(binding.id, error) }
                try table.checkEndpoint(binding, defaultEndpoint: table.configuration.endpoint)
            } catch {
                refused.append((binding.id, error))
                return
            }
            guard table.count < table.configuration.bindingLimit else {
                throw .tooManyBindings(limit: table.configuration.bindingLimit)
            }
            let own = binding.prefixes.count + binding.networks.count
            guard prefixes.count + networks.count + own <= table.configuration.prefixLimit else {
                throw .tooManyPrefixes(limit: table.configuration.prefixLimit)
            }
            let record = table.append(saved, owner: try number(of: saved.owner), continuesSequences)
            for bound in binding.prefixes {
                prefixes.append(ValuedPrefix(bound.prefix, value: bound.reference(record).rawValue))
            }
            let reference = BindingReference(record, usesHomeAddress: false).rawValue
            for network in binding.networks { networks.append(ValuedPrefix(network.mapped, value: reference)) }
        }

        private mutating func number(of name: String) throws(BindingTableError) -> UInt8 {
            if let owner, owner.name == name { return owner.number }
            let number = try table.owners.number(of: name)
            owner = (name, number)
            return number
        }

        /// Lets all that was added be found, and forwarded by.
        /// - Parameters:
        ///   - groups: with their members in the order in which they joined; members that are not bound are left out.
        ///   - lastRevision: revisions that are given from now on are greater.
        /// - Returns: bindings that the table's configuration does not allow, and why; they were left out.
        /// - Throws: where bindings contradict each other, or there are more members than the table holds.
        public consuming func finish(
            groups: [Group], lastRevision: UInt64
        ) throws(BindingTableError) -> [(id: String, reason: BindingTableError)] {
            table.lastRevision = lastRevision
            try table.fill(prefixes, networks)
            for group in groups { try table.restoreMembers(of: group) }
            return refused
        }
    }

    /// Has the kernel give memory for so many bindings, on a thread of its own.
    fileprivate func populate(_ count: Int) {
        guard count > 0 else { return }
        inBackground { [store, records, traffic] in
            // As it is filled.
            let step = 1 << 15
            for start in stride(from: 0, to: count, by: step) {
                let numbers = start..<min(start + step, count)
                records.populate(numbers)
                store.populate(numbers)
                traffic.populate(numbers)
            }
        }
    }

    /// Lays a binding down that was checked by itself. It is not found yet.
    /// - Returns: its record.
    fileprivate func append(_ saved: Saved, owner: UInt8, _ continuesSequences: Bool) -> UInt32 {
        let number = traffic.take {
            $0.initialize(to: TrafficCell())
            $0.pointee.set(saved.traffic)
        }
        owners.retain(owner)
        let record = makeRecord(of: saved.binding, number: number, replacing: nil)
        precondition(record == number, "what is only added has the same number everywhere")
        let slot = records.base[Int(record)].sequence
        if continuesSequences, slot != PrefixTable.noValue, let numbers = saved.sequence {
            sequences.base[Int(slot)].numbers = numbers
        }
        // Who names all bindings anew begins with a greater revision, so this one waits to be named.
        let stored = StoredBinding(
            saved.binding, expiry: saved.expiry, revision: saved.revision, owner: owner, named: saved.revision,
            record: record)
        store.append(stored, number: number, now: now)
        return record
    }

    /// Fills the tables by which bindings are found.
    fileprivate func fill(_ all: [ValuedPrefix], _ allNetworks: [ValuedPrefix]) throws(BindingTableError) {
        var tries: Result<Void, BindingTableError> = .success(())
        var others: Result<Void, BindingTableError> = .success(())
        var inner: [ValuedPrefix] = []
        var innerNetworks: [ValuedPrefix] = []
        inParallel {
            tries = Result { () throws(BindingTableError) in
                inner = try fillTrie(of: prefixes, all)
                innerNetworks = try fillTrie(of: networks, allNetworks)
            }
        } and: {
            prefixes.fillRules(all)
            networks.fillRules(allNetworks)
            others = Result { () throws(BindingTableError) in try fillAddressesAndIDs() }
        }
        try others.get()
        try tries.get()
        for (table, left) in [(prefixes, inner), (networks, innerNetworks)] {
            for next in left { do { try table.insert(next.prefix, value: next.value) } catch { Self.lacksRoom() } }
        }
        if !allNetworks.isEmpty { networkFlag.pointee.store(true, ordering: .releasing) }
    }

    private static func lacksRoom() -> Never { preconditionFailure("room for prefixes was checked") }

    /// Fills a trie.
    /// - Returns: prefixes that are not in it, since they lie in others, of the same binding.
    private func fillTrie(of table: PrefixTable, _ all: [ValuedPrefix]) throws(BindingTableError) -> [ValuedPrefix] {
        var outer = ValuedPrefix.sorted(all)
        var inner: [ValuedPrefix] = []
        var count = 0
        for next in outer {
            if count > 0, outer[count - 1].prefix.overlaps(next.prefix) {
                let holder = number(of: BindingReference(rawValue: outer[count - 1].value))
                let number = number(of: BindingReference(rawValue: next.value))
                guard holder == number else {
                    throw .conflict(
                        store[number].id, next.prefix, holder: store[holder].id, held: outer[count - 1].prefix)
                }
                inner.append(next)
            } else {
                outer[count] = next
                count += 1
            }
        }
        outer.removeLast(outer.count - count)
        // One of length 0 holds all others.
        if outer.first?.prefix.length == 0 { return outer + inner }
        do { try outer.withUnsafeBufferPointer(table.fillTrie) } catch { Self.lacksRoom() }
        return inner
    }

    private func fillAddressesAndIDs() throws(BindingTableError) {
        if let number = store.placeAll() {
            let id = store[number].id
            throw .malformed(id, BindingError("binding \(id)", "stands twice"))
        }
        homeAddresses.reserve(count)
        careOfAddresses.reserve(count)
        try forEachRecord(fetching: { if $0.homeAddress != .unspecified { homeAddresses.prefetch($0.homeAddress) } }) {
            (number, record, reference) throws(BindingTableError) in
            guard record.homeAddress != .unspecified else { return }
            if let holder = numberOfHolder(of: record.homeAddress) {
                throw .homeAddressConflict(store[number].id, record.homeAddress, holder: store[holder].id)
            }
            homeAddressTable(of: record).insert(record.homeAddress, value: reference.rawValue)
        }
        try forEachRecord(fetching: { careOfAddresses.prefetch($0.careOfAddress) }) {
            (number, record, reference) throws(BindingTableError) in
            settle(number, record.careOfAddress, reference)
        }
    }

    /// Calls `body` with each binding of a table that has no others than those it was restored with, and `fetching` with
    /// it some time before.
    private func forEachRecord(
        fetching: (BindingRecord) -> Void,
        _ body: (UInt32, BindingRecord, BindingReference) throws(BindingTableError) -> Void
    ) throws(BindingTableError) {
        let ahead = 16
        for number in 0..<count + ahead {
            if number < count { fetching(records.base[number]) }
            guard number >= ahead else { continue }
            let number = number - ahead
            try body(
                UInt32(number), records.base[number], BindingReference(UInt32(number), usesHomeAddress: false))
        }
    }
}

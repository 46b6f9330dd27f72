// A binding of a table, for its writer: what the store keeps of it and its record together.

import Bindings
import PrefixTable

extension BindingTable {
    /// A binding and what the table keeps with it.
    struct Entry {
        /// Which it keeps however often it is put; also the slot of its traffic counters.
        let number: UInt32
        let stored: StoredBinding
        let record: BindingRecord

        /// Without its lifetime.
        var binding: Binding { stored.binding(record) }
        /// On the clock of `put`; nil for ever.
        var expiry: UInt64? { stored.hasLifetime ? stored.expiry : nil }
        /// The slot of a GRE tunnel's sequence numbers.
        var sequence: UInt32? { record.sequence == PrefixTable.noValue ? nil : record.sequence }
    }

    /// The binding of that number, which is there.
    func entry(_ number: UInt32) -> Entry {
        let stored = store[number]
        return Entry(number: number, stored: stored, record: records.base[Int(stored.record)])
    }

    /// The binding with that id.
    func entry(of id: String) -> Entry? { store.number(of: id).map(entry) }

    /// The number of the binding to which a reference leads, that is one.
    func number(of reference: BindingReference) -> UInt32 { records.base[reference.record].traffic }

    /// Whether there is a binding with that id.
    public func isBound(_ id: String) -> Bool { store.number(of: id) != nil }
}

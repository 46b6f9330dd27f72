// An owner of bindings that has been away, or does not trust its memory of them, names all that it wants there to be;
// what it has not named at the end goes. This is mark and sweep: each binding bears the revision at which it was last
// named, so a beginning is one number, and at the end those with a lower one go, in slices. Whoever names a binding
// meanwhile saves it, and other owners' are not touched.
//
// A binding that is put as it is there already is only marked, and its lifetime renewed: no record changes, so no
// packet, counter or sequence number can tell. One that waits to be named holds nothing against those that are put: a
// prefix or home address of it that another is given goes over, and the rest of it stays until it is named or goes.

import Bindings
import Wire

extension BindingTable {
    /// An owner's bindings being named anew.
    public struct Resynchronization: Sendable {
        /// Whose.
        public let owner: String
        /// What was named before this waits to be named again.
        let start: UInt64
        /// The slots before this one have been swept.
        fileprivate var slot: UInt32 = 0
    }

    /// What a binding gives to others that are put.
    struct Handover {
        /// Networks in their mapped form among them.
        var prefixes: Set<IPv6Prefix> = []
        var homeAddress = false
    }

    /// By id.
    typealias Handovers = [String: Handover]

    /// From now on bindings of that owner wait to be named again. Takes no time.
    public func beginResynchronization(of owner: String) -> Resynchronization {
        lastRevision += 1
        return Resynchronization(owner: owner, start: lastRevision)
    }

    /// Who put a binding last; nil where there is none.
    public func owner(of id: String) -> String? { store.number(of: id).map { owners[store[$0].owner] } }

    /// Removes some of the bindings that still wait to be named.
    /// - Parameters:
    ///   - slots: places of the table that are looked at, at the most.
    ///   - limit: bindings that are removed, at the most.
    /// - Returns: what was removed; nil when all places have been looked at.
    public func sweep(_ resynchronization: inout Resynchronization, slots: Int, limit: Int) -> [Binding]? {
        let first = resynchronization.slot
        guard first < store.end, owners.existingNumber(of: resynchronization.owner) != nil else { return nil }
        var ids: [String] = []
        var slot = first
        while slot < store.end, Int(slot - first) < slots, ids.count < limit {
            if store.isThere(slot), waits(slot, resynchronization) { ids.append(store[slot].id) }
            slot += 1
        }
        resynchronization.slot = slot
        return remove(ids)
    }

    /// Whether a binding waits to be named.
    func waits(_ number: UInt32, _ resynchronization: Resynchronization?) -> Bool {
        guard let resynchronization else { return false }
        let stored = store[number]
        return stored.named < resynchronization.start && owners[stored.owner] == resynchronization.owner
    }

    /// A binding that was there as it was put, and as it was put: its lifetime counts from now on.
    typealias Kept = (number: UInt32, binding: Binding)

    /// Marks the bindings of a batch that are there as they are put. Should the batch be refused, that does no harm: then
    /// nothing is swept.
    /// - Returns: the others, and those that were marked.
    func nameAgain(_ bindings: [Binding]) throws(BindingTableError) -> (changing: [Binding], kept: [Kept]) {
        var changing: [Binding] = []
        var kept: [Kept] = []
        lastRevision += 1
        for binding in bindings {
            guard let entry = entry(of: binding.id) else {
                changing.append(binding)
                continue
            }
            guard entry.stored.named != lastRevision else {
                throw .malformed(binding.id, BindingError("binding \(binding.id)", "stands twice in this batch"))
            }
            var known = entry.binding
            known.lifetime = binding.lifetime
            guard binding.lifetime != 0, known == binding else {
                changing.append(binding)
                continue
            }
            store.name(entry.number, at: lastRevision)
            kept.append((entry.number, binding))
        }
        for binding in changing where !kept.isEmpty {
            guard store.number(of: binding.id).map({ store[$0].named }) != lastRevision else {
                throw .malformed(binding.id, BindingError("binding \(binding.id)", "stands twice in this batch"))
            }
        }
        return (changing, kept)
    }

    /// Lets the lifetimes of bindings that were marked begin anew.
    func renew(_ kept: [Kept], owner: UInt8, now: UInt64) {
        for (number, binding) in kept {
            let stored = store[number]
            if stored.owner != owner {
                owners.retain(owner)
                owners.release(stored.owner)
                store.name(number, at: stored.named, owner: owner)
            }
            touched.note(stored.id)
            store.renew(number, expiry: binding.expiry(from: now) ?? .max, now: now)
        }
    }

    /// Takes from bindings what others have been given.
    /// - Returns: what is left of them.
    func handOver(_ handovers: Handovers) -> [Binding] {
        handovers.compactMap { id, handover in
            guard let entry = entry(of: id) else { return nil }
            var binding = entry.binding
            binding.prefixes.removeAll { handover.prefixes.contains($0.prefix) }
            binding.networks.removeAll { handover.prefixes.contains($0.mapped) }
            if handover.homeAddress {
                binding.homeAddress = nil
                binding.prefixes.removeAll { $0.tunnel == .homeAddress }
            }
            lastRevision += 1
            apply(
                binding, expiry: entry.expiry, revision: lastRevision, owner: entry.stored.owner,
                named: entry.stored.named)
            return binding
        }
    }
}

extension Binding {
    /// When its lifetime ends that begins at `now`, both in nanoseconds; nil where it has none.
    func expiry(from now: UInt64) -> UInt64? { lifetime.map { now + UInt64($0) * 1_000_000_000 } }

}

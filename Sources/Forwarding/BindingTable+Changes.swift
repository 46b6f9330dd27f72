// A copy of a table that follows it: what changed in the one is carried out in the other, until the one forwards no more
// and the other does. Beside what is put and removed, traffic and GRE's numbers change with every packet; which bindings
// packets went through is seen by comparing, so that the forwarder has nothing to note.

import Bindings
import Wire

/// What had gone through each binding of a table when it was last looked at.
public struct TrafficMarks {
    /// By the binding's number.
    private var sums: [UInt64] = []
    /// Bindings with sequence numbers. These move by packets that are no traffic.
    private var numbered: Set<Int> = []

    /// Of a table in which nothing was looked at.
    public init() {}

    /// Looks at a binding.
    /// - Parameter isTouched: whether it was put or changed since it was last looked at.
    /// - Returns: whether packets went through it since. False as well where there is none of that number.
    public mutating func hasMoved(_ number: Int, of table: BindingTable, isTouched: Bool) -> Bool {
        guard table.store.isThere(UInt32(number)) else { return false }
        if number >= sums.count {
            // No traffic leaves a sum at zero, and so does a binding that was not there.
            sums += repeatElement(0, count: max(table.numberEnd, number + 1) - sums.count)
        }
        let traffic = BindingTraffic(table.traffic.base[number])
        var sum = traffic.packetsToNode &+ traffic.packetsFromNode
        if isTouched || numbered.contains(number) {
            if let sequence = table.sequenceNumbers(of: table.entry(UInt32(number))) {
                numbered.insert(number)
                // Of different weight, lest what the one gains the other lose.
                sum = sum &* 31 &+ UInt64(sequence.next) << 32 &+ UInt64(sequence.lastAccepted) &+ 1
            } else {
                numbered.remove(number)
            }
        }
        defer { sums[number] = sum }
        return sums[number] != sum
    }
}

extension BindingTable {
    /// A binding's number; nil where there is none.
    public func number(of id: String) -> Int? { store.number(of: id).map(Int.init) }

    /// Whether a binding was touched since it was last asked (`takeTouched`).
    public func isTouched(_ id: String) -> Bool { touched.names.contains(id) }

    /// Carries out what changed in the table that this one was restored from. No worker may forward by it yet.
    /// - Parameters:
    ///   - changed: bindings as they are now: put since, or with other traffic or numbers only.
    ///   - removed: ids of bindings that are gone.
    ///   - groups: those that changed, with all their members in the order in which they joined.
    ///   - lastRevision: the last that was given.
    ///   - now: in nanoseconds, on the clock of `put`.
    /// - Throws: where a binding can't be here. This table is then of no more use.
    public func follow(
        _ changed: [Saved], removed: [String], groups: [Group], lastRevision: UInt64, now: UInt64
    ) throws(BindingTableError) {
        self.now = max(self.now, now)
        let put = changed.filter { saved in
            guard let entry = entry(of: saved.binding.id) else { return true }
            if entry.stored.revision != saved.revision || entry.expiry != saved.expiry { return true }
            var (here, there) = (entry.binding, saved.binding)
            (here.lifetime, there.lifetime) = (nil, nil)
            return here != there || owners[entry.stored.owner] != saved.owner
        }
        _ = try check(put.map(\.binding), leaving: Set(removed))
        for saved in put {
            apply(
                saved.binding, expiry: saved.expiry, revision: saved.revision,
                owner: try owners.number(of: saved.owner), named: saved.revision)
        }
        finishChange()
        _ = remove(removed)
        self.lastRevision = max(self.lastRevision, lastRevision)
        for saved in changed { go(on: saved) }
        for group in groups {
            leave(group.address, members(ofGroup: group.address))
            try restoreMembers(of: group)
        }
    }
}

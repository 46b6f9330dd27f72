// Multicast groups and their members: for the readers a table from the group's address to a list of members, each of which
// leads to where its binding's record is named. So a node that moves changes one number, however many groups it is in,
// and one that joins or leaves changes one list by a single store.
//
//     group ─► member ─► member ─► member         (GroupMember, in the order in which they joined)
//                │          │         │
//                ▼          ▼         ▼
//              MemberRecord of each binding ─► BindingRecord

import PrefixTable
import Synchronization
import Wire

/// A member of a group, as readers see it.
struct GroupMember: ~Copyable {
    /// Of its binding, the slot of a `MemberRecord`.
    let binding: UInt32
    /// `PrefixTable.noValue` behind the last.
    let next: Atomic<UInt32>
}

/// Which record a member's packets go by.
struct MemberRecord: ~Copyable {
    /// A `BindingReference`; `PrefixTable.noValue` where the binding is gone.
    let record: Atomic<UInt32>
}

/// The groups of a binding table, for its writer.
final class GroupTable {
    /// A group's list, as the writer keeps it.
    private final class List {
        var first: UInt32
        var last: UInt32
        /// The members by the ids of their bindings.
        var members: [String: UInt32] = [:]
        /// Their ids in order, where somebody has asked since the last change.
        var sortedIDs: [String]?

        init(first: UInt32) { (self.first, last) = (first, first) }
    }

    /// What a binding that is a member of some group has.
    private struct Membership {
        let slot: UInt32
        var groups: Set<IPv6Address>
    }

    let groups: PrefixTable
    let members: Slab<GroupMember>
    let memberRecords: Slab<MemberRecord>
    private let limit: Int
    private var lists: [IPv6Address: List] = [:]
    private var sortedAddresses: [IPv6Address]?
    private var memberships: [String: Membership] = [:]
    /// The member before each that is not a group's first.
    private var previous: [UInt32: UInt32] = [:]
    /// Members of all groups.
    private(set) var count = 0
    /// Groups that bindings joined or left while somebody copies the table.
    var touched = TouchedNames<IPv6Address>()

    /// No groups.
    /// - Parameter limit: of members, over all groups.
    init(limit: Int, quiescentStates: QuiescentStates) throws(SlabError) {
        self.limit = limit
        // As many again may wait for the readers while all change at once.
        groups = try PrefixTable(capacity: limit * 2, quiescentStates: quiescentStates)
        members = try Slab(capacity: limit * 2 + 4096, quiescentStates: quiescentStates)
        memberRecords = try Slab(capacity: limit * 2 + 4096, quiescentStates: quiescentStates)
    }

    /// The groups, in the order of their addresses.
    var addresses: [IPv6Address] {
        let addresses = sortedAddresses ?? lists.keys.sorted()
        sortedAddresses = addresses
        return addresses
    }

    /// How many groups there are.
    var groupCount: Int { lists.count }

    /// The ids of a group's members, in the order in which they joined.
    func members(of group: IPv6Address) -> [String] {
        guard let list = lists[group] else { return [] }
        let ids = Dictionary(uniqueKeysWithValues: list.members.map { ($0.value, $0.key) })
        var ordered: [String] = []
        var member = list.first
        while member != PrefixTable.noValue {
            if let id = ids[member] { ordered.append(id) }
            member = members.base[Int(member)].next.load(ordering: .relaxed)
        }
        return ordered
    }

    /// The ids of a group's members, in their order.
    func sortedMembers(of group: IPv6Address) -> [String] {
        guard let list = lists[group] else { return [] }
        let ids = list.sortedIDs ?? list.members.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        list.sortedIDs = ids
        return ids
    }

    /// The groups that a binding is in.
    func groups(of id: String) -> Set<IPv6Address> { memberships[id]?.groups ?? [] }

    /// Whether a binding is in any group.
    func isMember(_ id: String) -> Bool { memberships[id] != nil }

    /// Whether a binding is in a group.
    func isMember(_ id: String, of group: IPv6Address) -> Bool { lists[group]?.members[id] != nil }

    /// Whether so many members more would be too many.
    func hasRoom(for more: Int) -> Bool { count + more <= limit }

    /// Makes a binding the last member of a group, if it is none yet; room was asked for.
    /// - Parameter reference: by which its packets go.
    func add(_ id: String, to group: IPv6Address, reference: BindingReference) {
        guard !isMember(id, of: group) else { return }
        touched.note(group)
        let slot =
            memberships[id]?.slot
            ?? memberRecords.take { $0.initialize(to: MemberRecord(record: Atomic(reference.rawValue))) }
        memberships[id, default: Membership(slot: slot, groups: [])].groups.insert(group)
        let member = members.take {
            $0.initialize(to: GroupMember(binding: slot, next: Atomic(PrefixTable.noValue)))
        }
        if let list = lists[group] {
            members.base[Int(list.last)].next.store(member, ordering: .releasing)
            previous[member] = list.last
            list.last = member
        } else {
            lists[group] = List(first: member)
            sortedAddresses = nil
            point(group, to: member)
        }
        lists[group]?.members[id] = member
        lists[group]?.sortedIDs = nil
        count += 1
    }

    /// Ends a binding's membership in a group, if it is a member.
    /// - Returns: whether it was.
    @discardableResult
    func remove(_ id: String, from group: IPv6Address) -> Bool {
        guard let list = lists[group], let member = list.members.removeValue(forKey: id) else { return false }
        touched.note(group)
        let next = members.base[Int(member)].next.load(ordering: .relaxed)
        let before = previous.removeValue(forKey: member)
        if let before {
            members.base[Int(before)].next.store(next, ordering: .releasing)
        } else if next != PrefixTable.noValue {
            point(group, to: next)
            list.first = next
        } else {
            groups.remove(.host(group))
        }
        if next != PrefixTable.noValue { previous[next] = before }
        if list.last == member { list.last = before ?? PrefixTable.noValue }
        list.sortedIDs = nil
        if list.members.isEmpty {
            lists[group] = nil
            sortedAddresses = nil
        }
        members.retire(member)
        count -= 1
        if var membership = memberships[id] {
            membership.groups.remove(group)
            memberships[id] = membership.groups.isEmpty ? nil : membership
            if membership.groups.isEmpty { memberRecords.retire(membership.slot) }
        }
        return true
    }

    /// Ends all memberships of a binding that goes.
    func removeAll(of id: String) {
        guard let membership = memberships[id] else { return }
        memberRecords.base[Int(membership.slot)].record.store(PrefixTable.noValue, ordering: .releasing)
        for group in membership.groups { remove(id, from: group) }
    }

    /// Says by which record the packets of a binding go from now on.
    func setReference(of id: String, to reference: BindingReference) {
        guard let membership = memberships[id] else { return }
        memberRecords.base[Int(membership.slot)].record.store(reference.rawValue, ordering: .releasing)
    }

    private func point(_ group: IPv6Address, to member: UInt32) {
        do {
            try groups.insert(.host(group), value: member)
        } catch {
            preconditionFailure("there are no more groups than members")
        }
    }
}

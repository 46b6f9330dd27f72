// Memberships in multicast groups, and other things that need a binding's record.

import Bindings
import PrefixTable
import Wire

extension BindingTable {
    /// A multicast group.
    public struct Group: Hashable, Sendable {
        /// Its address.
        public let address: IPv6Address
        /// Ids of bindings.
        public let members: [String]

        /// A group with members.
        public init(address: IPv6Address, members: [String]) {
            self.address = address
            self.members = members
        }
    }

    /// The groups behind `after`, in the order of their addresses, `limit` of them at the most; their members in the
    /// order in which they joined.
    public func groups(after: IPv6Address? = nil, limit: Int = .max) -> [Group] {
        let addresses = groups.addresses
        let first = after.map { after in addresses.partitioningIndex { after < $0 } } ?? 0
        return addresses[first...].prefix(limit).map { Group(address: $0, members: groups.members(of: $0)) }
    }

    /// Groups in the order of their addresses with members in the order of their ids, beginning behind a member of a
    /// group, `limit` members at the most.
    public func members(after: (group: IPv6Address, id: String)?, limit: Int) -> [Group] {
        let addresses = groups.addresses
        var position = after.map { after in addresses.partitioningIndex { after.group <= $0 } } ?? 0
        var found: [Group] = []
        var room = limit
        while position < addresses.count, room > 0 {
            let address = addresses[position]
            let ids = groups.sortedMembers(of: address)
            let first =
                after.map { after in
                    after.group < address
                        ? 0 : ids.partitioningIndex { after.id.utf8.lexicographicallyPrecedes($0.utf8) }
                } ?? 0
            let members = Array(ids[first...].prefix(room))
            if !members.isEmpty { found.append(Group(address: address, members: members)) }
            room -= members.count
            position += 1
        }
        return found
    }

    /// How many groups have members.
    public var groupCount: Int { groups.groupCount }

    /// How many members all groups have.
    public var memberCount: Int { groups.count }

    /// Makes bindings members of a group; all of them or, where one can't be, none. Those that are members stay it.
    /// - Returns: how many have joined.
    @discardableResult
    public func join(_ group: IPv6Address, _ ids: [String]) throws(BindingTableError) -> Int {
        let group = Group(address: group, members: ids)
        try checkMemberships(beginning: [group], ending: [], putting: [], removing: [])
        return begin(group)
    }

    /// Checks whether memberships can begin, when a change of bindings is done and others have ended.
    func checkMemberships(
        beginning: [Group], ending: [Group], putting bindings: [Binding], removing: Set<String>
    ) throws(BindingTableError) {
        guard !beginning.isEmpty else { return }
        let put = Dictionary(bindings.lazy.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        var ended: [IPv6Address: Set<String>] = [:]
        for id in removing {
            for group in groups.groups(of: id) { ended[group, default: []].insert(id) }
        }
        for group in ending {
            for id in group.members where groups.isMember(id, of: group.address) {
                ended[group.address, default: []].insert(id)
            }
        }
        var begun: [IPv6Address: Set<String>] = [:]
        for group in beginning {
            guard Binding.isGroup(group.address) else { throw .notAGroup(group.address) }
            for id in group.members {
                guard let binding = put[id] ?? (removing.contains(id) ? nil : entry(of: id)?.binding) else {
                    throw .notBound(id)
                }
                guard binding.carriesMulticast else { throw .carriesNoMulticast(id) }
                let isMember = groups.isMember(id, of: group.address) && ended[group.address]?.contains(id) != true
                if !isMember { begun[group.address, default: []].insert(id) }
            }
        }
        func count(_ members: [IPv6Address: Set<String>]) -> Int { members.values.reduce(0) { $0 + $1.count } }
        guard groups.hasRoom(for: count(begun) - count(ended)) else {
            throw .tooManyMembers(limit: configuration.memberLimit)
        }
    }

    /// Begins memberships that were checked.
    /// - Returns: how many have begun.
    func begin(_ group: Group) -> Int {
        var begun = 0
        for id in group.members where !groups.isMember(id, of: group.address) {
            guard let entry = entry(of: id), let reference = multicastReference(of: entry.stored, entry.record) else {
                continue
            }
            groups.add(id, to: group.address, reference: reference)
            begun += 1
        }
        return begun
    }

    /// Ends memberships in a group; ids that are no members are passed over.
    /// - Returns: how many have left.
    @discardableResult
    public func leave(_ group: IPv6Address, _ ids: [String]) -> Int {
        ids.count { groups.remove($0, from: group) }
    }

    /// The worker that sends what the control plane injects into the tunnel of a binding, so that it keeps its order: the
    /// one that numbers the tunnel's packets, where they are numbered; else the one that gets most of its packets anyway.
    /// The first where there is no such binding.
    public func worker(of id: String) -> Int {
        guard let entry = entry(of: id) else { return 0 }
        return entry.sequence.map { Int(sequences.base[Int($0)].owner) } ?? mainWorker(of: entry.binding)
    }

    /// The worker that the packets to a binding's first address come to.
    func mainWorker(of binding: Binding) -> Int {
        if let prefix = binding.prefixes.first {
            return Steering.queue(prefix.prefix.address, of: configuration.workers)
        }
        return Steering.queue(binding.homeAddress ?? binding.careOfAddress, of: configuration.workers)
    }

    /// By which record and tunnel packets to multicast groups go: as the node's other IPv6 traffic (RFC 5454, 3.3.3). Nil
    /// where it can get none.
    func multicastReference(of stored: StoredBinding, _ record: BindingRecord) -> BindingReference? {
        guard stored.hasHomeAddress || !record.form.isMinimal else { return nil }
        return BindingReference(stored.record, usesHomeAddress: stored.hasHomeAddress && !stored.carriesCareOf)
    }
}

extension Binding {
    /// Whether IPv6 can be sent to the node at all.
    var carriesMulticast: Bool { homeAddress != nil || !isMinimal }
}

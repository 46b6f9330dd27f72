// Memberships in multicast groups, and other things that need a binding's record.

import Bindings
import PrefixTable
import Wire

extension BindingTable {
    /// A multicast group.
    public struct Group: Hashable, Sendable {
        /// Its address.
        public let address: IPv6Address
        /// Ids of bindings, in the order in which they joined.
        public let members: [String]
    }

    /// The groups behind `after`, in the order of their addresses, `limit` of them at the most.
    public func groups(after: IPv6Address? = nil, limit: Int = .max) -> [Group] {
        let addresses = groups.addresses.lazy.filter { address in after.map { $0 < address } ?? true }
        return addresses.prefix(limit).map { Group(address: $0, members: groups.members(of: $0)) }
    }

    /// How many groups have members.
    public var groupCount: Int { groups.groupCount }

    /// How many members all groups have.
    public var memberCount: Int { groups.count }

    /// Makes bindings members of a group; all of them or, where one can't be, none. Those that are members stay it.
    /// - Returns: how many have joined.
    @discardableResult
    public func join(_ group: IPv6Address, _ ids: [String]) throws(BindingTableError) -> Int {
        guard group.isMulticast, group.multicastScope >= IPv6Address.linkLocalScope else { throw .notAGroup(group) }
        var joining: [String] = []
        for id in ids where !groups.isMember(id, of: group) && !joining.contains(id) {
            guard let entry = entries[id] else { throw .notBound(id) }
            guard entry.binding.multicastWay != nil else { throw .carriesNoMulticast(id) }
            joining.append(id)
        }
        guard groups.hasRoom(for: joining.count) else { throw .tooManyMembers(limit: configuration.memberLimit) }
        for id in joining {
            guard let entry = entries[id], let way = entry.binding.multicastWay else { continue }
            groups.add(id, to: group, record: entry.records[way])
            // The record of that way may not be there yet; it is made with the binding's others.
            if entry.records[way] == PrefixTable.noValue {
                apply(entry.binding, expiry: entry.expiry, revision: entry.revision)
            }
        }
        finishChange()
        return joining.count
    }

    /// Ends memberships in a group; ids that are no members are passed over.
    /// - Returns: how many have left.
    @discardableResult
    public func leave(_ group: IPv6Address, _ ids: [String]) -> Int {
        ids.count { groups.remove($0, from: group) }
    }

    /// Whether there is a binding with that id.
    public func isBound(_ id: String) -> Bool { entries[id] != nil }

    /// The record by which a packet of that family goes to a binding's node: IPv6 by way of the home address, where there
    /// is one. Nil where there is none.
    func record(of id: String, isIPv4: Bool) -> BindingRecord? {
        guard let entry = entries[id] else { return nil }
        let binding = entry.binding
        let way: BindingWay
        if isIPv4 {
            guard binding.homeAddress != nil else { return nil }
            way = .ipv4
        } else if binding.homeAddress != nil {
            way = .homeAddress
        } else {
            guard binding.encapsulation != .minimal else { return nil }
            way = .careOf
        }
        return BindingRecord(
            binding, way: way, endpoint: entry.endpoint, tunnelMTU: tunnelMTU(of: binding),
            timeToLive: configuration.outerTimeToLive, traffic: entry.traffic,
            sequence: entry.sequence ?? PrefixTable.noValue, pathMTU: entry.pathMTU ?? PrefixTable.noValue)
    }
}

// What a change of bindings is asked before anything is touched.

import Bindings
import PrefixTable
import Wire

extension BindingTable {
    /// Checks all rules of a change.
    /// - Parameter leaving: ids of bindings that go in the same change.
    /// - Returns: what bindings that wait to be named again hand over.
    func check(
        _ bindings: [Binding], leaving: Set<String>, in resynchronization: Resynchronization? = nil
    ) throws(BindingTableError) -> Handovers {
        prefetch(bindings)
        var handovers = Handovers()
        // Bindings that are replaced or removed: what they hold now is in nobody's way.
        var going = Set(leaving.compactMap(store.number(of:)))
        var ids = Set<String>(minimumCapacity: bindings.count)
        var owned: [OwnedPrefix] = []
        var ownedNetworks: [OwnedPrefix] = []
        owned.reserveCapacity(bindings.count)
        for (index, binding) in bindings.enumerated() {
            do { try binding.validate() } catch { throw .malformed(binding.id, error) }
            guard ids.insert(binding.id).inserted else {
                throw .malformed(binding.id, BindingError("binding \(binding.id)", "stands twice in this batch"))
            }
            if let number = store.number(of: binding.id) { going.insert(number) }
            try checkEndpoint(binding, defaultEndpoint: configuration.endpoint)
            for bound in binding.prefixes { owned.append(OwnedPrefix(prefix: bound.prefix, owner: index)) }
            for network in binding.networks { ownedNetworks.append(OwnedPrefix(prefix: network.mapped, owner: index)) }
        }
        for (owned, table) in [(owned, prefixes), (ownedNetworks, networks)] where !owned.isEmpty {
            try checkOverlaps(owned, of: bindings, in: table, going: going, resynchronization, &handovers)
        }
        for holder in try checkHomeAddresses(bindings, going: going, resynchronization) {
            handovers[holder, default: Handover()].homeAddress = true
        }
        guard store.count - going.count + bindings.count <= configuration.bindingLimit else {
            throw .tooManyBindings(limit: configuration.bindingLimit)
        }
        let goingPrefixes = going.reduce(0) { $0 + store[$1].prefixCount }
        let newPrefixes = owned.count + ownedNetworks.count
        guard prefixCount - goingPrefixes + newPrefixes <= configuration.prefixLimit else {
            throw .tooManyPrefixes(limit: configuration.prefixLimit)
        }
        return handovers
    }

    /// No two nodes hold overlapping prefixes (RFC 5454, 3.3), or networks; one node's own are not in its way.
    /// - Parameter table: where those are that are there.
    private func checkOverlaps(
        _ owned: [OwnedPrefix], of bindings: [Binding], in table: PrefixTable, going: Set<UInt32>,
        _ resynchronization: Resynchronization?, _ handovers: inout Handovers
    ) throws(BindingTableError) {
        if let (first, second) = OwnedPrefix.firstOverlap(of: owned) {
            throw .conflict(
                bindings[second.owner].id, second.prefix, holder: bindings[first.owner].id, held: first.prefix)
        }
        for prefix in owned {
            var found: (holder: String, held: IPv6Prefix)?
            table.forEachOverlap(with: prefix.prefix) { held, value in
                let holder = number(of: BindingReference(rawValue: value))
                if going.contains(holder) { return true }
                if waits(holder, resynchronization) {
                    handovers[store[holder].id, default: Handover()].prefixes.insert(held)
                    return true
                }
                found = (store[holder].id, held)
                return false
            }
            if let found {
                throw .conflict(bindings[prefix.owner].id, prefix.prefix, holder: found.holder, held: found.held)
            }
        }
    }

    /// Has what tables hold of bindings fetched, of all of them at once, where it would be waited for time and again.
    private func prefetch(_ bindings: [Binding]) {
        for binding in bindings {
            store.prefetch(binding.id)
            if let address = binding.homeAddress { homeAddresses.prefetch(address) }
            careOfAddresses.prefetch(binding.careOfAddress)
            for bound in binding.prefixes { prefixes.prefetch(bound.prefix) }
        }
    }

    /// What concerns a binding and the daemon's own endpoint.
    func checkEndpoint(_ binding: Binding, defaultEndpoint: IPv4Address?) throws(BindingTableError) {
        guard let endpoint = binding.endpoint ?? defaultEndpoint else {
            throw .malformed(
                binding.id, BindingError("binding \(binding.id).endpoint", "is missing, and the daemon has no endpoint")
            )
        }
        // At a node with a foreign agent the tunnel of IPv6 starts at the home address (RFC 5454, 3.3.2).
        if endpoint == binding.homeAddress, binding.role == .homeAgent {
            throw .malformed(
                binding.id,
                BindingError("binding \(binding.id).homeAddress", "\(endpoint) is the tunnel's own endpoint"))
        }
        let own = IPv6Prefix.host(IPv6Address(linkLocalOf: endpoint))
        if let index = binding.prefixes.firstIndex(where: { $0.prefix == own }) {
            throw .malformed(
                binding.id,
                BindingError(
                    "binding \(binding.id).prefixes[\(index)]",
                    "\(own.address) is the link-local address of the tunnel's own end"))
        }
        if endpoint == binding.careOfAddress {
            throw .malformed(
                binding.id,
                BindingError("binding \(binding.id).careOfAddress", "\(endpoint) is the tunnel's own endpoint"))
        }
    }

    /// A home address belongs to one node (RFC 5944, 3.8.1).
    /// - Returns: those that hand theirs over.
    private func checkHomeAddresses(
        _ bindings: [Binding], going: Set<UInt32>, _ resynchronization: Resynchronization?
    ) throws(BindingTableError) -> [String] {
        var handingOver: [String] = []
        var holders: [IPv4Address: String] = [:]
        if bindings.count > 1 { holders.reserveCapacity(bindings.count) }
        for binding in bindings {
            guard let address = binding.homeAddress else { continue }
            var holder = bindings.count > 1 ? holders.updateValue(binding.id, forKey: address) : nil
            if holder == nil, let held = numberOfHolder(of: address), !going.contains(held) {
                let id = store[held].id
                if waits(held, resynchronization) { handingOver.append(id) } else { holder = id }
            }
            if let holder { throw .homeAddressConflict(binding.id, address, holder: holder) }
        }
        return handingOver
    }
}

// All bindings of a forwarder: what the control plane put, and the tables that the hot path reads. One thread writes.
//
// A change is checked whole before anything is touched, and then carried out prefix by prefix, each a single store for
// the readers: a prefix that moves from one care-of address to another is never without a binding in between. What a
// change replaced is used again when every worker has passed a quiescent point.

import Bindings
import PrefixTable
import Synchronization
import Wire

/// The bindings of a forwarder; for one writing thread.
public final class BindingTable {
    /// A binding and what the table keeps with it.
    struct Entry {
        var binding: Binding
        var record: UInt32
        var traffic: UInt32
        /// Of a GRE tunnel with sequence numbers.
        var sequence: UInt32?
        /// Where the MTU of the path is followed.
        var pathMTU: UInt32?
        /// The one in use: its own, or the default at the time.
        var endpoint: IPv4Address
        /// On the clock of `put`; nil for ever.
        var expiry: UInt64?
        var revision: UInt64
        /// Whose it is, as `owners` counts them.
        var owner: UInt8
        /// The table's last revision when it was last named.
        var named: UInt64
    }

    /// As of now; the endpoint and tunnel MTU count for bindings that are put from then on.
    public private(set) var configuration: Configuration
    /// Of the threads that forward.
    public let quiescentStates = QuiescentStates()

    let prefixes: PrefixTable
    /// Of bindings that have one. The values of this and the next are references, as those of `prefixes`.
    private let homeAddresses: AddressTable
    /// Of each care-of address the binding that was put last.
    private let careOfAddresses: AddressTable
    /// The bindings at care-of addresses that have several.
    private var sharedCareOfAddresses: [IPv4Address: Set<String>] = [:]
    let groups: GroupTable
    private let records: Slab<BindingRecord>
    private let traffic: Slab<TrafficCell>
    private let sequences: Slab<GRESequence>
    private let pathMTUs: Slab<PathMTU>
    /// By care-of address: the slots of `pathMTUs`, and how many bindings follow each.
    private let paths: AddressTable
    private var pathUses: [IPv4Address: (slot: UInt32, count: Int)] = [:]
    /// `namedEndpoints`, for the readers.
    private let endpointTable: AddressTable
    var entries: [String: Entry] = [:]
    /// The ids of records in use, for those who have only the record.
    private(set) var idsByRecord: [UInt32: String] = [:]
    private var sortedIDs: [String]?
    var lastRevision: UInt64 = 0
    var owners = BindingOwners()
    /// Ids by the slots of `traffic`, which a binding keeps while it is there.
    private(set) var idsBySlot: [String?] = []
    private var lastGeneration: UInt32 = 0
    /// No lifetime passes before this.
    var earliestExpiry = UInt64.max

    /// The endpoints that bindings name themselves, and how many do.
    public private(set) var namedEndpoints: [IPv4Address: Int] = [:]

    /// A table without bindings.
    /// - Throws: `SlabError` where there is no address space for it.
    public init(_ configuration: Configuration) throws(SlabError) {
        self.configuration = configuration
        // As many again may stand beside them, or be waiting for the readers, while all bindings change at once.
        prefixes = try PrefixTable(capacity: configuration.prefixLimit * 2, quiescentStates: quiescentStates)
        homeAddresses = AddressTable(quiescentStates: quiescentStates)
        careOfAddresses = AddressTable(quiescentStates: quiescentStates)
        paths = AddressTable(quiescentStates: quiescentStates)
        endpointTable = AddressTable(quiescentStates: quiescentStates)
        groups = try GroupTable(limit: configuration.memberLimit, quiescentStates: quiescentStates)
        let capacity = configuration.bindingLimit * 2 + 4096
        records = try Slab(capacity: capacity, quiescentStates: quiescentStates)
        traffic = try Slab(capacity: capacity, quiescentStates: quiescentStates)
        sequences = try Slab(capacity: capacity, quiescentStates: quiescentStates)
        pathMTUs = try Slab(capacity: capacity, quiescentStates: quiescentStates)
    }

    /// How many bindings there are.
    public var count: Int { entries.count }
    /// How many prefixes they have.
    public var prefixCount: Int { prefixes.count }

    /// What a forwarder reads; may be sent to its thread.
    public var reader: Reader {
        Reader(
            owner: self, prefixes: prefixes.reader, homeAddresses: homeAddresses.reader,
            careOfAddresses: careOfAddresses.reader, groups: groups, records: UnsafePointer(records.base),
            traffic: traffic.base, sequences: sequences.base,
            pathMTUs: pathMTUs.base, paths: paths.reader, endpoints: endpointTable.reader)
    }

    // MARK: Reading

    /// The binding with that id.
    /// - Parameter now: in nanoseconds, on the clock of `put`.
    public func state(of id: String, now: UInt64) -> State? {
        guard let entry = entries[id] else { return nil }
        var binding = entry.binding
        binding.lifetime = entry.expiry.map {
            UInt32(clamping: ($0 - min(now, $0)).dividedRoundingUp(by: 1_000_000_000))
        }
        return State(
            binding: binding, traffic: BindingTraffic(traffic.base[Int(entry.traffic)]), revision: entry.revision,
            owner: owners[entry.owner])
    }

    /// Ids in their order, behind `after`, `limit` of them at the most.
    public func ids(after: String, limit: Int) -> ArraySlice<String> {
        let ids = sortedIDs ?? entries.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        sortedIDs = ids
        return ids[ids.partitioningIndex { after.utf8.lexicographicallyPrecedes($0.utf8) }...].prefix(limit)
    }

    /// The id of the binding that has the longest prefix that holds `address`, or the home address that `address` is the
    /// IPv4-mapped form of.
    public func holder(of address: IPv6Address) -> String? {
        let found = address.mappedIPv4.map { homeAddresses.reader.lookup($0) } ?? prefixes.reader.lookup(address)
        return id(of: BindingReference(rawValue: found))
    }

    /// The id of a binding at that care-of address; of several the one that was put last.
    public func holder(atCareOf address: IPv4Address) -> String? {
        careOfAddresses.value(of: address).flatMap { id(of: BindingReference(rawValue: $0)) }
    }

    func id(of reference: BindingReference) -> String? {
        reference == .none ? nil : idsByRecord[UInt32(truncatingIfNeeded: reference.record)]
    }

    // MARK: Writing

    /// Sets what bindings get that name no endpoint or tunnel MTU. Those that are there and name none get it at once,
    /// and keep their revision: nobody has put them.
    /// - Parameter tunnelMTU: in bytes, within `BindingLimits.tunnelMTU`.
    /// - Throws: `BindingTableError` naming a binding that can't have these, with nothing changed.
    public func setDefaults(endpoint: IPv4Address?, tunnelMTU: UInt16) throws(BindingTableError) {
        precondition(BindingLimits.tunnelMTU.contains(tunnelMTU), "a tunnel MTU is within 1280 and 1480")
        guard endpoint != configuration.endpoint || tunnelMTU != configuration.tunnelMTU else { return }
        let concerned = entries.values.filter { $0.binding.endpoint == nil || $0.binding.tunnelMTU == nil }
        for entry in concerned { try checkEndpoint(entry.binding, defaultEndpoint: endpoint) }
        configuration.endpoint = endpoint
        configuration.tunnelMTU = tunnelMTU
        for entry in concerned {
            apply(
                entry.binding, expiry: entry.expiry, revision: entry.revision, owner: entry.owner, named: entry.named)
        }
        finishChange()
    }

    /// Puts all bindings or, where one can't be, none. A binding replaces the one with its id.
    /// - Parameters:
    ///   - superseded: ids of bindings that go in the same change, unless they are put; their prefixes may be taken over.
    ///   - expected: the revisions that bindings must have by their ids; 0 where an id must not be bound.
    ///   - ending: memberships that end; those that are not there are passed over.
    ///   - beginning: memberships that begin then; the bindings may be among those that are put.
    ///   - owner: whose they are from then on.
    ///   - resynchronization: one of that owner, which this is part of (BindingTable+Resynchronization.swift).
    ///   - now: in nanoseconds, on a clock that does not run backwards; lifetimes count from it.
    /// - Throws: `BindingTableError` naming the binding, and in a conflict who holds the prefix (RFC 5454, 3.3).
    public func put(
        _ bindings: [Binding], superseding superseded: Set<String> = [], expecting expected: [String: UInt64] = [:],
        ending: [Group] = [], beginning: [Group] = [], by owner: String = "",
        in resynchronization: Resynchronization? = nil, now: UInt64
    ) throws(BindingTableError) -> Changes {
        for (id, revision) in expected where entries[id]?.revision ?? 0 != revision {
            throw .changed(id, isBound: entries[id] != nil)
        }
        let leaving = superseded.isEmpty ? [] : superseded.subtracting(bindings.map(\.id))
        let ownerNumber = try owners.number(of: owner)
        let (changing, kept) =
            resynchronization == nil ? (bindings, []) : try nameAgain(bindings)
        let handovers = try check(changing, leaving: leaving, in: resynchronization)
        try checkMemberships(beginning: beginning, ending: ending, putting: bindings, removing: leaving)
        var changes = Changes()
        changes.kept = kept.count
        renew(kept, owner: ownerNumber, now: now)
        for binding in changing {
            if entries[binding.id] == nil {
                changes.added.append(binding.id)
                sortedIDs = nil
            } else {
                changes.replaced.append(binding.id)
            }
            lastRevision += 1
            apply(
                binding, expiry: binding.expiry(from: now), revision: lastRevision,
                owner: ownerNumber, named: lastRevision)
        }
        changes.handedOver = handOver(handovers)
        finishChange()
        for group in ending { changes.left += leave(group.address, group.members) }
        changes.removed = remove(Array(leaving))
        for group in beginning { changes.joined += begin(group) }
        return changes
    }

    /// Removes bindings; ids that are not bound are passed over.
    /// - Returns: what was removed.
    public func remove(_ ids: [String]) -> [Binding] {
        ids.compactMap { id in
            guard let entry = entries.removeValue(forKey: id) else { return nil }
            groups.removeAll(of: id)
            // A change that superseded this binding may have given its prefixes to others.
            release(entry.binding, entry.record)
            unsettle(entry.binding, entry.record)
            records.retire(entry.record)
            idsByRecord[entry.record] = nil
            traffic.retire(entry.traffic)
            idsBySlot[Int(entry.traffic)] = nil
            owners.release(entry.owner)
            if let sequence = entry.sequence { sequences.retire(sequence) }
            if entry.pathMTU != nil { releasePath(to: entry.binding.careOfAddress) }
            sortedIDs = nil
            countEndpoint(entry.binding, by: -1)
            return entry.binding
        }
    }

    /// Removes the bindings whose lifetime has passed. Costs nothing where none has.
    /// - Returns: what was removed.
    public func expire(now: UInt64) -> [Binding] {
        guard now >= earliestExpiry else { return [] }
        let expired = remove(entries.filter { $0.value.expiry.map { $0 <= now } ?? false }.map(\.key))
        earliestExpiry = entries.values.reduce(.max) { min($0, $1.expiry ?? .max) }
        return expired
    }

    // MARK: A change

    /// Bindings that a change has replaced, with their records, to which prefixes may lead until the change is done.
    private var replaced: [(binding: Binding, record: UInt32)] = []

    func apply(_ binding: Binding, expiry: UInt64?, revision: UInt64, owner: UInt8, named: UInt64) {
        let old = entries[binding.id]
        let traffic = old?.traffic ?? take(from: self.traffic) { $0.initialize(to: TrafficCell()) }
        if old == nil {
            while idsBySlot.count <= Int(traffic) { idsBySlot.append(nil) }
            idsBySlot[Int(traffic)] = binding.id
        }
        owners.retain(owner)
        guard let endpoint = binding.endpoint ?? configuration.endpoint else {
            preconditionFailure("a binding was checked to have an endpoint")
        }
        let sequence = sequence(of: binding, endpoint: endpoint, replacing: old)
        let pathMTU = binding.mtuDiscovery ? retainPath(to: binding.careOfAddress) : nil
        let record = take(from: records) {
            $0.initialize(
                to: BindingRecord(
                    binding, endpoint: endpoint, tunnelMTU: tunnelMTU(of: binding),
                    timeToLive: configuration.outerTimeToLive, traffic: traffic,
                    sequence: sequence ?? PrefixTable.noValue, pathMTU: pathMTU ?? PrefixTable.noValue))
        }
        idsByRecord[record] = binding.id
        do {
            for bound in binding.prefixes {
                try prefixes.insert(bound.prefix, value: bound.reference(record).rawValue)
            }
        } catch { preconditionFailure("room for prefixes was checked") }
        let own = BindingReference(record, usesHomeAddress: false)
        if let address = binding.homeAddress { homeAddresses.insert(address, value: own.rawValue) }
        settle(binding, own)
        groups.setReference(of: binding.id, to: multicastReference(of: binding, record) ?? .none)
        if let old {
            owners.release(old.owner)
            countEndpoint(old.binding, by: -1)
            if old.binding.careOfAddress != binding.careOfAddress { unsettle(old.binding, old.record) }
            idsByRecord[old.record] = nil
            replaced.append((old.binding, old.record))
            if let number = old.sequence, number != sequence { sequences.retire(number) }
            if old.pathMTU != nil { releasePath(to: old.binding.careOfAddress) }
        }
        countEndpoint(binding, by: 1)
        earliestExpiry = min(earliestExpiry, expiry ?? .max)
        entries[binding.id] = Entry(
            binding: binding, record: record, traffic: traffic, sequence: sequence, pathMTU: pathMTU,
            endpoint: endpoint, expiry: expiry, revision: revision, owner: owner, named: named)
    }

    /// The slot of a GRE tunnel's sequence numbers: those of the tunnel that was there before, where it is the same.
    private func sequence(of binding: Binding, endpoint: IPv4Address, replacing old: Entry?) -> UInt32? {
        guard TunnelForm(binding).isGRE, binding.gre?.sequence == true else { return nil }
        if let old, let sequence = old.sequence, old.endpoint == endpoint, old.binding.gre == binding.gre,
            old.binding.careOfAddress == binding.careOfAddress
        {
            return sequence
        }
        lastGeneration &+= 1
        return take(from: sequences) { $0.initialize(to: GRESequence(generation: lastGeneration)) }
    }

    /// The slot of the MTU of the path to a care-of address, which all bindings there follow together.
    private func retainPath(to careOfAddress: IPv4Address) -> UInt32 {
        if let (slot, count) = pathUses[careOfAddress] {
            pathUses[careOfAddress] = (slot, count + 1)
            return slot
        }
        let slot = take(from: pathMTUs) { $0.initialize(to: PathMTU()) }
        pathUses[careOfAddress] = (slot, 1)
        paths.insert(careOfAddress, value: slot)
        return slot
    }

    private func releasePath(to careOfAddress: IPv4Address) {
        guard let (slot, count) = pathUses[careOfAddress] else { return }
        pathUses[careOfAddress] = count > 1 ? (slot, count - 1) : nil
        guard count == 1 else { return }
        paths.remove(careOfAddress)
        pathMTUs.retire(slot)
    }

    /// Makes a binding the one that its care-of address leads to.
    private func settle(_ binding: Binding, _ reference: BindingReference) {
        let address = binding.careOfAddress
        if let other = holder(atCareOf: address), other != binding.id {
            sharedCareOfAddresses[address, default: [other]].insert(binding.id)
        }
        careOfAddresses.insert(address, value: reference.rawValue)
    }

    /// A binding is no more at its care-of address, which leads to another one there, or nowhere.
    private func unsettle(_ binding: Binding, _ record: UInt32) {
        let address = binding.careOfAddress
        var others = sharedCareOfAddresses.removeValue(forKey: address) ?? []
        others.remove(binding.id)
        if others.count > 1 { sharedCareOfAddresses[address] = others }
        guard careOfAddresses.value(of: address) == BindingReference(record, usesHomeAddress: false).rawValue else {
            return
        }
        if let other = others.first.flatMap({ entries[$0] }) {
            careOfAddresses.insert(
                address, value: BindingReference(other.record, usesHomeAddress: false).rawValue)
        } else {
            careOfAddresses.remove(address)
        }
    }

    /// The largest inner packet of a binding, in bytes.
    func tunnelMTU(of binding: Binding) -> UInt16 {
        let standard = binding.mtuDiscovery ? BindingLimits.tunnelMTU.upperBound : configuration.tunnelMTU
        return binding.tunnelMTU ?? standard
    }

    private func countEndpoint(_ binding: Binding, by change: Int) {
        guard let endpoint = binding.endpoint else { return }
        let count = namedEndpoints[endpoint, default: 0] + change
        namedEndpoints[endpoint] = count == 0 ? nil : count
        if count == 0 {
            endpointTable.remove(endpoint)
        } else if count == 1, change > 0 {
            endpointTable.insert(endpoint, value: 0)
        }
    }

    /// Ends a change: takes away what still leads to a replaced record, then the records.
    func finishChange() {
        for (binding, record) in replaced { release(binding, record) }
        for (_, record) in replaced { records.retire(record) }
        replaced.removeAll(keepingCapacity: replaced.count < 4096)
    }

    /// Takes away the prefixes and the home address of a binding that still lead to its records.
    private func release(_ binding: Binding, _ record: UInt32) {
        for bound in binding.prefixes where prefixes.value(of: bound.prefix) == bound.reference(record).rawValue {
            prefixes.remove(bound.prefix)
        }
        let own = BindingReference(record, usesHomeAddress: false).rawValue
        if let address = binding.homeAddress, homeAddresses.value(of: address) == own { homeAddresses.remove(address) }
    }
}

extension BoundPrefix {
    fileprivate func reference(_ record: UInt32) -> BindingReference {
        BindingReference(record, usesHomeAddress: tunnel == .homeAddress)
    }
}

extension UInt64 {
    fileprivate func dividedRoundingUp(by divisor: UInt64) -> UInt64 { self / divisor + (self % divisor == 0 ? 0 : 1) }
}

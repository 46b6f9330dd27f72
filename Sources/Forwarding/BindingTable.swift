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
    /// As of now; the endpoint and tunnel MTU count for bindings that are put from then on.
    public private(set) var configuration: Configuration
    /// Of the threads that forward.
    public let quiescentStates = QuiescentStates()

    let prefixes: PrefixTable
    /// Of bindings that have one. The values of this and the next are references, as those of `prefixes`.
    let homeAddresses: AddressTable
    /// Home addresses of bindings of the mobile node's end, which are this side's own.
    let nodeAddresses: AddressTable
    /// IPv4 networks in their mapped form.
    let networks: PrefixTable
    /// Whether `networks` has any.
    let networkFlag: UnsafeMutablePointer<Atomic<Bool>>
    /// Of each care-of address the binding that was put last.
    let careOfAddresses: AddressTable
    /// The bindings at care-of addresses that have several.
    var sharedCareOfAddresses: [IPv4Address: Set<UInt32>] = [:]
    /// The tunnels to those, by `BindingRecord.digest`.
    let sharedTunnels: AddressTable
    let groups: GroupTable
    let records: Slab<BindingRecord>
    let traffic: Slab<TrafficCell>
    let sequences: Slab<GRESequence>
    let pathMTUs: Slab<PathMTU>
    /// By care-of address: the slots of `pathMTUs`, and how many bindings follow each.
    let paths: AddressTable
    var pathUses: [IPv4Address: (slot: UInt32, count: Int)] = [:]
    /// `namedEndpoints`, for the readers.
    private let endpointTable: AddressTable
    /// All of them, as the writer keeps them.
    let store: BindingStore
    /// The last that was given; they are never given twice.
    public internal(set) var lastRevision: UInt64 = 0
    /// What is touched while somebody copies the table (BindingTable+Snapshot).
    var touched = TouchedNames<String>()
    var owners = BindingOwners()
    private var lastGeneration: UInt32 = 0
    /// The last time that the table was told.
    var now: UInt64 = 0

    /// The endpoints that bindings name themselves, and how many do.
    public private(set) var namedEndpoints: [IPv4Address: Int] = [:]

    /// A table without bindings.
    /// - Throws: `SlabError` where there is no address space for it.
    public init(_ configuration: Configuration) throws(SlabError) {
        self.configuration = configuration
        // As many again may stand beside them, or be waiting for the readers, while all bindings change at once.
        prefixes = try PrefixTable(capacity: configuration.prefixLimit * 2, quiescentStates: quiescentStates)
        networks = try PrefixTable(capacity: configuration.prefixLimit * 2, quiescentStates: quiescentStates)
        networkFlag = .allocate(capacity: 1)
        networkFlag.initialize(to: Atomic(false))
        homeAddresses = AddressTable(quiescentStates: quiescentStates)
        nodeAddresses = AddressTable(quiescentStates: quiescentStates)
        careOfAddresses = AddressTable(quiescentStates: quiescentStates)
        sharedTunnels = AddressTable(quiescentStates: quiescentStates)
        paths = AddressTable(quiescentStates: quiescentStates)
        endpointTable = AddressTable(quiescentStates: quiescentStates)
        groups = try GroupTable(limit: configuration.memberLimit, quiescentStates: quiescentStates)
        let capacity = configuration.bindingLimit * 2 + 4096
        records = try Slab(capacity: capacity, quiescentStates: quiescentStates)
        traffic = try Slab(capacity: capacity, quiescentStates: quiescentStates)
        sequences = try Slab(capacity: capacity, quiescentStates: quiescentStates)
        pathMTUs = try Slab(capacity: capacity, quiescentStates: quiescentStates)
        store = try BindingStore(capacity: capacity)
    }

    deinit { networkFlag.deallocate() }

    /// How many bindings there are.
    public var count: Int { store.count }
    /// How many prefixes and networks they have.
    public var prefixCount: Int { prefixes.count + networks.count }

    /// What a forwarder reads; may be sent to its thread.
    public var reader: Reader {
        Reader(
            owner: self, prefixes: prefixes.reader, homeAddresses: homeAddresses.reader,
            nodeAddresses: nodeAddresses.reader, networks: networks.reader, networkFlag: UnsafePointer(networkFlag),
            careOfAddresses: careOfAddresses.reader, sharedTunnels: sharedTunnels.reader, groups: groups,
            records: UnsafePointer(records.base),
            traffic: traffic.base, sequences: sequences.base,
            pathMTUs: pathMTUs.base, paths: paths.reader, endpoints: endpointTable.reader)
    }

    // MARK: Reading

    /// The binding with that id.
    /// - Parameter now: in nanoseconds, on the clock of `put`.
    public func state(of id: String, now: UInt64) -> State? {
        guard let entry = entry(of: id) else { return nil }
        var binding = entry.binding
        binding.lifetime = entry.expiry.map {
            // One whose lifetime has passed is there until it is looked for.
            max(UInt32(clamping: ($0 - min(now, $0)).dividedRoundingUp(by: 1_000_000_000)), 1)
        }
        return State(
            binding: binding, traffic: BindingTraffic(traffic.base[Int(entry.number)]), revision: entry.stored.revision,
            owner: owners[entry.stored.owner])
    }

    /// Ids in their order, behind `after`, `limit` of them at the most.
    public func ids(after: String, limit: Int) -> [String] {
        store.numbers(after: after, limit: limit).map { store[$0].id }
    }

    /// The id of the binding that has the longest prefix that holds `address`; where `address` is the IPv4-mapped form of
    /// one, that which has that home address, or the longest network that holds it.
    public func holder(of address: IPv6Address) -> String? {
        guard let mapped = address.mappedIPv4 else {
            return id(of: BindingReference(rawValue: prefixes.reader.lookup(address)))
        }
        let number =
            numberOfHolder(of: mapped)
            ?? BindingReference(rawValue: networks.reader.lookup(address)).ifAny.map(number(of:))
        return number.map { store[$0].id }
    }

    /// Where a record's home address stands.
    func homeAddressTable(of record: BindingRecord) -> AddressTable {
        record.isMobileNode ? nodeAddresses : homeAddresses
    }

    /// The number of the binding that has a home address.
    func numberOfHolder(of homeAddress: IPv4Address) -> UInt32? {
        let found = homeAddresses.value(of: homeAddress) ?? nodeAddresses.value(of: homeAddress)
        return found.map { number(of: BindingReference(rawValue: $0)) }
    }

    /// The id of a binding at that care-of address; of several the one that was put last.
    public func holder(atCareOf address: IPv4Address) -> String? {
        careOfAddresses.value(of: address).flatMap { id(of: BindingReference(rawValue: $0)) }
    }

    func id(of reference: BindingReference) -> String? {
        reference == .none ? nil : store[number(of: reference)].id
    }

    // MARK: Writing

    /// Sets what bindings get that name no endpoint or tunnel MTU. Those that are there and name none get it at once,
    /// and keep their revision: nobody has put them.
    /// - Parameter tunnelMTU: in bytes, within `BindingLimits.tunnelMTU`.
    /// - Throws: `BindingTableError` naming a binding that can't have these, with nothing changed.
    public func setDefaults(endpoint: IPv4Address?, tunnelMTU: UInt16) throws(BindingTableError) {
        precondition(BindingLimits.tunnelMTU.contains(tunnelMTU), "a tunnel MTU is within 1280 and 1480")
        guard endpoint != configuration.endpoint || tunnelMTU != configuration.tunnelMTU else { return }
        let concerned = store.numbers.filter { !self.store[$0].hasOwnEndpoint || !self.store[$0].hasOwnTunnelMTU }
        for number in concerned { try checkEndpoint(entry(number).binding, defaultEndpoint: endpoint) }
        configuration.endpoint = endpoint
        configuration.tunnelMTU = tunnelMTU
        for number in concerned {
            let entry = entry(number)
            apply(
                entry.binding, expiry: entry.expiry, revision: entry.stored.revision, owner: entry.stored.owner,
                named: entry.stored.named)
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
        self.now = max(self.now, now)
        for (id, revision) in expected {
            let number = store.number(of: id)
            guard number.map({ store[$0].revision }) ?? 0 == revision else {
                throw .changed(id, isBound: number != nil)
            }
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
            lastRevision += 1
            let isNew = apply(
                binding, expiry: binding.expiry(from: now), revision: lastRevision,
                owner: ownerNumber, named: lastRevision)
            if isNew { changes.added.append(binding.id) } else { changes.replaced.append(binding.id) }
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
        ids.compactMap { store.number(of: $0).map(remove) }
    }

    private func remove(_ number: UInt32) -> Binding {
        let (stored, record) = (store[number], records.base[Int(store[number].record)])
        touched.note(stored.id)
        groups.removeAll(of: stored.id)
        // A change that superseded this binding may have given its prefixes to others.
        release(stored)
        unsettle(number, record.careOfAddress, stored.record)
        forgetTunnel(stored.record)
        records.retire(stored.record)
        owners.release(stored.owner)
        if record.sequence != PrefixTable.noValue { sequences.retire(record.sequence) }
        if record.pathMTU != PrefixTable.noValue { releasePath(to: record.careOfAddress) }
        if stored.hasOwnEndpoint { countEndpoint(record.endpoint, by: -1) }
        store.remove(number)
        traffic.retire(number)
        return stored.binding(record)
    }

    /// Removes bindings whose lifetime has passed. Costs nothing where none has.
    /// - Parameter limit: how many at the most; the rest goes the next time.
    /// - Returns: what was removed.
    public func expire(now: UInt64, limit: Int = .max) -> [Binding] {
        self.now = max(self.now, now)
        return store.takeExpired(now: now, limit: limit).map(remove)
    }

    // MARK: A change

    /// Bindings that a change has replaced, to whose records prefixes may lead until the change is done.
    private var replaced: [StoredBinding] = []

    /// - Returns: whether there was none with its id.
    @discardableResult
    func apply(_ binding: Binding, expiry: UInt64?, revision: UInt64, owner: UInt8, named: UInt64) -> Bool {
        touched.note(binding.id)
        let known = store.number(of: binding.id)
        let number = known ?? traffic.take { $0.initialize(to: TrafficCell()) }
        let old = known.map { store[$0] }
        let oldRecord = old.map { records.base[Int($0.record)] }
        owners.retain(owner)
        let record = makeRecord(of: binding, number: number, replacing: oldRecord)
        do {
            for bound in binding.prefixes {
                try prefixes.insert(bound.prefix, value: bound.reference(record).rawValue)
            }
            for network in binding.networks {
                networkFlag.pointee.store(true, ordering: .releasing)
                try networks.insert(
                    network.mapped, value: BindingReference(record, usesHomeAddress: false).rawValue)
            }
        } catch { preconditionFailure("room for prefixes was checked") }
        let own = BindingReference(record, usesHomeAddress: false)
        if let address = binding.homeAddress {
            homeAddressTable(of: records.base[Int(record)]).insert(address, value: own.rawValue)
        }
        settle(number, binding.careOfAddress, own)
        let stored = StoredBinding(
            binding, expiry: expiry, revision: revision, owner: owner, named: named, record: record)
        if groups.isMember(binding.id) {
            groups.setReference(of: binding.id, to: multicastReference(of: stored, records.base[Int(record)]) ?? .none)
        }
        guard let old, let oldRecord else {
            store.insert(stored, number: number, now: now)
            return true
        }
        store.replace(number, by: stored, now: now)
        owners.release(old.owner)
        if old.hasOwnEndpoint { countEndpoint(oldRecord.endpoint, by: -1) }
        if oldRecord.careOfAddress != binding.careOfAddress { unsettle(number, oldRecord.careOfAddress, old.record) }
        forgetTunnel(old.record)
        replaced.append(old)
        if oldRecord.sequence != PrefixTable.noValue, oldRecord.sequence != records.base[Int(record)].sequence {
            sequences.retire(oldRecord.sequence)
        }
        if oldRecord.pathMTU != PrefixTable.noValue { releasePath(to: oldRecord.careOfAddress) }
        return false
    }

    /// Makes a binding's record, and takes what it needs beside it.
    func makeRecord(of binding: Binding, number: UInt32, replacing old: BindingRecord?) -> UInt32 {
        guard let endpoint = binding.endpoint ?? configuration.endpoint else {
            preconditionFailure("a binding was checked to have an endpoint")
        }
        if binding.endpoint != nil { countEndpoint(endpoint, by: 1) }
        let sequence = sequence(of: binding, endpoint: endpoint, replacing: old)
        let pathMTU = binding.mtuDiscovery ? retainPath(to: binding.careOfAddress) : nil
        return records.take {
            $0.initialize(
                to: BindingRecord(
                    binding, endpoint: endpoint, tunnelMTU: tunnelMTU(of: binding),
                    timeToLive: configuration.outerTimeToLive, traffic: number,
                    sequence: sequence ?? PrefixTable.noValue, pathMTU: pathMTU ?? PrefixTable.noValue))
        }
    }

    /// The slot of a GRE tunnel's sequence numbers: those of the tunnel that was there before, where it is the same.
    private func sequence(of binding: Binding, endpoint: IPv4Address, replacing old: BindingRecord?) -> UInt32? {
        let form = TunnelForm(binding)
        guard form.isGRE, let options = binding.gre, options.sequence else { return nil }
        if let old, old.sequence != PrefixTable.noValue, old.form == form, old.endpoint == endpoint,
            old.careOfAddress == binding.careOfAddress, old.port == binding.udpPort ?? 0,
            old.greFlags == GRETunnel.shape(options).flags, old.key == options.key ?? 0
        {
            return old.sequence
        }
        lastGeneration &+= 1
        return sequences.take {
            $0.initialize(to: GRESequence(generation: lastGeneration, owner: mainWorker(of: binding)))
        }
    }

    /// The largest inner packet of a binding, in bytes.
    func tunnelMTU(of binding: Binding) -> UInt16 {
        let standard = binding.mtuDiscovery ? BindingLimits.tunnelMTU.upperBound : configuration.tunnelMTU
        return binding.tunnelMTU ?? standard
    }

    private func countEndpoint(_ endpoint: IPv4Address, by change: Int) {
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
        for stored in replaced { release(stored) }
        for stored in replaced { records.retire(stored.record) }
        replaced.removeAll(keepingCapacity: replaced.count < 4096)
    }

    /// Takes away the prefixes, the networks and the home address of a binding that still lead to its record.
    private func release(_ stored: StoredBinding) {
        let record = records.base[Int(stored.record)]
        stored.forEachPrefix(record) { bound in
            let table = bound.isNetwork ? networks : prefixes
            if table.value(of: bound.prefix) == bound.reference(stored.record).rawValue { table.remove(bound.prefix) }
        }
        if networks.count == 0 { networkFlag.pointee.store(false, ordering: .releasing) }
        guard stored.hasHomeAddress else { return }
        let own = BindingReference(stored.record, usesHomeAddress: false).rawValue
        let table = homeAddressTable(of: record)
        if table.value(of: record.homeAddress) == own { table.remove(record.homeAddress) }
    }
}

extension BoundPrefix {
    func reference(_ record: UInt32) -> BindingReference {
        BindingReference(record, usesHomeAddress: tunnel == .homeAddress)
    }
}

extension UInt64 {
    fileprivate func dividedRoundingUp(by divisor: UInt64) -> UInt64 { self / divisor + (self % divisor == 0 ? 0 : 1) }
}

// All bindings of a forwarder: what the control plane put, and the tables that the hot path reads. One thread writes.
//
// A change is checked whole before anything is touched, and then carried out prefix by prefix, each a single store for
// the readers: a prefix that moves from one care-of address to another is never without a binding in between. What a
// change replaced is used again when every worker has passed a quiescent point.

import Bindings
import Glibc
import PrefixTable
import Synchronization
import Wire

/// The bindings of a forwarder; for one writing thread.
public final class BindingTable {
    /// What a table is made for.
    public struct Configuration: Sendable {
        /// Bindings it holds at the most.
        public var bindingLimit = 65_536
        /// Prefixes it holds at the most, over all bindings.
        public var prefixLimit = 262_144
        /// The outer source of bindings that name none; nil makes such a binding an error.
        public var endpoint: IPv4Address?
        /// The tunnel MTU of bindings that name none, in bytes (RFC 4213, 3.2.1).
        public var tunnelMTU = BindingLimits.tunnelMTU.lowerBound
        /// Of the outer header.
        public var outerTimeToLive: UInt8 = 64

        /// The defaults, without an endpoint.
        public init() {}
    }

    /// A binding and what the table keeps with it.
    private struct Entry {
        var binding: Binding
        var record: UInt32
        var traffic: UInt32
        /// On the clock of `put`; nil for ever.
        var expiry: UInt64?
        var revision: UInt64
    }

    /// A binding as it is now.
    public struct State: Sendable {
        /// Its lifetime is what remains of it, in seconds, rounded up.
        public var binding: Binding
        /// What went through it.
        public var traffic: BindingTraffic
        /// Never 0, and another one after each time that the binding was put.
        public var revision: UInt64
    }

    /// What a change did.
    public struct Changes: Hashable, Sendable {
        /// Ids of bindings that are new.
        public var added: [String] = []
        /// Ids of bindings that were there before.
        public var replaced: [String] = []
        /// Bindings that went.
        public var removed: [Binding] = []
    }

    /// As of now; the endpoint and tunnel MTU count for bindings that are put from then on.
    public private(set) var configuration: Configuration
    /// Of the threads that forward.
    public let quiescentStates = QuiescentStates()

    private let prefixes: PrefixTable
    private let records: Slab<BindingRecord>
    private let traffic: Slab<TrafficCell>
    private var entries: [String: Entry] = [:]
    /// The ids of records in use, for those who have only the record.
    private var idsByRecord: [UInt32: String] = [:]
    private var sortedIDs: [String]?
    private var lastRevision: UInt64 = 0
    /// No lifetime passes before this.
    private var earliestExpiry = UInt64.max

    /// The endpoints that bindings name themselves, and how many do.
    public private(set) var namedEndpoints: [IPv4Address: Int] = [:]

    /// A table without bindings.
    /// - Throws: `SlabError` where there is no address space for it.
    public init(_ configuration: Configuration) throws(SlabError) {
        self.configuration = configuration
        // As many again may stand beside them, or be waiting for the readers, while all bindings change at once.
        prefixes = try PrefixTable(capacity: configuration.prefixLimit * 2, quiescentStates: quiescentStates)
        records = try Slab(capacity: configuration.bindingLimit * 2 + 4096, quiescentStates: quiescentStates)
        traffic = try Slab(capacity: configuration.bindingLimit * 2 + 4096, quiescentStates: quiescentStates)
    }

    /// How many bindings there are.
    public var count: Int { entries.count }
    /// How many prefixes they have.
    public var prefixCount: Int { prefixes.count }

    /// What a forwarder reads; may be sent to its thread.
    public var reader: Reader {
        Reader(
            owner: self, prefixes: prefixes.reader, records: UnsafePointer(records.base), traffic: traffic.base)
    }

    /// The side of a table that forwarders see. It keeps the table's memory, and touches nothing that the writer alone
    /// may touch.
    public struct Reader: @unchecked Sendable {
        private let owner: BindingTable
        @usableFromInline let prefixes: PrefixTable.Reader
        @usableFromInline let records: UnsafePointer<BindingRecord>
        @usableFromInline let traffic: UnsafeMutablePointer<TrafficCell>

        fileprivate init(
            owner: BindingTable, prefixes: PrefixTable.Reader, records: UnsafePointer<BindingRecord>,
            traffic: UnsafeMutablePointer<TrafficCell>
        ) {
            self.owner = owner
            self.prefixes = prefixes
            self.records = records
            self.traffic = traffic
        }
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
            binding: binding, traffic: BindingTraffic(traffic.base[Int(entry.traffic)]), revision: entry.revision)
    }

    /// Ids in their order, behind `after`, `limit` of them at the most.
    public func ids(after: String, limit: Int) -> ArraySlice<String> {
        let ids = sortedIDs ?? entries.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        sortedIDs = ids
        // The first id behind `after`, by bisection.
        var (low, high) = (0, ids.count)
        while low < high {
            let middle = (low + high) / 2
            if after.utf8.lexicographicallyPrecedes(ids[middle].utf8) { high = middle } else { low = middle + 1 }
        }
        return ids[low...].prefix(limit)
    }

    /// The id of the binding that has the longest prefix that holds `address`.
    public func holder(of address: IPv6Address) -> String? {
        idsByRecord[prefixes.reader.lookup(address)]
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
        for entry in concerned { try checkCarried(entry.binding, defaultEndpoint: endpoint) }
        configuration.endpoint = endpoint
        configuration.tunnelMTU = tunnelMTU
        for entry in concerned { apply(entry.binding, expiry: entry.expiry, revision: entry.revision) }
        finishChange()
    }

    /// Puts all bindings or, where one can't be, none. A binding replaces the one with its id.
    /// - Parameters:
    ///   - superseded: ids of bindings that go in the same change, unless they are put; their prefixes may be taken over.
    ///   - expected: the revisions that bindings must have by their ids; 0 where an id must not be bound.
    ///   - now: in nanoseconds, on a clock that does not run backwards; lifetimes count from it.
    /// - Throws: `BindingTableError` naming the binding, and in a conflict who holds the prefix (RFC 5454, 3.3).
    public func put(
        _ bindings: [Binding], superseding superseded: Set<String> = [], expecting expected: [String: UInt64] = [:],
        now: UInt64
    ) throws(BindingTableError) -> Changes {
        for (id, revision) in expected where entries[id]?.revision ?? 0 != revision {
            throw .changed(id, isBound: entries[id] != nil)
        }
        let leaving = superseded.subtracting(bindings.map(\.id))
        try check(bindings, leaving: leaving)
        var changes = Changes()
        for binding in bindings {
            if entries[binding.id] == nil {
                changes.added.append(binding.id)
                sortedIDs = nil
            } else {
                changes.replaced.append(binding.id)
            }
            lastRevision += 1
            apply(
                binding, expiry: binding.lifetime.map { now + UInt64($0) * 1_000_000_000 }, revision: lastRevision)
        }
        finishChange()
        changes.removed = remove(Array(leaving))
        return changes
    }

    /// Removes bindings; ids that are not bound are passed over.
    /// - Returns: what was removed.
    public func remove(_ ids: [String]) -> [Binding] {
        ids.compactMap { id in
            guard let entry = entries.removeValue(forKey: id) else { return nil }
            // A change that superseded this binding may have given its prefixes to others.
            for bound in entry.binding.prefixes where prefixes.value(of: bound.prefix) == entry.record {
                prefixes.remove(bound.prefix)
            }
            records.retire(entry.record)
            traffic.retire(entry.traffic)
            idsByRecord[entry.record] = nil
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

    /// Prefixes that a replaced binding had and its successor may not have, with the record they led to.
    private var stale: [(prefix: IPv6Prefix, record: UInt32)] = []

    private func check(_ bindings: [Binding], leaving: Set<String>) throws(BindingTableError) {
        var batch: [String: Int] = [:]
        var owned: [OwnedPrefix] = []
        for (index, binding) in bindings.enumerated() {
            do { try binding.validate() } catch { throw .malformed(binding.id, error) }
            if batch.updateValue(index, forKey: binding.id) != nil {
                throw .malformed(binding.id, BindingError("binding \(binding.id)", "stands twice in this batch"))
            }
            try checkCarried(binding, defaultEndpoint: configuration.endpoint)
            owned += binding.prefixes.map { OwnedPrefix(prefix: $0.prefix, owner: index) }
        }
        if let (first, second) = OwnedPrefix.firstOverlap(of: owned) {
            throw .conflict(
                bindings[second.owner].id, second.prefix, holder: bindings[first.owner].id, held: first.prefix)
        }
        for prefix in owned {
            var found: (holder: String, held: IPv6Prefix)?
            prefixes.forEachOverlap(with: prefix.prefix) { held, record in
                // What a binding of this batch holds now is replaced by what was checked above.
                guard let holder = idsByRecord[record], batch[holder] == nil, !leaving.contains(holder) else {
                    return true
                }
                found = (holder, held)
                return false
            }
            if let found {
                throw .conflict(bindings[prefix.owner].id, prefix.prefix, holder: found.holder, held: found.held)
            }
        }
        let going = (bindings.map(\.id) + leaving).compactMap { entries[$0] }
        guard entries.count - going.count + bindings.count <= configuration.bindingLimit else {
            throw .tooManyBindings(limit: configuration.bindingLimit)
        }
        let goingPrefixes = going.reduce(0) { $0 + $1.binding.prefixes.count }
        guard prefixes.count - goingPrefixes + owned.count <= configuration.prefixLimit else {
            throw .tooManyPrefixes(limit: configuration.prefixLimit)
        }
    }

    /// What this version of the forwarder can't carry is refused when it is put, not dropped when packets come.
    private func checkCarried(_ binding: Binding, defaultEndpoint: IPv4Address?) throws(BindingTableError) {
        func refuse(_ what: String) -> BindingTableError {
            .malformed(binding.id, BindingError("binding \(binding.id)", "\(what) is not carried by this version"))
        }
        guard binding.encapsulation == .ipInIP else {
            throw refuse("encapsulation \"\(binding.encapsulation.rawValue)\"")
        }
        if binding.prefixes.contains(where: { $0.tunnel == .homeAddress }) { throw refuse("tunnel \"home-address\"") }
        guard let endpoint = binding.endpoint ?? defaultEndpoint else {
            throw .malformed(
                binding.id, BindingError("binding \(binding.id).endpoint", "is missing, and the daemon has no endpoint")
            )
        }
        if endpoint == binding.careOfAddress {
            throw .malformed(
                binding.id,
                BindingError("binding \(binding.id).careOfAddress", "\(endpoint) is the tunnel's own endpoint"))
        }
    }

    private func apply(_ binding: Binding, expiry: UInt64?, revision: UInt64) {
        let old = entries[binding.id]
        let traffic = old?.traffic ?? take(from: self.traffic) { $0.initialize(to: TrafficCell()) }
        guard let endpoint = binding.endpoint ?? configuration.endpoint else {
            preconditionFailure("a binding was checked to have an endpoint")
        }
        let record = take(from: records) {
            $0.initialize(
                to: BindingRecord(
                    binding, endpoint: endpoint, tunnelMTU: binding.tunnelMTU ?? configuration.tunnelMTU,
                    timeToLive: configuration.outerTimeToLive, traffic: traffic))
        }
        idsByRecord[record] = binding.id
        for bound in binding.prefixes {
            do { try prefixes.insert(bound.prefix, value: record) } catch {
                preconditionFailure("room for prefixes was checked")
            }
        }
        if let old {
            countEndpoint(old.binding, by: -1)
            stale += old.binding.prefixes.map { ($0.prefix, old.record) }
            idsByRecord[old.record] = nil
            retiredRecords.append(old.record)
        }
        countEndpoint(binding, by: 1)
        earliestExpiry = min(earliestExpiry, expiry ?? .max)
        entries[binding.id] = Entry(
            binding: binding, record: record, traffic: traffic, expiry: expiry, revision: revision)
    }

    private func countEndpoint(_ binding: Binding, by change: Int) {
        guard let endpoint = binding.endpoint else { return }
        let count = namedEndpoints[endpoint, default: 0] + change
        namedEndpoints[endpoint] = count == 0 ? nil : count
    }

    /// Records that a change has replaced, which prefixes may lead to until the change is done.
    private var retiredRecords: [UInt32] = []

    /// Ends a change: takes away the prefixes that still lead to a replaced record, then the records.
    private func finishChange() {
        for (prefix, record) in stale where prefixes.value(of: prefix) == record { prefixes.remove(prefix) }
        stale.removeAll(keepingCapacity: stale.count < 4096)
        for record in retiredRecords { records.retire(record) }
        retiredRecords.removeAll(keepingCapacity: retiredRecords.count < 4096)
    }

    private func take<Element: ~Copyable>(
        from slab: Slab<Element>, _ initialize: (UnsafeMutablePointer<Element>) -> Void
    ) -> UInt32 {
        while true {
            if let number = slab.take() {
                initialize(slab.base + Int(number))
                return number
            }
            // Only retired numbers are left, and readers pass within one batch.
            sched_yield()
        }
    }
}

/// Why a change to a binding table was refused. Nothing was changed.
public enum BindingTableError: Error, Hashable, CustomStringConvertible {
    /// A binding, by its id, breaks a rule.
    case malformed(String, BindingError)
    /// A prefix of a binding overlaps one that another holds.
    case conflict(String, IPv6Prefix, holder: String, held: IPv6Prefix)
    /// A binding, by its id, is not as the caller knew it: it was put or removed since, or is bound already.
    case changed(String, isBound: Bool)
    /// There would be more bindings than the table holds.
    case tooManyBindings(limit: Int)
    /// There would be more prefixes than the table holds.
    case tooManyPrefixes(limit: Int)

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .malformed(_, let error): "\(error)"
        case .conflict(let id, let prefix, let holder, let held):
            "binding \(id): \(prefix) overlaps \(held), which binding \(holder) holds; remove that first, or put both in one batch"
        case .changed(let id, let isBound):
            "binding \(id) \(isBound ? "was put" : "was removed") by somebody else meanwhile: read it again"
        case .tooManyBindings(let limit): "there may be no more than \(limit) bindings: raise --max-bindings"
        case .tooManyPrefixes(let limit): "there may be no more than \(limit) prefixes: raise --max-prefixes"
        }
    }

    /// The id of the binding that it concerns, where there is one.
    public var bindingID: String? {
        switch self {
        case .malformed(let id, _), .conflict(let id, _, _, _), .changed(let id, _): id
        case .tooManyBindings, .tooManyPrefixes: nil
        }
    }
}

extension UInt64 {
    fileprivate func dividedRoundingUp(by divisor: UInt64) -> UInt64 { self / divisor + (self % divisor == 0 ? 0 : 1) }
}

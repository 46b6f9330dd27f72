// Bindings in a file: JSON, read by `mooring binding load`, `mooring replay` and `mooringd --bindings`. Reading is
// strict (StrictJSON): whatever is not understood is an error that names its place. Writing is BindingFile+Encoding.
//
// Each binding's own rules are Binding.validate's; what concerns several is here: ids that stand twice, prefixes of two
// nodes that overlap (RFC 5454, 3.3), groups with members that don't exist.

import Wire

/// A file of bindings.
public struct BindingFile: Hashable, Sendable {
    /// A multicast group and the nodes that get it.
    public struct Group: Hashable, Sendable {
        /// An IPv6 multicast address.
        public var group: IPv6Address
        /// Ids of bindings in this file.
        public var members: [String]

        /// A group with its members.
        public init(_ group: IPv6Address, members: [String]) {
            self.group = group
            self.members = members
        }
    }

    /// Where tunnels start whose binding names no endpoint; nil means the daemon's.
    public var endpoint: IPv4Address?
    /// The largest inner packet in bytes for bindings that name none; nil means the daemon's.
    public var tunnelMTU: UInt16?
    /// The bindings as they stand in the file.
    public var bindings: [Binding]
    /// Multicast groups.
    public var groups: [Group]

    /// A file's contents, unchecked.
    public init(
        endpoint: IPv4Address? = nil, tunnelMTU: UInt16? = nil, bindings: [Binding] = [], groups: [Group] = []
    ) {
        self.endpoint = endpoint
        self.tunnelMTU = tunnelMTU
        self.bindings = bindings
        self.groups = groups
    }

    /// Reads and checks a file.
    /// - Throws: what is wrong; the place begins with the path.
    public init(contentsOf path: String) throws(BindingError) {
        do throws(StrictJSON.Failure) {
            try self.init(StrictJSON.read(contentsOf: path))
        } catch {
            throw BindingError(
                error.place == path || error.place.isEmpty ? path : "\(path): \(error.place)", error.problem)
        }
    }

    /// Reads and checks the text of a file.
    /// - Throws: what is wrong; the place is such as `bindings[3].prefixes[0].prefix`.
    public init(json: [UInt8]) throws(BindingError) {
        do throws(StrictJSON.Failure) {
            try self.init(StrictJSON.parse(json))
        } catch {
            throw BindingError(error.place, error.problem)
        }
    }

    /// The bindings with the file's endpoint and tunnel MTU where they name none of their own.
    public var resolvedBindings: [Binding] { bindings.map(resolve) }

    private func resolve(_ binding: Binding) -> Binding {
        var binding = binding
        binding.endpoint = binding.endpoint ?? endpoint
        if !binding.mtuDiscovery { binding.tunnelMTU = binding.tunnelMTU ?? tunnelMTU }
        return binding
    }
}

// MARK: - Checking

extension BindingFile {
    /// Checks all rules: those of each binding, and those between them.
    /// - Throws: the first that is broken, with its place in the file.
    public func validate() throws(BindingError) {
        if let endpoint, !endpoint.isUnicastSource {
            throw BindingError("endpoint", "\(endpoint) is no unicast address")
        }
        if let tunnelMTU, !BindingLimits.tunnelMTU.contains(tunnelMTU) {
            let range = BindingLimits.tunnelMTU
            throw BindingError("tunnelMTU", "\(tunnelMTU) is not within \(range.lowerBound) and \(range.upperBound)")
        }
        var places: [String: Int] = [:]
        places.reserveCapacity(bindings.count)
        for (index, binding) in bindings.enumerated() {
            try resolve(binding).validate(at: "bindings[\(index)]")
            if let other = places.updateValue(index, forKey: binding.id) {
                throw BindingError("bindings[\(index)].id", "\(binding.id) is also the id of bindings[\(other)]")
            }
        }
        try refuseOverlaps()
        try validateGroups(ids: places)
    }

    private func refuseOverlaps() throws(BindingError) {
        var owned: [OwnedPrefix] = []
        var networks: [OwnedPrefix] = []
        owned.reserveCapacity(bindings.count)
        for (index, binding) in bindings.enumerated() {
            owned += binding.prefixes.lazy.map { OwnedPrefix(prefix: $0.prefix, owner: index) }
            networks += binding.networks.lazy.map { OwnedPrefix(prefix: $0.mapped, owner: index) }
        }
        try refuseOverlaps(of: owned)
        try refuseOverlaps(of: networks)
    }

    private func refuseOverlaps(of owned: [OwnedPrefix]) throws(BindingError) {
        guard let (one, other) = OwnedPrefix.firstOverlap(of: owned) else { return }
        // The one that stands later in the file is named as the culprit.
        let (first, second) = one.owner < other.owner ? (one, other) : (other, one)
        throw BindingError(
            place(of: second),
            "\(text(second)) of \(bindings[second.owner].id) overlaps \(text(first)) of \(bindings[first.owner].id) "
                + "(\(place(of: first))); a \(first.prefix.mappedIPv4 == nil ? "prefix" : "network") belongs to one node"
        )
    }

    private func text(_ owned: OwnedPrefix) -> String {
        owned.prefix.mappedIPv4?.description ?? owned.prefix.description
    }

    private func place(of owned: OwnedPrefix) -> String {
        if let network = owned.prefix.mappedIPv4,
            let position = bindings[owned.owner].networks.firstIndex(of: network)
        {
            return "bindings[\(owned.owner)].networks[\(position)]"
        }
        let position = bindings[owned.owner].prefixes.firstIndex { $0.prefix == owned.prefix } ?? 0
        return "bindings[\(owned.owner)].prefixes[\(position)].prefix"
    }

    private func validateGroups(ids: [String: Int]) throws(BindingError) {
        var seen: Set<IPv6Address> = []
        for (index, group) in groups.enumerated() {
            guard Binding.isGroup(group.group) else {
                throw BindingError(
                    "groups[\(index)].group",
                    "\(group.group) is no IPv6 multicast address whose scope is at least that of a link")
            }
            guard seen.insert(group.group).inserted else {
                throw BindingError("groups[\(index)].group", "\(group.group) stands twice")
            }
            var members: Set<String> = []
            for (position, member) in group.members.enumerated() {
                let place = "groups[\(index)].members[\(position)]"
                guard ids[member] != nil else {
                    throw BindingError(place, "\(StrictJSON.quoted(member)) is the id of no binding in this file")
                }
                guard members.insert(member).inserted else { throw BindingError(place, "\(member) stands twice") }
            }
        }
    }
}

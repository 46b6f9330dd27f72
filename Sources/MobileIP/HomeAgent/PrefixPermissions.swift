// Whether a node may have a prefix. Those that are named one by one are looked up, however many they are; ranges, of
// which there are few, are gone through.

import Wire

/// What a node may ask for, made for one request.
struct PrefixPermissions {
    private var exact: Set<IPv6Prefix> = []
    private var ranges: [PrefixPermission] = []
    private var delegated: [IPv6Prefix]

    /// - Parameters:
    ///   - pools: where the node may use them.
    ///   - delegated: prefixes of which the node may have any part.
    init(_ permissions: [PrefixPermission], pools: [PrefixPermission], delegated: [IPv6Prefix]) {
        self.delegated = delegated
        if permissions.count <= 8 {
            ranges = permissions + pools
            return
        }
        ranges = pools
        for permission in permissions {
            if permission.isSinglePrefix { exact.insert(permission.range) } else { ranges.append(permission) }
        }
    }

    /// Whether it may be registered. What could not be a source of packets never may.
    func permit(_ prefix: IPv6Prefix) -> Bool {
        prefix.isRegistrable
            && (exact.contains(prefix) || ranges.contains { $0.permits(prefix) }
                || delegated.contains { $0.length <= prefix.length && $0.contains(prefix.address) })
    }
}

extension PrefixPermission {
    fileprivate var isSinglePrefix: Bool { lengths.lowerBound == range.length && lengths.upperBound == range.length }
}

extension IPv6Prefix {
    /// Whether it is one of global unicast addresses, as the forwarder asks for.
    var isRegistrable: Bool {
        if address.isLinkLocal { return false }
        return length == 0 || !(address.isMulticast || (length >= 96 && address.isForbiddenTunnelSource))
    }

    /// An IPv4 prefix as it stands in the table that has both families.
    init(mapping prefix: IPv4Prefix) {
        self.init(containing: IPv6Address(mapping: prefix.address), length: 96 + prefix.length)
    }
}

// Which address of this host is the care-of address: the one by which the home agent is reached. Of the main table's
// routes to the home agent those by interfaces that are preferred come first, then the more specific, then those of the
// smaller metric, as the kernel does; the tunnel's own devices are no way to its other end.

import Glibc
import RouteNetlink
import Wire

/// What the host's network is like.
struct HostNetwork: Hashable, Sendable {
    var links: [Link]
    var addresses: [InterfaceAddress]
    /// Of the main table.
    var routes: [Route]

    /// As it is now.
    static func look(_ socket: inout RouteSocket) throws(RouteError) -> HostNetwork {
        HostNetwork(
            links: try socket.links(), addresses: try socket.addresses(family: .v4),
            routes: try socket.routes(RouteFilter(family: .v4, table: .main)))
    }
}

/// A care-of address, and the interface that has it.
struct CareOfAddressChoice: Hashable, Sendable {
    var address: IPv4Address
    var interface: String

    /// The best one.
    /// - Parameters:
    ///   - homeAgent: nil where none is known: the way to everywhere then counts.
    ///   - interfaces: in order of preference; empty for any.
    ///   - excluded: devices of the tunnel.
    static func best(
        of network: HostNetwork, to homeAgent: IPv4Address?, interfaces: [String], excluding excluded: Set<String>
    ) -> CareOfAddressChoice? {
        let usable = network.links.filter { link in
            link.isUp && link.isRunning && !excluded.contains(link.name)
                && (interfaces.isEmpty || interfaces.contains(link.name))
        }
        let links = Dictionary(usable.map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first })
        let target = IPAddress.v4(homeAgent ?? .unspecified)
        var best: (rank: (Int, Int, UInt32), choice: CareOfAddressChoice)?
        for route in network.routes where route.destination.contains(target) {
            guard let link = route.link.flatMap({ links[$0] }) else { continue }
            let preference = interfaces.firstIndex(of: link.name) ?? 0
            let rank = (preference, -Int(route.destination.length), route.metric)
            if let best, best.rank <= rank { continue }
            guard let address = address(of: link, towards: route.gateway, in: network) else { continue }
            best = (rank, CareOfAddressChoice(address: address, interface: link.name))
        }
        return best?.choice
    }

    /// The link's address on the network of the next hop, else its first.
    private static func address(of link: Link, towards gateway: IPAddress?, in network: HostNetwork) -> IPv4Address? {
        let candidates = network.addresses.compactMap { entry -> (address: IPv4Address, isNear: Bool)? in
            guard entry.link == link.index, case .v4(let address) = entry.address, address.isUnicastSource,
                !address.isLinkLocal
            else { return nil }
            let near = IPInterfaceAddress("\(address)/\(entry.prefixLength)")?.network
            return (address, gateway.map { near?.contains($0) ?? false } ?? true)
        }
        return (candidates.first(where: \.isNear) ?? candidates.first)?.address
    }
}

extension Link {
    /// Whether it has a carrier.
    var isRunning: Bool { flags & UInt32(IFF_RUNNING) != 0 }
}

extension IPv4Address {
    /// Of 169.254.0.0/16 (RFC 3927), by which nobody is reached.
    fileprivate var isLinkLocal: Bool { rawValue >> 16 == 0xA9FE }
}

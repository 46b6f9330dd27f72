// What the host is told: addresses of the tunnel's device, and which packets go by it. Routes of the tunnel stand in a
// table of their own; policy rules ask it for whatever the main table has no better route than a default for. What goes to
// a home agent goes by the access network, or the tunnel would lead into itself:
//
//     4340: to HOME-AGENT lookup main                  4341: lookup main suppress_prefixlength 0
//     4341: lookup main suppress_prefixlength 0        4342: lookup 435
//     4342: lookup 435                                                                     (IPv6)
//
// All of it bears an origin of its own, and what an earlier run left is removed at the start.

import MobileIP
import RouteNetlink
import Wire

/// The host's network as the mobile node sets it.
struct NodeNetwork: ~Copyable {
    /// Who made it, in the kernel's tables.
    static let origin = RouteOrigin(rawValue: 55)
    private static let firstPriority: UInt32 = 4340

    private var socket: RouteSocket
    private let device: String
    private let table: RouteTable
    private var addresses: [MobileNode.Address] = []
    private var routes: [MobileNode.Route] = []
    private var homeAgents: Set<IPv4Address> = []

    init(device: String, table: RouteTable) throws(RouteError) {
        socket = try RouteSocket()
        self.device = device
        self.table = table
    }

    /// The host's network as it is.
    mutating func look() throws(RouteError) -> HostNetwork { try HostNetwork.look(&socket) }

    mutating func add(_ address: MobileNode.Address) throws(RouteError) {
        addresses.append(address)
        if let link = try socket.link(named: device) { try make(address, on: link) }
    }

    mutating func remove(_ address: MobileNode.Address) throws(RouteError) {
        addresses.removeAll { $0 == address }
        guard let link = try socket.link(named: device) else { return }
        try tolerating(.notFound) { () throws(RouteError) in try socket.delete(interfaceAddress(address, link)) }
    }

    mutating func add(_ route: MobileNode.Route) throws(RouteError) {
        routes.append(route)
        try makeRules()
        if let link = try socket.link(named: device) { try make(route, on: link) }
    }

    mutating func remove(_ route: MobileNode.Route) throws(RouteError) {
        routes.removeAll { $0 == route }
        if let link = try socket.link(named: device) {
            try tolerating(.notFound) { () throws(RouteError) in try socket.delete(kernelRoute(route, link)) }
        }
        if routes.isEmpty { try removeRules() }
    }

    /// Keeps what goes to that home agent out of the tunnel.
    mutating func exempt(_ homeAgent: IPv4Address) throws(RouteError) {
        homeAgents.insert(homeAgent)
        if !routes.isEmpty { try makeRules() }
    }

    /// Makes everything again: the device may be another one than it was.
    mutating func restore() throws(RouteError) {
        guard let link = try socket.link(named: device) else {
            throw .missing(device: device)
        }
        for address in addresses { try make(address, on: link) }
        guard !routes.isEmpty else { return }
        try makeRules()
        for route in routes { try make(route, on: link) }
    }

    /// Removes the rules that this program made, now or in an earlier run. What is on the device goes with its tunnel.
    mutating func removeRules() throws(RouteError) {
        for family in AddressFamily.allCases {
            for rule in try socket.rules(family) where rule.origin == Self.origin {
                try tolerating(.notFound) { () throws(RouteError) in try socket.delete(rule) }
            }
        }
    }

    private mutating func makeRules() throws(RouteError) {
        var rules: [RoutingRule] = homeAgents.sorted().map { homeAgent in
            RoutingRule(
                family: .v4, priority: Self.firstPriority, destination: .host(homeAgent), table: .main,
                origin: Self.origin)
        }
        for family in AddressFamily.allCases {
            rules.append(
                RoutingRule(
                    family: family, priority: Self.firstPriority + 1, suppressedPrefixLength: 0, table: .main,
                    origin: Self.origin))
            rules.append(
                RoutingRule(family: family, priority: Self.firstPriority + 2, table: table, origin: Self.origin))
        }
        for rule in rules {
            try tolerating(.alreadyExists) { () throws(RouteError) in try socket.add(rule) }
        }
    }

    private mutating func make(_ address: MobileNode.Address, on link: Link) throws(RouteError) {
        try tolerating(.alreadyExists) { () throws(RouteError) in try socket.add(interfaceAddress(address, link)) }
    }

    private mutating func make(_ route: MobileNode.Route, on link: Link) throws(RouteError) {
        try tolerating(.alreadyExists) { () throws(RouteError) in try socket.add(kernelRoute(route, link)) }
    }

    private func interfaceAddress(_ address: MobileNode.Address, _ link: Link) -> InterfaceAddress {
        switch address {
        case .ipv4(let address): InterfaceAddress(link: link.index, address: .v4(address), prefixLength: 32)
        case .ipv6(let address, let length):
            InterfaceAddress(
                link: link.index, address: .v6(address), prefixLength: length, skipsDuplicateDetection: true)
        }
    }

    private func kernelRoute(_ route: MobileNode.Route, _ link: Link) -> Route {
        let destination: IPPrefix =
            switch route {
            case .ipv4(let prefix): .v4(prefix)
            case .ipv6(let prefix): .v6(prefix)
            }
        return Route(to: destination, link: link.index, table: table, origin: Self.origin)
    }
}

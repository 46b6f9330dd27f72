// What the host is told: addresses of the tunnel's device, and which packets go by it. Routes of the tunnel stand in a
// table of their own; policy rules ask it for whatever the main table has no better route than a default for. What goes to
// a home agent goes by the access network, or the tunnel would lead into itself:
//
//     4339: from HOME-ADDRESS to HOME-AGENT lookup 435  only at a foreign agent
//     4340: to HOME-AGENT lookup main                  4341: lookup main suppress_prefixlength 0
//     4341: lookup main suppress_prefixlength 0        4342: lookup 435
//     4342: lookup 435                                                                     (IPv6)
//
// At a foreign agent IPv4 goes out by it instead of by the tunnel's device, and so does what is for the home agent if it
// comes from the home address: the tunnel of IPv6. The agent's link-layer address stands among the neighbours:
//
//     table 435: default via AGENT dev INTERFACE onlink src HOME-ADDRESS
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
    private let tunnelMTU: UInt32
    private var addresses: [MobileNode.Address] = []
    private var routes: [MobileNode.Route] = []
    private var homeAgents: Set<IPv4Address> = []
    private var agentInterface: AgentInterface?

    /// - Parameter tunnelMTU: what the tunnel carries, so that nobody sends more into it: mooringd, which has no address of
    ///   its own here, could not say that a packet is too big.
    init(device: String, table: RouteTable, tunnelMTU: UInt16) throws(RouteError) {
        socket = try RouteSocket()
        self.device = device
        self.table = table
        self.tunnelMTU = UInt32(tunnelMTU)
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
        if let link = try link(of: route) { try make(route, on: link) }
    }

    mutating func remove(_ route: MobileNode.Route) throws(RouteError) {
        routes.removeAll { $0 == route }
        if let link = try link(of: route) {
            try tolerating(.notFound) { () throws(RouteError) in try socket.delete(kernelRoute(route, link)) }
            if case .agent(let route) = route {
                try tolerating(.notFound) { () throws(RouteError) in try socket.delete(neighbor(route.agent, link)) }
            }
        }
        if case .agent(let route) = route {
            try tolerating(.notFound) { () throws(RouteError) in try socket.delete(rule(route)) }
            agentInterface?.restore()
            agentInterface = nil
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
        for route in routes {
            guard let link = try self.link(of: route) else { continue }
            try make(route, on: link)
        }
    }

    /// Makes again what the kernel has dropped of the tunnel's device, since it was down: its routes and IPv6 addresses.
    /// - Returns: how many were missing.
    mutating func keepDevice() throws(RouteError) -> Int {
        guard !addresses.isEmpty || !routes.isEmpty, let link = try socket.link(named: device), link.isUp else {
            return 0
        }
        let there = try socket.addresses(link: link).map(\.address)
        var made = 0
        for address in addresses where !there.contains(interfaceAddress(address, link).address) {
            made += try make(address, on: link) ? 1 : 0
        }
        var destinations: Set<IPPrefix> = []
        for family in AddressFamily.allCases {
            let filter = RouteFilter(family: family, table: table, link: link.index, origin: Self.origin)
            destinations.formUnion(try socket.routes(filter).map(\.destination))
        }
        for route in routes {
            if case .agent = route { continue }
            guard !destinations.contains(kernelRoute(route, link).destination) else { continue }
            made += try make(route, on: link) ? 1 : 0
        }
        return made
    }

    /// Makes the route by a foreign agent again where the kernel has dropped it, since its interface was down.
    mutating func keepAgentRoute() throws(RouteError) {
        for route in routes {
            guard case .agent = route, let link = try link(of: route), link.isUp else { continue }
            let filter = RouteFilter(family: .v4, table: table, link: link.index, origin: Self.origin)
            if try socket.routes(filter).isEmpty { try make(route, on: link) }
        }
    }

    /// Removes what this program made, now or in an earlier run. What is on the device goes with its tunnel.
    mutating func removeAll() throws(RouteError) {
        try removeRules()
        for route in try socket.routes(RouteFilter(family: .v4, table: table, origin: Self.origin)) {
            guard let link = route.link, let gateway = route.gateway else { continue }
            try tolerating(.notFound) { () throws(RouteError) in try socket.delete(route) }
            let neighbor = Neighbor(link: link, address: gateway, linkLayerAddress: [])
            try tolerating(.notFound) { () throws(RouteError) in try socket.delete(neighbor) }
        }
        agentInterface?.restore()
        agentInterface = nil
    }

    private mutating func removeRules() throws(RouteError) {
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
        for case .agent(let route) in routes { rules.append(rule(route)) }
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

    /// - Returns: whether it was not there.
    @discardableResult
    private mutating func make(_ address: MobileNode.Address, on link: Link) throws(RouteError) -> Bool {
        try tolerating(.alreadyExists) { () throws(RouteError) in try socket.add(interfaceAddress(address, link)) }
    }

    /// By which the route leads; nil where it is not there.
    private mutating func link(of route: MobileNode.Route) throws(RouteError) -> Link? {
        if case .agent(let route) = route { return try socket.link(named: route.agent.interface) }
        return try socket.link(named: device)
    }

    /// By an agent's interface that is down nothing is made; `keepAgentRoute` does it later.
    /// - Returns: whether it was not there.
    @discardableResult
    private mutating func make(_ route: MobileNode.Route, on link: Link) throws(RouteError) -> Bool {
        if case .agent(let route) = route {
            guard link.isUp else { return false }
            if agentInterface?.link.index != link.index {
                agentInterface?.restore()
                agentInterface = try AgentInterface(link)
            }
            try socket.replace(neighbor(route.agent, link))
        }
        return try tolerating(.alreadyExists) { () throws(RouteError) in try socket.add(kernelRoute(route, link)) }
    }

    // MARK: A foreign agent

    private func rule(_ route: MobileNode.AgentRoute) -> RoutingRule {
        RoutingRule(
            family: .v4, priority: Self.firstPriority - 1, destination: .host(route.homeAgent),
            source: .host(route.homeAddress), table: table, origin: Self.origin)
    }

    private func neighbor(_ agent: MobileNode.AgentLocation, _ link: Link) -> Neighbor {
        Neighbor(link: link.index, address: .v4(agent.address), linkLayerAddress: agent.linkLayerAddress.bytes)
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
        switch route {
        case .ipv4(let prefix): return tunnelRoute(.v4(prefix), link)
        case .ipv6(let prefix): return tunnelRoute(.v6(prefix), link)
        case .agent(let route):
            guard let everywhere = IPv4Prefix(address: .unspecified, length: 0) else {
                preconditionFailure("a prefix of no bits")
            }
            var kernelRoute = Route(
                to: .v4(everywhere), link: link.index, gateway: .v4(route.agent.address), table: table,
                origin: Self.origin)
            kernelRoute.isGatewayOnLink = true
            kernelRoute.source = .v4(route.homeAddress)
            // The agent's reverse tunnel has a header more.
            kernelRoute.mtu = max(link.mtu, 68 + UInt32(IPv4.minimumHeaderLength)) - UInt32(IPv4.minimumHeaderLength)
            return kernelRoute
        }
    }

    private func tunnelRoute(_ destination: IPPrefix, _ link: Link) -> Route {
        var route = Route(to: destination, link: link.index, table: table, origin: Self.origin)
        route.mtu = tunnelMTU
        return route
    }
}

// The steps of a plan, and why each is there.

import RouteNetlink
import Wire

extension SetupPlan {
    func steps(_ socket: inout RouteSocket) throws(SetupError) -> [SetupStep] {
        var steps = try leftoverSteps(&socket)
        for device in description.devices { steps += deviceSteps(device) }
        steps += try homeSteps(&socket)
        if description.carries(.v4) { steps += homeIPv4Steps() }
        if description.forwarding, description.carries(.v6) { steps += try forwardingSteps(&socket) }
        steps.append(
            setting(
                "\(description.accessDevice) forwards IPv4 that the forwarder writes", .device,
                .device("ipv4", description.accessDevice, "forwarding", .yes)))
        steps += try endpointSteps(description.endpoints, &socket)
        // Where it is not among those already.
        if description.forwarding, description.carries(.v4), !tunnelsArriveAnywhere { steps.append(forwardingOfIPv4) }
        return try steps + diversionSteps(&socket)
    }

    private func setting(
        _ sentence: String, _ lifetime: SetupStep.Lifetime, _ setting: SetupSetting, quiet: Bool = false
    ) -> SetupStep {
        SetupStep(sentence, [setting.command], lifetime, .setting(setting, quiet: quiet))
    }

    /// Before it goes up, a device is told to keep quiet: else the kernel gives it a link-local address, solicits
    /// routers by it, and listens to whoever advertises himself as one from within the tunnel.
    private func deviceSteps(_ device: String) -> [SetupStep] {
        let name = shellWord(device)
        let isHome = device == description.homeDevice
        let mtu = isHome ? description.homeMTU : description.accessMTU
        let queue = description.transmitQueueLength
        var steps = [
            SetupStep(
                "the TUN device \(device) is there",
                ["ip tuntap add dev \(name) mode tun\(description.queues > 1 ? " multi_queue" : "")"], .device,
                .device(device))
        ]
        if isHome {
            // Containers often disable IPv6 for devices to come.
            steps.append(
                setting(
                    "\(device) has IPv6", .device, .device("ipv6", device, "disable_ipv6", .exactly(0)),
                    quiet: !description.carries(.v6)))
            steps.append(
                setting(
                    "\(device) gets no link-local address by itself", .device,
                    .device("ipv6", device, "addr_gen_mode", .exactly(1)), quiet: true))
            steps.append(
                setting(
                    "\(device) takes no router advertisements out of the tunnel", .device,
                    .device("ipv6", device, "accept_ra", .exactly(0)), quiet: true))
        } else {
            steps.append(
                setting(
                    "\(device), which carries IPv4 alone, is not used for IPv6", .device,
                    .device("ipv6", device, "disable_ipv6", .exactly(1)), quiet: true))
        }
        steps.append(
            SetupStep(
                "\(device) has an MTU of \(mtu) bytes", ["ip link set dev \(name) mtu \(mtu)"], .device,
                .mtu(device, mtu)))
        steps.append(
            SetupStep(
                "\(device) queues up to \(queue) packets", ["ip link set dev \(name) txqueuelen \(queue)"], .device,
                .transmitQueueLength(device, queue)))
        steps.append(
            SetupStep("\(device) is up", ["ip link set dev \(name) up"], .device, .linkUp(device)))
        return steps
    }

    private func homeSteps(_ socket: inout RouteSocket) throws(SetupError) -> [SetupStep] {
        let device = description.homeDevice
        let linkLocal = description.linkLocalAddress.flatMap { IPInterfaceAddress("\($0)/64") }
        let addresses = (description.homeAddresses + [linkLocal].compactMap(\.self)).map { address in
            let family = address.address.family
            return SetupStep(
                "\(device) has the address \(address)",
                ["\(family.command) addr add \(address) dev \(shellWord(device))\(family == .v6 ? " nodad" : "")"],
                .device, .address(device, address))
        }
        var routes = description.homeRoutes.map { route(to: $0, device, .main) }
        // An IPv4 address brings the route to its network, in whose place the kernel takes no other.
        for address in addresses where try !address.isSatisfied(&socket) {
            guard case .address(_, let address) = address.action, case .v4 = address.address else { continue }
            routes.removeAll { $0.action == .route(device, address.network, .main) }
        }
        return addresses + routes
    }

    /// The forwarder's ICMPv4 errors bear the first endpoint's address, to which the way is by another device, or which
    /// is the host's own: the kernel doubts both.
    private func homeIPv4Steps() -> [SetupStep] {
        let device = description.homeDevice
        var steps: [SetupStep] = []
        if description.hasErrorsFromElsewhere, description.homeAddresses.contains(where: { $0.address.family == .v4 }) {
            steps.append(
                setting(
                    "\(device) takes errors that come from the endpoint, the way to which is another", .device,
                    .device("ipv4", device, "rp_filter", .exactly(2))))
        }
        if description.sharesEndpoint {
            steps.append(
                setting(
                    "\(device) takes errors that come from the endpoint, an address of this host", .device,
                    .device("ipv4", device, "accept_local", .exactly(1))))
        }
        if description.forwarding, !description.hasOneDevice {
            steps.append(
                setting(
                    "\(device) forwards IPv4 that the forwarder writes", .device,
                    .device("ipv4", device, "forwarding", .yes)))
        }
        return steps
    }

    /// Whether tunnel packets may arrive by any interface.
    private var tunnelsArriveAnywhere: Bool {
        description.arrivalInterfaces.isEmpty && !description.sharesEndpoint
    }

    private var forwardingOfIPv4: SetupStep {
        setting("this host forwards IPv4", .stays, SetupSetting(path: ["net", "ipv4", "ip_forward"], wanted: .yes))
    }

    private func route(to destination: IPPrefix, _ device: String, _ table: RouteTable) -> SetupStep {
        SetupStep(
            "\(destination) is routed into \(device)\(table == .main ? "" : " in table \(table)")",
            ["\(destination.family.command) route add \(arguments(destination, device, table))"],
            .device, .route(device, destination, table))
    }

    private func arguments(_ destination: IPPrefix, _ device: String, _ table: RouteTable) -> String {
        "\(destination) dev \(shellWord(device))\(table == .main ? "" : " table \(table)") proto \(RouteOrigin.mooring)"
    }

    /// IPv6 forwards for all devices or for none, before Linux 6.17. A host that forwards drops the routes that router
    /// advertisements gave it, unless its interface is told to take them even so.
    private func forwardingSteps(_ socket: inout RouteSocket) throws(SetupError) -> [SetupStep] {
        let forwarding = SetupSetting(path: ["net", "ipv6", "conf", "all", "forwarding"], wanted: .yes)
        let step = setting("this host forwards IPv6", .stays, forwarding)
        if try forwarding.isSatisfied() { return [step] }
        let advertised = try reading { () throws(RouteError) -> [Link] in
            let routes = try socket.routes(RouteFilter(family: .v6, origin: .routerAdvertisement))
            var links: [Link] = []
            for index in Set(routes.compactMap(\.link)).sorted() {
                if let link = try socket.link(index: index) { links.append(link) }
            }
            return links
        }
        var keeping: [SetupStep] = []
        for link in advertised {
            let path = ["net", "ipv6", "conf", link.name, "accept_ra"]
            guard try SetupSetting(path: path, wanted: .exactly(1)).isSatisfied() else { continue }
            keeping.append(
                setting(
                    "\(link.name) keeps its routes by router advertisement when this host forwards", .stays,
                    SetupSetting(path: path, wanted: .exactly(2))))
        }
        return keeping + [step]
    }

    /// The route of each endpoint into the access device, and forwarding where its packets arrive: without it they are
    /// dropped on the way from there to the device.
    func endpointSteps(_ endpoints: [IPv4Address], _ socket: inout RouteSocket) throws(SetupError) -> [SetupStep] {
        let routes = endpoints.map { route(to: .host($0), description.accessDevice, description.endpointTable) }
        if tunnelsArriveAnywhere { return routes + [forwardingOfIPv4] }
        var arrivals = description.arrivalInterfaces
        if arrivals.isEmpty {
            arrivals = try reading { () throws(RouteError) in try interfaces(bearing: endpoints, &socket) }
        }
        return routes
            + arrivals.map { name in
                setting(
                    "\(name), by which tunnel packets arrive, forwards IPv4", .stays,
                    .device("ipv4", name, "forwarding", .yes))
            }
    }

    private func interfaces(
        bearing endpoints: [IPv4Address], _ socket: inout RouteSocket
    ) throws(RouteError) -> [String] {
        var names: [String] = []
        for address in try socket.addresses(family: .v4) {
            guard case .v4(let own) = address.address, endpoints.contains(own) else { continue }
            guard let link = try socket.link(index: address.link), !names.contains(link.name) else { continue }
            names.append(link.name)
        }
        return names
    }

    /// Also without shared endpoints, where a run that was cut short left the rules half changed.
    private func diversionSteps(_ socket: inout RouteSocket) throws(SetupError) -> [SetupStep] {
        let diversion = diversion
        let rules = try reading { () throws(RouteError) in try socket.rules(.v4) }
        let changes = diversion.changes(to: rules)
        if !description.sharesEndpoint, changes.isEmpty { return [] }
        let names = diversion.protocols.map(\.rawValue).joined(separator: ", ")
        let sentence =
            description.sharesEndpoint
            ? "table \(diversion.table) is asked for tunnel packets (\(names)) before the local table"
            : "the rules are whole again after a run that was cut short"
        return [SetupStep(sentence, changes.map(\.command), .undone, .diversion(diversion))]
    }

    private func leftoverSteps(_ socket: inout RouteSocket) throws(SetupError) -> [SetupStep] {
        let endpoints = Set(description.endpoints.map { IPPrefix.host($0) })
        let homeRoutes = Set(description.homeRoutes)
        var steps: [SetupStep] = []
        for device in description.devices {
            let routes = try reading { () throws(RouteError) -> [Route] in
                guard let link = try socket.link(named: device) else { return [] }
                var routes: [Route] = []
                for family in AddressFamily.allCases {
                    routes += try socket.routes(RouteFilter(family: family, link: link.index, origin: .mooring))
                }
                return routes
            }
            let stale = routes.filter { route in
                let isHomeRoute = route.table == .main && homeRoutes.contains(route.destination)
                let isEndpoint = route.table == description.endpointTable && endpoints.contains(route.destination)
                return !(isHomeRoute && device == description.homeDevice)
                    && !(isEndpoint && device == description.accessDevice)
            }
            steps += stale.map { staleRoute($0, device) }
        }
        guard try hasTableToItself(&socket) else { return steps }
        let rules = try reading { () throws(RouteError) in try socket.rules(.v4) }
        return steps
            + diversion.leftovers(among: rules).map { rule in
                SetupStep(
                    "the rule \(rule) of an earlier run is gone", [RuleChange.delete(rule).command], .undone,
                    .staleRule(rule))
            }
    }

    func staleRoute(_ route: Route, _ device: String) -> SetupStep {
        let table = route.table == .main ? "" : " table \(route.table)"
        return SetupStep(
            "\(route.destination) is no longer routed into \(device)\(table.isEmpty ? "" : " in\(table)")",
            ["\(route.destination.family.command) route del \(route.destination) dev \(shellWord(device))\(table)"],
            .device,
            .staleRoute(route))
    }
}

// What the kernel is told so that visitors' packets go where they should, and what is taken back at the end:
//
//     from HOME iif VISITED lookup TABLE         what a visitor with a reverse tunnel sends, for others than this host …
//     default dev TUN table TABLE                … comes out of the device, into the tunnel
//     iif TUN lookup TABLE + 1                   what came out of a tunnel and was written to the device …
//     HOME dev VISITED table TABLE + 1           … goes to the visited link
//     HOME lladdr … dev VISITED nud permanent    nobody asks for the visitor's link-layer address (RFC 5944, 4.6)
//
// The main table knows no visitor: what a node says of its home address misleads nobody but itself.

import Glibc
import MobileIP
import PacketIO
import RouteNetlink
import Wire

/// Rules, routes, neighbours and settings of the kernel.
struct VisitorRoutes: ~Copyable {
    /// Before the main table (32766), behind the local one (0).
    private static let priority: UInt32 = 4340
    /// A tunnel packet of 1500 bytes carries so many.
    static let deviceMTU: UInt32 = 1480

    private var socket: RouteSocket
    private let visited: Link
    private let device: Link
    private let table: RouteTable
    private var settings: [(file: String, before: String)] = []
    private var visitors: [IPv4Address: Visitor] = [:]

    private var visitorTable: RouteTable { RouteTable(rawValue: table.rawValue + 1) }

    /// Changes nothing yet.
    /// - Parameter table: the first of the two.
    init(visited: Link, deviceName: String, table: RouteTable) throws(RouteError) {
        var socket = try RouteSocket()
        guard let device = try socket.link(named: deviceName) else { throw .noDevice(deviceName) }
        self.socket = socket
        (self.visited, self.device, self.table) = (visited, device, table)
    }

    /// Sets up what is there without visitors. Where it fails half-way, `undo` takes back what was done.
    mutating func setUp() throws {
        try removeLeftovers()
        let ipv4 = "/proc/sys/net/ipv4/conf"
        let isStrict = Self.read("\(ipv4)/all/rp_filter") == "1"
        set("/proc/sys/net/ipv6/conf/\(device.name)/disable_ipv6", to: "1")
        for name in [device.name, visited.name] {
            set("\(ipv4)/\(name)/forwarding", to: "1")
            // Visitors' addresses belong elsewhere; the higher of the two numbers counts, and 2 asks for any route.
            if isStrict || Self.read("\(ipv4)/\(name)/rp_filter") == "1" { set("\(ipv4)/\(name)/rp_filter", to: "2") }
            guard Self.read("\(ipv4)/\(name)/forwarding") == "1" else {
                throw CannotStart(
                    "can't forward packets of \(name): start as root, or set net.ipv4.conf.\(name).forwarding=1")
            }
        }
        try socket.setMTU(Self.deviceMTU, link: device)
        try socket.setUp(true, link: device)
        guard let everywhere = IPv4Prefix("0.0.0.0/0") else { preconditionFailure("a prefix of no bits") }
        try socket.replace(Route(to: .v4(everywhere), link: device.index, table: table, origin: .mooring))
        try socket.add(deliveryRule)
    }

    private var deliveryRule: RoutingRule {
        RoutingRule(
            family: .v4, priority: Self.priority, inputInterface: device.name, table: visitorTable, origin: .mooring)
    }

    private func reverseRule(_ visitor: Visitor) -> RoutingRule {
        RoutingRule(
            family: .v4, priority: Self.priority, inputInterface: visited.name, source: .host(visitor.homeAddress),
            table: table, origin: .mooring)
    }

    private func route(_ visitor: Visitor) -> Route {
        Route(to: .host(visitor.homeAddress), link: visited.index, table: visitorTable, origin: .mooring)
    }

    private func neighbor(_ visitor: Visitor) -> Neighbor {
        Neighbor(
            link: visited.index, address: .v4(visitor.homeAddress),
            linkLayerAddress: visitor.linkLayerAddress.bytes)
    }

    /// Of an instance that was killed. Its device is gone, and the routes to it.
    private mutating func removeLeftovers() throws {
        for rule in try socket.rules(.v4)
        where rule.origin == .mooring && rule.priority == Self.priority
            && (rule.table == table || rule.table == visitorTable)
        {
            try socket.delete(rule)
        }
        // Each is a visitor's, who has a neighbour's entry as well.
        for route in try socket.routes(RouteFilter(family: .v4, table: visitorTable, origin: .mooring)) {
            try socket.delete(route)
            guard case .v4(let destination) = route.destination, destination.length == 32 else { continue }
            let neighbor = Neighbor(
                link: visited.index, address: .v4(destination.address),
                linkLayerAddress: [UInt8](repeating: 0, count: 6))
            // It may have been removed.
            try? socket.delete(neighbor)
        }
    }

    // MARK: - Visitors

    mutating func put(_ visitor: Visitor) throws(RouteError) {
        let before = visitors.updateValue(visitor, forKey: visitor.homeAddress)
        try socket.replace(neighbor(visitor))
        try socket.replace(route(visitor))
        guard before?.usesReverseTunnel != visitor.usesReverseTunnel else { return }
        if visitor.usesReverseTunnel {
            try socket.add(reverseRule(visitor))
        } else if before != nil {
            try socket.delete(reverseRule(visitor))
        }
    }

    /// All steps are tried; the first error is told.
    mutating func remove(_ homeAddress: IPv4Address) throws(RouteError) {
        guard let visitor = visitors.removeValue(forKey: homeAddress) else { return }
        var failure: RouteError?
        if visitor.usesReverseTunnel {
            do throws(RouteError) { try socket.delete(reverseRule(visitor)) } catch { failure = failure ?? error }
        }
        do throws(RouteError) { try socket.delete(route(visitor)) } catch { failure = failure ?? error }
        do throws(RouteError) { try socket.delete(neighbor(visitor)) } catch { failure = failure ?? error }
        if let failure { throw failure }
    }

    /// Takes everything back, as far as it is still there.
    mutating func undo() {
        for homeAddress in visitors.keys { try? remove(homeAddress) }
        try? socket.delete(deliveryRule)
        for (file, before) in settings.reversed() { Self.write(before, to: file) }
        settings = []
    }

    // MARK: - Settings

    private mutating func set(_ file: String, to value: String) {
        guard let before = Self.read(file), before != value else { return }
        if Self.write(value, to: file) { settings.append((file, before)) }
    }

    private static func read(_ file: String) -> String? {
        guard let stream = fopen(file, "re") else { return nil }
        defer { fclose(stream) }
        var text = [CChar](repeating: 0, count: 64)
        guard fgets(&text, Int32(text.count), stream) != nil else { return nil }
        return String(decoding: text.prefix { $0 > 0x20 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    @discardableResult
    private static func write(_ value: String, to file: String) -> Bool {
        guard let stream = fopen(file, "we") else { return false }
        let isWritten = fputs(value, stream) >= 0
        return fclose(stream) == 0 && isWritten
    }
}

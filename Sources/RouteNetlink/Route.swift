// Routes (rtnetlink(7), RTM_GETROUTE, RTM_NEWROUTE and RTM_DELROUTE).

import CLinuxNet
import Glibc
import Wire

/// A routing table's number.
public struct RouteTable: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// 1 to 2^32 - 1.
    public let rawValue: UInt32

    /// A table by its number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Of the host's own addresses; the kernel keeps it.
    public static let local = RouteTable(rawValue: UInt32(RT_TABLE_LOCAL.rawValue))
    /// The one that is meant where none is named.
    public static let main = RouteTable(rawValue: UInt32(RT_TABLE_MAIN.rawValue))

    /// As `ip` names it.
    public var description: String {
        switch self {
        case .local: "local"
        case .main: "main"
        default: String(rawValue)
        }
    }
}

/// Who made a route or rule: the number that `ip` shows as `proto`. Routing daemons leave others' alone by it.
public struct RouteOrigin: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// 0 to 255; /etc/iproute2/rt_protos names those in common use.
    public let rawValue: UInt8

    /// An origin by its number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The kernel itself.
    public static let kernel = RouteOrigin(rawValue: 2)
    /// `ip route add` without a word on it.
    public static let boot = RouteOrigin(rawValue: 3)
    /// An operator.
    public static let `static` = RouteOrigin(rawValue: 4)
    /// A router advertisement (RFC 4861).
    public static let routerAdvertisement = RouteOrigin(rawValue: 9)
    /// Mooring's set-up of its devices. No other program is known to use the number.
    public static let mooring = RouteOrigin(rawValue: 54)

    /// As `ip` takes it.
    public var description: String { self == .kernel ? "kernel" : String(rawValue) }
}

/// A route to one device. Listed routes of other kinds (several next hops, unreachable) have no `link`.
public struct Route: Sendable, Hashable, CustomStringConvertible {
    /// Where it leads.
    public var destination: IPPrefix
    /// The number of the device it goes out by.
    public var link: Int32?
    /// The next hop, of the destination's family; nil for a destination on the device's link.
    public var gateway: IPAddress?
    /// The table it stands in.
    public var table: RouteTable
    /// Who made it.
    public var origin: RouteOrigin
    /// Whether the next hop is on the device's link, whatever addresses the device has. Not read.
    public var isGatewayOnLink = false
    /// The source of what is sent by it without one, an address of this host; nil for the kernel's choice. Not read.
    public var source: IPAddress?
    /// The largest packet that is sent by it, in bytes; nil for the device's MTU. Not read.
    public var mtu: UInt32?
    /// The smaller wins. For IPv6, 0 means the kernel's choice of 1024.
    public var metric: UInt32

    /// A route to a device.
    public init(
        to destination: IPPrefix, link: Int32, gateway: IPAddress? = nil, table: RouteTable = .main,
        origin: RouteOrigin, metric: UInt32 = 0
    ) {
        precondition(gateway == nil || gateway?.family == destination.family, "a next hop of the other family")
        self.destination = destination
        self.link = link
        self.gateway = gateway
        self.table = table
        self.origin = origin
        self.metric = metric
    }

    /// As `ip route` would have it, without the device.
    public var description: String {
        var text = destination.description
        if let gateway { text += " via \(gateway)" }
        if table != .main { text += " table \(table)" }
        return text
    }

    init?(_ message: NetlinkMessage) throws(RouteError) {
        guard message.type == RTM_NEWROUTE else { return nil }
        let (header, attributes) = try message.content(rtmsg.self)
        // Entries of the kernel's route cache and multicast routing are no routes of a table.
        guard let family = AddressFamily(number: header.rtm_family), header.rtm_flags & UInt32(RTM_F_CLONED) == 0 else {
            return nil
        }
        let zero: IPAddress = family == .v4 ? .v4(.unspecified) : .v6(.unspecified)
        let address = try attributes.address(Int(RTA_DST.rawValue), family: family) ?? zero
        guard let destination = IPPrefix(address: address, length: header.rtm_dst_len) else {
            throw .malformed("a route to \(address)/\(header.rtm_dst_len)")
        }
        self.destination = destination
        let unicast = header.rtm_type == UInt8(RTN_UNICAST)
        let output = try attributes.number(Int(RTA_OIF.rawValue), as: Int32.self)
        link = unicast && !attributes.contains(Int(RTA_MULTIPATH.rawValue)) ? output : nil
        gateway = try attributes.address(Int(RTA_GATEWAY.rawValue), family: family)
        table = RouteTable(
            rawValue: try attributes.number(Int(RTA_TABLE.rawValue), as: UInt32.self) ?? UInt32(header.rtm_table))
        origin = RouteOrigin(rawValue: header.rtm_protocol)
        metric = try attributes.number(Int(RTA_PRIORITY.rawValue), as: UInt32.self) ?? 0
    }

    fileprivate func request(type: Int, flags: Int32) -> NetlinkRequest {
        var body = rtmsg()
        body.rtm_family = destination.family.number
        body.rtm_dst_len = destination.length
        // Tables above 255 stand in the attribute alone.
        body.rtm_table = table.rawValue < 256 ? UInt8(table.rawValue) : UInt8(RT_TABLE_UNSPEC.rawValue)
        body.rtm_protocol = origin.rawValue
        body.rtm_type = UInt8(RTN_UNICAST)
        let onLink = gateway == nil && destination.family == .v4
        body.rtm_scope = UInt8(onLink ? RT_SCOPE_LINK.rawValue : RT_SCOPE_UNIVERSE.rawValue)
        if type == RTM_DELROUTE { body.rtm_scope = UInt8(RT_SCOPE_NOWHERE.rawValue) }
        if isGatewayOnLink { body.rtm_flags = UInt32(RTNH_F_ONLINK) }
        var request = NetlinkRequest(type: type, flags: flags, body: body)
        if destination.length > 0 { request.attribute(Int(RTA_DST.rawValue), destination.address) }
        request.attribute(Int(RTA_TABLE.rawValue), table.rawValue)
        if let link { request.attribute(Int(RTA_OIF.rawValue), link) }
        if let gateway { request.attribute(Int(RTA_GATEWAY.rawValue), gateway) }
        if let source { request.attribute(Int(RTA_PREFSRC.rawValue), source) }
        if let mtu { request.attribute(Int(RTA_METRICS.rawValue), RouteMetric(type: UInt16(RTAX_MTU), value: mtu)) }
        if metric != 0 { request.attribute(Int(RTA_PRIORITY.rawValue), metric) }
        return request
    }
}

/// An attribute within RTA_METRICS: struct rtattr and its number.
private struct RouteMetric: BitwiseCopyable {
    var length: UInt16 = 8
    let type: UInt16
    let value: UInt32
}

/// Which routes to list. The kernel filters where it can, so a table of a million routes is not copied for one.
public struct RouteFilter: Sendable {
    /// Of this family.
    public var family: AddressFamily
    /// Of this table; nil for all.
    public var table: RouteTable?
    /// Out by the device of this number; nil for all.
    public var link: Int32?
    /// Made by this one; nil for all.
    public var origin: RouteOrigin?

    /// A filter.
    public init(
        family: AddressFamily, table: RouteTable? = nil, link: Int32? = nil, origin: RouteOrigin? = nil
    ) {
        self.family = family
        self.table = table
        self.link = link
        self.origin = origin
    }

    fileprivate func admits(_ route: Route) -> Bool {
        route.destination.family == family && table.map { $0 == route.table } ?? true
            && link.map { $0 == route.link } ?? true && origin.map { $0 == route.origin } ?? true
    }
}

extension RouteSocket {
    /// The routes that the filter admits.
    public mutating func routes(_ filter: RouteFilter) throws(RouteError) -> [Route] {
        var body = rtmsg()
        body.rtm_family = filter.family.number
        body.rtm_protocol = filter.origin?.rawValue ?? 0
        var request = NetlinkRequest(type: RTM_GETROUTE, flags: 0, body: body)
        if let table = filter.table { request.attribute(Int(RTA_TABLE.rawValue), table.rawValue) }
        if let link = filter.link { request.attribute(Int(RTA_OIF.rawValue), link) }
        do throws(RouteError) {
            return try dump(request, doing: "list the routes") { message throws(RouteError) in
                guard let route = try Route(message), filter.admits(route) else { return nil }
                return route
            }
        } catch {
            // A table comes into being with its first route.
            if error.reason == .notFound { return [] }
            throw error
        }
    }

    /// Adds a route. Where one to that destination with that metric stands in the table, whoever made it and wherever
    /// it leads, the error's reason is `alreadyExists`.
    public mutating func add(_ route: Route) throws(RouteError) {
        try perform(
            route.request(type: RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_EXCL), doing: "add the route \(route)")
    }

    /// Adds a route, in place of one to that destination with that metric, if there is one.
    public mutating func replace(_ route: Route) throws(RouteError) {
        try perform(
            route.request(type: RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_REPLACE),
            doing: "replace the route \(route)")
    }

    /// Deletes a route of just this destination, device, next hop, table, origin and metric (0: of any). Where there
    /// is none the error's reason is `notFound`.
    public mutating func delete(_ route: Route) throws(RouteError) {
        try perform(route.request(type: RTM_DELROUTE, flags: 0), doing: "delete the route \(route)")
    }
}

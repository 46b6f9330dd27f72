// One thing that must hold on the host: how to see whether it does, how to make it so, and the command by which a person
// makes it so. Each is checked and applied in the network namespace of the calling thread.

import RouteNetlink
import Wire

/// One thing that must hold for the forwarder's devices.
public struct SetupStep: Sendable, Equatable, CustomStringConvertible {
    /// What becomes of it when the program ends and its devices with it.
    public enum Lifetime: Sendable, Equatable {
        /// It goes with the device.
        case device
        /// It would stay; `SetupPlan.undo` takes it back.
        case undone
        /// It stays: others may rely on it by then, and no one can tell.
        case stays
    }

    /// What is set, for people: one sentence without a full stop.
    public let sentence: String
    /// The commands that do the same, to be run in this order by a shell with the privilege.
    public let commands: [String]
    /// What becomes of it at the end.
    public let lifetime: Lifetime

    let action: Action

    /// The sentence and the commands.
    public var description: String { "\(sentence): \(commands.joined(separator: " && "))" }

    enum Action: Sendable, Equatable {
        case device(String)
        case linkUp(String)
        case mtu(String, UInt32)
        case transmitQueueLength(String, UInt32)
        /// `quiet`: on a kernel without IPv6 there is nothing to silence.
        case setting(SetupSetting, quiet: Bool)
        case address(String, IPInterfaceAddress)
        case route(String, IPPrefix, RouteTable)
        case staleRoute(Route)
        case diversion(SetupDiversion)
        case staleRule(RoutingRule)
    }

    init(_ sentence: String, _ commands: [String], _ lifetime: Lifetime, _ action: Action) {
        self.sentence = sentence
        self.commands = commands
        self.lifetime = lifetime
        self.action = action
    }

    /// Whether it holds. Needs no privilege.
    public func isSatisfied() throws(SetupError) -> Bool {
        var socket = try openSocket()
        return try isSatisfied(&socket)
    }

    /// Makes it hold; nothing changes where it does already.
    public func apply() throws(SetupError) {
        var socket = try openSocket()
        try apply(&socket)
    }

    private func openSocket() throws(SetupError) -> RouteSocket {
        try reading { () throws(RouteError) in try RouteSocket() }
    }

    func isSatisfied(_ socket: inout RouteSocket) throws(SetupError) -> Bool {
        if case .setting(let setting, let quiet) = action {
            return try setting.isSatisfied() || (quiet && !SetupSetting.kernelHasIPv6)
        }
        if case .device(let name) = action {
            guard let link = try reading({ () throws(RouteError) in try socket.link(named: name) }) else {
                return false
            }
            // Before anything of another's device is changed.
            guard link.hardwareType == Link.bareIP else {
                throw SetupError("\(name) is no TUN device: give the name of one, or a name that is free")
            }
            return true
        }
        return try reading { () throws(RouteError) in try isSatisfiedByTables(&socket) }
    }

    private func isSatisfiedByTables(_ socket: inout RouteSocket) throws(RouteError) -> Bool {
        switch action {
        case .setting, .device:
            preconditionFailure("looked at elsewhere")
        case .linkUp(let name):
            return try socket.link(named: name)?.isUp == true
        case .mtu(let name, let mtu):
            return try socket.link(named: name)?.mtu == mtu
        case .transmitQueueLength(let name, let length):
            return try socket.link(named: name)?.transmitQueueLength == length
        case .address(let name, let address):
            guard let link = try socket.link(named: name) else { return false }
            return try socket.addresses(family: address.address.family, link: link).contains {
                $0.address == address.address && $0.prefixLength == address.length
            }
        case .route(let name, let destination, let table):
            guard let link = try socket.link(named: name) else { return false }
            let filter = RouteFilter(family: destination.family, table: table, link: link.index)
            return try socket.routes(filter).contains { $0.destination == destination && $0.gateway == nil }
        case .staleRoute(let route):
            let filter = RouteFilter(family: route.destination.family, table: route.table, link: route.link)
            return try !socket.routes(filter).contains(route)
        case .diversion(let diversion):
            return diversion.changes(to: try socket.rules(.v4)).isEmpty
        case .staleRule(let rule):
            return try !socket.rules(.v4).contains(rule)
        }
    }

    func apply(_ socket: inout RouteSocket) throws(SetupError) {
        switch action {
        case .setting(let setting, _):
            if try !isSatisfied(&socket) { try setting.apply() }
        case .diversion(let diversion):
            try SetupDiversion.change { diversion.changes(to: $0) }
        case .staleRule(let rule):
            try SetupDiversion.change { $0.contains(rule) ? [.delete(rule)] : [] }
        default:
            if try isSatisfied(&socket) { return }
            do throws(RouteError) { try change(&socket) } catch { throw explained(error) }
        }
    }

    private func change(_ socket: inout RouteSocket) throws(RouteError) {
        switch action {
        case .setting, .diversion, .staleRule: preconditionFailure("changed elsewhere")
        case .device(let name): _ = try socket.existingLink(name)
        case .linkUp(let name): try socket.setUp(true, link: socket.existingLink(name))
        case .mtu(let name, let mtu): try socket.setMTU(mtu, link: socket.existingLink(name))
        case .transmitQueueLength(let name, let length):
            try socket.setTransmitQueueLength(length, link: socket.existingLink(name))
        case .address(let name, let address):
            let link = try socket.existingLink(name)
            // Without detection, which IPv4 has not, it is usable at once, also while no program has the device open.
            try socket.add(
                InterfaceAddress(
                    link: link.index, address: address.address, prefixLength: address.length,
                    skipsDuplicateDetection: address.address.family == .v6))
        case .route(let name, let destination, let table):
            let link = try socket.existingLink(name)
            try socket.add(Route(to: destination, link: link.index, table: table, origin: .mooring))
        case .staleRoute(let route): try tolerating(.notFound) { () throws(RouteError) in try socket.delete(route) }
        }
    }

    private func explained(_ error: RouteError) -> SetupError {
        switch (action, error.reason) {
        case (.route(let name, let destination, let table), .alreadyExists):
            return SetupError(
                "\(error.description): a route to it that does not lead to \(name) stands already; see "
                    + "`\(destination.family.command) route show \(destination) table \(table)`, and delete it or describe another prefix"
            )
        case (.address(let name, let address), .alreadyExists):
            return SetupError(
                "\(error.description): \(name) has it with another prefix length; see "
                    + "`\(address.address.family.command) addr show dev \(name)`, and "
                    + "delete it or describe it as it is, not as \(address)")
        default: return SetupError(error)
        }
    }
}

extension AddressFamily {
    /// The command that shows and changes it.
    var command: String { self == .v6 ? "ip -6" : "ip" }
}

extension RouteSocket {
    /// The device of that name, which must be there.
    fileprivate mutating func existingLink(_ name: String) throws(RouteError) -> Link {
        guard let link = try link(named: name) else { throw .noDevice(name) }
        return link
    }
}

// What must be set on the host before the forwarder's packets flow, as a list of steps made from a description. Each
// was tried with real packets: without it they are lost, or others are heard that no one wants (docs/setup.md).
//
// Nothing is changed that holds already; a second run changes nothing. Routes and rules that an earlier run made (they
// bear `RouteOrigin.mooring`) and that the description no longer has are removed first, so a crash needs no repair by
// hand. All of it happens in the network namespace of the calling thread.

import RouteNetlink
import Wire

/// The set-up of the forwarder's devices.
public struct SetupPlan: Sendable, Equatable {
    /// What the steps are made from; its endpoints change with `addEndpoint` and `removeEndpoint`.
    public private(set) var description: SetupDescription

    /// A plan for a description, which must be sound.
    public init(_ description: SetupDescription) throws(SetupError) {
        try description.validate()
        self.description = description
    }

    /// Every step, in the order in which they must be taken, for the host as it is now: by which interface shared
    /// endpoints are reached, and what an earlier run left, is looked up. Needs no privilege.
    public func steps() throws(SetupError) -> [SetupStep] {
        try withSocket { socket throws(SetupError) in try steps(&socket) }
    }

    /// The steps that do not hold. Needs no privilege.
    public func missing() throws(SetupError) -> [SetupStep] {
        try withSocket { socket throws(SetupError) in
            var missing: [SetupStep] = []
            for step in try steps(&socket) where try !step.isSatisfied(&socket) { missing.append(step) }
            return missing
        }
    }

    /// Whether the devices are there and up. Needs no privilege.
    public func areDevicesUp() throws(SetupError) -> Bool {
        try withSocket { socket throws(SetupError) in
            try reading { () throws(RouteError) in
                for name in Set([description.homeDevice, description.accessDevice]) {
                    guard try socket.link(named: name)?.isUp == true else { return false }
                }
                return true
            }
        }
    }

    /// Takes every step that does not hold.
    /// - Parameter log: is given a line for each step taken.
    public func apply(log: (String) -> Void) throws(SetupError) {
        try withSocket { socket throws(SetupError) in try apply(steps(&socket), &socket, log: log) }
    }

    /// Takes back what would outlive the devices: the policy rules of shared endpoints, unless others' endpoints stand
    /// in the same table. Does what it can and throws the first error.
    public func undo(log: (String) -> Void) throws(SetupError) {
        guard description.sharesEndpoint else { return }
        let diversion = diversion
        guard try withSocket({ socket throws(SetupError) in try hasTableToItself(&socket) }) else {
            log("left: the rules for table \(description.divertTable), which has routes by other devices")
            return
        }
        var deleted: [RoutingRule] = []
        try SetupDiversion.change { rules in
            deleted = rules.filter { diversion.isMade($0) }
            return SetupDiversion(of: [], to: diversion.table).changes(to: rules)
                + deleted.map { .delete($0) }
        }
        for rule in deleted { log("removed: the rule \(rule)") }
    }

    /// Adds an endpoint while the forwarder runs: its route, and the forwarding of the interface by which it is reached.
    public mutating func addEndpoint(_ endpoint: IPv4Address, log: (String) -> Void) throws(SetupError) {
        var next = description
        if !next.endpoints.contains(endpoint) { next.endpoints.append(endpoint) }
        try next.validate()
        description = next
        try withSocket { socket throws(SetupError) in
            try apply(endpointSteps([endpoint], &socket), &socket, log: log)
        }
    }

    /// Removes an endpoint's route while the forwarder runs. The interface's forwarding stays: others may use it.
    public mutating func removeEndpoint(_ endpoint: IPv4Address, log: (String) -> Void) throws(SetupError) {
        description.endpoints.removeAll { $0 == endpoint }
        try withSocket { socket throws(SetupError) in
            let routes = try reading { () throws(RouteError) -> [Route] in
                guard let link = try socket.link(named: description.accessDevice) else { return [] }
                // Only what a set-up made: an operator's own route stays.
                let filter = RouteFilter(
                    family: .v4, table: description.endpointTable, link: link.index, origin: .mooring)
                return try socket.routes(filter).filter { $0.destination == .host(endpoint) }
            }
            try apply(routes.map { staleRoute($0, description.accessDevice) }, &socket, log: log)
        }
    }

    private func apply(
        _ steps: [SetupStep], _ socket: inout RouteSocket, log: (String) -> Void
    ) throws(SetupError) {
        for step in steps where try !step.isSatisfied(&socket) {
            do throws(SetupError) {
                try step.apply(&socket)
            } catch {
                throw SetupError("\(step.sentence): \(error)")
            }
            guard try step.isSatisfied(&socket) else {
                throw SetupError(
                    "\(step.sentence): the kernel took it, and yet it does not hold; does another program undo it?")
            }
            log("set: \(step)")
        }
    }

    func withSocket<Result>(
        _ body: (inout RouteSocket) throws(SetupError) -> Result
    ) throws(SetupError) -> Result {
        var socket = try reading { () throws(RouteError) in try RouteSocket() }
        return try body(&socket)
    }

    var diversion: SetupDiversion {
        SetupDiversion(of: description.sharesEndpoint ? description.diverted : [], to: description.divertTable)
    }

    /// Whether no other device's routes stand in the table of shared endpoints.
    func hasTableToItself(_ socket: inout RouteSocket) throws(SetupError) -> Bool {
        try reading { () throws(RouteError) in
            var own: Set<Int32> = []
            for device in description.devices {
                if let link = try socket.link(named: device) { own.insert(link.index) }
            }
            return try socket.routes(RouteFilter(family: .v4, table: description.divertTable)).allSatisfy { route in
                route.link.map(own.contains) ?? false
            }
        }
    }
}

/// Runs the body, its error made ours.
func reading<Result: ~Copyable>(_ body: () throws(RouteError) -> Result) throws(SetupError) -> Result {
    do throws(RouteError) { return try body() } catch { throw SetupError(error) }
}

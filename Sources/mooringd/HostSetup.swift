// What the host is told for packets to flow, while the daemon runs. Bindings may name endpoints of their own (a mobile
// node's care-of address changes when it moves), which are led to the access device as long as a binding names them. A
// device that was set down has lost its routes, and gets them back when it is up again.

import PacketIO
import Wire

/// The host's settings; where an operator makes them, they are only looked at.
final class HostSetup {
    private var plan: SetupPlan
    private let applies: Bool
    private let configured: Set<IPv4Address>
    private var routes = EndpointRoutes()
    private var wereDevicesUp = true
    /// Nothing is made any more, and nothing is left to take back.
    private var hasEnded = false
    private let log: (String) -> Void
    private let warn: (String) -> Void

    /// - Parameters:
    ///   - applies: whether settings are made, or what is missing is told.
    ///   - log: is given a line for each setting that is made.
    ///   - warn: is given a line for each that is missing.
    init(
        _ plan: SetupPlan, applies: Bool, log: @escaping (String) -> Void, warn: @escaping (String) -> Void
    ) {
        self.plan = plan
        self.applies = applies
        self.log = log
        self.warn = warn
        configured = Set(plan.description.endpoints)
    }

    /// Makes what does not hold, or tells of it.
    func apply() throws(SetupError) {
        if hasEnded { return }
        if applies { return try plan.apply(log: log) }
        for step in try plan.missing() {
            warn("set-up is missing: \(step.sentence); do: \(step.commands.joined(separator: " && "))")
        }
    }

    /// Routes the endpoints that are named now, and those no more that are not; what could not be done is tried again after a
    /// while.
    /// - Parameter now: in nanoseconds, by a clock that is never set.
    /// - Returns: what could not be done.
    func follow(_ named: Set<IPv4Address>, at now: UInt64) -> [SetupError] {
        guard applies, !hasEnded else { return [] }
        return routes.follow(
            named.subtracting(configured), at: now,
            add: { endpoint throws(SetupError) in try plan.addEndpoint(endpoint, log: log) },
            remove: { endpoint throws(SetupError) in try plan.removeEndpoint(endpoint, log: log) })
    }

    /// Whether endpoints that could not be routed are to be tried again by now.
    func isRetryDue(at now: UInt64) -> Bool { !hasEnded && routes.isRetryDue(at: now) }

    /// Looks whether the devices are up, and makes the settings again when they have come up.
    func watchDevices() throws(SetupError) {
        if hasEnded { return }
        let areUp = try plan.areDevicesUp()
        defer { wereDevicesUp = areUp }
        if areUp == wereDevicesUp { return }
        guard areUp else {
            return warn("a device is down: nothing is forwarded by it until it is set up again (ip link set … up)")
        }
        log("the devices are up again")
        try apply()
    }

    /// Leaves everything as it is: it is another process's.
    func leave() { hasEnded = true }

    /// Takes back what would outlive the devices.
    func undo() throws(SetupError) {
        if hasEnded { return }
        hasEnded = true
        if applies { try plan.undo(log: log) }
    }
}

// What the host is told for packets to flow, while the daemon runs. Bindings may name endpoints of their own (a mobile
// node's care-of address changes when it moves), which are led to the access device as long as a binding names them. A
// device that was set down has lost its routes, and gets them back when it is up again, however short it was down: the
// kernel tells of it (`LinkMonitor`), and beside that it is looked from time to time.

import PacketIO
import RouteNetlink
import Wire

/// The host's settings; where an operator makes them, they are only looked at.
final class HostSetup {
    private var plan: SetupPlan
    private let applies: Bool
    private let configured: Set<IPv4Address>
    private var routes = EndpointRoutes()
    private var wereDevicesUp = true
    /// Hears of the devices since they were set up first; nil before, and where that can't be heard.
    private var monitor: LinkMonitor?
    /// Whether settings may be missing, since a device was down.
    private var isUnsettled = false
    private var lastProblem = ""
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
        // Only now: before their set-up the devices were down.
        defer { monitorDevices() }
        if applies { return try plan.apply(log: log) }
        for step in try plan.missing() {
            warn("set-up is missing: \(step.sentence); do: \(step.commands.joined(separator: " && "))")
        }
    }

    private func monitorDevices() {
        guard monitor == nil else { return }
        do throws(RouteError) {
            monitor = try LinkMonitor(devices: [plan.description.homeDevice, plan.description.accessDevice])
        } catch {
            warnOnce("devices that are down for less than two seconds are not noticed: \(error)")
        }
    }

    private func warnOnce(_ problem: String) {
        if problem != lastProblem { warn(problem) }
        lastProblem = problem
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

    /// Makes the settings again when the devices are up after one was down, for however short a time.
    /// - Parameter isLookDue: whether to look at the devices and try again what failed, though nothing was heard.
    func watchDevices(isLookDue: Bool) {
        if hasEnded { return }
        let heard = monitor?.changes() ?? LinkChanges()
        let wasDown = heard.wasDown || heard.wasRemoved
        let mayBeUp = heard.isAny && !wereDevicesUp
        guard wasDown || heard.mayBeMissed || mayBeUp || isLookDue else { return }
        // Where that can't be told, it is looked again.
        guard let areUp = try? plan.areDevicesUp() else {
            isUnsettled = isUnsettled || wasDown || heard.mayBeMissed
            return
        }
        guard areUp else {
            if wereDevicesUp {
                warn("a device is down: nothing is forwarded by it until it is set up again (ip link set … up)")
            }
            (wereDevicesUp, isUnsettled) = (false, true)
            return
        }
        if wasDown || !wereDevicesUp { log("the devices are up again") }
        guard wasDown || heard.mayBeMissed || isUnsettled else { return }
        (wereDevicesUp, isUnsettled) = (true, true)
        do throws(SetupError) {
            try apply()
            (isUnsettled, lastProblem) = (false, "")
        } catch {
            warnOnce("the set-up could not be made again, and is tried again: \(error)")
        }
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

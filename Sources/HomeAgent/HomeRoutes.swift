// Routes to what is registered, for routing daemons to tell others of (RFC 5454, 3.3.1; RFC 3963, 6.3): FRR by
// `redistribute kernel`, BIRD by a kernel protocol that learns. They lead to the forwarder's home device, and bear a
// number of their own (`proto 55`), by which those that an earlier run has left are found. The kernel is asked on a
// queue of its own, since it may take its time.
//
// The kernel drops the routes of a device that is set down, and refuses others until it is up. So each is kept with the
// number of the device's last outage at the time when it was made: those with an older number are missing, and are put
// back when the device is up again, `restoredAtOnce` at a time, so that what nodes register meanwhile does not wait.

import Dispatch
import Logging
import MobileIP
import NIOCore
import RouteNetlink
import Wire

extension RouteOrigin {
    /// The home agent's routes, beside `mooring` for the forwarder's set-up. No other program is known to use the number.
    public static let mooringHomeAgent = RouteOrigin(rawValue: 55)
}

/// Where routes go.
public struct HomeRouteSettings: Hashable, Sendable {
    /// The forwarder's home device.
    public var device: String
    /// The table they stand in.
    public var table: RouteTable
    /// The smaller wins.
    public var metric: UInt32

    /// Routes to that device, in the main table.
    public init(device: String, table: RouteTable = .main, metric: UInt32 = 0) {
        self.device = device
        self.table = table
        self.metric = metric
    }
}

/// The kernel's routes to what is registered.
final class HomeRoutes: @unchecked Sendable {
    /// Routes that are put back at a time.
    static let restoredAtOnce = 1024

    private let settings: HomeRouteSettings
    private let queue = DispatchQueue(label: "mooring-routes")
    private let logger: Logger
    private let monitor: SharedLinkMonitor
    private let source: any DispatchSourceRead
    // All below belongs to the queue.
    private var socket: RouteSocket
    private var link: Int32?
    /// Destinations of routes that are to stand on that device, with the outage after which this program, or an earlier run
    /// of it, put them there. A route of somebody else's is not replaced.
    private var wanted: [IPPrefix: UInt64] = [:]
    /// How many times the device was down, at least.
    private var outages: UInt64 = 1
    /// Whether routes are missing since the device was down.
    private var areMissing = false
    /// Those that are still to be looked at; nil while none are put back.
    private var unrestored: [IPPrefix]?
    /// The outage after which they are put back, and how many have been.
    private var restored: (outage: UInt64, count: Int) = (0, 0)
    private var lastLink: Int32?
    private var failures: UInt64 = 0
    private var conflicts: UInt64 = 0

    /// - Throws: where there is no rtnetlink socket.
    init(_ settings: HomeRouteSettings, logger: Logger) throws(RouteError) {
        self.settings = settings
        self.logger = logger
        socket = try RouteSocket()
        let monitor = SharedLinkMonitor(try LinkMonitor(devices: [settings.device]))
        self.monitor = monitor
        source = DispatchSource.makeReadSource(fileDescriptor: monitor.value.descriptor, queue: queue)
        source.setEventHandler { [weak self] in self?.followDevice() }
        // The socket is closed after the source has let go of it.
        source.setCancelHandler { _ = monitor }
        source.activate()
    }

    deinit { source.cancel() }

    /// Removes what an earlier run has left, but for what is registered.
    /// - Throws: where the device is not there, or rights are missing (CAP_NET_ADMIN).
    func removeStale(keeping kept: Set<HomeRoute>) throws(RouteError) -> Int {
        let result = queue.sync { Result { () throws(RouteError) in try removeRoutes(keeping: kept) } }
        return try result.get()
    }

    private func removeRoutes(keeping kept: Set<HomeRoute>) throws(RouteError) -> Int {
        let kept = Set(kept.map(\.destination))
        link = try socket.link(named: settings.device)?.index
        lastLink = link
        var removed = 0
        for family in AddressFamily.allCases {
            let routes = try socket.routes(
                RouteFilter(family: family, table: settings.table, origin: .mooringHomeAgent))
            for route in routes {
                if kept.contains(route.destination), route.metric == metric(of: route), route.link == link {
                    wanted[route.destination] = outages
                    continue
                }
                do throws(RouteError) { try socket.delete(route) } catch  where error.reason != .notFound {
                    throw error
                }
                removed += 1
            }
        }
        return removed
    }

    /// Removes some and adds others, in that order.
    /// - Returns: done when all that could be is.
    func change(removing: [HomeRoute], adding: [HomeRoute], on eventLoop: any EventLoop) -> EventLoopFuture<Int> {
        guard !removing.isEmpty || !adding.isEmpty else { return eventLoop.makeSucceededFuture(0) }
        let promise = eventLoop.makePromise(of: Int.self)
        queue.async { [self] in promise.succeed(change(removing: removing, adding: adding)) }
        return promise.futureResult
    }

    /// - Returns: how many could not be changed.
    private func change(removing: [HomeRoute], adding: [HomeRoute]) -> Int {
        // What is known of those that stand may be out of date.
        followDevice()
        var failed = 0
        for route in removing { failed += attempt(route.destination, isThere: false) ? 0 : 1 }
        for route in adding { failed += attempt(route.destination, isThere: true) ? 0 : 1 }
        return failed
    }

    private func attempt(_ destination: IPPrefix, isThere: Bool) -> Bool {
        do throws(RouteError) {
            // The device may have gone and come back under another number.
            for isLastAttempt in [false, true] {
                let route = try route(to: destination)
                do throws(RouteError) {
                    try change(route, isThere: isThere)
                    return true
                } catch {
                    if !isThere, error.reason == .notFound { return true }
                    if error.reason == .alreadyExists { throw error }
                    guard !isLastAttempt, link != nil else { throw error }
                    link = nil
                }
            }
            return true
        } catch {
            // A device that has gone has taken its routes along.
            if !isThere, case .noDevice = error.reason { return true }
            if case .deviceDown = error.reason { areMissing = true }
            count(error, destination)
            return false
        }
    }

    private func count(_ error: RouteError, _ destination: IPPrefix) {
        if error.reason == .alreadyExists {
            conflicts += 1
            if conflicts.nonzeroBitCount == 1 {
                logger.error(
                    "a route of somebody else's is in the way",
                    metadata: ["destination": "\(destination)", "conflicts": "\(conflicts)"])
            }
            return
        }
        failures += 1
        if failures.nonzeroBitCount == 1 {
            logger.error("route not changed", metadata: ["reason": "\(error)", "failures": "\(failures)"])
        }
    }

    private func change(_ route: Route, isThere: Bool) throws(RouteError) {
        if !isThere {
            wanted[route.destination] = nil
            try socket.delete(route)
        } else if wanted[route.destination] == outages {
            try socket.replace(route)
        } else {
            // Also where it can't be made now: it is when the device is up.
            wanted[route.destination] = 0
            try socket.add(route)
            wanted[route.destination] = outages
        }
    }

    private func route(to destination: IPPrefix) throws(RouteError) -> Route {
        if link == nil {
            link = try socket.link(named: settings.device)?.index
            // Those of a device that has gone have gone with it, and its forwarder: it is told all bindings anew.
            if link != lastLink { wanted = [:] }
            lastLink = link
        }
        guard let link else { throw .noDevice(settings.device) }
        return Route(
            to: destination, link: link, table: settings.table, origin: .mooringHomeAgent, metric: settings.metric)
    }

    private func metric(of route: Route) -> UInt32 {
        // The kernel's own choice for IPv6.
        settings.metric == 0 && route.destination.family == .v6 ? 1024 : settings.metric
    }

    // MARK: The device down and up

    private func followDevice() {
        let changes = monitor.value.changes()
        guard changes.isAny else { return }
        // Of a device that has gone `route(to:)` finds out.
        if changes.wasRemoved { link = nil }
        if changes.wasDown || changes.mayBeMissed {
            outages += 1
            areMissing = !wanted.isEmpty
        }
        restoreWhatIsMissing()
    }

    private func restoreWhatIsMissing() {
        guard areMissing, unrestored == nil else { return }
        // Where it is down, or another one, that it is up again will be told.
        guard let device = try? socket.link(named: settings.device), device.isUp, device.index == lastLink else {
            return
        }
        link = device.index
        areMissing = false
        restored = (outages, 0)
        unrestored = wanted.compactMap { [outages] in $0.value == outages ? nil : $0.key }
        restoreSome()
    }

    /// Puts some routes back, and leaves the queue to others before the next.
    private func restoreSome() {
        for _ in 0..<Self.restoredAtOnce {
            guard let destination = unrestored?.popLast() else { return endRestoration() }
            // It may have been removed, or made, in the meantime.
            guard let outage = wanted[destination], outage != outages else { continue }
            do throws(RouteError) {
                guard try restore(destination) else { continue }
                restored.count += 1
            } catch {
                count(error, destination)
                if error.reason == .noDevice { link = nil }
                guard error.reason == .deviceDown else { continue }
                // That it is up again will be told.
                areMissing = true
                return endRestoration()
            }
        }
        queue.async { [weak self] in self?.restoreSome() }
    }

    /// - Returns: whether it was missing.
    private func restore(_ destination: IPPrefix) throws(RouteError) -> Bool {
        let route = try route(to: destination)
        guard wanted[destination] != nil else { return false }
        do throws(RouteError) {
            try socket.add(route)
        } catch {
            guard error.reason == .alreadyExists else { throw error }
            // Its own, where an outage was only presumed, or somebody else's, which is no match for this.
            do throws(RouteError) {
                try socket.delete(route)
            } catch let absence {
                throw absence.reason == .notFound ? error : absence
            }
            try socket.add(route)
        }
        wanted[destination] = outages
        return true
    }

    private func endRestoration() {
        unrestored = nil
        if restored.count > 0 {
            logger.notice(
                "the home device was down; its routes are put back",
                metadata: ["device": "\(settings.device)", "count": "\(restored.count)"])
        }
        // It was down again.
        if restored.outage != outages { queue.async { [weak self] in self?.restoreWhatIsMissing() } }
    }
}

extension HomeRoute {
    /// Where the route leads.
    var destination: IPPrefix {
        switch self {
        case .address(let address): .host(address)
        case .prefix(let prefix): .v6(prefix)
        case .network(let network): .v4(network)
        }
    }
}

/// A monitor that others keep as long as they need it.
private final class SharedLinkMonitor: Sendable {
    let value: LinkMonitor
    init(_ value: consuming LinkMonitor) { self.value = value }
}

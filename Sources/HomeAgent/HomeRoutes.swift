// Routes to what is registered, for routing daemons to tell others of (RFC 5454, 3.3.1; RFC 3963, 6.3): FRR by
// `redistribute kernel`, BIRD by a kernel protocol that learns. They lead to the forwarder's home device, and bear a
// number of their own (`proto 55`), by which those that an earlier run has left are found. The kernel is asked on a
// queue of its own, since it may take its time.

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
    private let settings: HomeRouteSettings
    private let queue = DispatchQueue(label: "mooring-routes")
    private let logger: Logger
    // All below belongs to the queue.
    private var socket: RouteSocket
    private var link: Int32?
    /// Destinations of routes that stand on that device, and were put by this program or an earlier run of it. A route of
    /// somebody else's is not replaced.
    private var own: Set<IPPrefix> = []
    private var lastLink: Int32?
    private var failures: UInt64 = 0
    private var conflicts: UInt64 = 0

    /// - Throws: where there is no rtnetlink socket.
    init(_ settings: HomeRouteSettings, logger: Logger) throws(RouteError) {
        self.settings = settings
        self.logger = logger
        socket = try RouteSocket()
    }

    /// Removes what an earlier run has left, but for what is registered.
    /// - Throws: where the device is not there, or rights are missing (CAP_NET_ADMIN).
    func removeStale(keeping kept: Set<HomeRoute>) throws(RouteError) -> Int {
        let kept = Set(kept.map(\.destination))
        link = try socket.link(named: settings.device)?.index
        lastLink = link
        var removed = 0
        for family in AddressFamily.allCases {
            let routes = try socket.routes(
                RouteFilter(family: family, table: settings.table, origin: .mooringHomeAgent))
            for route in routes {
                if kept.contains(route.destination), route.metric == metric(of: route), route.link == link {
                    own.insert(route.destination)
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
        var failed = 0
        for route in removing { failed += attempt(route, isThere: false) ? 0 : 1 }
        for route in adding { failed += attempt(route, isThere: true) ? 0 : 1 }
        return failed
    }

    private func attempt(_ homeRoute: HomeRoute, isThere: Bool) -> Bool {
        do throws(RouteError) {
            // The device may have gone and come back under another number.
            for isLastAttempt in [false, true] {
                let route = try route(to: homeRoute)
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
            if error.reason == .alreadyExists {
                conflicts += 1
                if conflicts.nonzeroBitCount == 1 {
                    logger.error(
                        "a route of somebody else's is in the way",
                        metadata: ["destination": "\(homeRoute.destination)", "conflicts": "\(conflicts)"])
                }
                return false
            }
            failures += 1
            if failures.nonzeroBitCount == 1 {
                logger.error("route not changed", metadata: ["reason": "\(error)", "failures": "\(failures)"])
            }
            return false
        }
    }

    private func change(_ route: Route, isThere: Bool) throws(RouteError) {
        if !isThere {
            own.remove(route.destination)
            try socket.delete(route)
        } else if own.contains(route.destination) {
            try socket.replace(route)
        } else {
            try socket.add(route)
            own.insert(route.destination)
        }
    }

    private func route(to homeRoute: HomeRoute) throws(RouteError) -> Route {
        if link == nil {
            link = try socket.link(named: settings.device)?.index
            // Those of a device that has gone have gone with it.
            if link != lastLink { own = [] }
            lastLink = link
        }
        guard let link else { throw .noDevice(settings.device) }
        return Route(
            to: homeRoute.destination, link: link, table: settings.table, origin: .mooringHomeAgent,
            metric: settings.metric)
    }

    private func metric(of route: Route) -> UInt32 {
        // The kernel's own choice for IPv6.
        settings.metric == 0 && route.destination.family == .v6 ? 1024 : settings.metric
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

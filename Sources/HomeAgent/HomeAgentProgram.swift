// From the configuration to a running home agent, and back. The order matters: the database before anything is heard,
// registrations before routes and the forwarder, and operators are told last that it is there.

import ControlProtocol
import Logging
import NIOCore
import NIOPosix
import RouteNetlink
import Wire

/// A home agent that runs.
public final class HomeAgentProgram: Sendable {
    private let eventLoop: any EventLoop
    private let service: NIOLoopBound<HomeAgentService>
    private let operators: NIOLoopBound<OperatorServer>

    private init(
        eventLoop: any EventLoop, service: NIOLoopBound<HomeAgentService>, operators: NIOLoopBound<OperatorServer>
    ) {
        self.eventLoop = eventLoop
        self.service = service
        self.operators = operators
    }

    /// Starts a home agent.
    /// - Throws: why it can't start, and what to do.
    public static func start(_ files: HomeAgentFiles, logger: Logger) async throws -> HomeAgentProgram {
        let settings = files.settings
        let group: UInt32? = try settings.socketGroup.map { name in
            guard let group = ControlAccess.group(name) else {
                throw HomeAgentError("socket-group: there is no group \(name)")
            }
            return group
        }
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let store = try RegistrationStore(path: settings.database, durability: settings.durability)
        do {
            try store.check()
            let routes = try settings.routes.map { try HomeRoutes($0, logger: logger) }
            let service = try await eventLoop.submit {
                let service = HomeAgentService(
                    settings, store: store, routes: routes, eventLoop: eventLoop, logger: logger)
                try service.begin(with: files)
                return NIOLoopBound(service, eventLoop: eventLoop)
            }.get()
            if settings.listen == .udp { try await listen(service, settings, on: eventLoop) }
            let operators = try await eventLoop.flatSubmit {
                do {
                    return try OperatorServer.start(
                        at: settings.socket, group: group, on: eventLoop, logger: logger
                    ) { service.value.answer($0, $1) }
                } catch {
                    return eventLoop.makeFailedFuture(error)
                }
            }.get()
            eventLoop.execute { service.value.dataplane.start() }
            return HomeAgentProgram(eventLoop: eventLoop, service: service, operators: operators)
        } catch {
            store.close()
            throw error
        }
    }

    private static func listen(
        _ service: NIOLoopBound<HomeAgentService>, _ settings: HomeAgentSettings, on eventLoop: any EventLoop
    ) async throws {
        try await eventLoop.flatSubmit {
            DatagramSockets.open(
                settings.homeAgent.addresses,
                broadcasts: Array(Set(settings.homeAgent.broadcastAddresses + [IPv4Address(rawValue: .max)])),
                homeNetworks: settings.homeNetworks, on: eventLoop
            ) { service.value.receive($0) }
            .map { service.value.sockets = $0.value }
        }.get()
    }

    /// Reads files anew and takes what they say, as far as it may change while packets flow, all or nothing; the log
    /// says what needs a restart, or what is wrong.
    public func reload(_ path: String) {
        eventLoop.execute { [service] in service.value.reload(path) }
    }

    /// Finishes what is under way, and ends.
    public func stop() async {
        try? await eventLoop.flatSubmit { [service, operators] in
            operators.value.close()
            return service.value.stop()
        }.get()
    }
}

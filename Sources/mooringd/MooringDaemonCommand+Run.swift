// From the configuration to a running daemon, and back. The order matters: devices before the set-up that concerns them,
// bindings before packets, packets before the socket says that all is there.

import ArgumentParser
import Bindings
import ControlProtocol
import Forwarding
import Foundation
import Logging
import NIOCore
import NIOPosix
import PacketBuffer
import PacketIO
import RouteNetlink
import ServiceProcess
import Succession
import Wire

extension MooringDaemonCommand {
    /// Not an asynchronous function: those have threads before their first line, which would keep what is given up here.
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            guard let daemon = command as? Self else { return try command.run() }
            let privileged = PrivilegedThread()
            let (settings, rights) = try daemon.giveUpRights()
            Task {
                do { try await daemon.run(settings, privileged, rights) } catch { exit(for: error) }
                Foundation.exit(0)
            }
        } catch {
            exit(for: error)
        }
        dispatchMain()
    }

    private static func exit(for error: any Error) -> Never {
        // The parser's own exit code for what can't be used is 64.
        let code = exitCode(for: error)
        let text = fullMessage(for: error)
        // Help and version are errors to the parser too.
        let output: FileHandle = code.isSuccess ? .standardOutput : .standardError
        if !text.isEmpty { output.write(Data("\(text)\n".utf8)) }
        Foundation.exit(code == .validationFailure || error is CannotStart ? 2 : code.rawValue)
    }

    /// Reads the configuration, and leaves this thread and those that it starts what is needed while packets flow.
    private func giveUpRights() throws -> (DaemonConfiguration, Capabilities) {
        do {
            // Before a file is read: what can't be read now could not be read at SIGHUP.
            let most = try Capabilities.keep(only: .networkAdministration)
            let settings = try resolve()
            // Routes follow the bindings, and a device that comes up again is set up again.
            return (settings, settings.setup ? most : try Capabilities.keep(only: []))
        } catch { throw CannotStart("\(error)") }
    }

    /// - Parameters:
    ///   - privileged: has what is needed to start.
    ///   - rights: what the other threads have.
    private func run(
        _ settings: DaemonConfiguration, _ privileged: PrivilegedThread, _ rights: Capabilities
    ) async throws {
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = settings.logLevel
            return handler
        }
        var logger = Logger(label: "mooringd")
        logger.logLevel = settings.logLevel
        do {
            let plan = try SetupPlan(SetupDescription(settings))
            if check { throw try printMissing(plan) }
            // From here on a signal ends it in order, or not at all.
            let signals = try SignalSources()
            defer { signals.cancel() }
            try await serve(settings, plan, signals, privileged, rights, logger)
        } catch let exit as ExitCode {
            throw exit
        } catch {
            throw CannotStart("\(error)")
        }
    }

    /// Prints what `--check` asks for.
    private func printMissing(_ plan: SetupPlan) throws -> ExitCode {
        let missing = try plan.missing()
        for warning in try plan.warnings() { FileHandle.standardError.write(Data("mooringd: \(warning)\n".utf8)) }
        for step in missing { print("# \(step.sentence)\n\(step.commands.joined(separator: "\n"))") }
        return missing.isEmpty ? .success : ExitCode(1)
    }

    private func serve(
        _ settings: DaemonConfiguration, _ plan: SetupPlan, _ signals: SignalSources, _ privileged: PrivilegedThread,
        _ rights: Capabilities, _ logger: Logger
    ) async throws {
        let serverConfiguration = try ControlServer.Configuration(settings)
        try privileged.run { try makeDirectory(ofSocket: settings.socket) }
        // The socket's file is made with more rights than are there when it is removed.
        try ControlSocket.checkDirectory(of: settings.socket)
        let predecessor = try takeOver ? privileged.run { try Predecessor(settings, signals) } : nil
        // Before anything of the host is touched: it may say that this is no time to start.
        var restored =
            if let predecessor {
                try RestoredBindings(settings, of: predecessor, logger)
            } else {
                try RestoredBindings(settings, logger)
            }
        let devices = try predecessor?.takeQueues() ?? privileged.run { try openDevices(settings, logger) }
        for warning in try plan.warnings() { logger.warning("\(warning)") }
        // Used by this task until the server is there, and by the event loop from then on.
        nonisolated(unsafe) let hostSetup = HostSetup(
            plan, applies: settings.setup, log: { logger.info("\($0)") }, warn: { logger.warning("\($0)") })
        // Of a predecessor's nothing is undone, until it is this one's.
        var isOwn = predecessor == nil
        defer {
            if !isOwn { hostSetup.leave() }
            do { try hostSetup.undo() } catch { logger.error("not undone", metadata: ["reason": "\(error)"]) }
        }
        try hostSetup.apply()

        let workers = try makeWorkers(settings, devices, areResting: predecessor != nil, privileged)
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let ended = eventLoop.makePromise(of: Void.self)
        let table = restored.table
        if !workers.ioReason.isEmpty {
            logger.notice("packets are moved by plain system calls", metadata: ["reason": "\(workers.ioReason)"])
        }
        if !workers.superFrames.reason.isEmpty {
            logger.log(
                level: workers.superFrames.isUnfulfilled ? .warning : .notice, "super-frames could be sent better",
                metadata: ["now": "\(workers.superFrames.choice.rawValue)", "reason": "\(workers.superFrames.reason)"])
        }
        if !workers.accessFrames.reason.isEmpty {
            logger.log(
                level: workers.accessFrames.isUnfulfilled ? .warning : .notice,
                "super-frames in tunnels could be taken whole", metadata: ["reason": "\(workers.accessFrames.reason)"])
        }
        var forwarderSettings = ForwarderSettings(settings)
        forwarderSettings.sendsSuperFrames = workers.superFrames.choice == .push
        forwarderSettings.joinsSegments = workers.superFrames.choice != .off
        forwarderSettings.sendsTrains = workers.superFrames.takesTrains
        forwarderSettings.joinsDatagrams = workers.superFrames.takesDatagrams
        nonisolated(unsafe) let daemon = Daemon(
            configuration: settings, table: table, workers: workers, hostSetup: hostSetup, eventLoop: eventLoop,
            logger: logger)
        // Before the first packet: none is told that there is no route.
        if predecessor == nil {
            do { try daemon.begin(with: restored) } catch {
                ended.fail(error)
                throw error
            }
        }
        // They ask for short waits before they give up the right to.
        try privileged.run {
            workers.start(
                table: table, settings: forwarderSettings, processors: settings.processors,
                punted: { eventLoop.execute { daemon.punts.run() } },
                waiting: { eventLoop.execute { daemon.watchWaiting(on: eventLoop) } },
                ended: { error in
                    if let error { ended.fail(error) } else { ended.succeed() }
                })
        }

        let server: ControlServer
        var successionListener: SuccessionListener?
        do {
            if let predecessor {
                do { try predecessor.takeOver(&restored) } catch {
                    predecessor.giveUp(error)
                    throw error
                }
                isOwn = true
                workers.goOn()
                // The host is as the predecessor has left it; only a binding file may be new, and is as at a reload.
                do { try daemon.begin(with: restored) } catch {
                    logger.error("binding file not loaded", metadata: ["reason": "\(error)"])
                }
            }
            let listener = try privileged.run {
                try ControlServer.listen(serverConfiguration, adopting: predecessor?.controlListener, logger: logger)
            }
            successionListener = try privileged.run { listenForSuccessor(settings, predecessor, logger) }
            privileged.end()
            // From here on table and daemon belong to the event loop.
            server = try await ControlServer.start(
                serverConfiguration, at: listener, on: eventLoop, logger: logger
            ) { publisher in
                daemon.publisher = publisher
                return daemon
            }
        } catch {
            successionListener?.removeFile()
            if isOwn { workers.stop() } else { workers.leave() }
            try? await ended.futureResult.get()
            throw error
        }
        if let successionListener { SuccessionService(successionListener, daemon, server, logger).start() }
        let ticks = eventLoop.scheduleRepeatedTask(initialDelay: Daemon.tickInterval, delay: Daemon.tickInterval) { _ in
            daemon.tick()
        }
        signals.handle(
            stop: { name in
                logger.info("stopping", metadata: ["signal": "\(name)"])
                workers.stop()
            },
            reload: { [self] in eventLoop.execute { daemon.reload { try resolve() } } })
        logger.info(
            "ready",
            metadata: [
                "endpoints": "\(settings.endpoints.map(\.description).joined(separator: ","))",
                "home": "\(settings.homeDevice)", "access": "\(settings.accessDevice)", "io": "\(workers.io)",
                "offload": "\(workers.superFrames.choice.rawValue)",
                "accessOffload": "\(workers.accessFrames.choice.rawValue)",
                "workers": "\(workers.all.count)", "socket": "\(settings.socket)", "capabilities": "\(rights)",
            ])

        ServiceNotification.ready()
        // Ends the exchange: the predecessor goes when it notices.
        predecessor?.close()

        let result: Result<Void, any Error>
        do { result = .success(try await ended.futureResult.get()) } catch { result = .failure(error) }
        ticks.cancel()
        if try await eventLoop.submit({ daemon.hasSuccessor }).get() { return }
        successionListener?.removeFile()
        await server.close()
        // What the event loop still has to do for a signal comes before, and finds nothing to do afterwards.
        do {
            try await eventLoop.submit {
                daemon.checkpoints?.finish()
                try hostSetup.undo()
            }.get()
        } catch {
            logger.error("not undone", metadata: ["reason": "\(error)"])
        }
        do { try result.get() } catch {
            logger.critical("forwarding has ended", metadata: ["reason": "\(error)"])
            throw ExitCode(1)
        }
    }

    /// Workers with their ports, and the program by which super-frames leave whole.
    private func makeWorkers(
        _ settings: DaemonConfiguration, _ devices: consuming PortQueues, areResting: Bool,
        _ privileged: PrivilegedThread
    ) throws -> Workers {
        var devices = Optional(devices)
        return try privileged.run {
            guard let queues = devices.take() else { preconditionFailure("workers are made once") }
            return try Workers(
                settings.io, settings.offload, settings.accessOffload, queues: queues, count: settings.workerCount,
                configuration: PortConfiguration(
                    packetCapacity: max(settings.homeMTU, settings.accessMTU), slotCount: ForwardingLoop.slotCount,
                    batchCapacity: ForwardingLoop.batchCapacity),
                areResting: areResting)
        }
    }

    /// Where this daemon can be taken over itself.
    private func listenForSuccessor(
        _ settings: DaemonConfiguration, _ predecessor: Predecessor?, _ logger: Logger
    ) -> SuccessionListener? {
        if let predecessor { return predecessor.successionListener }
        do throws(SuccessionError) {
            return try SuccessionListener(path: SuccessionListener.path(beside: settings.socket))
        } catch {
            logger.warning("this daemon can't be taken over", metadata: ["reason": "\(error)"])
            return nil
        }
    }

    /// Makes the directory that the socket lies in, such as /run/mooring, which is gone after each start of the host.
    private func makeDirectory(ofSocket path: String) throws {
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
        guard mkdir(directory, 0o755) == 0 || errno == EEXIST else {
            throw CannotStart("the directory \(directory) can't be made: \(String(cString: strerror(errno)))")
        }
    }

    private func openDevices(_ settings: DaemonConfiguration, _ logger: Logger) throws -> PortQueues {
        let count = settings.workerCount
        if settings.singleDevice {
            return PortQueues(shared: try openDevice(settings.homeDevice, queues: count, side: nil, .none, logger))
        }
        let home = try openDevice(settings.homeDevice, queues: count, side: .home, settings.offload.ofHome, logger)
        let access = try openDevice(
            settings.accessDevice, queues: count, side: .access, settings.offload.ofAccess(settings.accessOffload),
            logger)
        return PortQueues(home: home, access: access)
    }

    /// Opens a TUN device. The kernel takes a ring down some time after its process has ended, and lets go of the
    /// device only then: a daemon that is started again at once waits for that.
    private func openDevice(
        _ name: String, queues: Int, side: Side?, _ offload: TunOffload, _ logger: Logger
    ) throws -> TunQueues {
        let start = ContinuousClock.now
        let deadline = start + .seconds(5)
        var isTold = false
        while true {
            do throws(TunDeviceError) {
                return try TunQueues(name: name, count: queues, side: side, offload: offload)
            } catch {
                guard case .busy = error, .now < deadline else { throw error }
                if !isTold, .now > start + .milliseconds(500) {
                    logger.notice("the device is in use; waiting for it", metadata: ["device": "\(name)"])
                    isTold = true
                }
                usleep(20_000)
            }
        }
    }
}

/// Arguments or the host do not allow a start: exit code 2.
struct CannotStart: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension SetupDescription {
    init(_ settings: DaemonConfiguration) {
        self.init(homeDevice: settings.homeDevice, accessDevice: settings.accessDevice)
        homeMTU = UInt32(settings.homeMTU)
        accessMTU = UInt32(settings.accessMTU)
        homeAddresses = settings.homeAddresses
        let hasLinkLocal = homeAddresses.contains {
            if case .v6(let address) = $0.address { address.isLinkLocal } else { false }
        }
        if let endpoint = settings.endpoints.first, !hasLinkLocal {
            linkLocalAddress = IPv6Address(linkLocalOf: endpoint)
        }
        homeRoutes = settings.homeRoutes
        endpoints = settings.endpoints
        sharesEndpoint = settings.sharedEndpoint
        diverted = settings.divert
        queues = settings.workerCount
        forwarding = settings.forwarding
    }
}

extension ForwarderSettings {
    init(_ settings: DaemonConfiguration) {
        self.init()
        endpoints = settings.endpoints
        errorSource =
            settings.homeAddresses.lazy.compactMap { home in
                if case .v6(let address) = home.address, !address.isLinkLocal { address } else { nil }
            }.first
        errorsPerSecond = UInt64(settings.errorsPerSecond)
        errorBurst = max(errorsPerSecond / 2, 1)
        singleDevice = settings.singleDevice
        timeToLive = settings.outerTimeToLive
        isRouter = settings.forwarding
    }
}

extension BindingTable.Configuration {
    init(_ settings: DaemonConfiguration) {
        self.init()
        bindingLimit = settings.maxBindings
        prefixLimit = settings.maxPrefixes
        memberLimit = settings.maxMembers
        endpoint = settings.endpoints.first
        tunnelMTU = settings.tunnelMTU
        outerTimeToLive = settings.outerTimeToLive
        workers = settings.workerCount
    }
}

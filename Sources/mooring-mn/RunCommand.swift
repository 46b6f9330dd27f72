import ArgumentParser
import Bindings
import Foundation
import Logging
import MobileNode
import ServiceProcess

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the mobile node (what is done without a command).")

    @Option(help: "Configuration file (TOML).")
    var config = "/etc/mooring/mooring-mn.toml"

    @Option(help: "Only read a configuration file and the keys that it names: exit 0 where all is right, else 2.")
    var checkConfiguration: String?

    func run() async throws {
        let settings: NodeSettings
        do throws(StrictJSON.Failure) {
            settings = try NodeSettings(contentsOf: checkConfiguration ?? config)
        } catch {
            throw CommandFailure(status: .unusable, message: "\(error)")
        }
        if checkConfiguration != nil { return }
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "mooring-mn")
        logger.logLevel = Logger.Level(rawValue: settings.logLevel.rawValue) ?? .info
        do {
            let signals = try SignalSources()
            defer { signals.cancel() }
            try makeDirectory(ofSocket: settings.socket)
            let service = try NodeService(settings, logger: logger)
            let stop = service.stop
            let log = logger
            signals.handle(
                stop: { name in
                    log.info("stopping", metadata: ["signal": "\(name)"])
                    stop()
                }, reload: { log.notice("SIGHUP changes nothing: start mooring-mn anew for another configuration") })
            try await service.run {
                log.info("ready", metadata: ["mooringd": "\(settings.forwarder)", "socket": "\(settings.socket)"])
                ServiceNotification.ready()
            }
        } catch let error as NodeServiceError {
            throw CommandFailure(
                status: error.isForwarderUnreachable ? .unreachable : .unusable, message: error.description)
        } catch {
            throw CommandFailure(status: .unusable, message: "\(error)")
        }
    }

    /// Such as /run/mooring, which is gone after each start of the host.
    private func makeDirectory(ofSocket path: String) throws {
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
        guard mkdir(directory, 0o755) == 0 || errno == EEXIST else {
            throw CommandFailure(
                status: .unusable,
                message: "the directory \(directory) can't be made: \(String(cString: strerror(errno)))")
        }
    }
}

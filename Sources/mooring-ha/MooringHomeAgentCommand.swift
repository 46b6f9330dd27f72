// The command line of mooring-ha, and its way from start to end.

import ArgumentParser
import Bindings
import Foundation
import HomeAgent
import Logging
import Release
import ServiceProcess

@main
struct MooringHomeAgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mooring-ha",
        abstract: "The home agent: registers mobile nodes, and tells mooringd where they are.",
        discussion: """
            Runs in the foreground and logs to standard error. SIGTERM finishes what is under way and ends it; SIGHUP \
            reads the configuration and the nodes anew.

            Examples:
              mooring-ha --config /etc/mooring/mooring-ha.toml
              mooring-ha --check-configuration /etc/mooring/mooring-ha.toml
            """,
        version: versionText(of: "mooring-ha"))

    @Option(help: "Configuration file (TOML).") var config = "/etc/mooring/mooring-ha.toml"
    @Option(help: "Read this file and all that it names, say what is wrong, and exit: 0 if nothing is, else 2.")
    var checkConfiguration: String?

    static func main() async {
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
        } catch {
            let isOwn = error is CannotStart
            // The parser's own exit code for what can't be used is 64.
            let code = exitCode(for: error)
            let text = isOwn ? "mooring-ha: \(error)" : fullMessage(for: error)
            let output: FileHandle = code.isSuccess ? .standardOutput : .standardError
            if !text.isEmpty { output.write(Data("\(text)\n".utf8)) }
            Foundation.exit(code.isSuccess ? 0 : 2)
        }
    }

    func run() async throws {
        if let path = checkConfiguration {
            let files = try read(path)
            print("\(path): \(files.nodes.count) nodes")
            return
        }
        let files = try read(config)
        let level = Logger.Level(rawValue: files.settings.logLevel) ?? .info
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        var logger = Logger(label: "mooring-ha")
        logger.logLevel = level
        let program: HomeAgentProgram
        let signals: SignalSources
        do {
            // From here on a signal ends it in order, or not at all.
            signals = try SignalSources()
            program = try await HomeAgentProgram.start(files, logger: logger)
        } catch {
            throw CannotStart("\(error)")
        }
        defer { signals.cancel() }
        let (stopped, continuation) = AsyncStream.makeStream(of: String.self)
        signals.handle(
            stop: { continuation.yield($0) },
            reload: { [config] in program.reload(config) })
        logger.info(
            "ready",
            metadata: [
                "addresses": "\(files.settings.homeAgent.addresses.map(\.description).joined(separator: ","))",
                "listen": "\(files.settings.listen.rawValue)", "nodes": "\(files.nodes.count)",
                "socket": "\(files.settings.socket)",
            ])
        ServiceNotification.ready()
        for await name in stopped {
            logger.info("stopping", metadata: ["signal": "\(name)"])
            break
        }
        await program.stop()
    }

    private func read(_ path: String) throws -> HomeAgentFiles {
        do throws(StrictJSON.Failure) {
            return try HomeAgentFiles(contentsOf: path)
        } catch {
            throw CannotStart("\(error)")
        }
    }
}

/// Files or the host do not allow a start: exit code 2.
struct CannotStart: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

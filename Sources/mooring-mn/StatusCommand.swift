import ArgumentParser
import Foundation
import MobileNode
import Wire

/// Where the mooring-mn is that is asked.
struct AskOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The running mooring-mn's socket.", valueName: "path"))
    var socket = NodeSettings.defaultSocket

    /// Asks, and takes an answer that is no error.
    func ask(_ question: String) throws -> [UInt8] {
        let answer: [UInt8]
        do throws(LocalSocketError) {
            answer = try LocalSocket.ask(question, at: socket)
        } catch {
            throw CommandFailure(
                status: error.isUnreachable ? .unreachable : .unusable, message: error.description)
        }
        if let refusal = try? JSONDecoder().decode([String: String].self, from: Data(answer))["error"] {
            throw CommandFailure(status: .unusable, message: refusal)
        }
        return answer
    }
}

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Tell what the running mooring-mn is about.",
        discussion: """
            Exit status 0 where it is registered or at home, else 1.

            EXAMPLES:
              mooring-mn status
              mooring-mn status --json | jq .prefixes
            """)

    @OptionGroup var options: AskOptions

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let answer = try options.ask("status")
        guard let report = try? StatusReport(json: answer) else {
            throw CommandFailure(status: .unusable, message: "mooring-mn answered with something else than its status")
        }
        print(json ? String(decoding: answer, as: UTF8.self) : report.lines().joined(separator: "\n"))
        guard ["registered", "at home"].contains(report.state) else { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}

struct PrefixesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prefixes", abstract: "Tell the running mooring-mn which prefixes are delegated to this node.",
        discussion: """
            Meant for the script of a DHCPv6 client (RFC 5454, 3.7.1). All that are delegated now are named each time; \
            without any, none is. They are registered beside those of the configuration.

            EXAMPLES:
              mooring-mn prefixes 2001:db8:77::/56
              mooring-mn prefixes
            """)

    @OptionGroup var options: AskOptions

    @Argument(help: ArgumentHelp("All that are delegated.", valueName: "prefix"))
    var prefixes: [IPv6Prefix] = []

    func run() throws {
        _ = try options.ask((["prefixes"] + prefixes.map(\.description)).joined(separator: " "))
    }
}

extension IPv6Prefix: ExpressibleByArgument {
    /// A prefix from the command line.
    public init?(argument: String) { self.init(argument) }
}

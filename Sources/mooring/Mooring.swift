// `mooring`, the operator's tool. Commands ask mooringd, or mooring-ha, over its Unix socket; docs/man/mooring.1 describes
// them.

import ArgumentParser
import Bindings
import ControlProtocol
import Glibc
import OperatorProtocol
import Release

@main
struct Mooring: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mooring",
        abstract: "Shows and changes what a mooringd does.",
        discussion: """
            EXAMPLES:
              mooring status
              mooring binding put mn1 --care-of 203.0.113.9 --prefix 2001:db8:1::/64
              mooring binding put mn1 --update --care-of 198.51.100.20
              mooring binding load bindings.json --replace
              mooring group join ff3e::1234 mn1
              mooring counters --watch
              mooring registration list

            EXIT STATUS:
              0 done; 1 the answer is no (a binding is not there); 2 arguments or input that can't be used;
              3 mooringd, or mooring-ha, can't be reached.
            """,
        version: versionText(of: "mooring"),
        subcommands: [
            StatusCommand.self, BindingCommand.self, GroupCommand.self, CountersCommand.self, WatchCommand.self,
            ReplayCommand.self, RegistrationCommand.self, NodeCommand.self,
        ])

    static func main() async {
        // Whoever reads our output may stop doing so (`mooring binding list | head`): that is an error of write(2) then.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            Output.standard.flush()
        } catch {
            Output.standard.flush()
            let end = End(error)
            if end.code == .done {
                Output.standard.line(end.message)
            } else if CommandLine.arguments.contains("--json") {
                Output.error.json(ErrorReport(error: end.cause, status: end.code.rawValue))
            } else {
                Output.error.line(end.message)
            }
            Output.standard.flush()
            Glibc.exit(end.code.rawValue)
        }
    }

    /// How a command ends that does not end well, or that has printed its help.
    private struct End {
        let code: ExitStatus
        /// What is wrong.
        let cause: String
        /// The same, for people: with the program's name, or with the usage.
        let message: String

        init(_ error: any Error) {
            switch error {
            case let error as CommandFailure: (code, cause) = (error.status, error.message)
            case let error as ControlClientError: (code, cause) = (ExitStatus(error), "\(error)")
            case let error as OperatorClientError: (code, cause) = (ExitStatus(error), "\(error)")
            case let error as BindingError:
                let answer = ControlClientError.unexpected("a binding that means nothing here (\(error))")
                (code, cause) = (ExitStatus(answer), "\(answer)")
            default:
                // Help and version are errors to ArgumentParser too. Its own exit status for unusable arguments is 64.
                code = Mooring.exitCode(for: error) == .success ? .done : .unusable
                cause = Mooring.message(for: error)
                message = Mooring.fullMessage(for: error)
                return
            }
            message = "mooring: \(cause)"
        }
    }

    /// An error as JSON.
    private struct ErrorReport: Encodable {
        let error: String
        let status: Int32
    }
}

/// What scripts are told.
enum ExitStatus: Int32 {
    case done = 0
    /// It ran, and the answer is no.
    case no = 1
    /// Arguments or input that can't be used.
    case unusable = 2
    /// mooringd can't be reached.
    case unreachable = 3

    init(_ error: ControlClientError) {
        switch error {
        case .unreachable, .closed, .unexpected: self = .unreachable
        case .refused(let refusal):
            switch refusal.code {
            case .badBinding, .badRequest, .badFrame, .badGroup, .badPacket: self = .unusable
            case .limit, .conflict, .notBound, .busy, .incomplete: self = .no
            case .notAllowed, .version, .stopping, .unspecified, .UNRECOGNIZED: self = .unreachable
            }
        }
    }
}

/// Why a command did not do what it was asked to.
struct CommandFailure: Error {
    let status: ExitStatus
    let message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }
}

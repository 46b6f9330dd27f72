// The command line of mooring-mn; docs/man/mooring-mn.8 describes it.

import ArgumentParser
import Foundation
import MobileNode
import Release

@main
struct MobileNodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mooring-mn",
        abstract: "A mobile node: registers with its home agent and keeps its addresses while it moves.",
        discussion: """
            Needs a mooringd on this host (mooringd --shared-endpoint --no-forwarding), which it tells of its tunnel. \
            Runs in the foreground and logs to standard error. SIGTERM deregisters and ends it.

            EXAMPLES:
              mooring-mn --config /etc/mooring/mooring-mn.toml
              mooring-mn --check-configuration /etc/mooring/mooring-mn.toml
              mooring-mn status
              mooring-mn status --json | jq .careOfAddress
              mooring-mn prefixes 2001:db8:77::/56      # these are delegated now, from a DHCPv6 client's script

            EXIT STATUS:
              0 done; 1 it ran and ended badly; 2 arguments or input that can't be used; 3 mooringd, or the mooring-mn
              that is asked, can't be reached.
            """,
        version: versionText(of: "mooring-mn"),
        subcommands: [RunCommand.self, StatusCommand.self, PrefixesCommand.self],
        defaultSubcommand: RunCommand.self)

    static func main() async {
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let code as ExitCode {
            Foundation.exit(code.rawValue)
        } catch let failure as CommandFailure {
            end(failure.status, failure.message, forPeople: "mooring-mn: \(failure.message)")
        } catch {
            // Help and version are errors to the parser too. Its own exit status for unusable arguments is 64.
            if exitCode(for: error).isSuccess {
                FileHandle.standardOutput.write(Data("\(fullMessage(for: error))\n".utf8))
                Foundation.exit(0)
            }
            end(.unusable, message(for: error), forPeople: fullMessage(for: error))
        }
    }

    /// Who asks for JSON gets an error so, too, as from `mooring`.
    private static func end(_ status: ExitStatus, _ cause: String, forPeople text: String) -> Never {
        var line = Data(text.utf8)
        if CommandLine.arguments.contains("--json") {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            do { line = try encoder.encode(ErrorReport(error: cause, status: status.rawValue)) } catch {
                preconditionFailure("a text and a number can always be encoded: \(error)")
            }
        }
        FileHandle.standardError.write(line + Data("\n".utf8))
        Foundation.exit(status.rawValue)
    }

    /// An error as JSON.
    private struct ErrorReport: Encodable {
        let error: String
        let status: Int32
    }
}

/// How the program ends.
enum ExitStatus: Int32 {
    case failed = 1
    case unusable = 2
    case unreachable = 3
}

/// A command that ends badly.
struct CommandFailure: Error {
    let status: ExitStatus
    /// What is wrong and what to do.
    let message: String
}

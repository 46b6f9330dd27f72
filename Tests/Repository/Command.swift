// Commands that the tests of the repository run: SwiftPM, binutils, the project's own programs.

import TestSupport

/// A command did not do what it was run for.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String
}

enum Command {
    /// Runs a command in the repository's top directory to its end.
    /// - Returns: its standard output.
    /// - Throws: where it can't be started or its exit status is not 0; its outputs are then part of the message.
    @discardableResult
    static func run(_ command: [String]) async throws -> String {
        // A first optimised build takes minutes.
        let program = try await Program.run(
            ["env", "-C", Repository.root.path] + command, environment: ["LC_ALL": "C.UTF-8"], within: .seconds(1_800))
        guard program.status == 0 else {
            throw CommandFailure(
                description: """
                    `\(command.joined(separator: " "))` failed with \(program.status):
                    \(program.output)\(program.errorOutput)
                    """)
        }
        return program.output
    }
}

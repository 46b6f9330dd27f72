// The flags of the programs as they are built.

import Foundation
import TestSupport
import Testing

/// One of the project's programs that operators use.
struct DocumentedProgram: CustomTestStringConvertible, Sendable {
    let name: String
    /// The section of the manual that its page is in.
    let manualSection: Int

    var testDescription: String { name }
    var manualPath: String { "docs/man/\(name).\(manualSection)" }

    static let all = [
        DocumentedProgram(name: "mooringd", manualSection: 8), DocumentedProgram(name: "mooring", manualSection: 1),
        DocumentedProgram(name: "mooring-ha", manualSection: 8),
        DocumentedProgram(name: "mooring-mn", manualSection: 8),
        DocumentedProgram(name: "mooring-fa", manualSection: 8),
    ]

    /// What `--help` of the program and of its subcommands lists.
    func flags() async throws -> Set<String> { try await Self.flags(of: Repository.path(of: name)) }

    /// What `--help` of a program and of its subcommands lists.
    static func flags(of program: String, subcommand: [String] = []) async throws -> Set<String> {
        let help = try await Command.run([program] + subcommand + ["--help"])
        var flags: Set<String> = []
        var subcommands: [String] = []
        var section: Substring = ""
        for line in help.split(separator: "\n") {
            if let heading = line.wholeMatch(of: #/([A-Z ]+):/#) {
                section = heading.1
            } else if line.hasPrefix("  -") {
                // Before the description, which stands two spaces apart, stand the flags.
                let names = line.dropFirst(2).split(separator: "  ").first ?? ""
                flags.formUnion(names.matches(of: #/--[a-z][a-z0-9-]*/#).map { String($0.output) })
            } else if section == "SUBCOMMANDS", let match = line.firstMatch(of: #/^  ([a-z][a-z-]*)/#) {
                subcommands.append(String(match.1))
            }
        }
        for name in subcommands {
            flags.formUnion(try await self.flags(of: program, subcommand: subcommand + [name]))
        }
        return flags
    }
}

// `--version` of every program prints its name and the release, from one place.

import TestSupport
import Testing

@Suite("Version") struct VersionTests {
    private static let programs = DocumentedProgram.all.map(\.name)

    @Test("every program prints its name and the version, alone, on standard output", arguments: programs)
    func printed(_ name: String) async throws {
        let program = try await Program.run([Repository.path(of: name), "--version"])
        #expect(program.status == 0 && program.errorOutput == "")
        #expect(program.output == "\(name) \(try Self.release())\n")
    }

    /// What stands in the one file.
    private static func release() throws -> String {
        let lines = try SourceFile("Sources/Release/ReleaseVersion.swift").lines
        let line = try #require(lines.first { $0.hasPrefix("public let releaseVersion") })
        return String(try #require(line.split(separator: "\"").dropFirst().first))
    }
}

// Optimised programs, for what only they can show. They are built in a directory of their own, since `swift test` may
// hold the lock of the usual one. The first time takes minutes; Scripts/test has it behind it when the tests begin.

import TestSupport

enum ReleaseBuild {
    static let directory = ".build-codegen"

    /// Builds, once.
    private static let build = Task {
        for product in ["mooringd", "Bench"] {
            try await Command.run(
                ["swift", "build", "-c", "release", "--scratch-path", directory, "--product", product])
        }
    }

    /// Where a program is when it has been built.
    static func path(of program: String) async throws -> String {
        try await build.value
        return Repository.root.appendingPathComponent("\(directory)/release/\(program)").path
    }
}

// A benchmark of a debug build says nothing. Where this is one, the release build is made and takes its place.

import Foundation

enum OptimisedBuild {
    static func becomeIfNeeded() {
        #if DEBUG
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            FileHandle.standardError.write(Data("Bench: building the optimised code\n".utf8))
            guard run(["swift", "build", "--package-path", root.path, "-c", "release", "--product", "Bench"]) == 0
            else {
                FileHandle.standardError.write(Data("Bench: the release build failed\n".utf8))
                exit(2)
            }
            let program = root.appendingPathComponent(".build/release/Bench").path
            var arguments = ([program] + CommandLine.arguments.dropFirst()).map { strdup($0) } + [nil]
            execv(program, &arguments)
            perror(program)
            exit(2)
        #endif
    }

    /// Runs a command with its output on standard error, so that figures stay alone on standard output.
    private static func run(_ command: [String]) -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardOutput = FileHandle.standardError
        do { try process.run() } catch { return 1 }
        process.waitUntilExit()
        return process.terminationStatus
    }
}

// A benchmark of a debug build says nothing. Where this is one, the release build is made and takes its place; what else
// is measured is built the same way.

import Foundation

enum OptimisedBuild {
    static func becomeIfNeeded() {
        #if DEBUG
            do { try build(["Bench"]) } catch {
                FileHandle.standardError.write(Data("Bench: \(error)\n".utf8))
                exit(2)
            }
            let program = directory.appendingPathComponent("Bench").path
            var arguments = ([program] + CommandLine.arguments.dropFirst()).map { strdup($0) } + [nil]
            execv(program, &arguments)
            perror(program)
            exit(2)
        #endif
    }

    /// Where the release build's programs lie.
    static let directory = root.appendingPathComponent(".build/release")

    /// One of them.
    static func path(of program: String) -> String { directory.appendingPathComponent(program).path }

    /// Makes the release build of some products.
    static func build(_ products: [String]) throws(BenchError) {
        FileHandle.standardError.write(Data("Bench: building \(products.joined(separator: ", ")), optimised\n".utf8))
        for product in products {
            let command = ["swift", "build", "--package-path", root.path, "-c", "release", "--product", product]
            guard run(command) == 0 else { throw BenchError("the release build of \(product) failed") }
        }
    }

    /// The package.
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

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

// Commands that the tests of the repository run: SwiftPM, binutils, the project's own programs.

import Foundation
import TestSupport

/// A command did not do what it was run for.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String
}

enum Command {
    /// Runs a command in the repository's top directory to its end; its standard error goes where that of the tests goes.
    /// - Returns: its standard output.
    /// - Throws: where it can't be started or its exit status is not 0; the output is then part of the message.
    @discardableResult
    static func run(_ command: [String]) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            // Waiting takes a thread of its own: some commands take minutes, and other tests want to go on.
            Thread.detachNewThread { continuation.resume(with: Result { try runBlocking(command) }) }
        }
    }

    private static func runBlocking(_ command: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.currentDirectoryURL = Repository.root
        process.environment = ProcessInfo.processInfo.environment.merging(["LC_ALL": "C.UTF-8"]) { $1 }
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            throw CommandFailure(
                description: "`\(command.joined(separator: " "))` failed with \(process.terminationStatus):\n\(text)")
        }
        return text
    }
}

// A process that a test started. Its outputs go to files, so that a test reads what there is while it runs and nobody
// waits for a full pipe. Whatever happens to the test runner, `Guardian` ends what is still running.

import Foundation
import Glibc

final class ChildProcess: @unchecked Sendable {
    /// Programs that an ordinary user's path may lack are found, and what they print is not translated.
    static let environment = ProcessInfo.processInfo.environment.merging(
        [
            "LC_ALL": "C.UTF-8",
            "PATH": (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin") + ":/usr/sbin:/sbin",
        ], uniquingKeysWith: { $1 })

    /// What was started, for messages.
    let command: [String]
    private let process = Process()
    private let outputs: (standard: URL, error: URL)
    private let guardian: Guardian

    /// Starts a command.
    /// - Parameters:
    ///   - directory: gets the two files of its outputs.
    ///   - name: of these files.
    init(_ command: [String], name: String, in directory: URL, guardian: Guardian) throws {
        (self.command, self.guardian) = (command, guardian)
        outputs = (directory.appendingPathComponent("\(name).out"), directory.appendingPathComponent("\(name).err"))
        for file in [outputs.standard, outputs.error] {
            guard FileManager.default.createFile(atPath: file.path, contents: nil) else {
                throw EndToEndFailure("\(file.path) can't be written")
            }
        }
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.environment = Self.environment
        process.standardInput = FileHandle.nullDevice
        let (standard, error) = (
            try FileHandle(forWritingTo: outputs.standard), try FileHandle(forWritingTo: outputs.error)
        )
        (process.standardOutput, process.standardError) = (standard, error)
        try Self.withoutBlockedSignals { try process.run() }
        try standard.close()
        try error.close()
        guardian.guardProcess(identifier)
    }

    /// A child inherits the signal mask of the thread that starts it, and the threads that run tests block nearly all
    /// signals: without this, SIGTERM and SIGINT would not reach it.
    private static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
        var (none, before) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }

    var identifier: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    /// Standard output, as much as there is.
    var output: String { Self.text(of: outputs.standard) }
    /// Standard error, as much as there is.
    var errorOutput: String { Self.text(of: outputs.error) }

    private static func text(of file: URL) -> String {
        String(decoding: (try? Data(contentsOf: file)) ?? Data(), as: UTF8.self)
    }

    /// Waits for its end.
    /// - Returns: its exit status; 128 and the signal's number where a signal ended it.
    @discardableResult
    func wait(within limit: Duration = .seconds(60)) async throws -> Int32 {
        try await poll(for: "end of `\(command.joined(separator: " "))`; it wrote: \(errorOutput)", within: limit) {
            !process.isRunning
        }
        guardian.release(identifier)
        return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    }

    func send(_ signal: Int32) {
        if process.isRunning { kill(identifier, signal) }
    }

    /// Ends it by SIGTERM, and by SIGKILL where it does not comply.
    func end() async {
        send(SIGTERM)
        if (try? await wait(within: .seconds(10))) == nil {
            send(SIGKILL)
            _ = try? await wait(within: .seconds(10))
        }
    }
}

/// A shell that ends the processes it was told of when the test runner goes without having released them: it notices
/// by the end of its standard input.
final class Guardian: @unchecked Sendable {
    private let process = Process()
    private let pipe = Pipe()
    private let lock = NSLock()

    init() throws {
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [
            "-c",
            """
            trap '' INT TERM HUP
            ids=' '
            while read -r word id; do
                case $word in
                guard) ids="$ids$id " ;;
                release) ids="${ids%% $id *} ${ids#* $id }" ;;
                esac
            done
            for id in $ids; do kill -s KILL "$id"; done
            """,
        ]
        process.standardInput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    func guardProcess(_ identifier: Int32) { tell("guard \(identifier)") }
    func release(_ identifier: Int32) { tell("release \(identifier)") }

    /// Ends the shell, and with it what is still guarded.
    func dismiss() {
        try? pipe.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    private func tell(_ line: String) {
        lock.withLock { try? pipe.fileHandleForWriting.write(contentsOf: Data("\(line)\n".utf8)) }
    }
}

// Runs a program to its end. Its streams are files without names, so that nobody waits for a full pipe and nothing is
// left behind.

import Glibc

/// A program that was run.
public struct Program: Sendable {
    /// A program that could not be run, or did not end.
    public struct Failure: Error, CustomStringConvertible {
        /// What was run, and what went wrong.
        public let description: String
    }

    /// The exit status; 128 and the signal's number where a signal ended it.
    public let status: Int32
    /// What it wrote to standard output.
    public let output: String
    /// What it wrote to standard error.
    public let errorOutput: String

    /// Runs a program and waits for its end.
    /// - Parameters:
    ///   - command: the program, sought on the path where it has no slash, and its arguments.
    ///   - input: its standard input.
    ///   - environment: is added to that of this process.
    ///   - limit: after which it is killed.
    public static func run(
        _ command: [String], input: [UInt8] = [], environment: [String: String] = [:],
        within limit: Duration = .seconds(300)
    ) async throws -> Program {
        let streams = try [openFile(holding: input), openFile(holding: []), openFile(holding: [])]
        defer { for stream in streams { close(stream) } }
        let identifier = try spawn(command, environment, streams)
        let deadline = ContinuousClock.now.advanced(by: limit)
        var status: CInt = 0
        var isLate = false
        while true {
            let ended = waitpid(identifier, &status, WNOHANG)
            if ended == identifier { break }
            guard ended == 0 || errno == EINTR else { throw Failure("waitpid of \(command)") }
            if !isLate, ContinuousClock.now > deadline {
                isLate = true
                kill(identifier, SIGKILL)
            }
            // No thread is held up meanwhile: what the program talks to may need it.
            do {
                try await Task.sleep(for: .milliseconds(2))
            } catch {
                isLate = true
                kill(identifier, SIGKILL)
            }
        }
        let program = Program(
            status: status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F,
            output: try text(of: streams[1]), errorOutput: try text(of: streams[2]))
        if isLate { throw Failure("\(command) did not end; it wrote: \(program.output)\(program.errorOutput)") }
        return program
    }

    private static func spawn(
        _ command: [String], _ environment: [String: String], _ streams: [CInt]
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, stream) in streams.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, stream, CInt(number))
        }
        var variables = environment.map { "\($0)=\($1)" }
        var inherited = environ
        while let variable = inherited.pointee {
            let text = String(cString: variable)
            if environment[String(text.prefix { $0 != "=" })] == nil { variables.append(text) }
            inherited += 1
        }
        var identifier: pid_t = 0
        let error = withCStrings(command) { arguments in
            withCStrings(variables) { variables in
                posix_spawnp(&identifier, arguments[0]!, &actions, nil, arguments, variables)
            }
        }
        guard error == 0 else { throw Failure("\(command): \(String(cString: strerror(error)))") }
        return identifier
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        let copies = strings.map { strdup($0) } + [nil]
        defer { for copy in copies { free(copy) } }
        return copies.withUnsafeBufferPointer { body($0.baseAddress!) }
    }

    private static func openFile(holding bytes: [UInt8]) throws -> CInt {
        var path = Array("/tmp/mooring-test-XXXXXX".utf8CString)
        let file = mkstemp(&path)
        guard file >= 0 else { throw Failure("mkstemp: \(String(cString: strerror(errno)))") }
        unlink(path)
        _ = fcntl(file, F_SETFD, FD_CLOEXEC)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Failure("write: \(String(cString: strerror(errno)))") }
            written += count
        }
        lseek(file, 0, SEEK_SET)
        return file
    }

    private static func text(of file: CInt) throws -> String {
        lseek(file, 0, SEEK_SET)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(file, &chunk, chunk.count)
            guard count >= 0 else { throw Failure("read: \(String(cString: strerror(errno)))") }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
        }
    }
}

extension Program.Failure {
    fileprivate init(_ description: String) { self.description = description }
}

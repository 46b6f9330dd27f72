// `Bench probe` at work, from the outside.

import Foundation

/// A probe that was started. It ends by itself with the process that started it.
final class RunningProbe {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private lazy var lines = LineReader(output.fileHandleForReading)

    /// Starts one.
    /// - Parameters:
    ///   - source: the namespace that it sends in, as a file.
    ///   - sink: the namespace that packets arrive in, as a file.
    ///   - options: of `Bench probe`.
    init(
        from source: String, to sink: String, _ destination: String, packetsPerSecond: Int, options: [String] = []
    ) throws {
        process.executableURL = URL(fileURLWithPath: OptimisedBuild.path(of: "Bench"))
        process.arguments = ["probe", source, sink, destination, "\(packetsPerSecond)"] + options
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    /// Ends a stretch of time, and begins the next.
    func stretch() throws -> Probe.Stretch {
        input.fileHandleForWriting.write(Data("\n".utf8))
        guard let line = try lines.next() else { throw BenchError("the probe has ended") }
        return try JSONDecoder().decode(Probe.Stretch.self, from: Data(line.utf8))
    }

    /// Ends it.
    func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

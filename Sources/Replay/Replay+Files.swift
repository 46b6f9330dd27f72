// A replay whose outputs are files.

import Capture
import Glibc
import PacketBuffer

extension Replay {
    /// Paths of what a replay writes; nil where nobody wants it.
    public struct Outputs: Sendable {
        /// What left by the home side.
        public var home: String?
        /// What left by the access side.
        public var access: String?
        /// The counters.
        public var counters: String?

        /// The paths, or none.
        public init(home: String? = nil, access: String? = nil, counters: String? = nil) {
            (self.home, self.access, self.counters) = (home, access, counters)
        }
    }

    /// Runs all of it and writes the outputs. Where it throws they may be incomplete.
    /// - Parameter progress: called from time to time.
    /// - Throws: `ReplayError`, with a sentence that names the file or binding.
    public func write(
        to outputs: Outputs, progress: (Progress) -> Void = { _ in }
    ) throws(ReplayError) -> Result {
        do {
            try refuseOverwriting(outputs)
            let (result, files) = try run(progress: progress) { hasNanoseconds in
                try OutputFiles(outputs, hasNanoseconds: hasNanoseconds)
            }
            try files.close()
            if let path = outputs.counters { try writeFile(result.counters.json, to: path) }
            return result
        } catch {
            throw ReplayError(describing: error)
        }
    }

    /// A file that is read must not be written, nor one file be written twice at once.
    private func refuseOverwriting(_ outputs: Outputs) throws(ReplayError) {
        var used = [homeInput, accessInput].compactMap { $0.flatMap(FileIdentity.init) }
        for path in [outputs.home, outputs.access, outputs.counters].compactMap(\.self) {
            // A file that is not there yet is none of the inputs; two outputs may still bear one name.
            guard let identity = FileIdentity(path) else { continue }
            if used.contains(identity) { throw ReplayError("\(path): is used twice; an output is a file of its own") }
            used.append(identity)
        }
        let names = [outputs.home, outputs.access, outputs.counters].compactMap(\.self)
        for (index, name) in names.enumerated() where names[..<index].contains(name) && name != "/dev/null" {
            throw ReplayError("\(name): is used twice; an output is a file of its own")
        }
    }
}

extension ReplayError {
    /// The error of another module, with its sentence.
    init(describing error: any Error) { self = error as? ReplayError ?? ReplayError("\(error)") }
}

/// The files that packets go to.
private final class OutputFiles: CaptureSink {
    private let home: CaptureWriter?
    private let access: CaptureWriter?

    init(_ outputs: Replay.Outputs, hasNanoseconds: Bool) throws {
        home = try outputs.home.map { try CaptureWriter(path: $0, hasNanoseconds: hasNanoseconds) }
        access = try outputs.access.map { try CaptureWriter(path: $0, hasNanoseconds: hasNanoseconds) }
    }

    func write(_ packet: UnsafeRawBufferPointer, time: UInt64, to side: Side) throws(CaptureError) {
        try (side == .home ? home : access)?.write(packet, time: time)
    }

    func close() throws(CaptureError) {
        try home?.close()
        try access?.close()
    }
}

/// Which regular file a path leads to.
private struct FileIdentity: Equatable {
    let device: dev_t
    let number: ino_t

    /// Nil where there is no regular file.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        (device, number) = (status.st_dev, status.st_ino)
    }
}

/// Writes a whole text file.
func writeFile(_ text: String, to path: String) throws(ReplayError) {
    func failure() -> ReplayError { ReplayError("\(path): can't be written: \(String(cString: strerror(errno)))") }
    guard let file = fopen(path, "we") else { throw failure() }
    let isWritten = fputs(text, file) >= 0
    guard fclose(file) == 0, isWritten else { throw failure() }
}

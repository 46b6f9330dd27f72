// Printing with write(2), so that a full device is told and a reader who has gone away ends the program quietly, as it
// ends others by SIGPIPE.

import FoundationEssentials
import Glibc

/// One of the standard streams.
final class Output {
    nonisolated(unsafe) static let standard = Output(STDOUT_FILENO, bufferSize: 1 << 16)
    nonisolated(unsafe) static let error = Output(STDERR_FILENO, bufferSize: 0)

    private let descriptor: CInt
    private let bufferSize: Int
    private var buffer: [UInt8] = []

    private init(_ descriptor: CInt, bufferSize: Int) {
        self.descriptor = descriptor
        self.bufferSize = bufferSize
    }

    func line(_ text: String) { self.text(text + "\n") }

    /// Prints a text that ends its lines itself.
    func text(_ text: String) {
        buffer.append(contentsOf: text.utf8)
        if buffer.count >= bufferSize { flush() }
    }

    /// Prints a value as JSON, on one line.
    func json(_ value: some Encodable) { line(jsonText(value)) }

    func flush() {
        var written = 0
        while written < buffer.count {
            let count = buffer[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                written += count
            } else if errno != EINTR {
                if errno == EPIPE { exit(ExitStatus.done.rawValue) }
                if descriptor != STDERR_FILENO {
                    Output.error.line("mooring: can't write: \(String(cString: strerror(errno)))")
                }
                exit(ExitStatus.no.rawValue)
            }
        }
        buffer.removeAll(keepingCapacity: true)
    }
}

/// A value as JSON, on one line, the keys sorted.
func jsonText(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    } catch {
        preconditionFailure("strings, numbers and truth values can always be encoded: \(error)")
    }
}

// Lines of a program that goes on running.

import Foundation

/// What a program writes, line by line.
final class LineReader {
    private let file: FileHandle
    private var pending = Data()

    init(_ file: FileHandle) { self.file = file }

    /// The next line, without its end; nil where the program has closed its output.
    func next() throws -> String? {
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                defer { pending = Data(pending[(end + 1)...]) }
                return String(decoding: pending[..<end], as: UTF8.self)
            }
            let more = file.availableData
            guard !more.isEmpty else { return nil }
            pending += more
        }
    }
}

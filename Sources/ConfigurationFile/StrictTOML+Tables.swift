// Files that have nothing but an array of tables, such as a million nodes. TOML is parsed as a whole, into many times its
// size, so such a file is cut before lines that begin a table of the array, and each part is parsed by itself: memory
// follows the part, not the file. What such a line would be within a string of several lines is not asked: the part
// before it does not parse then, and says so.

import Bindings
import Glibc

extension StrictTOML {
    /// About as long is a part, in bytes; the last table of one may make it longer, up to `sizeLimit`.
    public static let partSize = 1 << 20

    /// Reads a file of tables `[[name]]`, some at a time, in their order.
    /// - Parameters:
    ///   - take: makes of some tables what they say.
    /// - Throws: where it can't be read, is no TOML, has something else or a table longer than `sizeLimit`, or what
    ///   `take` finds wrong; the place begins with the path.
    public static func readTables(
        _ name: String, of path: String, partSize: Int = partSize,
        _ take: ([StrictJSON.Value]) throws(StrictJSON.Failure) -> Void
    ) throws(StrictJSON.Failure) {
        var file = try TableFile(path, name)
        while let part = try file.next(ofAbout: partSize) {
            let (line, count) = (file.line, file.tables)
            do throws(StrictJSON.Failure) {
                let tables = try parse(part, linesBefore: line).object(keys: [name])[name]?.array() ?? []
                try take(tables)
                file.passed(part, tables: tables.count)
            } catch {
                if error.place.hasPrefix("/") { throw error }
                let place = placed(error.place, name, behind: count)
                throw StrictJSON.Failure(place.isEmpty ? path : "\(path): \(place)", error.problem)
            }
        }
    }

    /// A place such as `node[0].spi` of a part, in the file.
    private static func placed(_ place: String, _ name: String, behind count: Int) -> String {
        guard place.hasPrefix(name + "["), let end = place.firstIndex(of: "]"),
            let index = Int(place[place.index(place.startIndex, offsetBy: name.count + 1)..<end])
        else { return place }
        return "\(name)[\(count + index)]" + place[place.index(after: end)...]
    }

    /// A text as TOML has it, in quotation marks.
    public static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "\0"..<" ", "\u{7F}":
                let digits = String(scalar.value, radix: 16, uppercase: true)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

/// A file that is cut into parts.
private struct TableFile: ~Copyable {
    private let descriptor: CInt
    private let path: String
    private let header: [UInt8]
    private let name: String
    private var rest: [UInt8] = []
    private var isAtEnd = false
    /// Lines before the next part.
    private(set) var line = 0
    /// Tables before the next part.
    private(set) var tables = 0

    init(_ path: String, _ name: String) throws(StrictJSON.Failure) {
        self.path = path
        self.name = name
        header = Array("[[\(name)]]".utf8)
        descriptor = try Self.open(path)
    }

    deinit { close(descriptor) }

    private static func open(_ path: String) throws(StrictJSON.Failure) -> CInt {
        // A pipe that nobody writes to is not waited for.
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw unreadable(path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw StrictJSON.Failure(path, "is no plain file")
        }
        return descriptor
    }

    private static func unreadable(_ path: String) -> StrictJSON.Failure {
        StrictJSON.Failure(path, "can't be read: \(String(cString: strerror(errno)))")
    }

    mutating func passed(_ part: [UInt8], tables: Int) {
        line += part.count { $0 == UInt8(ascii: "\n") }
        self.tables += tables
    }

    /// Nil at the end.
    mutating func next(ofAbout size: Int) throws(StrictJSON.Failure) -> [UInt8]? {
        var (size, searched) = (size, 0)
        while true {
            try fill(to: size)
            if isAtEnd {
                defer { rest = [] }
                return rest.isEmpty ? nil : rest
            }
            if let end = lastHeader(from: searched) {
                defer { rest.removeFirst(end) }
                return Array(rest[..<end])
            }
            guard size < StrictTOML.sizeLimit else {
                throw StrictJSON.Failure(
                    path, "has \(StrictTOML.sizeLimit >> 20) MiB without a line \"[[\(name)]]\"")
            }
            searched = rest.count - header.count
            size = min(2 * size, StrictTOML.sizeLimit)
        }
    }

    private mutating func fill(to size: Int) throws(StrictJSON.Failure) {
        while rest.count < size, !isAtEnd {
            let (room, descriptor) = (size - rest.count, descriptor)
            var count = 0
            let chunk = [UInt8](unsafeUninitializedCapacity: room) { buffer, initialized in
                count = read(descriptor, buffer.baseAddress, room)
                initialized = max(count, 0)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.unreadable(path) }
            isAtEnd = count == 0
            rest.append(contentsOf: chunk)
        }
    }

    /// Where the last line begins that begins a table, apart from the first line and from lines that begin before
    /// `first`.
    private func lastHeader(from first: Int) -> Int? {
        rest.withUnsafeBytes { bytes in
            var start = bytes.count - header.count
            while start >= max(first, 1) {
                if bytes[start - 1] == UInt8(ascii: "\n"), bytes[start...].starts(with: header) { return start }
                start -= 1
            }
            return nil
        }
    }
}

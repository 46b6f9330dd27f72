// Reading a whole file by plain system calls, with the bound that a document has. A pipe or /dev/stdin will do too.

import Glibc

extension StrictJSON {
    /// Reads and parses a file.
    /// - Throws: where it can't be read (the place is then the path), or as `parse` does.
    public static func read(contentsOf path: String) throws(Failure) -> Value { try parse(bytes(of: path)) }

    /// Reads a file.
    /// - Parameters:
    ///   - limit: of its length, in bytes.
    ///   - check: is shown what kind of file it is, before anything is read. A pipe that nobody writes to is not waited for
    ///     then.
    /// - Throws: where it can't be read or is longer; the place is the path.
    public static func bytes(
        of path: String, limit: Int = sizeLimit, check: ((stat) throws(Failure) -> Void)? = nil
    ) throws(Failure) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | (check == nil ? 0 : O_NONBLOCK))
        guard file >= 0 else { throw Failure(path, "can't be read: \(String(cString: strerror(errno)))") }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else {
            throw Failure(path, "can't be read: \(String(cString: strerror(errno)))")
        }
        try check?(status)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(max(Int(status.st_size), 0), limit) + 1)
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw Failure(path, "can't be read: \(String(cString: strerror(errno)))")
            }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= limit else {
                throw Failure(path, "is longer than \(limit >= 1 << 20 ? "\(limit >> 20) MiB" : "\(limit) bytes")")
            }
        }
        return bytes
    }
}

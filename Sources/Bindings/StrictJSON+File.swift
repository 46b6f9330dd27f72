// Reading a whole file by plain system calls, with the bound that a document has. A pipe or /dev/stdin will do too.

import Glibc

extension StrictJSON {
    /// Reads and parses a file.
    /// - Throws: where it can't be read (the place is then the path), or as `parse` does.
    public static func read(contentsOf path: String) throws(Failure) -> Value {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Failure(path, "can't be read: \(String(cString: strerror(errno)))") }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else {
            throw Failure(path, "can't be read: \(String(cString: strerror(errno)))")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(max(Int(status.st_size), 0), sizeLimit) + 1)
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw Failure(path, "can't be read: \(String(cString: strerror(errno)))")
            }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= sizeLimit else { throw Failure(path, "is longer than \(sizeLimit >> 20) MiB") }
        }
        return try parse(bytes)
    }
}

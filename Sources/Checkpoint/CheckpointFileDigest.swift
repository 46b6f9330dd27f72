// Whether the binding file is still the one that was read: then what was put over its bindings since counts, and else the
// file does.

import Glibc

/// What is known of the file that bindings were read from.
public struct CheckpointFileDigest: Hashable, Sendable {
    /// In bytes.
    public var size: UInt64
    /// CRC-32C of its bytes.
    public var checksum: UInt32

    /// Of a file's bytes.
    public init(of bytes: [UInt8]) {
        size = UInt64(bytes.count)
        checksum = bytes.withUnsafeBytes { CRC32C.checksum($0) }
    }

    /// Of a file; nil where it can't be read to its end, or is longer than a binding file may be.
    public init?(contentsOf path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        // What comes by a pipe can be read once only.
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        var checksum = CRC32C()
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        size = 0
        while true {
            let count = read(descriptor, &bytes, bytes.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                return nil
            }
            size += UInt64(count)
            bytes.withUnsafeBytes { checksum.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            guard size <= 1 << 32 else { return nil }
        }
        self.checksum = checksum.value
    }

    init(size: UInt64, checksum: UInt32) {
        self.size = size
        self.checksum = checksum
    }
}

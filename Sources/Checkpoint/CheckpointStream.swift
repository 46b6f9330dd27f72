// Header and blocks, with their checksums, to a descriptor: of a file that becomes a checkpoint, or of one in memory for
// another process.

import Glibc

/// A checkpoint's bytes on their way to a descriptor.
public final class CheckpointStream {
    private let descriptor: CInt
    private let name: String
    private var checksum: UInt32 = 0
    /// In bytes, so far.
    public private(set) var size = 0

    /// - Parameters:
    ///   - descriptor: stays the caller's.
    ///   - name: of the file, for errors.
    public init(_ descriptor: CInt, name: String) {
        self.descriptor = descriptor
        self.name = name
    }

    /// Writes the header; first of all, and once.
    public func begin(_ header: CheckpointHeader) throws(CheckpointError) {
        let bytes = header.bytes
        checksum = bytes.withUnsafeBytes { $0.number(UInt32.self, at: 60) }
        try write(bytes)
    }

    /// Adds a block.
    public func write(_ block: consuming CheckpointBlock) throws(CheckpointError) {
        checksum = block.seal(behind: checksum)
        try write(block.bytes)
    }

    private func write(_ bytes: [UInt8]) throws(CheckpointError) {
        let failure = bytes.withUnsafeBytes { bytes -> CInt? in
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
                if count >= 0 {
                    done += count
                } else if errno != EINTR {
                    return errno
                }
            }
            return nil
        }
        if let failure { throw .failed("writing \(name)", errorNumber: failure) }
        size += bytes.count
    }
}

// A table on its way to another process.

import CLinuxNet
import Glibc

/// A file in memory.
public final class MemoryFile: Sendable {
    /// Owned by this.
    public let descriptor: CInt

    /// An empty one.
    public init() throws(SuccessionError) {
        descriptor = clinuxnet_memory_file("mooring-table")
        guard descriptor >= 0 else {
            throw SuccessionError("no file in memory: \(String(cString: strerror(-descriptor)))")
        }
    }

    deinit { close(descriptor) }
}

// A block under way from the thread that encodes to the one that writes, which computes its checksum.

/// A block of a checkpoint.
public struct CheckpointBlock: Sendable {
    /// Header, its checksum still zero, and payload.
    private(set) var bytes: [UInt8]

    init(kind: CheckpointFormat.Kind, records: Int, payload: UnsafeRawBufferPointer) {
        bytes = [UInt8](unsafeUninitializedCapacity: CheckpointFormat.blockHeaderLength + payload.count) {
            space, count in
            let space = UnsafeMutableRawBufferPointer(space)
            space.store(UInt32(kind.rawValue), at: 0)
            space.store(UInt32(payload.count), at: 4)
            space.store(UInt32(records), at: 8)
            space.store(UInt32(0), at: 12)
            space.baseAddress.map {
                ($0 + CheckpointFormat.blockHeaderLength).copyMemory(
                    from: payload.baseAddress ?? UnsafeRawPointer($0), byteCount: payload.count)
            }
            count = space.count
        }
    }

    /// Puts in the checksum.
    /// - Parameter before: that of the block before, or of the header.
    /// - Returns: it.
    mutating func seal(behind before: UInt32) -> UInt32 {
        bytes.withUnsafeMutableBytes { bytes in
            let checksum = Self.checksum(UnsafeRawBufferPointer(bytes), behind: before)
            bytes.store(checksum, at: 12)
            return checksum
        }
    }

    /// Of a whole block, its own checksum left out.
    static func checksum(_ bytes: UnsafeRawBufferPointer, behind before: UInt32) -> UInt32 {
        var checksum = CRC32C(continuing: before)
        checksum.update(UnsafeRawBufferPointer(rebasing: bytes[..<12]))
        checksum.update(UnsafeRawBufferPointer(rebasing: bytes[CheckpointFormat.blockHeaderLength...]))
        return checksum.value
    }
}

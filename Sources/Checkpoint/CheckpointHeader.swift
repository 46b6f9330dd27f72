// The first 64 bytes of a checkpoint:
//
//     0  magic (8)         12  zero (4)           32  id of the host's start (16)    56  zero (4)
//     8  version (2)       16  clock, boot (8)    48  number of the checkpoint (8)   60  checksum of these 60 (4)
//    10  zero (2)          24  clock, wall (8)

/// What a checkpoint says of itself.
public struct CheckpointHeader: Hashable, Sendable {
    /// When it was begun. Lifetimes are on its `bootTime`.
    public var clock: CheckpointClock
    /// One more than that of the checkpoint before.
    public var number: UInt64

    /// A header.
    public init(clock: CheckpointClock, number: UInt64) {
        self.clock = clock
        self.number = number
    }

    /// The bytes, checksum included.
    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: CheckpointFormat.headerLength)
        bytes.withUnsafeMutableBytes { bytes in
            bytes.store(CheckpointFormat.magic, at: 0)
            bytes.store(CheckpointFormat.version, at: 8)
            bytes.store(clock.bootTime, at: 16)
            bytes.store(clock.wallTime, at: 24)
            bytes.store(clock.bootID.high, at: 32)
            bytes.store(clock.bootID.low, at: 40)
            bytes.store(number, at: 48)
            bytes.store(CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<60])), at: 60)
        }
        return bytes
    }

    /// Reads the first bytes of a checkpoint.
    /// - Returns: it, and the checksum that those of the blocks are continued from.
    static func read(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) -> (CheckpointHeader, checksum: UInt32) {
        guard bytes.count >= 8 else { throw .cutShort(offset: bytes.count) }
        guard bytes.number(UInt64.self, at: 0) == CheckpointFormat.magic else { throw .notCheckpoint }
        guard bytes.count >= CheckpointFormat.headerLength else { throw .cutShort(offset: bytes.count) }
        let checksum = bytes.number(UInt32.self, at: 60)
        guard CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<60])) == checksum else {
            throw .damaged(offset: 0)
        }
        let version = bytes.number(UInt16.self, at: 8)
        guard version == CheckpointFormat.version else { throw .version(version) }
        let clock = CheckpointClock(
            bootID: (bytes.number(UInt64.self, at: 32), bytes.number(UInt64.self, at: 40)),
            bootTime: bytes.number(UInt64.self, at: 16), wallTime: bytes.number(UInt64.self, at: 24))
        return (CheckpointHeader(clock: clock, number: bytes.number(UInt64.self, at: 48)), checksum)
    }
}

extension UnsafeRawBufferPointer {
    /// A little-endian number at an offset that lies inside.
    @inline(__always)
    func number<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type, at offset: Int) -> Number {
        Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Writes a little-endian number at an offset that lies inside.
    @inline(__always)
    func store<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, at offset: Int) {
        storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
    }
}

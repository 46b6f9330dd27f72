// The checksum of RFC 3720, 12.1 (Castagnoli's polynomial): it finds every change of up to 32 bits in a row, and of one
// bit anywhere. Eight bytes at a time by tables (Kounavis and Berry, "slicing-by-8"), as nothing in Swift gives the
// processor's own instruction.

/// A running CRC-32C.
struct CRC32C {
    /// For a byte with 0 to 7 bytes behind it, what it does to the checksum.
    private nonisolated(unsafe) static let tables: UnsafePointer<UInt32> = {
        let tables = UnsafeMutablePointer<UInt32>.allocate(capacity: 8 * 256)
        for byte in 0..<256 {
            var value = UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
            tables[byte] = value
        }
        for table in 1..<8 {
            for byte in 0..<256 {
                let before = tables[(table - 1) * 256 + byte]
                tables[table * 256 + byte] = before >> 8 ^ tables[Int(before & 0xFF)]
            }
        }
        return UnsafePointer(tables)
    }()

    private var state: UInt32

    /// Of no bytes, or behind those that have that checksum.
    init(continuing value: UInt32 = 0) { state = ~value }

    /// Of all bytes so far.
    var value: UInt32 { ~state }

    /// Adds bytes.
    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        let tables = Self.tables
        var crc = state
        var position = 0
        while position &+ 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            let mixed = word ^ UInt64(crc)
            var sum: UInt32 = 0
            for byte in 0..<8 {
                sum ^= tables[(7 &- byte) &* 256 &+ Int(truncatingIfNeeded: mixed >> UInt64(byte &* 8) & 0xFF)]
            }
            crc = sum
            position &+= 8
        }
        while position < bytes.count {
            crc = crc >> 8 ^ tables[Int((crc ^ UInt32(bytes[position])) & 0xFF)]
            position &+= 1
        }
        state = crc
    }

    /// Of some bytes.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var crc = CRC32C()
        crc.update(bytes)
        return crc.value
    }
}

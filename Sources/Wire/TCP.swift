// What of TCP (RFC 9293, 3.1) is needed to take segments apart and put them together.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +-------------------------------+-------------------------------+
//     |          Source Port          |       Destination Port        |
//     +-------------------------------+-------------------------------+
//     |                        Sequence Number                        |
//     +---------------------------------------------------------------+
//     |                    Acknowledgment Number                      |
//     +-------+-------+---------------+-------------------------------+
//     |Offset | Rsrvd |     Flags     |            Window             |
//     +-------+-------+---------------+-------------------------------+
//     |           Checksum            |         Urgent Pointer        |
//     +-------------------------------+-------------------------------+

/// Names and numbers of the TCP header.
public enum TCP {
    /// Without options, in bytes.
    @inlinable public static var minimumHeaderLength: Int { 20 }

    /// Where each field starts, in bytes.
    public enum Offset {
        /// Four bytes.
        @inlinable public static var sequence: Int { 4 }
        /// Four bytes.
        @inlinable public static var acknowledgment: Int { 8 }
        /// Of the header, in units of four bytes, in the upper half of a byte.
        @inlinable public static var dataOffset: Int { 12 }
        /// One byte.
        @inlinable public static var flags: Int { 13 }
        /// Two bytes.
        @inlinable public static var checksum: Int { 16 }
    }

    /// The bits of the flags.
    public enum Flag {
        /// FIN.
        @inlinable public static var finish: UInt8 { 0x01 }
        /// PSH.
        @inlinable public static var push: UInt8 { 0x08 }
        /// ACK.
        @inlinable public static var acknowledgment: UInt8 { 0x10 }
        /// ECE (RFC 3168, 6.1).
        @inlinable public static var congestionEcho: UInt8 { 0x40 }
        /// CWR (RFC 3168, 6.1).
        @inlinable public static var congestionWindowReduced: UInt8 { 0x80 }
    }

    /// With options, in bytes, as it says itself: 0 to 60.
    @inlinable @inline(__always)
    public static func headerLength(at start: UnsafeRawPointer) -> Int { Int(start.byte(Offset.dataOffset) >> 4) &* 4 }
}

// GRE (RFC 2784), with key and sequence number (RFC 2890), for IPv4 and IPv6 (RFC 7676).
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +-+-+-+-+-----------------+-----+-------------------------------+
//     |C|R|K|S|    Reserved     | Ver |         Protocol Type         |
//     +-+-+-+-+-----------------+-----+-------------------------------+
//     |      Checksum (where C is set)|       Reserved                |
//     +-------------------------------+-------------------------------+
//     |                     Key (where K is set)                      |
//     +---------------------------------------------------------------+
//     |               Sequence Number (where S is set)                |
//     +---------------------------------------------------------------+

/// Names and numbers of the GRE header.
public enum GRE {
    /// Flags and protocol type alone, in bytes.
    public static let minimumHeaderLength = 4
    /// With all that may be in it, in bytes.
    public static let maximumHeaderLength = 16
    /// Protocol type of IPv4 (RFC 2784, 3).
    public static let ipv4: UInt16 = 0x0800
    /// Protocol type of IPv6 (RFC 7676).
    public static let ipv6: UInt16 = 0x86DD

    /// The first two bytes.
    public enum Flag {
        /// Checksum and two reserved bytes are there.
        public static let checksum: UInt16 = 0x8000
        /// The routing field of RFC 1701 is there.
        public static let routing: UInt16 = 0x4000
        /// The key is there.
        public static let key: UInt16 = 0x2000
        /// The sequence number is there.
        public static let sequence: UInt16 = 0x1000
        /// Bits of RFC 1701 with which a packet must be discarded (RFC 2784, 2.3): strict source route, and the first
        /// of recursion control.
        public static let refused: UInt16 = 0x0C00
        /// The version, which is 0.
        public static let version: UInt16 = 0x0007
    }
}

/// A GRE packet, to read. What its initialiser accepts is whole, its checksum right where it has one.
public struct GREView: BitwiseCopyable {
    /// The first byte of the header.
    public let start: UnsafeRawPointer
    /// Header and payload, in bytes.
    public let length: Int
    /// Of the header, in bytes: 4 to 16.
    public let headerLength: Int

    /// Checks version, flags, length and checksum.
    /// - Parameter bytes: the payload of the delivery header.
    /// - Throws: `greTruncated`, `greVersion`, `greRouting`, `greFlags` or `greChecksum`.
    @inlinable @inline(__always)
    public init(_ bytes: UnsafeRawBufferPointer) throws(DropReason) {
        guard let start = bytes.baseAddress, bytes.count >= GRE.minimumHeaderLength else { throw .greTruncated }
        let flags = start.networkUInt16(at: 0)
        guard flags & GRE.Flag.version == 0 else { throw .greVersion }
        guard flags & GRE.Flag.routing == 0 else { throw .greRouting }
        guard flags & GRE.Flag.refused == 0 else { throw .greFlags }
        // Each of the three bits adds four bytes.
        let optional = flags & (GRE.Flag.checksum | GRE.Flag.key | GRE.Flag.sequence)
        let headerLength = GRE.minimumHeaderLength &+ 4 &* optional.nonzeroBitCount
        guard bytes.count >= headerLength else { throw .greTruncated }
        if flags & GRE.Flag.checksum != 0, !InternetChecksum.verifies(bytes) { throw .greChecksum }
        self.start = start
        self.headerLength = headerLength
        length = bytes.count
    }

    @inlinable @inline(__always)
    var flags: UInt16 { start.networkUInt16(at: 0) }

    /// What the payload is, as an Ethernet type.
    @inlinable @inline(__always)
    public var protocolType: UInt16 { start.networkUInt16(at: 2) }

    /// The key; nil where there is none.
    @inlinable @inline(__always)
    public var key: UInt32? {
        guard flags & GRE.Flag.key != 0 else { return nil }
        return start.networkUInt32(at: flags & GRE.Flag.checksum != 0 ? 8 : 4)
    }

    /// The sequence number, which is the last field; nil where there is none.
    @inlinable @inline(__always)
    public var sequence: UInt32? {
        flags & GRE.Flag.sequence != 0 ? start.networkUInt32(at: headerLength &- 4) : nil
    }

    /// What the header carries.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start + headerLength, count: length &- headerLength)
    }
}

/// A GRE header, to write.
public struct GREHeader: Hashable, Sendable {
    /// What the payload is, as an Ethernet type.
    public var protocolType: UInt16
    /// The key; nil for none.
    public var key: UInt32?
    /// The sequence number; nil for none.
    public var sequence: UInt32?
    /// Whether there is a checksum over header and payload.
    public var hasChecksum = false

    /// A header without any optional field.
    public init(protocolType: UInt16) { self.protocolType = protocolType }

    /// In bytes.
    public var length: Int {
        GRE.minimumHeaderLength + (hasChecksum ? 4 : 0) + (key == nil ? 0 : 4) + (sequence == nil ? 0 : 4)
    }

    /// Writes `length` bytes. A checksum is written as zero: it counts the payload too (`writeChecksum`).
    public func write(to start: UnsafeMutableRawPointer) {
        var flags: UInt16 = 0
        var offset = GRE.minimumHeaderLength
        if hasChecksum {
            flags |= GRE.Flag.checksum
            start.storeNetwork(UInt32(0), at: offset)
            offset += 4
        }
        if let key {
            flags |= GRE.Flag.key
            start.storeNetwork(key, at: offset)
            offset += 4
        }
        if let sequence {
            flags |= GRE.Flag.sequence
            start.storeNetwork(sequence, at: offset)
        }
        start.storeNetwork(flags, at: 0)
        start.storeNetwork(protocolType, at: 2)
    }

    /// Makes the checksum of a packet whose header has one, written as zero before.
    /// - Parameter length: of header and payload, in bytes.
    public static func writeChecksum(at start: UnsafeMutableRawPointer, length: Int) {
        var sum = InternetChecksum()
        sum.add(UnsafeRawBufferPointer(start: start, count: length))
        start.storeNetwork(sum.checksum, at: 4)
    }
}

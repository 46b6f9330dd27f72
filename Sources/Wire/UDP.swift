// UDP (RFC 768).
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +-------------------------------+-------------------------------+
//     |          Source Port          |       Destination Port        |
//     +-------------------------------+-------------------------------+
//     |            Length             |           Checksum            |
//     +-------------------------------+-------------------------------+

/// Names and numbers of the UDP header.
public enum UDP {
    /// In bytes.
    public static let headerLength = 8

    /// Where each field starts, in bytes.
    public enum Offset {
        /// Two bytes.
        public static let sourcePort = 0
        /// Two bytes.
        public static let destinationPort = 2
        /// Header and payload, in bytes.
        public static let length = 4
        /// Over pseudo-header, header and payload; 0 means none, over IPv4 only.
        public static let checksum = 6
    }
}

/// A UDP datagram, to read.
public struct UDPView: BitwiseCopyable {
    /// The first byte of the header.
    public let start: UnsafeRawPointer
    /// Header and payload, in bytes.
    public let length: Int

    /// Checks lengths, not the checksum.
    /// - Parameter bytes: the IP payload.
    /// - Throws: `udpTruncated` or `udpLength`.
    @inlinable @inline(__always)
    public init(_ bytes: UnsafeRawBufferPointer) throws(DropReason) {
        guard let start = bytes.baseAddress, bytes.count >= UDP.headerLength else { throw .udpTruncated }
        let length = Int(start.networkUInt16(at: UDP.Offset.length))
        guard length >= UDP.headerLength, length <= bytes.count else { throw .udpLength }
        self.start = start
        self.length = length
    }

    /// Source port.
    @inlinable @inline(__always)
    public var sourcePort: UInt16 { start.networkUInt16(at: UDP.Offset.sourcePort) }

    /// Destination port.
    @inlinable @inline(__always)
    public var destinationPort: UInt16 { start.networkUInt16(at: UDP.Offset.destinationPort) }

    /// The checksum as it stands; 0 means that there is none.
    @inlinable @inline(__always)
    public var checksum: UInt16 { start.networkUInt16(at: UDP.Offset.checksum) }

    /// What the header carries.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start + UDP.headerLength, count: length &- UDP.headerLength)
    }

    /// Whether the checksum is right for a datagram between the two addresses, or there is none.
    public func verifies(source: IPv4Address, destination: IPv4Address) -> Bool {
        guard checksum != 0 else { return true }
        var sum = InternetChecksum()
        sum.add(source.rawValue)
        sum.add(destination.rawValue)
        sum.add(UInt16(IPProtocol.udp))
        sum.add(UInt16(truncatingIfNeeded: length))
        sum.add(UnsafeRawBufferPointer(start: start, count: length))
        return sum.folded == 0xFFFF
    }
}

/// A UDP header, to write.
public struct UDPHeader: Hashable, Sendable {
    /// Source port.
    public var sourcePort: UInt16
    /// Destination port.
    public var destinationPort: UInt16
    /// Header and payload, in bytes.
    public var length: UInt16 = 8

    /// A header with nothing behind it.
    public init(sourcePort: UInt16, destinationPort: UInt16) {
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
    }

    /// Writes eight bytes, without a checksum, which IPv4 allows.
    public func write(to start: UnsafeMutableRawPointer) {
        start.storeNetwork(sourcePort, at: UDP.Offset.sourcePort)
        start.storeNetwork(destinationPort, at: UDP.Offset.destinationPort)
        start.storeNetwork(length, at: UDP.Offset.length)
        start.storeNetwork(UInt16(0), at: UDP.Offset.checksum)
    }
}

// Minimal encapsulation (RFC 2004): between the IPv4 header, whose addresses and protocol become the tunnel's, and its
// payload stands a header that remembers what they were.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+-+-------------+-------------------------------+
//     |   Protocol    |S|  reserved   |        Header Checksum        |
//     +---------------+-+-------------+-------------------------------+
//     |                 Original Destination Address                  |
//     +---------------------------------------------------------------+
//     |          Original Source Address (where S is set)             |
//     +---------------------------------------------------------------+

/// Names and numbers of the minimal forwarding header.
public enum MinimalEncapsulation {
    /// Without the original source, in bytes.
    public static let shortHeaderLength = 8
    /// With the original source, in bytes.
    public static let longHeaderLength = 12
    /// In the second byte: the original source is there.
    public static let sourcePresent: UInt8 = 0x80

    /// Where each field starts, in bytes.
    public enum Offset {
        /// One byte.
        public static let `protocol` = 0
        /// One byte.
        public static let flags = 1
        /// Over this header alone.
        public static let checksum = 2
        /// Four bytes.
        public static let destination = 4
        /// Four bytes, where there is one.
        public static let source = 8
    }
}

/// A minimal forwarding header and what is behind it, to read.
public struct MinimalEncapsulationView: BitwiseCopyable {
    /// The first byte of the header.
    public let start: UnsafeRawPointer
    /// Header and payload, in bytes.
    public let length: Int
    /// Of the header, in bytes: 8 or 12.
    public let headerLength: Int

    /// Checks lengths and checksum.
    /// - Parameter bytes: the payload of the IPv4 header.
    /// - Throws: `minimalTruncated` or `minimalChecksum`.
    @inlinable @inline(__always)
    public init(_ bytes: UnsafeRawBufferPointer) throws(DropReason) {
        guard let start = bytes.baseAddress, bytes.count >= MinimalEncapsulation.shortHeaderLength else {
            throw .minimalTruncated
        }
        let hasSource = start.byte(MinimalEncapsulation.Offset.flags) & MinimalEncapsulation.sourcePresent != 0
        let headerLength =
            hasSource ? MinimalEncapsulation.longHeaderLength : MinimalEncapsulation.shortHeaderLength
        guard bytes.count >= headerLength else { throw .minimalTruncated }
        guard InternetChecksum.verifies(UnsafeRawBufferPointer(start: start, count: headerLength)) else {
            throw .minimalChecksum
        }
        self.start = start
        self.headerLength = headerLength
        length = bytes.count
    }

    /// Of the payload.
    @inlinable @inline(__always)
    public var `protocol`: UInt8 { start.byte(MinimalEncapsulation.Offset.protocol) }

    /// The packet's own destination.
    @inlinable @inline(__always)
    public var destination: IPv4Address {
        IPv4Address(rawValue: start.networkUInt32(at: MinimalEncapsulation.Offset.destination))
    }

    /// The packet's own source; nil where it is that of the IPv4 header before.
    @inlinable @inline(__always)
    public var source: IPv4Address? {
        guard headerLength == MinimalEncapsulation.longHeaderLength else { return nil }
        return IPv4Address(rawValue: start.networkUInt32(at: MinimalEncapsulation.Offset.source))
    }

    /// What the header carries.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start + headerLength, count: length &- headerLength)
    }
}

/// A minimal forwarding header, to write.
public struct MinimalEncapsulationHeader: Hashable, Sendable {
    /// Of the payload.
    public var `protocol`: UInt8
    /// The packet's own destination.
    public var destination: IPv4Address
    /// The packet's own source; nil where it is that of the IPv4 header before.
    public var source: IPv4Address?

    /// A header for a packet between those addresses.
    @inlinable
    public init(protocol: UInt8, source: IPv4Address?, destination: IPv4Address) {
        self.protocol = `protocol`
        self.source = source
        self.destination = destination
    }

    /// In bytes.
    @inlinable
    public var length: Int {
        source == nil ? MinimalEncapsulation.shortHeaderLength : MinimalEncapsulation.longHeaderLength
    }

    /// Writes `length` bytes, the checksum made.
    public func write(to start: UnsafeMutableRawPointer) {
        start.storeByte(`protocol`, at: MinimalEncapsulation.Offset.protocol)
        start.storeByte(
            source == nil ? 0 : MinimalEncapsulation.sourcePresent, at: MinimalEncapsulation.Offset.flags)
        start.storeNetwork(UInt16(0), at: MinimalEncapsulation.Offset.checksum)
        start.storeNetwork(destination.rawValue, at: MinimalEncapsulation.Offset.destination)
        if let source { start.storeNetwork(source.rawValue, at: MinimalEncapsulation.Offset.source) }
        var sum = InternetChecksum()
        sum.add(UnsafeRawBufferPointer(start: start, count: length))
        start.storeNetwork(sum.checksum, at: MinimalEncapsulation.Offset.checksum)
    }
}

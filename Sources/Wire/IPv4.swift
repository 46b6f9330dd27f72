// IPv4 (RFC 791).
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +-------+-------+---------------+-------------------------------+
//     |Version|  IHL  |Type of Service|         Total Length          |
//     +-------+-------+---------------+-----+-------------------------+
//     |        Identification         |Flags|     Fragment Offset     |
//     +---------------+---------------+-----+-------------------------+
//     | Time to Live  |   Protocol    |        Header Checksum        |
//     +---------------+---------------+-------------------------------+
//     |                       Source Address                          |
//     +---------------------------------------------------------------+
//     |                     Destination Address                       |
//     +---------------------------------------------------------------+

/// Numbers of the protocol and next-header fields (IANA).
public enum IPProtocol {
    /// ICMP for IPv4.
    public static let icmpv4: UInt8 = 1
    /// IPv4 in IP (RFC 2003).
    public static let ipv4: UInt8 = 4
    /// TCP.
    public static let tcp: UInt8 = 6
    /// UDP.
    public static let udp: UInt8 = 17
    /// IPv6 in IP (RFC 4213).
    public static let ipv6: UInt8 = 41
    /// GRE (RFC 2784).
    public static let gre: UInt8 = 47
    /// Minimal encapsulation (RFC 2004).
    public static let minimal: UInt8 = 55
    /// ICMP for IPv6.
    public static let icmpv6: UInt8 = 58
}

/// Names and numbers of the IPv4 header.
public enum IPv4 {
    /// Without options, in bytes.
    public static let minimumHeaderLength = 20
    /// With all options, in bytes.
    public static let maximumHeaderLength = 60
    /// What every link carries whole, in bytes (RFC 791, 3.2).
    public static let minimumMTU = 68
    /// Don't fragment, in the field of flags and fragment offset.
    public static let dontFragment: UInt16 = 0x4000
    /// More fragments, in the same field.
    public static let moreFragments: UInt16 = 0x2000

    /// Where each field starts, in bytes.
    public enum Offset {
        /// Type of service: DSCP and ECN.
        public static let trafficClass = 1
        /// Header and payload, in bytes.
        public static let totalLength = 2
        /// For reassembly (RFC 6864).
        public static let identification = 4
        /// Three bits of flags and 13 of offset.
        public static let fragment = 6
        /// Hops left.
        public static let timeToLive = 8
        /// Of the payload.
        public static let `protocol` = 9
        /// Over the header.
        public static let checksum = 10
        /// Four bytes.
        public static let source = 12
        /// Four bytes.
        public static let destination = 16
    }
}

/// An IPv4 packet, to read. What its initialiser accepts is whole: header, options and payload lie inside the bytes.
public struct IPv4View: BitwiseCopyable {
    /// The first byte of the header.
    public let start: UnsafeRawPointer
    /// With options, in bytes: 20 to 60.
    public let headerLength: Int
    /// Header and payload, in bytes. Bytes behind it are no part of the packet.
    public let totalLength: Int

    /// Checks version, lengths and header checksum.
    /// - Parameter bytes: begin with the header; may be longer than the packet.
    /// - Throws: `notIP`, `ipv4Truncated`, `ipv4HeaderLength`, `ipv4TotalLength` or `ipv4Checksum`.
    @inlinable @inline(__always)
    public init(_ bytes: UnsafeRawBufferPointer) throws(DropReason) {
        guard let start = bytes.baseAddress, bytes.count >= IPv4.minimumHeaderLength else { throw .ipv4Truncated }
        let versionAndLength = start.byte(0)
        guard versionAndLength >> 4 == 4 else { throw .notIP }
        let headerLength = Int(versionAndLength & 0xF) &* 4
        guard headerLength >= IPv4.minimumHeaderLength, headerLength <= bytes.count else { throw .ipv4HeaderLength }
        let totalLength = Int(start.networkUInt16(at: IPv4.Offset.totalLength))
        guard totalLength >= headerLength, totalLength <= bytes.count else { throw .ipv4TotalLength }
        guard Self.verifies(start, headerLength: headerLength) else { throw .ipv4Checksum }
        self.start = start
        self.headerLength = headerLength
        self.totalLength = totalLength
    }

    /// Whether a header's checksum is right. Almost all have no options, and are summed without a loop.
    @inlinable @inline(__always)
    static func verifies(_ start: UnsafeRawPointer, headerLength: Int) -> Bool {
        guard headerLength == IPv4.minimumHeaderLength else {
            return InternetChecksum.verifies(UnsafeRawBufferPointer(start: start, count: headerLength))
        }
        // In memory order, which does not change whether all bits are set in the end (RFC 1071, 2 B).
        let (first, second) = (
            start.loadUnaligned(as: UInt64.self), start.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        )
        var sum = (first & 0xFFFF_FFFF) &+ (first >> 32) &+ (second & 0xFFFF_FFFF) &+ (second >> 32)
        sum &+= UInt64(start.loadUnaligned(fromByteOffset: 16, as: UInt32.self))
        // That of a right header stays a multiple of 0xFFFF, in 35 bits, then 33, 17 and 16.
        sum = (sum & 0xFFFF_FFFF) &+ (sum >> 32)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        sum = (sum & 0xFFFF) &+ (sum >> 16)
        return sum == 0xFFFF
    }

    /// DSCP and ECN.
    @inlinable @inline(__always)
    public var trafficClass: TrafficClass { TrafficClass(rawValue: start.byte(IPv4.Offset.trafficClass)) }

    /// For reassembly.
    @inlinable @inline(__always)
    public var identification: UInt16 { start.networkUInt16(at: IPv4.Offset.identification) }

    /// Whether it is a part of a datagram: more fragments follow, or its offset is not zero.
    @inlinable @inline(__always)
    public var isFragment: Bool { start.networkUInt16(at: IPv4.Offset.fragment) & 0x3FFF != 0 }

    /// Whether fragments of the datagram come behind this one.
    @inlinable @inline(__always)
    public var hasMoreFragments: Bool {
        start.networkUInt16(at: IPv4.Offset.fragment) & IPv4.moreFragments != 0
    }

    /// Where its payload begins in the datagram's, in bytes.
    @inlinable @inline(__always)
    public var fragmentOffset: Int { Int(start.networkUInt16(at: IPv4.Offset.fragment) & 0x1FFF) &* 8 }

    /// Whether it is a part of a datagram other than the first.
    @inlinable @inline(__always)
    public var isLaterFragment: Bool { start.networkUInt16(at: IPv4.Offset.fragment) & 0x1FFF != 0 }

    /// Whether routers may not fragment it.
    @inlinable @inline(__always)
    public var dontFragment: Bool { start.networkUInt16(at: IPv4.Offset.fragment) & IPv4.dontFragment != 0 }

    /// Hops left.
    @inlinable @inline(__always)
    public var timeToLive: UInt8 { start.byte(IPv4.Offset.timeToLive) }

    /// Of the payload.
    @inlinable @inline(__always)
    public var `protocol`: UInt8 { start.byte(IPv4.Offset.protocol) }

    /// Source address.
    @inlinable @inline(__always)
    public var source: IPv4Address { IPv4Address(rawValue: start.networkUInt32(at: IPv4.Offset.source)) }

    /// Destination address.
    @inlinable @inline(__always)
    public var destination: IPv4Address { IPv4Address(rawValue: start.networkUInt32(at: IPv4.Offset.destination)) }

    /// What the header carries; may be empty.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start + headerLength, count: totalLength &- headerLength)
    }
}

/// An IPv4 header without options, to write.
public struct IPv4Header: Hashable, Sendable {
    /// DSCP and ECN.
    public var trafficClass = TrafficClass(rawValue: 0)
    /// Header and payload, in bytes.
    public var totalLength: UInt16 = 20
    /// For reassembly.
    public var identification: UInt16 = 0
    /// Whether routers may not fragment it.
    public var dontFragment = false
    /// Hops left.
    public var timeToLive: UInt8 = 64
    /// Of the payload.
    public var `protocol`: UInt8
    /// Source address.
    public var source: IPv4Address
    /// Destination address.
    public var destination: IPv4Address

    /// A header with nothing behind it, TTL 64, that may be fragmented.
    public init(protocol: UInt8, source: IPv4Address, destination: IPv4Address) {
        self.protocol = `protocol`
        self.source = source
        self.destination = destination
    }

    /// Writes 20 bytes, the checksum made.
    public func write(to start: UnsafeMutableRawPointer) {
        start.storeByte(0x45, at: 0)
        start.storeByte(trafficClass.rawValue, at: IPv4.Offset.trafficClass)
        start.storeNetwork(totalLength, at: IPv4.Offset.totalLength)
        start.storeNetwork(identification, at: IPv4.Offset.identification)
        start.storeNetwork(dontFragment ? IPv4.dontFragment : 0, at: IPv4.Offset.fragment)
        start.storeByte(timeToLive, at: IPv4.Offset.timeToLive)
        start.storeByte(`protocol`, at: IPv4.Offset.protocol)
        start.storeNetwork(source.rawValue, at: IPv4.Offset.source)
        start.storeNetwork(destination.rawValue, at: IPv4.Offset.destination)
        Self.writeChecksum(at: start)
    }

    /// Makes the checksum of a header whose other fields are written.
    public static func writeChecksum(
        at start: UnsafeMutableRawPointer, headerLength: Int = IPv4.minimumHeaderLength
    ) {
        start.storeNetwork(UInt16(0), at: IPv4.Offset.checksum)
        var sum = InternetChecksum()
        sum.add(UnsafeRawBufferPointer(start: start, count: headerLength))
        start.storeNetwork(sum.checksum, at: IPv4.Offset.checksum)
    }

    /// Changes DSCP and ECN of the header at `start`, and its checksum with them (RFC 1624).
    @inlinable @inline(__always)
    public static func setTrafficClass(_ trafficClass: TrafficClass, at start: UnsafeMutableRawPointer) {
        let old = UnsafeRawPointer(start).networkUInt16(at: 0)
        let new = old & 0xFF00 | UInt16(trafficClass.rawValue)
        start.storeNetwork(new, at: 0)
        let checksum = UnsafeRawPointer(start).networkUInt16(at: IPv4.Offset.checksum)
        start.storeNetwork(InternetChecksum.updated(checksum, from: old, to: new), at: IPv4.Offset.checksum)
    }
}

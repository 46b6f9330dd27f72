// IPv6 (RFC 8200).
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +-------+---------------+---------------------------------------+
//     |Version| Traffic Class |              Flow Label               |
//     +-------+---------------+-------+---------------+---------------+
//     |        Payload Length         |  Next Header  |   Hop Limit   |
//     +-------------------------------+---------------+---------------+
//     |                  Source Address (16 bytes)                    |
//     +---------------------------------------------------------------+
//     |                Destination Address (16 bytes)                 |
//     +---------------------------------------------------------------+

/// Names and numbers of the IPv6 header.
public enum IPv6 {
    /// The fixed header, in bytes.
    public static let headerLength = 40
    /// The least link MTU (RFC 8200, 5), in bytes.
    public static let minimumMTU = 1280

    /// Where each field starts, in bytes.
    public enum Offset {
        /// What follows the fixed header, in bytes.
        public static let payloadLength = 4
        /// Type of the header that follows.
        public static let nextHeader = 6
        /// Hops left.
        public static let hopLimit = 7
        /// 16 bytes.
        public static let source = 8
        /// 16 bytes.
        public static let destination = 24
    }
}

/// An IPv6 packet, to read. What its initialiser accepts is whole: header and payload lie inside the bytes.
public struct IPv6View: BitwiseCopyable {
    /// The first byte of the header.
    public let start: UnsafeRawPointer
    /// Fixed header and payload, in bytes. Bytes behind it are no part of the packet.
    public let totalLength: Int

    /// Checks version and lengths.
    /// - Parameter bytes: begin with the header; may be longer than the packet.
    /// - Throws: `ipv6Truncated`, `notIP` or `ipv6PayloadLength`.
    @inlinable @inline(__always)
    public init(_ bytes: UnsafeRawBufferPointer) throws(DropReason) {
        guard let start = bytes.baseAddress, bytes.count >= IPv6.headerLength else { throw .ipv6Truncated }
        guard start.byte(0) >> 4 == 6 else { throw .notIP }
        let totalLength = IPv6.headerLength &+ Int(start.networkUInt16(at: IPv6.Offset.payloadLength))
        guard totalLength <= bytes.count else { throw .ipv6PayloadLength }
        self.start = start
        self.totalLength = totalLength
    }

    /// DSCP and ECN.
    @inlinable @inline(__always)
    public var trafficClass: TrafficClass { IPv6Header.trafficClass(at: start) }

    /// Type of the header behind the fixed one.
    @inlinable @inline(__always)
    public var nextHeader: UInt8 { start.byte(IPv6.Offset.nextHeader) }

    /// Hops left.
    @inlinable @inline(__always)
    public var hopLimit: UInt8 { start.byte(IPv6.Offset.hopLimit) }

    /// Source address.
    @inlinable @inline(__always)
    public var source: IPv6Address { start.ipv6Address(at: IPv6.Offset.source) }

    /// Destination address.
    @inlinable @inline(__always)
    public var destination: IPv6Address { start.ipv6Address(at: IPv6.Offset.destination) }

    /// Everything behind the fixed header.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start + IPv6.headerLength, count: totalLength &- IPv6.headerLength)
    }
}

extension IPv6View {
    /// A protocol above IPv6, and where it begins.
    public struct UpperLayer: Equatable, Sendable {
        /// As in a next-header field; 59 where nothing follows.
        public let `protocol`: UInt8
        /// From the start of the fixed header, in bytes.
        public let offset: Int
        /// Whether this is a fragment other than the first, so that no upper-layer header stands there.
        public let isLaterFragment: Bool
    }

    /// How many extension headers are walked at the most. RFC 8200 names seven kinds, of which one may come twice.
    public static let extensionHeaderLimit = 8

    /// Walks the extension headers (RFC 8200, 4) to the first header that is none: hop-by-hop options, routing,
    /// fragment, destination options, authentication (RFC 4302), mobility, host identity and shim6 are passed over.
    /// - Throws: `ipv6ExtensionHeader` where a header is cut off or there are more than `extensionHeaderLimit`.
    public func upperLayer() throws(DropReason) -> UpperLayer {
        var next = nextHeader
        var offset = IPv6.headerLength
        for _ in 0...Self.extensionHeaderLimit {
            let unit: Int
            switch next {
            case 0, 43, 60, 135, 139, 140: unit = 8
            case 44: unit = 0
            case 51: unit = 4
            default: return UpperLayer(protocol: next, offset: offset, isLaterFragment: false)
            }
            guard offset &+ 8 <= totalLength else { throw .ipv6ExtensionHeader }
            if unit == 0, start.networkUInt16(at: offset &+ 2) & 0xFFF8 != 0 {
                return UpperLayer(protocol: start.byte(offset), offset: offset &+ 8, isLaterFragment: true)
            }
            // In units of 8 bytes beyond the first 8; authentication headers count in 4 bytes beyond the first 8.
            let length = 8 &+ Int(start.byte(offset &+ 1)) &* unit
            next = start.byte(offset)
            offset &+= length
            guard offset <= totalLength else { throw .ipv6ExtensionHeader }
        }
        throw .ipv6ExtensionHeader
    }
}

extension IPv6View {
    /// Whether a router is asked to look at the packet: a router alert among its hop-by-hop options (RFC 2711), which
    /// must stand first.
    public var hasRouterAlert: Bool {
        guard nextHeader == 0, totalLength >= IPv6.headerLength + 8 else { return false }
        let end = IPv6.headerLength + 8 + Int(start.byte(IPv6.headerLength + 1)) * 8
        guard end <= totalLength else { return false }
        var position = IPv6.headerLength + 2
        while position < end {
            let type = start.byte(position)
            if type == 0 {
                position += 1
                continue
            }
            guard position + 2 <= end else { return false }
            if type == 5 { return start.byte(position + 1) == 2 && position + 4 <= end }
            position += 2 + Int(start.byte(position + 1))
        }
        return false
    }
}

/// An IPv6 fixed header, to write.
public struct IPv6Header: Hashable, Sendable {
    /// DSCP and ECN.
    public var trafficClass = TrafficClass(rawValue: 0)
    /// What follows, in bytes.
    public var payloadLength: UInt16 = 0
    /// Type of the header that follows.
    public var nextHeader: UInt8
    /// Hops left.
    public var hopLimit: UInt8 = 64
    /// Source address.
    public var source: IPv6Address
    /// Destination address.
    public var destination: IPv6Address

    /// A header with nothing behind it, hop limit 64, flow label 0.
    public init(nextHeader: UInt8, source: IPv6Address, destination: IPv6Address) {
        self.nextHeader = nextHeader
        self.source = source
        self.destination = destination
    }

    /// Writes 40 bytes.
    public func write(to start: UnsafeMutableRawPointer) {
        start.storeNetwork(0x6000_0000 | UInt32(trafficClass.rawValue) << 20, at: 0)
        start.storeNetwork(payloadLength, at: IPv6.Offset.payloadLength)
        start.storeByte(nextHeader, at: IPv6.Offset.nextHeader)
        start.storeByte(hopLimit, at: IPv6.Offset.hopLimit)
        start.store(source, at: IPv6.Offset.source)
        start.store(destination, at: IPv6.Offset.destination)
    }

    /// DSCP and ECN of the header at `start`.
    @inlinable @inline(__always)
    public static func trafficClass(at start: UnsafeRawPointer) -> TrafficClass {
        TrafficClass(rawValue: UInt8(truncatingIfNeeded: start.networkUInt16(at: 0) >> 4))
    }

    /// Sets DSCP and ECN of a header that is already written.
    @inlinable @inline(__always)
    public static func setTrafficClass(_ trafficClass: TrafficClass, at start: UnsafeMutableRawPointer) {
        let word = UnsafeRawPointer(start).networkUInt16(at: 0)
        start.storeNetwork(word & 0xF00F | UInt16(trafficClass.rawValue) << 4, at: 0)
    }
}

extension UnsafeRawPointer {
    /// The IPv6 address whose 16 bytes stand at `offset`.
    @inlinable @inline(__always)
    public func ipv6Address(at offset: Int) -> IPv6Address {
        IPv6Address(high: networkUInt64(at: offset), low: networkUInt64(at: offset &+ 8))
    }
}

extension UnsafeMutableRawPointer {
    /// Writes the 16 bytes of an IPv6 address at `offset`.
    @inlinable @inline(__always)
    public func store(_ address: IPv6Address, at offset: Int) {
        storeNetwork(address.high, at: offset)
        storeNetwork(address.low, at: offset &+ 8)
    }
}

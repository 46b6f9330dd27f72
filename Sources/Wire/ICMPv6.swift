// ICMP for IPv6 (RFC 4443): type, code, checksum over the pseudo-header and the message, and a body.

/// Names and numbers of ICMPv6.
public enum ICMPv6 {
    /// Type, code, checksum and the four bytes that every error has, in bytes.
    public static let headerLength = 8
    /// Type: destination unreachable.
    public static let destinationUnreachable: UInt8 = 1
    /// Type: packet too big.
    public static let packetTooBig: UInt8 = 2
    /// Type: multicast listener query (RFC 2710, RFC 3810).
    public static let listenerQuery: UInt8 = 130
    /// Type: multicast listener report of version 1 (RFC 2710).
    public static let listenerReport: UInt8 = 131
    /// Type: multicast listener done (RFC 2710).
    public static let listenerDone: UInt8 = 132
    /// Type: multicast listener report of version 2 (RFC 3810).
    public static let listenerReport2: UInt8 = 143
    /// Type: neighbour solicitation (RFC 4861).
    public static let neighborSolicitation: UInt8 = 135
    /// Type: neighbour advertisement (RFC 4861).
    public static let neighborAdvertisement: UInt8 = 136
    /// Type: redirect (RFC 4861).
    public static let redirect: UInt8 = 137

    /// Types of Multicast Listener Discovery: query, report and done (RFC 2710), report of version 2 (RFC 3810).
    public static func isListenerDiscovery(_ type: UInt8) -> Bool { (130...132).contains(type) || type == 143 }
    /// Types of neighbour discovery: router and neighbour solicitation and advertisement, redirect (RFC 4861, 4).
    public static func isNeighborDiscovery(_ type: UInt8) -> Bool { (133...137).contains(type) }

    /// Where each field starts, in bytes.
    public enum Offset {
        /// One byte; below 128 it is an error.
        public static let type = 0
        /// One byte.
        public static let code = 1
        /// Over pseudo-header and message.
        public static let checksum = 2
        /// Of Packet Too Big, four bytes; unused in Destination Unreachable.
        public static let mtu = 4
    }
}

/// An ICMPv6 message, to read.
public struct ICMPv6View: BitwiseCopyable {
    /// The first byte of the header.
    public let start: UnsafeRawPointer
    /// In bytes.
    public let length: Int

    /// Checks the length, not the checksum.
    /// - Parameter bytes: from the ICMPv6 header to the end of the packet.
    /// - Throws: `icmpv6Truncated`.
    @inlinable
    public init(_ bytes: UnsafeRawBufferPointer) throws(DropReason) {
        guard let start = bytes.baseAddress, bytes.count >= 4 else { throw .icmpv6Truncated }
        self.start = start
        length = bytes.count
    }

    /// Type of the message.
    @inlinable
    public var type: UInt8 { start.byte(ICMPv6.Offset.type) }

    /// Code within the type.
    @inlinable
    public var code: UInt8 { start.byte(ICMPv6.Offset.code) }

    /// Whether the message is an error or a redirect, to which no error may be sent (RFC 4443, 2.4 e).
    @inlinable
    public var forbidsErrors: Bool { type < 128 || type == ICMPv6.redirect }

    /// Whether the checksum is right for a message between the two addresses.
    public func verifies(source: IPv6Address, destination: IPv6Address) -> Bool {
        var sum = InternetChecksum()
        sum.addPseudoHeader(
            source: source, destination: destination, length: UInt32(length), protocol: IPProtocol.icmpv6)
        sum.add(UnsafeRawBufferPointer(start: start, count: length))
        return sum.folded == 0xFFFF
    }
}

/// An ICMPv6 error, to write (RFC 4443, 3).
public struct ICMPv6Error: Hashable, Sendable {
    /// Such as packet too big.
    public var type: UInt8
    /// Within the type.
    public var code: UInt8
    /// The four bytes behind the checksum: the MTU of Packet Too Big, else 0.
    public var parameter: UInt32

    /// A packet larger than `mtu` bytes could not go on (RFC 4443, 3.2).
    public static func packetTooBig(mtu: UInt32) -> ICMPv6Error {
        ICMPv6Error(type: ICMPv6.packetTooBig, code: 0, parameter: mtu)
    }

    /// There is no route to the destination (RFC 4443, 3.1, code 0).
    public static let noRoute = ICMPv6Error(type: ICMPv6.destinationUnreachable, code: 0, parameter: 0)

    /// The address can't be reached (RFC 4443, 3.1, code 3).
    public static let addressUnreachable = ICMPv6Error(type: ICMPv6.destinationUnreachable, code: 3, parameter: 0)

    /// Of an error packet that quotes a packet of `length` bytes: how much is quoted, so that IPv6 header, ICMPv6
    /// header and quote stay within the least MTU (RFC 4443, 2.4 c).
    @inlinable
    public static func quotedLength(of length: Int) -> Int {
        min(length, IPv6.minimumMTU - IPv6.headerLength - ICMPv6.headerLength)
    }

    /// Bytes that are written before the quote: an IPv6 and an ICMPv6 header.
    public static let overhead = IPv6.headerLength + ICMPv6.headerLength

    /// Writes IPv6 and ICMPv6 header before a quote that already lies `overhead` bytes behind `start`.
    /// - Parameter quotedLength: bytes of the quote, as `quotedLength(of:)` says.
    public func write(
        to start: UnsafeMutableRawPointer, source: IPv6Address, destination: IPv6Address, quotedLength: Int
    ) {
        let messageLength = ICMPv6.headerLength + quotedLength
        var header = IPv6Header(nextHeader: IPProtocol.icmpv6, source: source, destination: destination)
        header.payloadLength = UInt16(messageLength)
        header.write(to: start)
        let message = start + IPv6.headerLength
        message.storeByte(type, at: ICMPv6.Offset.type)
        message.storeByte(code, at: ICMPv6.Offset.code)
        message.storeNetwork(UInt16(0), at: ICMPv6.Offset.checksum)
        message.storeNetwork(parameter, at: ICMPv6.Offset.mtu)
        var sum = InternetChecksum()
        sum.addPseudoHeader(
            source: source, destination: destination, length: UInt32(messageLength), protocol: IPProtocol.icmpv6)
        sum.add(UnsafeRawBufferPointer(start: message, count: messageLength))
        message.storeNetwork(sum.checksum, at: ICMPv6.Offset.checksum)
    }
}

// ICMP for IPv4 (RFC 792): type, code, checksum, four bytes that depend on the type, and data.

/// Names and numbers of ICMPv4.
public enum ICMPv4 {
    /// In bytes.
    public static let headerLength = 8
    /// Type of an echo reply.
    public static let echoReply: UInt8 = 0
    /// Type of an echo request.
    public static let echoRequest: UInt8 = 8
    /// Type: destination unreachable.
    public static let destinationUnreachable: UInt8 = 3
    /// Type: time exceeded.
    public static let timeExceeded: UInt8 = 11

    /// Where each field starts, in bytes.
    public enum Offset {
        /// One byte.
        public static let type = 0
        /// One byte.
        public static let code = 1
        /// Over the whole message.
        public static let checksum = 2
        /// In words of 32 bits, of errors with extensions (RFC 4884, 4.1).
        public static let quoteLength = 5
        /// Of fragmentation needed, two bytes (RFC 1191, 4).
        public static let mtu = 6
    }
}

/// An ICMPv4 message, to read.
public struct ICMPv4View: BitwiseCopyable {
    /// The first byte of the header.
    public let start: UnsafeRawPointer
    /// Header and data, in bytes.
    public let length: Int

    /// Checks length and checksum.
    /// - Parameter bytes: the IPv4 payload.
    /// - Throws: `icmpv4Malformed`.
    @inlinable
    public init(_ bytes: UnsafeRawBufferPointer) throws(DropReason) {
        guard let start = bytes.baseAddress, bytes.count >= ICMPv4.headerLength, InternetChecksum.verifies(bytes) else {
            throw .icmpv4Malformed
        }
        self.start = start
        length = bytes.count
    }

    /// Type of the message.
    @inlinable
    public var type: UInt8 { start.byte(ICMPv4.Offset.type) }

    /// Code within the type.
    @inlinable
    public var code: UInt8 { start.byte(ICMPv4.Offset.code) }

    /// The checksum as it stands.
    @inlinable
    public var checksum: UInt16 { start.networkUInt16(at: ICMPv4.Offset.checksum) }

    /// Of fragmentation needed (RFC 1191, 4).
    @inlinable
    public var mtu: UInt16 { start.networkUInt16(at: ICMPv4.Offset.mtu) }

    /// Of an error, as much as it quotes of the packet that it is about. Extensions may follow (RFC 4884, 4.1), and the
    /// message then says after how many words.
    public var quote: UnsafeRawBufferPointer {
        let count = length - ICMPv4.headerLength
        let words = Int(start.byte(ICMPv4.Offset.quoteLength))
        return UnsafeRawBufferPointer(
            start: start + ICMPv4.headerLength, count: words == 0 ? count : min(count, 4 * words))
    }
}

/// An ICMPv4 error, to write (RFC 792).
public struct ICMPv4Error: Hashable, Sendable {
    /// Such as destination unreachable.
    public var type: UInt8
    /// Within the type.
    public var code: UInt8
    /// The lower half of the four bytes behind the checksum: the MTU of fragmentation needed, else 0.
    public var parameter: UInt16

    /// A packet larger than `mtu` bytes may not be fragmented (RFC 1191, 4).
    public static func fragmentationNeeded(mtu: UInt16) -> ICMPv4Error {
        ICMPv4Error(type: ICMPv4.destinationUnreachable, code: 4, parameter: mtu)
    }

    /// The host is not reachable (RFC 1812, 5.2.7.1).
    public static let hostUnreachable = ICMPv4Error(type: ICMPv4.destinationUnreachable, code: 1, parameter: 0)

    /// The largest error packet, in bytes (RFC 1812, 4.3.2.3).
    public static let maximumLength = 576

    /// Bytes that are written before the quote: an IPv4 and an ICMPv4 header.
    public static let overhead = IPv4.minimumHeaderLength + ICMPv4.headerLength

    /// Of an error packet that quotes a packet of `length` bytes: how much is quoted.
    public static func quotedLength(of length: Int) -> Int { min(length, maximumLength - overhead) }

    /// Writes IPv4 and ICMPv4 header before a quote that already lies `overhead` bytes behind `start`.
    /// - Parameters:
    ///   - header: of the error packet; its total length is set here.
    ///   - quotedLength: bytes of the quote, as `quotedLength(of:)` says.
    public func write(to start: UnsafeMutableRawPointer, header: IPv4Header, quotedLength: Int) {
        let messageLength = ICMPv4.headerLength + quotedLength
        var header = header
        header.totalLength = UInt16(IPv4.minimumHeaderLength + messageLength)
        header.write(to: start)
        let message = start + IPv4.minimumHeaderLength
        message.storeNetwork(UInt64(0), at: 0)
        message.storeByte(type, at: ICMPv4.Offset.type)
        message.storeByte(code, at: ICMPv4.Offset.code)
        message.storeNetwork(parameter, at: ICMPv4.Offset.mtu)
        var sum = InternetChecksum()
        sum.add(UnsafeRawBufferPointer(start: message, count: messageLength))
        message.storeNetwork(sum.checksum, at: ICMPv4.Offset.checksum)
    }
}

// ICMP for IPv4 (RFC 792): type, code, checksum, four bytes that depend on the type, and data.

/// Names and numbers of ICMPv4.
public enum ICMPv4 {
    /// In bytes.
    public static let headerLength = 8
    /// Type of an echo reply.
    public static let echoReply: UInt8 = 0
    /// Type of an echo request.
    public static let echoRequest: UInt8 = 8

    /// Where each field starts, in bytes.
    public enum Offset {
        /// One byte.
        public static let type = 0
        /// One byte.
        public static let code = 1
        /// Over the whole message.
        public static let checksum = 2
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
}

// The MIP Tunnel Data Message (RFC 3519, 3.3): behind a UDP header of port 434 it tells tunnelled packets from the other
// messages of Mobile IP.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-------------------------------+
//     |   Type, 4     |  Next Header  |           Reserved            |
//     +---------------+---------------+-------------------------------+

/// Names and numbers of the message.
public enum MobileTunnelData {
    /// In bytes.
    public static let headerLength = 4
    /// The first byte of every such message.
    public static let type: UInt8 = 4
    /// The UDP port of Mobile IP (RFC 5944, 3.1).
    public static let port: UInt16 = 434
    /// What the message carries, numbered like the protocol field of IPv4.
    public static let nextHeaderOffset = 1
}

/// A MIP Tunnel Data Message, to read.
public struct MobileTunnelDataView: BitwiseCopyable {
    /// The first byte of the header.
    public let start: UnsafeRawPointer
    /// Header and payload, in bytes.
    public let length: Int

    /// Checks the length. The reserved bytes are ignored.
    /// - Parameter bytes: the payload of the UDP header; its first byte is `MobileTunnelData.type`.
    /// - Throws: `mobileTunnelDataTruncated`.
    @inlinable @inline(__always)
    public init(_ bytes: UnsafeRawBufferPointer) throws(DropReason) {
        guard let start = bytes.baseAddress, bytes.count >= MobileTunnelData.headerLength else {
            throw .mobileTunnelDataTruncated
        }
        self.start = start
        length = bytes.count
    }

    /// What the message carries.
    @inlinable @inline(__always)
    public var nextHeader: UInt8 { start.byte(MobileTunnelData.nextHeaderOffset) }

    /// The tunnelled packet.
    @inlinable @inline(__always)
    public var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: start + MobileTunnelData.headerLength, count: length &- MobileTunnelData.headerLength)
    }
}

/// A MIP Tunnel Data Message's header, to write.
public struct MobileTunnelDataHeader: Hashable, Sendable {
    /// What the message carries, numbered like the protocol field of IPv4.
    public var nextHeader: UInt8

    /// A header before a packet of that protocol.
    public init(nextHeader: UInt8) { self.nextHeader = nextHeader }

    /// Writes four bytes.
    public func write(to start: UnsafeMutableRawPointer) {
        start.storeByte(MobileTunnelData.type, at: 0)
        start.storeByte(nextHeader, at: MobileTunnelData.nextHeaderOffset)
        start.storeNetwork(UInt16(0), at: 2)
    }
}

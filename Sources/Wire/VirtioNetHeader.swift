// What stands before each packet that passes a TUN device with IFF_VNET_HDR (virtio 1.2, 5.1.6; struct virtio_net_hdr of
// linux/virtio_net.h): whether the packet's checksum is still to be made, and whether it is a super-frame, many segments
// of one flow with one header. All numbers are in the machine's order.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-------------------------------+
//     |     flags     |   gso_type    |            hdr_len            |
//     +---------------+---------------+-------------------------------+
//     |           gso_size            |          csum_start           |
//     +-------------------------------+-------------------------------+
//     |          csum_offset          |      padding, 6 bytes
//     +-------------------------------+- - - -

/// What is cut off a super-frame by each segment.
public enum SegmentKind: UInt8, Sendable, BitwiseCopyable {
    /// TCP segments over IPv4.
    case tcpIPv4 = 1
    /// TCP segments over IPv6.
    case tcpIPv6 = 4
    /// UDP datagrams, over either.
    case udp = 5
}

/// The header, to read and to write. 16 bytes, of which the kernel defines ten: so packets stay aligned (TUNSETVNETHDRSZ).
public struct VirtioNetHeader: Hashable, Sendable, BitwiseCopyable {
    /// In bytes.
    @inlinable public static var length: Int { 16 }

    /// What the packet is; nil where it is one packet.
    public var segmentKind: SegmentKind?
    /// Bytes of payload in each segment but the last, of a super-frame.
    public var segmentSize: UInt16 = 0
    /// Where the part that the checksum is of begins, from the packet's first byte: the header of TCP or UDP; nil where the
    /// checksum stands already. In its place stands the sum of the pseudo-header.
    public var checksumStart: UInt16?
    /// Where the checksum stands, from there.
    public var checksumOffset: UInt16 = 0

    /// Of a packet that is whole.
    @inlinable @inline(__always)
    public init() {}

    /// Of a super-frame whose TCP or UDP header begins at `transportOffset`.
    /// - Parameter segmentSize: bytes of payload in each segment; above 0.
    @inlinable @inline(__always)
    public init(_ kind: SegmentKind, segmentSize: UInt16, transportOffset: UInt16) {
        segmentKind = kind
        self.segmentSize = segmentSize
        checksumStart = transportOffset
        checksumOffset = kind == .udp ? 6 : 16
    }

    @usableFromInline static var needsChecksum: UInt8 { 1 }
    /// Beside a kind of TCP: the first segment alone says that the window was reduced (RFC 3168, 6.1.2).
    @usableFromInline static var hasCongestionWindowReduced: UInt8 { 0x80 }

    /// The header before a packet; nil where it is of a kind that nobody asked for.
    /// - Parameter start: its first byte; `length` bytes may be read.
    @inlinable @inline(__always)
    public init?(at start: UnsafeRawPointer) {
        let flags = start.byte(0)
        let type = start.byte(1) & ~Self.hasCongestionWindowReduced
        if flags & Self.needsChecksum != 0 {
            checksumStart = start.loadUnaligned(fromByteOffset: 6, as: UInt16.self)
            checksumOffset = start.loadUnaligned(fromByteOffset: 8, as: UInt16.self)
        }
        guard type != 0 else { return }
        guard let kind = SegmentKind(rawValue: type) else { return nil }
        segmentKind = kind
        segmentSize = start.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
    }

    /// Whether the packet before which this stands is one packet with its checksum, as nearly all are.
    @inlinable @inline(__always)
    public static func isPlain(at start: UnsafeRawPointer) -> Bool {
        start.loadUnaligned(as: UInt16.self) & UInt16(bigEndian: 0x01FF) == 0
    }

    /// Writes it.
    /// - Parameters:
    ///   - start: its first byte.
    ///   - headerLength: of all headers before the payload, in bytes; the kernel takes it as a hint.
    ///   - reducesWindow: whether the TCP header has CWR.
    public func write(to start: UnsafeMutableRawPointer, headerLength: UInt16 = 0, reducesWindow: Bool = false) {
        var type = segmentKind?.rawValue ?? 0
        if reducesWindow { type |= Self.hasCongestionWindowReduced }
        start.storeByte(checksumStart == nil ? 0 : Self.needsChecksum, at: 0)
        start.storeByte(type, at: 1)
        start.storeBytes(of: headerLength, toByteOffset: 2, as: UInt16.self)
        start.storeBytes(of: segmentSize, toByteOffset: 4, as: UInt16.self)
        start.storeBytes(of: checksumStart ?? 0, toByteOffset: 6, as: UInt16.self)
        start.storeBytes(of: UInt64(checksumOffset).littleEndian, toByteOffset: 8, as: UInt64.self)
    }

    /// Writes that of a packet that is whole.
    @inlinable @inline(__always)
    public static func writePlain(to start: UnsafeMutableRawPointer) {
        start.storeBytes(of: 0, as: UInt64.self)
        start.storeBytes(of: 0, toByteOffset: 8, as: UInt64.self)
    }
}

// Where the IP packet lies within a captured frame. Link types are those of the registry that pcap and pcapng share
// (https://www.tcpdump.org/linktypes.html; draft-ietf-opsawg-pcaplinktype).
//
// A frame is IP only where its link layer says so and the packet's first nibble agrees: what says IPv4 and begins with a
// 6 would be read in one way by one host and in another by the next.

/// The link layers whose frames can be read.
public enum LinkLayer: Hashable, Sendable {
    /// The packet alone; its first nibble tells its version.
    case raw
    /// IPv4 packets alone.
    case ipv4
    /// IPv6 packets alone.
    case ipv6
    /// Ethernet, with any number of VLAN tags (IEEE 802.1Q, 802.1ad).
    case ethernet
    /// Linux's capture on all interfaces, of 16 bytes.
    case linuxCooked
    /// Its second version, of 20 bytes.
    case linuxCooked2
    /// BSD loopback: four bytes with the address family, in the byte order of the host that captured.
    case loopback

    /// The link layer of a number in a file; nil where it is none of these.
    public init?(linkType: UInt32) {
        switch linkType {
        case 0, 108: self = .loopback
        case 1: self = .ethernet
        // 12 and 14 stood for it in old files of some systems.
        case 12, 14, 101: self = .raw
        case 113: self = .linuxCooked
        case 228: self = .ipv4
        case 229: self = .ipv6
        case 276: self = .linuxCooked2
        default: return nil
        }
    }

    /// Names and numbers of all, for messages.
    public static let supported =
        "raw IP (101), IPv4 (228), IPv6 (229), Ethernet (1), Linux cooked (113, 276) and null or loopback (0, 108)"

    /// The IP packet of a frame, and what follows it in the frame; nil where there is none.
    public func packet(in frame: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        switch self {
        case .raw: frame
        case .ipv4: Self.packet(in: frame, at: 0, version: 4)
        case .ipv6: Self.packet(in: frame, at: 0, version: 6)
        case .ethernet: Self.packet(in: frame, etherTypeAt: 12, payloadAt: 14)
        case .linuxCooked: Self.packet(in: frame, etherTypeAt: 14, payloadAt: 16)
        case .linuxCooked2: Self.packet(in: frame, etherTypeAt: 0, payloadAt: 20)
        case .loopback: Self.loopbackPacket(in: frame)
        }
    }

    private static func packet(
        in frame: UnsafeRawBufferPointer, etherTypeAt typeOffset: Int, payloadAt payloadOffset: Int
    ) -> UnsafeRawBufferPointer? {
        guard frame.count >= payloadOffset else { return nil }
        var (type, offset) = (networkUInt16(frame, at: typeOffset), payloadOffset)
        // 802.1Q, 802.1ad, and what stood for stacked tags before it. Each tag is four bytes, so the frame's end bounds
        // how many there are.
        while [0x8100, 0x88A8, 0x9100].contains(type) {
            guard frame.count >= offset + 4 else { return nil }
            type = networkUInt16(frame, at: offset + 2)
            offset += 4
        }
        switch type {
        case 0x0800: return packet(in: frame, at: offset, version: 4)
        case 0x86DD: return packet(in: frame, at: offset, version: 6)
        default: return nil
        }
    }

    private static func loopbackPacket(in frame: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard frame.count >= 4 else { return nil }
        let family = frame.loadUnaligned(as: UInt32.self)
        // Families are small, so one of the two readings is far too large.
        switch min(family.littleEndian, family.bigEndian) {
        case 2: return packet(in: frame, at: 4, version: 4)
        // AF_INET6 of Linux, of NetBSD and OpenBSD, of FreeBSD, of macOS.
        case 10, 24, 28, 30: return packet(in: frame, at: 4, version: 6)
        default: return nil
        }
    }

    /// What stands behind `offset` where it is of that version, or nothing at all: a packet of no bytes is one.
    private static func packet(
        in frame: UnsafeRawBufferPointer, at offset: Int, version: UInt8
    ) -> UnsafeRawBufferPointer? {
        let packet = UnsafeRawBufferPointer(rebasing: frame[offset...])
        guard let first = packet.first else { return packet }
        return first >> 4 == version ? packet : nil
    }

    private static func networkUInt16(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt16 {
        UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
}

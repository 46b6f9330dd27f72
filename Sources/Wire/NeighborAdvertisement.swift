// Neighbour discovery (RFC 4861) as far as the end of a tunnel needs it: solicitations, by which a neighbour asks whether
// an address is still there (RFC 4213, 3.8), and advertisements that answer them. A tunnel has no link-layer addresses,
// so options are skipped when they are read and never written.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-------------------------------+
//     | Type 135, 136 |     Code      |           Checksum            |
//     +-+-+-+---------+---------------+-------------------------------+
//     |R|S|O|         Reserved (solicitation: all of it)              |
//     +-+-+-+---------------------------------------------------------+
//     |                  Target Address (16 bytes)                    |
//     +---------------------------------------------------------------+

/// A neighbour solicitation, to read. What its initialiser accepts is valid (RFC 4861, 7.1.1), and has a source that can
/// be answered.
public struct NeighborSolicitationView: BitwiseCopyable {
    /// Who asks.
    public let source: IPv6Address
    /// Whom for.
    public let target: IPv6Address

    /// Nil for whatever is no valid solicitation.
    /// - Parameter bytes: from the IPv6 header on.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let packet = try? IPv6View(bytes), packet.nextHeader == IPProtocol.icmpv6, packet.hopLimit == 255,
            packet.payload.count >= NeighborAdvertisement.messageLength, let message = try? ICMPv6View(packet.payload),
            message.type == ICMPv6.neighborSolicitation, message.code == 0,
            message.verifies(source: packet.source, destination: packet.destination),
            Self.areOptionsWhole(packet.payload)
        else { return nil }
        source = packet.source
        target = message.start.ipv6Address(at: NeighborAdvertisement.targetOffset)
        if target.isMulticast || source.isUnspecified { return nil }
    }

    /// Every option has a length other than 0, and lies inside.
    private static func areOptionsWhole(_ message: UnsafeRawBufferPointer) -> Bool {
        var position = NeighborAdvertisement.messageLength
        while position < message.count {
            guard position + 1 < message.count, message[position + 1] > 0 else { return false }
            position += Int(message[position + 1]) * 8
        }
        return position == message.count
    }
}

/// A neighbour advertisement that answers a solicitation, to write.
public struct NeighborAdvertisement: Hashable, Sendable {
    /// Of the ICMPv6 message without options, in bytes.
    public static let messageLength = 24
    /// Of the whole packet, in bytes.
    public static let length = IPv6.headerLength + messageLength
    static let targetOffset = 8

    /// Who answers: source and target at once.
    public var target: IPv6Address
    /// Whether it forwards.
    public var isRouter: Bool

    /// The answer of `target`.
    public init(target: IPv6Address, isRouter: Bool) {
        self.target = target
        self.isRouter = isRouter
    }

    /// Writes `length` bytes: solicited, not overriding, since there is no link-layer address to override (RFC 4861,
    /// 7.2.4).
    public func write(to start: UnsafeMutableRawPointer, destination: IPv6Address) {
        var header = IPv6Header(nextHeader: IPProtocol.icmpv6, source: target, destination: destination)
        header.payloadLength = UInt16(Self.messageLength)
        header.hopLimit = 255
        header.write(to: start)
        let message = start + IPv6.headerLength
        message.storeNetwork(UInt32(ICMPv6.neighborAdvertisement) << 24, at: 0)
        message.storeNetwork(UInt32(isRouter ? 0xC000_0000 : 0x4000_0000), at: 4)
        message.store(target, at: Self.targetOffset)
        var sum = InternetChecksum()
        sum.addPseudoHeader(
            source: target, destination: destination, length: UInt32(Self.messageLength), protocol: IPProtocol.icmpv6)
        sum.add(UnsafeRawBufferPointer(start: message, count: Self.messageLength))
        message.storeNetwork(sum.checksum, at: ICMPv6.Offset.checksum)
    }
}

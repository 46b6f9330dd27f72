// The revocation support extension (RFC 3543, 3.2). A longer one is read too, as that section foresees.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-+-----------------------------+
//     |   Type, 137   |   Length, 6   |I|          Reserved           |
//     +---------------+---------------+-+-----------------------------+
//     |                           Timestamp                           |
//     +---------------------------------------------------------------+

/// Whoever sends it understands revocations.
public struct RevocationSupport: Hashable, Sendable {
    static let type: UInt8 = 137
    static let dataLength = 6
    private static let informBit: UInt16 = 0x8000

    /// I: the sender uses the bit of that name in revocations.
    public var inform: Bool
    /// The sender's clock; later revocations have a later time of the same clock.
    public var timestamp: UInt32

    /// An extension with the time of the sender's clock.
    public init(inform: Bool, timestamp: UInt32) {
        self.inform = inform
        self.timestamp = timestamp
    }

    /// Nil for a length that the extension can't have.
    init?(reading reader: inout MessageReader) {
        guard reader.remaining >= Self.dataLength else { return nil }
        inform = reader.readUInt16() & Self.informBit != 0
        timestamp = reader.readUInt32()
    }

    func write(to writer: inout MessageWriter) {
        writer.write(Self.type)
        writer.write(UInt8(Self.dataLength))
        writer.write(inform ? Self.informBit : 0)
        writer.write(timestamp)
    }
}

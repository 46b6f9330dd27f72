// A foreign agent's challenge (RFC 4721, 2 and 4): in its advertisements with type 24, in requests and replies with
// 132.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-------------------------------+
//     | Type, 24, 132 |    Length     |   Challenge …
//     +---------------+---------------+-------------------------------+

/// A random value that a foreign agent chose.
public struct Challenge: Hashable, Sendable {
    static let type: UInt8 = 132
    static let advertisementType: UInt8 = 24

    /// 1 to 255 of them.
    public let bytes: [UInt8]

    /// Nil where it is empty or longer than 255 bytes.
    public init?(bytes: [UInt8]) {
        guard (1...255).contains(bytes.count) else { return nil }
        self.bytes = bytes
    }

    /// Type and length bytes included.
    var length: Int { 2 + bytes.count }

    func write(type: UInt8, to writer: inout MessageWriter) {
        writer.write(type)
        writer.write(UInt8(bytes.count))
        writer.write(bytes)
    }
}

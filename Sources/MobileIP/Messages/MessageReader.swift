// Reads big-endian fields one behind the other. It never reads outside: who reads has asked for `remaining` before, and
// reading more than that is a broken invariant.

import Wire

/// A place in the bytes of a message.
public struct MessageReader {
    private let bytes: [UInt8]
    /// How many bytes were read from the message's beginning.
    public private(set) var position: Int
    /// Where reading ends, from the message's beginning.
    public let end: Int

    /// The beginning of a message.
    public init(_ bytes: [UInt8]) { self.init(bytes, 0..<bytes.count) }

    private init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        (position, end) = (range.lowerBound, range.upperBound)
    }

    /// How many bytes are left.
    public var remaining: Int { end - position }

    /// One byte.
    public mutating func readUInt8() -> UInt8 {
        precondition(remaining >= 1, "nothing is left to read")
        defer { position += 1 }
        return bytes[position]
    }

    /// Two bytes in network order.
    public mutating func readUInt16() -> UInt16 { UInt16(readUInt8()) << 8 | UInt16(readUInt8()) }

    /// Four bytes in network order.
    public mutating func readUInt32() -> UInt32 { UInt32(readUInt16()) << 16 | UInt32(readUInt16()) }

    /// Eight bytes in network order.
    public mutating func readUInt64() -> UInt64 { UInt64(readUInt32()) << 32 | UInt64(readUInt32()) }

    /// Four bytes.
    public mutating func readIPv4Address() -> IPv4Address { IPv4Address(rawValue: readUInt32()) }

    /// Sixteen bytes.
    public mutating func readIPv6Address() -> IPv6Address {
        let high = readUInt64()
        return IPv6Address(high: high, low: readUInt64())
    }

    /// Passes over that many bytes, which must be left.
    public mutating func skip(_ count: Int) {
        precondition(count <= remaining, "nothing is left to skip")
        position += count
    }

    /// All that is left.
    public mutating func readRest() -> [UInt8] {
        defer { position = end }
        return Array(bytes[position..<end])
    }

    /// A reader of the next `count` bytes, which must be left; this one goes on behind them.
    public mutating func part(_ count: Int) -> MessageReader {
        precondition(count >= 0 && count <= remaining, "a part beyond the end")
        defer { position += count }
        return MessageReader(bytes, position..<position + count)
    }
}

// Writes big-endian fields one behind the other. Who writes says beforehand how much it will be.

import Wire

/// The bytes of a message that is being made.
public struct MessageWriter {
    /// What was written.
    public private(set) var bytes: [UInt8] = []

    /// A writer with room for `capacity` bytes.
    public init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// A writer that goes on behind bytes, with room for `count` more.
    public init(continuing bytes: [UInt8], room count: Int) {
        self.bytes = bytes
        self.bytes.reserveCapacity(bytes.count + count)
    }

    /// One byte.
    public mutating func write(_ value: UInt8) { bytes.append(value) }

    /// Two bytes in network order.
    public mutating func write(_ value: UInt16) { append(value.bigEndian) }

    /// Four bytes in network order.
    public mutating func write(_ value: UInt32) { append(value.bigEndian) }

    /// Eight bytes in network order.
    public mutating func write(_ value: UInt64) { append(value.bigEndian) }

    // Not public: a number without a type would be written as an Int of eight bytes.
    private mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    /// Four bytes.
    public mutating func write(_ address: IPv4Address) { write(address.rawValue) }

    /// Sixteen bytes.
    public mutating func write(_ address: IPv6Address) {
        write(address.high)
        write(address.low)
    }

    /// Bytes as they are.
    public mutating func write(_ content: [UInt8]) { bytes.append(contentsOf: content) }
}

// What TCP and UDP have in common where segments are taken apart and put together.

/// A header of TCP or UDP.
public enum TransportHeader {
    /// With options, in bytes; of TCP as it says itself: 0 to 60.
    @inlinable @inline(__always)
    public static func length(at start: UnsafeRawPointer, isTCP: Bool) -> Int {
        isTCP ? TCP.headerLength(at: start) : UDP.headerLength
    }
}

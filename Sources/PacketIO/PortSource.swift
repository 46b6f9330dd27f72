// What a port on plain system calls reads from: a device's queue, or a socket for frames.

import Glibc
import PacketBuffer

/// A descriptor that is read in turn with others.
@usableFromInline
struct PortSource {
    @usableFromInline let descriptor: Int32
    @usableFromInline let side: Side
    /// Of what stands before each packet, in bytes.
    @usableFromInline let header: Int
    /// Bytes asked for in a read: one more than the largest packet, since the kernel cuts off what is longer, and the header.
    @usableFromInline let limit: Int
    @usableFromInline var pause = ReadPause()

    /// - Parameter largest: the largest packet, in bytes.
    init(_ descriptor: Int32, _ side: Side, header: Int, largest: Int) {
        self.descriptor = descriptor
        self.side = side
        self.header = header
        limit = largest + 1 + header
    }
}

/// The rest of a source whose read failed.
@usableFromInline
struct ReadPause {
    static let milliseconds: Int32 = 10
    /// When it ends, in nanoseconds of the monotonic clock; 0 where there is none.
    @usableFromInline var end: UInt64 = 0

    init() {}

    @usableFromInline var isUnset: Bool { end == 0 }

    /// Whether reads may go on; true as well where there is no pause.
    @inlinable
    var isOver: Bool {
        mutating get {
            if end == 0 { return true }
            if Self.now < end { return false }
            end = 0
            return true
        }
    }

    mutating func begin() { end = Self.now + UInt64(Self.milliseconds) * 1_000_000 }

    @usableFromInline static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

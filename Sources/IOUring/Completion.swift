// Completions, read in place from the queue that the kernel fills, in the order it filled it.

import CLiburing

/// What became of a request.
public struct Completion: BitwiseCopyable {
    /// What the request bore.
    public let userData: UInt64
    /// The call's result: a count of bytes, or a negative error number.
    public let result: Int32
    /// `IORING_CQE_F_` flags; the buffer's number in the upper half.
    public let flags: UInt32

    /// Whether the (multishot) request stays under way.
    @inlinable @inline(__always)
    public var hasMore: Bool { flags & UInt32(IORING_CQE_F_MORE) != 0 }

    /// Whether a provided buffer was used.
    @inlinable @inline(__always)
    public var hasBuffer: Bool { flags & UInt32(IORING_CQE_F_BUFFER) != 0 }

    /// The number of the provided buffer, where there is one.
    @inlinable @inline(__always)
    public var buffer: UInt16 { UInt16(truncatingIfNeeded: flags >> UInt32(CLIBURING_BUFFER_SHIFT)) }

    @inlinable @inline(__always)
    init(userData: UInt64, result: Int32, flags: UInt32) {
        self.userData = userData
        self.result = result
        self.flags = flags
    }
}

extension IOUring {
    /// How many completions lie unread.
    @inlinable @inline(__always)
    public var completionCount: UInt32 { io_uring_cq_ready(ring) }

    /// The unread completion at an offset below `completionCount`.
    @inlinable @inline(__always)
    public func completion(at offset: UInt32) -> Completion {
        let index = (ring.pointee.cq.khead.pointee &+ offset) & ring.pointee.cq.ring_mask
        let entry = ring.pointee.cq.cqes + Int(index)
        return Completion(userData: entry.pointee.user_data, result: entry.pointee.res, flags: entry.pointee.flags)
    }

    /// Gives the first `count` unread completions back to the kernel.
    @inlinable @inline(__always)
    public func removeCompletions(_ count: UInt32) { io_uring_cq_advance(ring, count) }

    /// Whether the kernel had more completions than fit; never, where the owner sized the ring by what it keeps under
    /// way.
    public var hasOverflowed: Bool { io_uring_cq_has_overflow(ring) }
}

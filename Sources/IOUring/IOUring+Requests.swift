// Requests and how they are handed over. Every request bears 64 bits of the caller's that come back in its completion.
// Multishot reads are prepared by hand (IORING_OP_READ_MULTISHOT, Linux 6.7): liburing 2.3 has no function for them.

import CLiburing

/// How long a timeout takes, as the kernel reads it: `tv_sec` and `tv_nsec`.
public typealias RequestDuration = __kernel_timespec

extension IOUring {
    /// A blank entry of the submission queue; where none is free the queue is submitted first. Nil where the kernel
    /// took nothing.
    @inlinable @inline(__always)
    func nextEntry() -> UnsafeMutablePointer<io_uring_sqe>? {
        if let entry = io_uring_get_sqe(ring) { return entry }
        _ = io_uring_submit(ring)
        return io_uring_get_sqe(ring)
    }

    /// Queues reads from a fixed file for as long as there are buffers in the group: one completion each. It has ended
    /// when a completion comes without `Completion.hasMore`.
    /// - Returns: false where the queue is full and the kernel takes nothing.
    @inlinable
    public func readMultishot(file: Int32, bufferGroup: UInt16, userData: UInt64) -> Bool {
        guard let entry = nextEntry() else { return false }
        io_uring_prep_rw(Int32(CLIBURING_OP_READ_MULTISHOT), entry, file, nil, 0, UInt64.max)
        entry.pointee.flags = UInt8(CLIBURING_FIXED_FILE) | UInt8(CLIBURING_BUFFER_SELECT)
        entry.pointee.buf_group = bufferGroup
        entry.pointee.user_data = userData
        return true
    }

    /// Queues one read of up to `count` bytes from a fixed file to an address that stays valid until it completes.
    /// - Returns: false where the queue is full and the kernel takes nothing.
    @inlinable
    public func read(file: Int32, into address: UnsafeMutableRawPointer, count: UInt32, userData: UInt64) -> Bool {
        guard let entry = nextEntry() else { return false }
        io_uring_prep_rw(Int32(CLIBURING_OP_READ), entry, file, address, count, UInt64.max)
        entry.pointee.flags = UInt8(CLIBURING_FIXED_FILE)
        entry.pointee.user_data = userData
        return true
    }

    /// Queues one write of `count` bytes to a fixed file from an address that stays valid until it completes.
    /// - Returns: false where the queue is full and the kernel takes nothing.
    @inlinable @inline(__always)
    public func write(file: Int32, from address: UnsafeRawPointer, count: UInt32, userData: UInt64) -> Bool {
        guard let entry = nextEntry() else { return false }
        io_uring_prep_rw(Int32(CLIBURING_OP_WRITE), entry, file, address, count, UInt64.max)
        entry.pointee.flags = UInt8(CLIBURING_FIXED_FILE)
        entry.pointee.user_data = userData
        return true
    }

    /// Queues one write to a fixed file of what some vectors hold, one behind the other. The vectors must stay until the request
    /// is submitted (IORING_FEAT_SUBMIT_STABLE), and what they point to until it completes.
    /// - Returns: false where the queue is full and the kernel takes nothing.
    public func write(file: Int32, vectors: UnsafeBufferPointer<iovec>, userData: UInt64) -> Bool {
        guard let entry = nextEntry() else { return false }
        let count = UInt32(truncatingIfNeeded: vectors.count)
        io_uring_prep_rw(Int32(CLIBURING_OP_WRITEV), entry, file, vectors.baseAddress, count, UInt64.max)
        entry.pointee.flags = UInt8(CLIBURING_FIXED_FILE)
        entry.pointee.user_data = userData
        return true
    }

    /// Queues a completion (`-ETIME`) that comes after a time. The pointee must stay valid until it is submitted.
    /// - Returns: false where the queue is full and the kernel takes nothing.
    public func timeout(_ duration: UnsafeMutablePointer<RequestDuration>, userData: UInt64) -> Bool {
        guard let entry = nextEntry() else { return false }
        io_uring_prep_rw(Int32(CLIBURING_OP_TIMEOUT), entry, -1, duration, 1, 0)
        entry.pointee.user_data = userData
        return true
    }

    /// Queues the cancellation of all requests under way; each completes, with `-ECANCELED` where it was still waiting.
    /// - Returns: false where the queue is full and the kernel takes nothing.
    public func cancelAll(userData: UInt64) -> Bool {
        guard let entry = nextEntry() else { return false }
        cliburing_prepare_cancel_all(entry)
        entry.pointee.user_data = userData
        return true
    }

    /// How many requests are queued and not submitted.
    @inlinable @inline(__always)
    public var queuedCount: UInt32 { io_uring_sq_ready(ring) }

    /// Submits what is queued and lets completions be posted, without waiting.
    /// - Returns: how many requests were taken, or a negative error number.
    @inlinable @inline(__always)
    public func submitAndGetEvents() -> Int32 { io_uring_submit_and_get_events(ring) }

    /// Submits what is queued and waits until the completion queue holds `completions` unread ones. A signal ends it
    /// early (`-EINTR`).
    /// - Returns: how many requests were taken, or a negative error number.
    @inlinable @inline(__always)
    public func submitAndWait(completions: UInt32) -> Int32 { io_uring_submit_and_wait(ring, completions) }
}

// A ring of io_uring(7): requests are written into a queue shared with the kernel, handed over by one system call for
// many of them, and their completions read from a second shared queue. This is an owner around liburing with what a
// packet loop needs: fixed files, buffers provided in a ring (`BufferRing`), multishot reads, and completions read
// without allocation. A ring is used by one thread: the one that enables it.

import CLiburing
import Glibc

/// An io_uring instance.
public struct IOUring: ~Copyable {
    /// On the heap, so that borrowing methods can pass it to liburing and the ring can be closed in a `deinit`.
    @usableFromInline let ring: UnsafeMutablePointer<io_uring>
    /// How many requests can wait for their submission.
    public let submissionCapacity: Int
    /// How many completions fit. The owner keeps fewer than that under way.
    public let completionCapacity: Int
    /// The `IORING_SETUP_` flags that the kernel took.
    public let setupFlags: UInt32

    /// What is asked for, the best first; older kernels refuse the newest flags (`EINVAL`).
    ///
    /// Completion work runs only when the thread asks for events (6.1) or at least not by interrupting it (5.19), a
    /// single thread submits (6.0), and one bad request doesn't hold up those behind it (5.18).
    static let setupFlagChoices: [UInt32] = [
        UInt32(IORING_SETUP_SINGLE_ISSUER) | UInt32(IORING_SETUP_DEFER_TASKRUN) | UInt32(IORING_SETUP_COOP_TASKRUN)
            | UInt32(IORING_SETUP_SUBMIT_ALL),
        UInt32(IORING_SETUP_SINGLE_ISSUER) | UInt32(IORING_SETUP_COOP_TASKRUN) | UInt32(IORING_SETUP_SUBMIT_ALL),
        UInt32(IORING_SETUP_COOP_TASKRUN) | UInt32(IORING_SETUP_SUBMIT_ALL),
        UInt32(IORING_SETUP_SUBMIT_ALL),
        0,
    ]

    /// A disabled ring: files and buffers can be registered from any thread, requests wait until `enable` is called
    /// on the thread that shall use it.
    /// - Parameters:
    ///   - submissionCapacity: requests queued between two submissions; rounded up to a power of two.
    ///   - completionCapacity: completions not yet read; rounded up to a power of two.
    /// - Throws: `IOUringError` with the call `setup`.
    public init(submissionCapacity: Int, completionCapacity: Int) throws(IOUringError) {
        try self.init(
            submissionCapacity: submissionCapacity, completionCapacity: completionCapacity,
            flagChoices: Self.setupFlagChoices)
    }

    init(submissionCapacity: Int, completionCapacity: Int, flagChoices: [UInt32]) throws(IOUringError) {
        precondition(submissionCapacity > 0 && completionCapacity >= submissionCapacity, "a ring has room")
        ring = .allocate(capacity: 1)
        ring.initialize(to: io_uring())
        var result = -EINVAL
        var parameters = io_uring_params()
        for flags in flagChoices {
            parameters = io_uring_params()
            parameters.flags = flags | UInt32(IORING_SETUP_CQSIZE) | UInt32(IORING_SETUP_R_DISABLED)
            parameters.cq_entries = UInt32(completionCapacity)
            result = io_uring_queue_init_params(UInt32(submissionCapacity), ring, &parameters)
            if result != -EINVAL { break }
        }
        guard result == 0 else {
            ring.deallocate()
            throw IOUringError(call: .setup, errorNumber: -result)
        }
        self.submissionCapacity = Int(parameters.sq_entries)
        self.completionCapacity = Int(parameters.cq_entries)
        setupFlags = parameters.flags
    }

    deinit {
        close()
        ring.deallocate()
    }

    /// Closes the ring; the kernel gives up what is under way in it. Requests whose memory must not be touched any more
    /// have to be cancelled and their completions awaited before. Nothing may be asked of the ring afterwards.
    public func close() {
        guard ring.pointee.ring_fd >= 0 else { return }
        io_uring_queue_exit(ring)
        ring.pointee.ring_fd = -1
    }

    /// Lets the ring take requests, from the calling thread.
    public func enable() throws(IOUringError) {
        let result = io_uring_register(
            UInt32(ring.pointee.ring_fd), UInt32(CLIBURING_REGISTER_ENABLE_RINGS), nil, 0)
        if result < 0 { throw IOUringError(call: .enable, errorNumber: -result) }
    }

    /// Makes descriptors known to the ring; requests name them by their place in the list. Once for each ring.
    public func registerFiles(_ descriptors: [Int32]) throws(IOUringError) {
        let result = io_uring_register_files(ring, descriptors, UInt32(descriptors.count))
        if result < 0 { throw IOUringError(call: .registerFiles, errorNumber: -result) }
    }

    /// Lets go of the descriptors that were registered, at once. A ring that is closed lets go of them only when the
    /// kernel gets round to it, and until then what they stand for stays open.
    public func unregisterFiles() { io_uring_unregister_files(ring) }

    /// Throws where the running kernel has no multishot reads.
    public func requireMultishotRead() throws(IOUringError) {
        guard let probe = io_uring_get_probe_ring(ring) else {
            throw IOUringError(call: .multishotRead, errorNumber: ENOSYS)
        }
        defer { io_uring_free_probe(probe) }
        guard io_uring_opcode_supported(probe, Int32(CLIBURING_OP_READ_MULTISHOT)) != 0 else {
            throw IOUringError(call: .multishotRead, errorNumber: EINVAL)
        }
    }
}

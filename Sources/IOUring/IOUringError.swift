// What io_uring answers when it can't be had, told so that an operator knows what to change.

import Glibc

/// A call of io_uring failed.
public struct IOUringError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was asked of the kernel.
    public enum Call: String, Sendable {
        /// Making a ring: `io_uring_setup(2)`.
        case setup = "making a ring"
        /// Letting a ring that was made disabled take requests.
        case enable = "enabling the ring"
        /// Registering descriptors with a ring.
        case registerFiles = "registering descriptors"
        /// Registering a ring of provided buffers.
        case registerBufferRing = "registering a buffer ring"
        /// An operation that the running kernel may not know.
        case multishotRead = "multishot reads"
        /// Handing requests over: `io_uring_enter(2)`.
        case submit = "submitting requests"
    }

    /// What was asked for.
    public let call: Call
    /// The kernel's error number, positive.
    public let errorNumber: Int32

    /// An error of one call.
    public init(call: Call, errorNumber: Int32) {
        self.call = call
        self.errorNumber = errorNumber
    }

    /// What failed, why, and what to do.
    public var description: String {
        let remedy: String
        switch (call, errorNumber) {
        case (.multishotRead, _):
            return "io_uring: this kernel has no multishot reads; they need Linux 6.7 or newer"
        case (.submit, EEXIST), (.enable, EEXIST):
            remedy = "a ring belongs to the thread that enabled it; use it there alone"
        case (.registerBufferRing, EINVAL):
            remedy = "this kernel has no provided buffer rings; they need Linux 5.19 or newer"
        case (_, EPERM), (_, ENOSYS), (_, EACCES):
            remedy =
                "io_uring is forbidden here; see the sysctl kernel.io_uring_disabled (0 allows it) and the seccomp "
                + "filter of the container or service"
        case (_, ENOMEM):
            remedy =
                "not enough memory that may be locked; raise the limit (ulimit -l, LimitMEMLOCK= of the service) or "
                + "take fewer packet slots"
        case (_, EMFILE), (_, ENFILE):
            remedy = "too many open files; raise the limit (ulimit -n, LimitNOFILE= of the service)"
        default:
            remedy = String(cString: strerror(errorNumber))
        }
        return "io_uring: \(call.rawValue) failed (error \(errorNumber)): \(remedy)"
    }
}

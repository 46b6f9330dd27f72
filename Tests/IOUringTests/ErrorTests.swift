// What is told where io_uring can't be had. The errors are the kernel's own, given by a filter on the test's thread.

import CLiburing
import Glibc
import TestThread
import Testing

@testable import IOUring

@Suite("io_uring refused", .enabled(if: RefusedCall.isAvailable, "\(RefusedCall.reason)"))
struct RefusedRingTests {
    /// The error of making what a port needs, where system calls are refused.
    static func error(_ calls: [RefusedCall]) throws -> IOUringError? {
        try TestThread(refusing: calls) { () -> IOUringError? in
            do throws(IOUringError) {
                let ring = try IOUring(submissionCapacity: 4, completionCapacity: 8)
                try ring.requireMultishotRead()
                try ring.registerFiles([0])
                _ = try BufferRing(ring: ring, group: 0, capacity: 4)
                try ring.enable()
                return nil
            } catch { return error }
        }.value()
    }

    @Test("A ring is refused", arguments: [EPERM, EACCES, ENOSYS, ENOMEM, EMFILE, EINVAL])
    func setup(errorNumber: Int32) throws {
        #expect(try Self.error([.ringSetup(errorNumber)]) == IOUringError(call: .setup, errorNumber: errorNumber))
    }

    @Test(
        "A part is refused",
        .enabled(if: RingAvailability.isAvailable, "\(RingAvailability.reason)"),
        arguments: [
            (RefusedCall.Operation.probe, IOUringError(call: .multishotRead, errorNumber: ENOSYS)),
            (.files, IOUringError(call: .registerFiles, errorNumber: EINVAL)),
            (.bufferRing, IOUringError(call: .registerBufferRing, errorNumber: EINVAL)),
            (.enable, IOUringError(call: .enable, errorNumber: EINVAL)),
        ])
    func part(operation: RefusedCall.Operation, expected: IOUringError) throws {
        #expect(try Self.error([.ringRegister(operation, EINVAL)]) == expected)
    }

    @Test(
        "Nothing is queued beyond the capacity where the kernel takes nothing",
        .enabled(if: RingAvailability.isAvailable, "\(RingAvailability.reason)"))
    func full() throws {
        let queued = try TestThread(refusing: [.ringEnter(EBUSY)]) {
            let pipe = Pipe()
            let ring = try RingTests.ring(pipe.input, submissionCapacity: 4)
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
            defer { memory.deallocate() }
            var duration = __kernel_timespec()
            let queued = (0..<6).filter { ring.write(file: 0, from: memory, count: 1, userData: UInt64($0)) }
            return [
                queued.count, Int(ring.queuedCount), ring.read(file: 0, into: memory, count: 1, userData: 0) ? 1 : 0,
                ring.readMultishot(file: 0, bufferGroup: 0, userData: 0) ? 1 : 0,
                ring.timeout(&duration, userData: 0) ? 1 : 0, ring.cancelAll(userData: 0) ? 1 : 0,
                Int(ring.submitAndWait(completions: 1)), Int(ring.submitAndGetEvents()),
            ]
        }.value()
        #expect(queued == [4, 4, 0, 0, 0, 0, -Int(EBUSY), -Int(EBUSY)])
    }
}

@Suite("io_uring errors")
struct IOUringErrorTests {
    @Test(
        "An error says what failed and what to do",
        arguments: [
            (IOUringError.Call.setup, EPERM, "making a ring", "kernel.io_uring_disabled"),
            (.setup, EACCES, "making a ring", "seccomp"),
            (.setup, ENOSYS, "making a ring", "kernel.io_uring_disabled"),
            (.setup, ENOMEM, "making a ring", "LimitMEMLOCK="),
            (.setup, EMFILE, "making a ring", "LimitNOFILE="),
            (.registerFiles, ENFILE, "registering descriptors", "ulimit -n"),
            (.registerBufferRing, EINVAL, "registering a buffer ring", "Linux 5.19"),
            (.registerBufferRing, ENOMEM, "registering a buffer ring", "fewer packet slots"),
            (.multishotRead, EINVAL, "multishot reads", "Linux 6.7"),
            (.multishotRead, ENOSYS, "multishot reads", "Linux 6.7"),
            (.submit, EEXIST, "submitting requests", "belongs to the thread"),
            (.enable, EEXIST, "enabling the ring", "belongs to the thread"),
            (.submit, EIO, "submitting requests", "Input/output error"),
        ])
    func sentence(call: IOUringError.Call, errorNumber: Int32, what: String, remedy: String) {
        let sentence = IOUringError(call: call, errorNumber: errorNumber).description
        #expect(sentence.hasPrefix("io_uring: "))
        #expect(sentence.contains(what))
        #expect(sentence.contains(remedy))
        #expect(!sentence.hasSuffix("."))
    }
}

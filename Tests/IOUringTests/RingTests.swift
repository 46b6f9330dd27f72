// The ring and its buffers on pipes and eventfds, where no privilege is needed.

import CLiburing
import Glibc
import TestThread
import Testing

@testable import IOUring

/// Whether rings with multishot reads can be made here, and why not.
enum RingAvailability {
    static let failure: IOUringError? = {
        do throws(IOUringError) {
            try IOUring(submissionCapacity: 1, completionCapacity: 2).requireMultishotRead()
            return nil
        } catch { return error }
    }()

    static var isAvailable: Bool { failure == nil }
    static var reason: String { failure?.description ?? "" }
}

/// A pipe that doesn't block, for a ring to read from or write to.
struct Pipe: ~Copyable {
    let output: Int32
    let input: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0, "a pipe")
        output = ends[0]
        input = ends[1]
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    }

    deinit {
        close(output)
        close(input)
    }

    /// Writes bytes that are read at once.
    func write(_ bytes: [UInt8]) {
        precondition(Glibc.write(input, bytes, bytes.count) == bytes.count, "the pipe is full")
    }
}

@Suite("io_uring", .enabled(if: RingAvailability.isAvailable, "\(RingAvailability.reason)"))
struct RingTests {
    /// An enabled ring for one descriptor.
    static func ring(
        _ descriptor: Int32, submissionCapacity: Int = 8, completionCapacity: Int = 64
    ) throws -> IOUring {
        let ring = try IOUring(submissionCapacity: submissionCapacity, completionCapacity: completionCapacity)
        try ring.registerFiles([descriptor])
        try ring.enable()
        return ring
    }

    /// Waits for completions and takes all there are.
    static func completions(_ ring: borrowing IOUring, atLeast count: UInt32) -> [Completion] {
        let result = ring.submitAndWait(completions: count)
        #expect(result >= 0)
        let completions = (0..<ring.completionCount).map { ring.completion(at: $0) }
        ring.removeCompletions(UInt32(completions.count))
        return completions
    }

    @Test("Capacities are rounded up to powers of two")
    func capacities() throws {
        let ring = try IOUring(submissionCapacity: 5, completionCapacity: 33)
        #expect(ring.submissionCapacity == 8)
        #expect(ring.completionCapacity == 64)
        #expect(ring.hasOverflowed == false)
    }

    @Test("Flags that the kernel doesn't know are given up for the next choice")
    func flagChoices() throws {
        let unknown: UInt32 = 1 << 31
        let submitAll = UInt32(IORING_SETUP_SUBMIT_ALL)
        let ring = try IOUring(
            submissionCapacity: 1, completionCapacity: 2, flagChoices: [unknown | submitAll, unknown, submitAll, 0])
        #expect(ring.setupFlags & unknown == 0)
        #expect(ring.setupFlags & submitAll != 0)
    }

    @Test("Where every choice is refused, the error is the last one's")
    func noFlagChoice() {
        #expect(throws: IOUringError(call: .setup, errorNumber: EINVAL)) {
            _ = try IOUring(submissionCapacity: 1, completionCapacity: 2, flagChoices: [1 << 31, 1 << 30])
        }
    }

    @Test("Each choice of flags makes a ring that reads", arguments: IOUring.setupFlagChoices)
    func eachFlagChoice(flags: UInt32) throws {
        let pipe = Pipe()
        // Kernels that lack these take a plainer choice; the ring must read all the same.
        let ring = try IOUring(submissionCapacity: 4, completionCapacity: 8, flagChoices: [flags, 0])
        try ring.registerFiles([pipe.output])
        try ring.enable()
        var buffers = try BufferRing(ring: ring, group: 3, capacity: 2)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 8)
        defer { memory.deallocate() }
        buffers.add(memory, length: 16, number: 9)
        buffers.publish()
        #expect(ring.readMultishot(file: 0, bufferGroup: 3, userData: 5) == true)
        pipe.write([1, 2, 3])
        let completions = Self.completions(ring, atLeast: 1)
        let first = try #require(completions.first)
        #expect((first.userData, first.result, first.hasBuffer, first.buffer) == (5, 3, true, 9))
        #expect(Array(UnsafeRawBufferPointer(start: memory, count: 3)) == [1, 2, 3])
    }

    @Test("Nothing is taken before the ring is enabled")
    func disabled() throws {
        let pipe = Pipe()
        let ring = try IOUring(submissionCapacity: 4, completionCapacity: 8)
        try ring.registerFiles([pipe.input])
        let text: [UInt8] = [7]
        text.withUnsafeBytes { text in
            #expect(ring.write(file: 0, from: text.baseAddress!, count: 1, userData: 1) == true)
            #expect(ring.submitAndGetEvents() == -EBADFD)
        }
    }

    @Test("A ring refuses every thread but the one that enabled it")
    func secondThread() throws {
        let shared = Handover(try IOUring(submissionCapacity: 4, completionCapacity: 8))
        guard shared.use({ $0.setupFlags & UInt32(IORING_SETUP_SINGLE_ISSUER) != 0 }) else {
            try Test.cancel("this kernel has no rings for a single thread; they need Linux 6.0")
        }
        try TestThread { try shared.use { try $0.enable() } }.value()
        let result = shared.use { $0.submitAndGetEvents() }
        #expect(result == -EEXIST)
        #expect(IOUringError(call: .submit, errorNumber: -result).description.contains("belongs to the thread"))
    }

    @Test("Writes happen in order, with their own user data, beyond the capacity of the queue")
    func writes() throws {
        let pipe = Pipe()
        let ring = try Self.ring(pipe.input, submissionCapacity: 4, completionCapacity: 64)
        let bytes: [UInt8] = Array(0..<20)
        let completions = bytes.withUnsafeBytes { bytes in
            for index in 0..<20 {
                #expect(
                    ring.write(file: 0, from: bytes.baseAddress! + index, count: 1, userData: UInt64(index)) == true)
            }
            #expect(ring.queuedCount <= 4)
            return Self.completions(ring, atLeast: 20)
        }
        #expect(completions.map(\.userData) == Array(0..<20))
        #expect(completions.allSatisfy { $0.result == 1 && !$0.hasBuffer && !$0.hasMore })
        var read = [UInt8](repeating: 0, count: 32)
        #expect(Glibc.read(pipe.output, &read, 32) == 20)
        #expect(Array(read[..<20]) == bytes)
    }

    @Test("A read completes with what comes after it was submitted")
    func read() throws {
        let pipe = Pipe()
        let ring = try Self.ring(pipe.output)
        var value: UInt64 = 0
        try withUnsafeMutablePointer(to: &value) { value in
            #expect(ring.read(file: 0, into: value, count: 8, userData: 77) == true)
            #expect(ring.submitAndGetEvents() == 1)
            #expect(ring.completionCount == 0)
            pipe.write([3, 0, 0, 0, 0, 0, 0, 0])
            let completion = try #require(Self.completions(ring, atLeast: 1).first)
            #expect((completion.userData, completion.result) == (77, 8))
            #expect(value.pointee == UInt64(littleEndian: 3))
        }
    }

    @Test("A timeout comes after its time")
    func timeout() throws {
        let pipe = Pipe()
        let ring = try Self.ring(pipe.output)
        var duration = __kernel_timespec(tv_sec: 0, tv_nsec: 2_000_000)
        let start = ContinuousClock.now
        #expect(ring.timeout(&duration, userData: 8) == true)
        let completion = try #require(Self.completions(ring, atLeast: 1).first)
        #expect(ContinuousClock.now - start >= .milliseconds(2))
        #expect((completion.userData, completion.result) == (8, -ETIME))
    }

    @Test("Cancelling ends all that waits and is itself told")
    func cancel() throws {
        let pipe = Pipe()
        let ring = try Self.ring(pipe.output)
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
        defer { buffer.deallocate() }
        for number in 1...3 { #expect(ring.read(file: 0, into: buffer, count: 8, userData: UInt64(number)) == true) }
        #expect(ring.cancelAll(userData: 99) == true)
        let completions = Self.completions(ring, atLeast: 4)
        #expect(Set(completions.map(\.userData)) == [1, 2, 3, 99])
        #expect(completions.filter { $0.userData != 99 }.allSatisfy { $0.result == -ECANCELED })
        // How many requests were cancelled (io_uring_prep_cancel(3)).
        #expect(completions.first { $0.userData == 99 }?.result == 3)
    }

    @Test("A ring that was closed is closed once")
    func closedOnce() throws {
        let count = try TestThread(hasOwnDescriptors: true) {
            let before = CurrentThread.descriptorCount
            do {
                let ring = try IOUring(submissionCapacity: 4, completionCapacity: 8)
                let during = CurrentThread.descriptorCount
                ring.close()
                // This takes the number that the ring had.
                let taken = open("/dev/null", O_RDONLY | O_CLOEXEC)
                defer { Glibc.close(taken) }
                ring.close()
                return [during - before, CurrentThread.descriptorCount - before]
            }
        }.value()
        #expect(count == [1, 1])
    }
}

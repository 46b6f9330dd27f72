// Provided buffers: the kernel takes them in the order in which they were added, each once.

import CLiburing
import Glibc
import TestThread
import Testing

@testable import IOUring

@Suite("Buffer rings", .enabled(if: RingAvailability.isAvailable, "\(RingAvailability.reason)"))
struct BufferRingTests {
    @Test(
        "Capacities are rounded up to powers of two",
        arguments: [(1, 1), (3, 4), (4, 4), (1000, 1024), (32_768, 32_768)])
    func capacity(asked: Int, given: Int) throws {
        let ring = try IOUring(submissionCapacity: 1, completionCapacity: 2)
        #expect(try BufferRing(ring: ring, group: 0, capacity: asked).capacity == given)
    }

    @Test("A group is registered once")
    func twice() throws {
        let ring = try IOUring(submissionCapacity: 1, completionCapacity: 2)
        let first = try BufferRing(ring: ring, group: 4, capacity: 2)
        #expect(throws: IOUringError(call: .registerBufferRing, errorNumber: EEXIST)) {
            _ = try BufferRing(ring: ring, group: 4, capacity: 2)
        }
        #expect(try BufferRing(ring: ring, group: 5, capacity: 2).group == 5)
        #expect(first.group == 4)
    }

    @Test("A multishot read without buffers ends with ENOBUFS and goes on where it was when armed again")
    func exhausted() throws {
        let pipe = Pipe()
        let ring = try RingTests.ring(pipe.output)
        var buffers = try BufferRing(ring: ring, group: 0, capacity: 2)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
        defer { memory.deallocate() }
        buffers.add(memory, length: 4, number: 0)
        buffers.add(memory + 4, length: 4, number: 1)
        buffers.publish()
        pipe.write(Array(0..<12))
        #expect(ring.readMultishot(file: 0, bufferGroup: 0, userData: 1) == true)
        var completions = RingTests.completions(ring, atLeast: 3)
        #expect(completions.map(\.result) == [4, 4, -ENOBUFS])
        #expect(completions.map(\.hasMore) == [true, true, false])
        #expect(completions.map(\.hasBuffer) == [true, true, false])
        #expect(Array(UnsafeRawBufferPointer(start: memory, count: 8)) == Array(0..<8))

        buffers.add(memory + 4, length: 4, number: 1)
        buffers.publish()
        #expect(ring.readMultishot(file: 0, bufferGroup: 0, userData: 2) == true)
        completions = RingTests.completions(ring, atLeast: 1)
        #expect(completions.first?.buffer == 1)
        #expect(completions.first?.result == 4)
        #expect(Array(UnsafeRawBufferPointer(start: memory + 4, count: 4)) == [8, 9, 10, 11])
    }

    @Test("Buffers are used in the order they were added, over many turns of the ring")
    func wraps() throws {
        let pipe = Pipe()
        let ring = try RingTests.ring(pipe.output)
        let count = 4
        var buffers = try BufferRing(ring: ring, group: 0, capacity: count)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 8)
        defer { memory.deallocate() }
        // The ring's tail has 16 bits: go beyond.
        var expected: [UInt16] = []
        for number in 0..<UInt16(count) {
            buffers.add(memory + Int(number), length: 1, number: number)
            expected.append(number)
        }
        buffers.publish()
        #expect(ring.readMultishot(file: 0, bufferGroup: 0, userData: 0) == true)
        var wrong = 0
        for turn in 0..<70_000 {
            let byte = UInt8(turn & 255)
            pipe.write([byte])
            guard ring.submitAndWait(completions: 1) >= 0, ring.completionCount == 1 else {
                Issue.record("turn \(turn): \(ring.completionCount) completions")
                return
            }
            let completion = ring.completion(at: 0)
            ring.removeCompletions(1)
            let number = expected.removeFirst()
            let read = (memory + Int(completion.buffer)).load(as: UInt8.self)
            if completion.buffer != number || completion.result != 1 || !completion.hasMore || read != byte {
                wrong += 1
            }
            buffers.add(memory + Int(number), length: 1, number: number)
            buffers.publish()
            expected.append(number)
        }
        #expect(wrong == 0)
    }
}

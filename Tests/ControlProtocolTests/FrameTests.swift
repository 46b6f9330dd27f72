import ControlTestServer
import NIOCore
import Testing

@testable import ControlProtocol

@Suite("Frames") struct FrameTests {
    private func feed(_ reader: inout ControlFrameReader, _ bytes: [UInt8]) {
        var buffer = ByteBuffer(bytes: bytes)
        reader.append(&buffer)
    }

    @Test("Frames come out whole however they are cut")
    func joinsPieces() throws {
        let frames: [[UInt8]] = [[1], [2, 3, 4, 5, 6], Array(repeating: 7, count: 300)]
        let stream = frames.flatMap(frame)
        for size in 1...stream.count {
            var reader = ControlFrameReader(limit: 300)
            var taken: [[UInt8]] = []
            for start in stride(from: 0, to: stream.count, by: size) {
                feed(&reader, Array(stream[start..<min(start + size, stream.count)]))
                while let next = try reader.next() { taken.append(Array(next.readableBytesView)) }
            }
            #expect(taken == frames, "in pieces of \(size)")
            #expect(reader.pending == 0)
        }
    }

    @Test("A frame of length 0 or above the limit is refused before its bytes are there")
    func refusesLengths() throws {
        var reader = ControlFrameReader(limit: 10)
        feed(&reader, [0, 0, 0, 0])
        #expect(throws: ControlFrameReader.Failure.self) { try reader.next() }
        reader = ControlFrameReader(limit: 10)
        feed(&reader, [0, 0, 0, 11])
        let error = #expect(throws: ControlFrameReader.Failure.self) { try reader.next() }
        #expect(error?.description.hasPrefix("a frame of 11 bytes, where 10 is the limit") == true)
        reader = ControlFrameReader(limit: 10)
        feed(&reader, [255, 255, 255, 255])
        #expect(throws: ControlFrameReader.Failure.self) { try reader.next() }
    }

    @Test("What waits is bounded, and told in order, with the number of the lost where they were lost")
    func queuesEvents() {
        func event(_ time: UInt64) -> ControlEvent {
            var event = ControlEvent()
            event.time = time
            event.security = ControlSecurityEvent()
            return event
        }
        var queue = ControlEventQueue(limit: 4)
        for time in 1...10 as ClosedRange<UInt64> { queue.append(event(time)) }
        #expect(queue.popFirst()?.time == 1)
        #expect(queue.popFirst()?.time == 2)
        // Two wait, which is more than half with the notice: this one is lost too.
        queue.append(event(11))
        #expect(queue.popFirst()?.time == 3)
        queue.append(event(12))
        #expect(queue.popFirst()?.time == 4)
        let notice = queue.popFirst()
        #expect(notice?.lost == 7)
        #expect(notice?.time == 11)
        #expect(queue.popFirst()?.time == 12)
        #expect(queue.popFirst() == nil)
        for time in 20...25 as ClosedRange<UInt64> { queue.append(event(time)) }
        for time in 20...23 as ClosedRange<UInt64> { #expect(queue.popFirst()?.time == time) }
        #expect(queue.popFirst()?.lost == 2)
        #expect(queue.popFirst() == nil)
    }
}

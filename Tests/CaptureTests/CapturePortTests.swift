import Capture
import Foundation
import PacketBuffer
import TestSupport
import Testing

/// Keeps what it is given, until it refuses.
private final class Kept: CaptureSink {
    struct Packet: Hashable {
        let bytes: [UInt8]
        let time: UInt64
        let side: Side
    }

    var packets: [Packet] = []
    var limit = Int.max

    func write(_ packet: UnsafeRawBufferPointer, time: UInt64, to side: Side) throws(CaptureError) {
        guard packets.count < limit else { throw CaptureError("the sink is full") }
        packets.append(Packet(bytes: Array(packet), time: time, side: side))
    }
}

@Suite("Captures as a port") struct CapturePortTests {
    private static let second: UInt64 = 1_000_000_000

    /// A packet of a byte that tells it from others.
    private static func record(_ seconds: UInt32, _ mark: UInt8) -> [UInt8] {
        CaptureFiles.pcapRecord([0x60, mark], seconds: seconds)
    }

    private func withReaders(
        home: [UInt8]?, access: [UInt8]?, _ body: (CaptureReader?, CaptureReader?) throws -> Void
    ) async throws {
        try await TemporaryDirectory.with { directory in
            func reader(_ name: String, _ records: [UInt8]?) throws -> CaptureReader? {
                guard let records else { return nil }
                let path = directory + "/" + name
                try Data(CaptureFiles.pcapHeader() + records).write(to: URL(fileURLWithPath: path))
                return try CaptureReader(path: path)
            }
            try body(reader("home", home), reader("access", access))
        }
    }

    /// The marks of the packets of each batch, with the port's time and clock in seconds.
    private func batches(
        _ home: CaptureReader?, _ access: CaptureReader?, capacity: Int
    ) throws -> [(marks: [UInt8], side: Side, time: UInt64, clock: UInt64)] {
        var port = try CapturePort(home: home, access: access, batchCapacity: capacity, sink: Kept())
        var batch = PacketBatch(capacity: capacity)
        var result: [(marks: [UInt8], side: Side, time: UInt64, clock: UInt64)] = []
        while !port.isAtEnd {
            try port.receive(into: &batch, wait: false)
            let marks = (0..<batch.count).map { batch[$0].bytes[1] }
            let sides = Set((0..<batch.count).map { batch[$0].ingress })
            #expect(sides.count == 1)
            result.append((marks, batch[0].ingress, port.time / Self.second, port.clock / Self.second))
            port.complete(&batch)
            let left = batch.count
            #expect(left == 0)
        }
        return result
    }

    @Test("batches are of one time and one side, home first where times are equal, and no larger than they may be")
    func order() async throws {
        let home = Self.record(2, 1) + Self.record(2, 2) + Self.record(2, 3) + Self.record(5, 4)
        let access = Self.record(1, 5) + Self.record(2, 6) + Self.record(2, 7) + Self.record(7, 8)
        for (capacity, expected) in [
            (256, [[5], [1, 2, 3], [6, 7], [4], [8]]), (2, [[5], [1, 2], [3], [6, 7], [4], [8]]),
            (1, [[5], [1], [2], [3], [6], [7], [4], [8]]),
        ] as [(Int, [[UInt8]])] {
            try await withReaders(home: home, access: access) { home, access in
                let batches = try batches(home, access, capacity: capacity)
                #expect(batches.map(\.marks) == expected)
                #expect(batches.first?.side == .access && batches.last?.side == .access)
            }
        }
    }

    @Test("where times run backwards the file's order counts, packets keep their times, and the clock stands still")
    func backwards() async throws {
        let home = Self.record(5, 1) + Self.record(3, 2) + Self.record(4, 3) + Self.record(6, 4)
        try await withReaders(home: home, access: nil) { home, access in
            let batches = try batches(home, access, capacity: 8)
            #expect(batches.map(\.marks) == [[1], [2], [3], [4]])
            #expect(batches.map(\.time) == [5, 3, 4, 6])
            #expect(batches.map(\.clock) == [5, 5, 5, 6])
        }
    }

    @Test("packets go to the sink with their time, and slots come back: many more packets than slots pass")
    func complete() async throws {
        let marks = (0..<100).map { UInt8($0) }
        try await withReaders(home: marks.flatMap { Self.record(9, $0) }, access: nil) { home, _ in
            let sink = Kept()
            var port = try CapturePort(home: home, access: nil, batchCapacity: 4, sink: sink)
            var batch = PacketBatch(capacity: 4)
            while !port.isAtEnd {
                try port.receive(into: &batch, wait: true)
                for index in 0..<batch.count {
                    let mark = batch[index].bytes[1]
                    batch[index].verdict = mark % 3 == 0 ? .transmitHome : mark % 3 == 1 ? .transmitAccess : .release
                }
                port.complete(&batch)
            }
            try port.receive(into: &batch, wait: true)
            let left = batch.count
            #expect(left == 0)
            #expect(
                sink.packets
                    == marks.filter { $0 % 3 != 2 }.map {
                        Kept.Packet(bytes: [0x60, $0], time: 9 * Self.second, side: $0 % 3 == 0 ? .home : .access)
                    })
            #expect(port.frameCount == 100)
        }
    }

    @Test("a sink that takes no more ends the port, and is not asked again")
    func sinkFails() async throws {
        try await withReaders(home: (0..<9).flatMap { Self.record(9, $0) }, access: nil) { home, _ in
            let sink = Kept()
            sink.limit = 1
            var port = try CapturePort(home: home, access: nil, batchCapacity: 3, sink: sink)
            var batch = PacketBatch(capacity: 3)
            try port.receive(into: &batch, wait: false)
            for index in 0..<3 { batch[index].verdict = .transmitHome }
            port.complete(&batch)
            sink.limit = 9
            do throws(PortError) {
                try port.receive(into: &batch, wait: false)
                Issue.record("the error was lost")
            } catch {
                #expect(error.description == "the sink is full")
            }
            #expect(sink.packets.count == 1)
        }
    }

    @Test("frames without IP, cut frames and those larger than a slot are counted by side")
    func counts() async throws {
        let cut = CaptureFiles.pcapRecord([0x60, 1], wire: 60)
        let large = CaptureFiles.pcapRecord([UInt8](repeating: 0x60, count: 66_000))
        try await withReaders(home: cut + large, access: large + large + cut + cut) { home, access in
            var port = try CapturePort(home: home, access: access, batchCapacity: 8, sink: Kept())
            var batch = PacketBatch(capacity: 8)
            while !port.isAtEnd {
                try port.receive(into: &batch, wait: false)
                port.complete(&batch)
            }
            #expect(port.receiveFailures == PortFailures(home: 1, access: 2))
            #expect(port.cutFrames == 3)
            #expect(port.framesWithoutIP == PortFailures())
        }
    }
}

extension PortFailures {
    fileprivate init(home: UInt64, access: UInt64) {
        self.init()
        (self.home, self.access) = (home, access)
    }
}

import Capture
import Foundation
import TestSupport
import Testing

@Suite("Reading captures") struct CaptureReaderTests {
    typealias Files = CaptureFiles
    private static let packet: [UInt8] = [0x60, 1, 2, 3, 4]

    @Test("a damaged pcap file is refused with the byte at which it is damaged, and what comes before it is read")
    func damagedPcap() async throws {
        let header = Files.pcapHeader()
        let good = Files.pcapRecord(Self.packet)
        let cases: [(bytes: [UInt8], frames: Int, error: String)] = [
            ([], 0, "FILE: is empty, which no capture is"),
            ([1, 2, 3], 0, "FILE: is neither pcap nor pcapng"),
            (Array("#!/bin/sh\n".utf8), 0, "FILE: is neither pcap nor pcapng"),
            ([0x1F, 0x8B, 8, 0], 0, "FILE: is compressed: use gunzip(1) first"),
            (
                Array(header.prefix(23)), 0,
                "FILE: byte 0: the file ends within the file header: 24 bytes belong here, 23 are there"
            ),
            (Files.pcapHeader(major: 3), 0, "FILE: byte 24: version 3 of pcap is not known"),
            (
                Files.pcapHeader(linkType: 105), 0,
                "FILE: link type 105 can't be read; these can: \(LinkLayer.supported)"
            ),
            (
                header + good + [0], 1,
                "FILE: byte 45: the file ends within the header of a packet: 16 bytes belong here, 1 are there"
            ),
            (
                header + good + good.dropLast(), 1,
                "FILE: byte 61: the file ends within a packet: 5 bytes belong here, 4 are there"
            ),
            (
                header + Files.pcapRecord([], length: 262_145), 0,
                "FILE: byte 40: a packet of 262145 bytes; 262144 are possible"
            ),
            (
                header + good + Files.pcapRecord([], length: .max), 1,
                "FILE: byte 61: a packet of 4294967295 bytes; 262144 are possible"
            ),
            (
                header + Files.pcapRecord([], seconds: .max, fraction: 1_000_000), 0,
                "FILE: byte 40: a packet of a time later than 2106"
            ),
        ]
        for (bytes, count, message) in cases {
            let (frames, error) = try await Files.read(bytes)
            #expect(error?.description == message)
            #expect(frames.count == count, "\(message)")
        }
    }

    @Test("a damaged pcapng file is refused with the byte at which it is damaged")
    func damagedPcapng() async throws {
        let start = Files.section() + Files.interface()
        let tooMany = (0...4096).flatMap { _ in Files.interface() }
        let cases: [(bytes: [UInt8], error: String)] = [
            (
                Array(Files.section().prefix(15)),
                "FILE: byte 0: the file ends within a section header: 16 bytes belong here, 15 are there"
            ),
            (Files.section(order: 0x1234_5678), "FILE: byte 0: a section without a byte order"),
            (Files.section(major: 2), "FILE: byte 0: version 2 of pcapng is not known"),
            (
                Files.block(0x0A0D_0D0A, Files.little(UInt32(0x1A2B_3C4D))),
                "FILE: byte 0: a section header of fewer than 28 bytes"
            ),
            (
                Files.section() + Files.interface(147),
                "FILE: link type 147 can't be read; these can: \(LinkLayer.supported)"
            ),
            (Files.section() + Files.packet(Self.packet), "FILE: byte 56: a packet of interface 0, where there are 0"),
            (
                start + Files.packet(Self.packet, interface: 1),
                "FILE: byte 76: a packet of interface 1, where there are 1"
            ),
            (
                start + Files.packet(Self.packet, length: 9),
                "FILE: byte 76: a packet of 9 bytes in a block that has 8 for it"
            ),
            (
                start + Files.packet(Self.packet, units: .max),
                "FILE: byte 76: a packet of a time before 1970 or later than 2106"
            ),
            (start + Files.block(99, [], length: 8), "FILE: byte 56: a block of 8 bytes, which can't be"),
            (start + Files.block(99, [], length: 13), "FILE: byte 56: a block of 13 bytes, which can't be"),
            (start + Files.block(99, [], length: 0), "FILE: byte 56: a block of 0 bytes, which can't be"),
            (
                start + Files.block(99, [], length: 0x8000_0000),
                "FILE: byte 56: the file ends within a block: 65536 bytes belong here, 4 are there"
            ),
            (start + Files.block(99, [], trailer: 16), "FILE: byte 60: a block says 12 bytes before and 16 behind"),
            (start + Files.block(6, [0, 0, 0, 0]), "FILE: byte 56: a packet's block of 4 bytes, which can't be"),
            (
                Files.section() + Files.block(1, [101, 0, 0, 0]),
                "FILE: byte 36: an interface of 4 bytes, which can't be"
            ),
            (
                Files.section() + Files.interface(options: [9, 0, 8, 0]),
                "FILE: byte 48: an option of an interface is cut off"
            ),
            (Files.section() + tooMany, "FILE: byte 81956: more than 4096 interfaces"),
        ]
        for (bytes, message) in cases {
            let (frames, error) = try await Files.read(bytes)
            #expect(error?.description == message)
            #expect(frames.isEmpty, "\(message)")
        }
    }

    @Test("wherever a file is cut off, what came before is read, and the rest is an error unless a packet ends there")
    func truncated() async throws {
        let pieces = (0..<3).map { Files.pcapRecord([0x60] + [UInt8](repeating: 7, count: $0)) }
        let blocks = [
            Files.section(), Files.interface(), Files.packet(Self.packet), Files.block(5, [1, 2]), Files.packet([0x45]),
        ]
        for (parts, counts) in [([Files.pcapHeader()] + pieces, [0, 0, 1, 2, 3]), (blocks, [0, 0, 0, 1, 1, 2])] {
            let whole = parts.flatMap(\.self)
            let ends = parts.indices.map { parts[...$0].reduce(0) { $0 + $1.count } }
            for length in 1...whole.count {
                let (frames, error) = try await Files.read(Array(whole.prefix(length)))
                let complete = ends.count { $0 <= length }
                #expect(frames.count == counts[complete], "\(length) bytes")
                #expect((error == nil) == ends.contains(length), "\(length) bytes: \(error?.description ?? "no error")")
            }
        }
    }

    @Test("frames of the largest size are read across the buffer's end, and none is changed by the next")
    func large() async throws {
        var generator = SeededGenerator(seed: 5454)
        let sizes = [0, 1, 262_144, 262_143, 65_536, 262_144, 4096, 262_144, 262_144, 17]
        let frames = sizes.map { size in (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) } }
        let pcap = Files.pcapHeader() + frames.flatMap { Files.pcapRecord($0) }
        let pcapng = Files.section() + Files.interface() + frames.flatMap { Files.packet($0) }
        for file in [pcap, pcapng] {
            let (read, error) = try await Files.read(file)
            #expect(error == nil)
            #expect(read.map(\.bytes) == frames)
        }
    }

    @Test("a pipe is read as a file is")
    func pipe() async throws {
        let file = Files.pcapHeader() + (0..<5000).flatMap { Files.pcapRecord([0x60, UInt8($0 & 255)]) }
        try await TemporaryDirectory.with { directory in
            let path = directory + "/pipe"
            try #require(mkfifo(path, 0o600) == 0)
            async let written: Void = Task.detached {
                let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
                try handle.write(contentsOf: Data(file))
                try handle.close()
            }.value
            let reader = try CaptureReader(path: path)
            var count = 0
            while let frame = try reader.next() {
                #expect(frame.bytes[1] == UInt8(count & 255))
                count += 1
            }
            try await written
            #expect(count == 5000)
            #expect(reader.progress == 0)
        }
    }

    @Test("a fraction of more than a second is carried over; a snapshot length of simple packets cuts them")
    func times() async throws {
        let (frames, error) = try await Files.read(
            Files.pcapHeader() + Files.pcapRecord([], seconds: 5, fraction: 2_500_000, wire: 60)
                + Files.pcapRecord([], seconds: .max, fraction: 999_999))
        #expect(error == nil)
        #expect(frames.map(\.time) == [7_500_000_000, CaptureReader.timeLimit - 999])
        #expect(frames.map(\.originalLength) == [60, 0])
    }

    @Test("a clock's resolution may be anything", arguments: 0...255 as ClosedRange<UInt8>)
    func resolution(_ value: UInt8) async throws {
        let options = Files.little(UInt16(9)) + Files.little(UInt16(1)) + [value, 0, 0, 0]
        let (frames, error) = try await Files.read(
            Files.section() + Files.interface(options: options) + Files.packet([], units: 1 << 33))
        let exponent = Double(value & 0x7F)
        let seconds = Double(1 << 33) / pow(value & 0x80 == 0 ? 10 : 2, exponent)
        if seconds > 4_294_967_295 {
            #expect(error?.description.contains("later than 2106") == true)
        } else {
            #expect(error == nil)
            #expect(abs(Double(try #require(frames.first).time) - seconds * 1e9) <= max(1, seconds))
        }
    }

    @Test("an offset before 1970 is an error, and one that gets there again is not")
    func offset() async throws {
        func file(_ seconds: Int64, units: UInt64) -> [UInt8] {
            let options = Files.little(UInt16(14)) + Files.little(UInt16(8)) + Files.little(seconds)
            return Files.section() + Files.interface(options: options) + Files.packet([], units: units)
        }
        #expect(try await Files.read(file(-2, units: 3_000_000)).frames.map(\.time) == [1_000_000_000])
        for seconds in [-4, .min, .max] as [Int64] {
            let error = try await Files.read(file(seconds, units: 3_000_000)).error
            #expect(error?.description.contains("a packet of a time") == true, "\(seconds)")
        }
    }
}

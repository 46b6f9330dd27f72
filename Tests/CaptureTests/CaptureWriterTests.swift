import Capture
import Foundation
import TestSupport
import Testing

@Suite("Writing captures") struct CaptureWriterTests {
    private static let packets: [(time: UInt64, bytes: [UInt8])] = [
        (1_700_000_000_123_456_789, [0x60] + [UInt8](repeating: 0, count: 39)), (0, []),
        (CaptureReader.timeLimit, [0x45]),
        (1_000_000_000, [UInt8](repeating: 0x66, count: 65_575)),
    ]

    private func write(_ path: String, hasNanoseconds: Bool) throws {
        let writer = try CaptureWriter(path: path, hasNanoseconds: hasNanoseconds)
        for packet in Self.packets { try packet.bytes.withUnsafeBytes { try writer.write($0, time: packet.time) } }
        try writer.close()
    }

    @Test("another program reads what was written: link type, times and bytes", arguments: [true, false])
    func isRead(hasNanoseconds: Bool) async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/written.pcap"
            try write(path, hasNanoseconds: hasNanoseconds)
            let result = try await Program.run(
                ["tshark", "-nr", path, "-T", "fields"]
                    + ["frame.encap_type", "frame.time_epoch", "frame.cap_len", "frame.len"].flatMap { ["-e", $0] })
            let expected = Self.packets.map { time, bytes in
                let fraction = "\(time % 1_000_000_000 + 1_000_000_000)".dropFirst()
                let digits = hasNanoseconds ? fraction : fraction.prefix(6) + "000"
                // 7 is raw IP to tshark.
                return "7\t\(time / 1_000_000_000).\(digits)\t\(bytes.count)\t\(bytes.count)"
            }
            #expect(result.output.split(separator: "\n").map(String.init) == expected, "\(result.errorOutput)")
            let written = try Array(Data(contentsOf: URL(fileURLWithPath: path)))
            let records = Self.packets.flatMap { time, bytes in
                CaptureFiles.pcapRecord(
                    bytes, seconds: UInt32(time / 1_000_000_000),
                    fraction: UInt32(time % 1_000_000_000 / (hasNanoseconds ? 1 : 1000)))
            }
            #expect(written.dropFirst(24).elementsEqual(records))
        }
    }

    @Test("a file that can't be made or written is an error that names it")
    func fails() async throws {
        #expect(throws: CaptureError("/nonexistent/x: can't be written: No such file or directory")) {
            try CaptureWriter(path: "/nonexistent/x", hasNanoseconds: false)
        }
        #expect(throws: CaptureError("/dev/full: can't be written: No space left on device")) {
            try write("/dev/full", hasNanoseconds: false)
        }
        #expect(throws: CaptureError("/nonexistent: can't be read: No such file or directory")) {
            try CaptureReader(path: "/nonexistent")
        }
        #expect(throws: CaptureError("/tmp: byte 0: can't be read: Is a directory")) { try CaptureReader(path: "/tmp") }
    }
}

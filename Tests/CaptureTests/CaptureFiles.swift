// Capture files made by hand, byte by byte, and the inputs of the golden cases, which scapy made.

import Capture
import Foundation
import TestSupport

enum CaptureFiles {
    /// What a reader found in a file.
    struct Frame: Hashable {
        var time: UInt64
        var bytes: [UInt8]
        var originalLength: Int
        var linkLayer: LinkLayer
    }

    /// Reads a whole file. What was read before an error comes with it.
    static func read(_ bytes: [UInt8]) async throws -> (frames: [Frame], error: CaptureError?) {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/capture"
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            var frames: [Frame] = []
            do throws(CaptureError) {
                let reader = try CaptureReader(path: path)
                while let frame = try reader.next() {
                    frames.append(
                        Frame(
                            time: frame.time, bytes: Array(frame.bytes), originalLength: frame.originalLength,
                            linkLayer: frame.linkLayer))
                }
                return (frames, nil)
            } catch {
                return (frames, CaptureError(error.description.replacing(path, with: "FILE")))
            }
        }
    }

    /// The inputs of all golden cases that are at most so many bytes long, in a fixed order.
    static func golden(limit: Int) throws -> [[UInt8]] {
        let root = Repository.root.appendingPathComponent("Tests/Golden")
        let folders = try FileManager.default.contentsOfDirectory(atPath: root.path).sorted()
        return folders.flatMap { folder in
            ["home-in.pcap", "access-in.pcap"].compactMap { name in
                try? Array(Data(contentsOf: root.appendingPathComponent("\(folder)/\(name)")))
            }
        }.filter { $0.count <= limit }
    }

    // MARK: Pieces

    static func little(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian, Array.init)
    }

    static func pcapHeader(linkType: UInt32 = 101, magic: UInt32 = 0xA1B2_C3D4, major: UInt16 = 2) -> [UInt8] {
        little(magic) + little(major) + little(UInt16(4)) + little(UInt64(0)) + little(UInt32(65535))
            + little(linkType)
    }

    static func pcapRecord(
        _ bytes: [UInt8], seconds: UInt32 = 1, fraction: UInt32 = 0, length: UInt32? = nil, wire: UInt32? = nil
    ) -> [UInt8] {
        let count = UInt32(bytes.count)
        return little(seconds) + little(fraction) + little(length ?? count) + little(wire ?? count) + bytes
    }

    static func block(_ type: UInt32, _ body: [UInt8], length: UInt32? = nil, trailer: UInt32? = nil) -> [UInt8] {
        let padded = body + [UInt8](repeating: 0, count: -body.count & 3)
        let count = length ?? UInt32(padded.count + 12)
        return little(type) + little(count) + padded + little(trailer ?? count)
    }

    static func section(order: UInt32 = 0x1A2B_3C4D, major: UInt16 = 1) -> [UInt8] {
        block(0x0A0D_0D0A, little(order) + little(major) + little(UInt16(0)) + little(Int64(-1)))
    }

    static func interface(_ linkType: UInt16 = 101, options: [UInt8] = []) -> [UInt8] {
        block(1, little(linkType) + little(UInt16(0)) + little(UInt32(0)) + options)
    }

    static func packet(
        _ bytes: [UInt8], interface: UInt32 = 0, units: UInt64 = 1_000_000, length: UInt32? = nil
    ) -> [UInt8] {
        let count = length ?? UInt32(bytes.count)
        let padding = [UInt8](repeating: 0, count: -bytes.count & 3)
        return block(
            6,
            little(interface) + little(UInt32(units >> 32)) + little(UInt32(truncatingIfNeeded: units))
                + little(count) + little(count) + bytes + padding)
    }
}

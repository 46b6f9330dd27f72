// Compares packets that come out with those of captures, as they come, and keeps the first difference.

import Capture
import PacketBuffer

/// A sink that compares.
final class PacketComparison: CaptureSink {
    /// What is expected of one side.
    private struct Expected {
        let name: String
        let reader: CaptureReader?

        /// The next packet; nil where none is expected.
        func next() throws(CaptureError) -> CapturedFrame? { try reader?.next() }
    }

    private let home: Expected
    private let access: Expected
    private var counts = PortFailures()
    private var difference: String?

    /// Compares with two captures; nil where nothing is expected.
    init(home: String?, access: String?) throws(CaptureError) {
        self.home = Expected(name: "home-out.pcap", reader: try Self.reader(home))
        self.access = Expected(name: "access-out.pcap", reader: try Self.reader(access))
    }

    private static func reader(_ path: String?) throws(CaptureError) -> CaptureReader? {
        guard let path else { return nil }
        return try CaptureReader(path: path)
    }

    func write(_ packet: UnsafeRawBufferPointer, time: UInt64, to side: Side) throws(CaptureError) {
        guard difference == nil else { return }
        if side == .home { counts.home += 1 } else { counts.access += 1 }
        let expected = side == .home ? home : access
        let place = "\(expected.name): packet \(side == .home ? counts.home : counts.access)"
        guard let frame = try expected.next() else {
            return difference = "\(place): none is expected here\(Self.line("found", packet, from: 0))"
        }
        let wanted = frame.linkLayer.packet(in: frame.bytes) ?? frame.bytes
        guard wanted.elementsEqual(packet) else {
            let offset =
                zip(wanted, packet).enumerated().first { $1.0 != $1.1 }?.offset ?? min(wanted.count, packet.count)
            difference =
                "\(place), byte \(offset) (\(wanted.count) bytes expected, \(packet.count) found)"
                + Self.line("expected", wanted, from: offset) + Self.line("found   ", packet, from: offset)
            return
        }
        if frame.time != time {
            difference = "\(place): time \(Self.text(frame.time)) expected, \(Self.text(time)) found"
        }
    }

    /// The first difference; nil where there is none.
    func finish() throws(CaptureError) -> String? {
        for (expected, count) in [(home, counts.home), (access, counts.access)] where difference == nil {
            if let frame = try expected.next() {
                difference =
                    "\(expected.name): packet \(count + 1): is missing\(Self.line("expected", frame.bytes, from: 0))"
            }
        }
        return difference
    }

    /// Sixteen bytes in hexadecimal digits, with the offset of the first.
    private static func line(_ name: String, _ bytes: UnsafeRawBufferPointer, from offset: Int) -> String {
        let digits = bytes[offset...].prefix(16).map { Self.hexadecimal(Int($0), digits: 2) }.joined(separator: " ")
        return "\n    \(name) \(Self.hexadecimal(offset, digits: 4)): \(digits.isEmpty ? "(its end)" : digits)"
    }

    private static func hexadecimal(_ value: Int, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// Seconds since 1970 with nine digits behind the point.
    private static func text(_ time: UInt64) -> String {
        let fraction = "\(time % 1_000_000_000)"
        return "\(time / 1_000_000_000).\(String(repeating: "0", count: 9 - fraction.count))\(fraction)"
    }
}

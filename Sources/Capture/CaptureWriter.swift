// Writes pcap of link type raw IP, in the byte order of the host, through a buffer of fixed size.

import Glibc

/// A capture file that is written.
public final class CaptureWriter {
    private static let capacity = 1 << 16

    private let path: String
    private let hasNanoseconds: Bool
    private var descriptor: CInt
    private var buffer: [UInt8] = []

    /// Makes a file, or overwrites it, and begins it with its header.
    /// - Parameter hasNanoseconds: whether times are written in nanoseconds; else they are cut to microseconds, which
    ///   more programs can read.
    public init(path: String, hasNanoseconds: Bool) throws(CaptureError) {
        self.path = path
        self.hasNanoseconds = hasNanoseconds
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw CaptureError("\(path): can't be written: \(String(cString: strerror(errno)))")
        }
        buffer.reserveCapacity(2 * Self.capacity)
        append(UInt32(hasNanoseconds ? 0xA1B2_3C4D : 0xA1B2_C3D4))
        append(UInt16(2))
        append(UInt16(4))
        append(UInt64(0))
        append(UInt32(CaptureReader.frameLimit))
        append(UInt32(101))
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// Writes a packet.
    /// - Parameter time: in nanoseconds since 1970.
    public func write(_ packet: UnsafeRawBufferPointer, time: UInt64) throws(CaptureError) {
        precondition(time <= CaptureReader.timeLimit && packet.count <= CaptureReader.frameLimit)
        append(UInt32(time / 1_000_000_000))
        append(UInt32(time % 1_000_000_000 / (hasNanoseconds ? 1 : 1000)))
        append(UInt32(packet.count))
        append(UInt32(packet.count))
        buffer.append(contentsOf: packet)
        if buffer.count >= Self.capacity { try flush() }
    }

    /// Writes what is left, and closes the file. To be called once; without it the file may be incomplete.
    public func close() throws(CaptureError) {
        try flush()
        let result = Glibc.close(descriptor)
        descriptor = -1
        guard result == 0 else { throw failure() }
    }

    private func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { buffer.append(contentsOf: $0) }
    }

    private func flush() throws(CaptureError) {
        var written = 0
        while written < buffer.count {
            let count = buffer[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { written += count } else if errno != EINTR { throw failure() }
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private func failure() -> CaptureError {
        CaptureError("\(path): can't be written: \(String(cString: strerror(errno)))")
    }
}

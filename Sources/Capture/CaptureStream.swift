// The bytes of a capture file, in their order, through a buffer of fixed size: files of any length, and pipes. It knows
// how far it has come, so that an error can say where.

import Glibc

/// A file that is read from its beginning to its end.
final class CaptureStream {
    /// The most bytes that can be asked for at once.
    static let limit = CaptureReader.frameLimit + 4096
    private static let capacity = limit + 65_536

    let path: String
    /// Whole size in bytes; 0 where it is no regular file.
    let size: Int
    /// Bytes that were consumed.
    private(set) var offset = 0

    private let descriptor: CInt
    private let buffer: UnsafeMutableRawPointer
    /// What was read and not yet consumed.
    private var unread = 0..<0
    private var isAtEnd = false

    /// Opens a file.
    init(path: String) throws(CaptureError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CaptureError("\(path): can't be read: \(String(cString: strerror(errno)))")
        }
        var status = stat()
        size = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : 0
        buffer = .allocate(byteCount: Self.capacity, alignment: 8)
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    /// An error at the place that was reached.
    func failure(_ problem: String) -> CaptureError { CaptureError("\(path): byte \(offset): \(problem)") }

    /// The next `count` bytes, which stay unread; fewer where the file ends before. Valid until the next call.
    func peek(_ count: Int) throws(CaptureError) -> UnsafeRawBufferPointer {
        precondition(count <= Self.limit, "more than the buffer holds")
        if unread.count < count, unread.lowerBound + count > Self.capacity {
            buffer.copyMemory(from: buffer + unread.lowerBound, byteCount: unread.count)
            unread = 0..<unread.count
        }
        while unread.count < count, !isAtEnd {
            let received = read(descriptor, buffer + unread.upperBound, Self.capacity - unread.upperBound)
            if received < 0 {
                if errno == EINTR { continue }
                throw failure("can't be read: \(String(cString: strerror(errno)))")
            }
            isAtEnd = received == 0
            unread = unread.lowerBound..<unread.upperBound + received
        }
        return UnsafeRawBufferPointer(start: buffer + unread.lowerBound, count: min(count, unread.count))
    }

    /// The next `count` bytes, which stay unread. Valid until the next call.
    /// - Parameter what: what they are, for the error where the file ends before.
    func peek(_ count: Int, _ what: String) throws(CaptureError) -> UnsafeRawBufferPointer {
        let bytes = try peek(count)
        guard bytes.count == count else {
            throw failure("the file ends within \(what): \(count) bytes belong here, \(bytes.count) are there")
        }
        return bytes
    }

    /// Consumes the next `count` bytes. They are valid until the next call.
    /// - Parameter what: what they are, for the error where the file ends before.
    func take(_ count: Int, _ what: String) throws(CaptureError) -> UnsafeRawBufferPointer {
        let bytes = try peek(count, what)
        unread = unread.lowerBound + count..<unread.upperBound
        offset += count
        return bytes
    }

    /// Passes over `count` bytes.
    func skip(_ count: Int, _ what: String) throws(CaptureError) {
        var left = count
        while left > 0 { left -= try take(min(left, 65_536), what).count }
    }
}

/// Numbers in the byte order of a file.
struct FileNumbers {
    /// Whether they are in the order that this host does not have.
    let isSwapped: Bool

    func uint16(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt16 {
        let value = bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
        return isSwapped ? value.byteSwapped : value
    }

    func uint32(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt32 {
        let value = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        return isSwapped ? value.byteSwapped : value
    }

    func int64(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int64 {
        let value = bytes.loadUnaligned(fromByteOffset: offset, as: Int64.self)
        return isSwapped ? value.byteSwapped : value
    }
}

// Frames: the length of a message in four bytes, most significant first, then the message. Frames come in pieces and
// several in one; they are taken out one at a time, so that who reads them decides how many.

import NIOCore
import SwiftProtobuf

/// Takes frames out of a stream of bytes.
struct ControlFrameReader {
    /// Why a stream is no sequence of frames.
    enum Failure: Error, CustomStringConvertible {
        case empty
        case tooLong(length: Int, limit: Int)

        var description: String {
            switch self {
            case .empty: "a frame of length 0: a frame is the length in four bytes, then a message"
            case .tooLong(let length, let limit):
                "a frame of \(length) bytes, where \(limit) is the limit; split the request, "
                    + "and look whether the length is in network order"
            }
        }
    }

    /// The longest message that is taken, in bytes.
    let limit: Int
    private var bytes = ByteBuffer()

    init(limit: Int) {
        self.limit = limit
    }

    /// Bytes that are no whole frame yet.
    var pending: Int { bytes.readableBytes }

    /// Adds what was received.
    mutating func append(_ received: inout ByteBuffer) {
        // A buffer that has been read to its end is given up, so that one long frame leaves no long buffer behind.
        if bytes.readableBytes == 0 { bytes = received } else { bytes.writeBuffer(&received) }
    }

    /// The next message, nil where more bytes are needed. After a failure the stream can't be read on.
    mutating func next() throws(Failure) -> ByteBuffer? {
        guard let length = bytes.getInteger(at: bytes.readerIndex, as: UInt32.self).map(Int.init) else { return nil }
        if length == 0 { throw .empty }
        if length > limit { throw .tooLong(length: length, limit: limit) }
        guard bytes.readableBytes >= 4 + length else { return nil }
        bytes.moveReaderIndex(forwardBy: 4)
        let frame = bytes.readSlice(length: length)
        bytes.discardReadBytesIfWorthIt()
        return frame
    }

    /// How many bytes the frame that has begun will have in all; nil where not even its length is known.
    var expected: Int? { bytes.getInteger(at: bytes.readerIndex, as: UInt32.self).map { 4 + Int($0) } }
}

extension ByteBuffer {
    fileprivate mutating func discardReadBytesIfWorthIt() {
        if readerIndex > 1 << 16 { discardReadBytes() }
    }

    /// Appends what comes before a `PutBindings` that is encoded already: the frame's length, the request's id, the tag and
    /// length of the field.
    mutating func writeRequestStart(id: UInt64, putBindingsLength length: Int) {
        var header = ByteBuffer()
        header.writeInteger(UInt8(ControlRequestField.id << 3))
        header.writeNumber(id)
        header.writeInteger(UInt8(ControlRequestField.putBindings << 3 | 2))
        header.writeNumber(UInt64(length))
        writeInteger(UInt32(header.readableBytes + length))
        writeBuffer(&header)
    }

    /// Appends a number as Protocol Buffers' varint.
    mutating func writeNumber(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        writeInteger(UInt8(rest))
    }

    /// Appends a message as a frame.
    mutating func writeFrame(_ message: some Message) throws {
        let bytes: [UInt8] = try message.serializedBytes()
        writeInteger(UInt32(bytes.count))
        writeBytes(bytes)
    }
}

/// Numbers of fields of `Request`.
enum ControlRequestField {
    static let id = 1
    static let putBindings = 3
}

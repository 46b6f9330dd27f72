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

    /// Appends a message as a frame.
    mutating func writeFrame(_ message: some Message) throws {
        let bytes: [UInt8] = try message.serializedBytes()
        writeInteger(UInt32(bytes.count))
        writeBytes(bytes)
    }
}

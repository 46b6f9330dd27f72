// The blocks of a checkpoint in their order, each with its checksum verified.

import Glibc

/// Reads the blocks of a checkpoint.
struct CheckpointReader: ~Copyable {
    let header: CheckpointHeader
    /// Where the next block begins, in bytes from the start.
    private(set) var position = 0
    private let descriptor: CInt
    private let space = UnsafeMutableRawBufferPointer.allocate(
        byteCount: CheckpointFormat.blockHeaderLength + CheckpointFormat.blockLimit, alignment: 16)
    private var length = 0
    private var checksum: UInt32
    private var hasEnded = false

    /// Begins with the header.
    init(_ descriptor: CInt) throws(CheckpointError) {
        self.descriptor = descriptor
        let first = UnsafeMutableRawBufferPointer(rebasing: space[..<CheckpointFormat.headerLength])
        do throws(CheckpointError) {
            let count = try Self.read(descriptor, first, at: 0)
            (header, checksum) = try CheckpointHeader.read(UnsafeRawBufferPointer(rebasing: first[..<count]))
        } catch {
            space.deallocate()
            throw error
        }
        position = CheckpointFormat.headerLength
    }

    deinit { space.deallocate() }

    /// Of the block that `next` came to, until it is called again.
    var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            rebasing: space[CheckpointFormat.blockHeaderLength..<CheckpointFormat.blockHeaderLength + length])
    }

    /// Goes on to the next block.
    /// - Returns: its kind and how many records it has; nil behind the last.
    mutating func next() throws(CheckpointError) -> (kind: CheckpointFormat.Kind, records: Int)? {
        let start = UnsafeMutableRawBufferPointer(rebasing: space[..<CheckpointFormat.blockHeaderLength])
        let count = try Self.read(descriptor, start, at: position)
        if hasEnded {
            guard count == 0 else { throw .damaged(offset: position) }
            return nil
        }
        guard count == start.count else { throw .cutShort(offset: position + count) }
        let head = UnsafeRawBufferPointer(start)
        let length = Int(head.number(UInt32.self, at: 4))
        guard length <= CheckpointFormat.blockLimit else { throw .damaged(offset: position) }
        let rest = UnsafeMutableRawBufferPointer(
            rebasing: space[CheckpointFormat.blockHeaderLength..<CheckpointFormat.blockHeaderLength + length])
        let found = try Self.read(descriptor, rest, at: position + start.count)
        guard found == length else { throw .cutShort(offset: position + start.count + found) }
        let block = UnsafeRawBufferPointer(rebasing: space[..<(start.count + length)])
        let expected = head.number(UInt32.self, at: 12)
        guard CheckpointBlock.checksum(block, behind: checksum) == expected else { throw .damaged(offset: position) }
        guard let value = UInt8(exactly: head.number(UInt32.self, at: 0)),
            let kind = CheckpointFormat.Kind(rawValue: value)
        else { throw .malformed("a block of an unknown kind") }
        checksum = expected
        position += block.count
        self.length = length
        hasEnded = kind == .end
        return (kind, Int(head.number(UInt32.self, at: 8)))
    }

    /// - Returns: how many bytes there were.
    private static func read(
        _ descriptor: CInt, _ bytes: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(CheckpointError) -> Int {
        var count = 0
        while count < bytes.count {
            let result = pread(descriptor, bytes.baseAddress! + count, bytes.count - count, off_t(offset + count))
            if result == 0 { break }
            if result > 0 {
                count += result
            } else if errno != EINTR {
                throw .failed("reading", errorNumber: errno)
            }
        }
        return count
    }
}

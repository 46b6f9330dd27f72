// Vectors for the writes of joined packets: a packet is in one write at a time, so there are as many as slots.

import Glibc
import PacketBuffer

/// Room for vectors, which is taken from the front and is free again all at once.
@usableFromInline
struct WriteVectors {
    private let start: UnsafeMutablePointer<iovec>
    private let capacity: Int
    @usableFromInline var used = 0

    init(capacity: Int) {
        self.capacity = capacity
        start = .allocate(capacity: capacity)
        start.initialize(repeating: iovec(), count: capacity)
    }

    func deallocate() { start.deallocate() }

    /// Writes the virtio header of a super-frame, and points to it and to all packets that are joined in it.
    /// - Parameters:
    ///   - first: the place of the one that is to be `transmitJoined`.
    ///   - header: bytes of the device's header.
    /// - Returns: nil where the vectors of earlier ones take up the room, since the kernel took none of them.
    mutating func gather(
        _ batch: borrowing PacketBatch, _ first: Int, header: Int
    ) -> UnsafeMutableBufferPointer<iovec>? {
        let packet = batch[first]
        let count = Int(packet.segmentCount)
        guard used + count <= capacity else { return nil }
        packet.writeVirtioNetHeader()
        let vectors = UnsafeMutableBufferPointer(start: start + used, count: count)
        vectors[0] = iovec(iov_base: packet.start - header, iov_len: packet.length + header)
        var last = first
        for place in 1..<count {
            guard let next = batch.joined(behind: last) else {
                preconditionFailure("a super-frame has all its packets")
            }
            vectors[place] = iovec(iov_base: batch[next].start, iov_len: batch[next].length)
            last = next
        }
        used += count
        return vectors
    }

    /// Has all free again.
    @inlinable @inline(__always)
    mutating func removeAll() { used = 0 }
}

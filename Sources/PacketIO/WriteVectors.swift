// Vectors for the writes of joined packets: a packet is in one write at a time, so there are as many as slots, and as packets
// that the forwarder makes for a batch.

import Glibc
import PacketBuffer

/// Room for vectors, which is taken from the front and is free again all at once.
@usableFromInline
struct WriteVectors {
    private let start: UnsafeMutablePointer<iovec>
    private let capacity: Int
    @usableFromInline var used = 0

    /// - Parameter slotCount: packets that were received and may be in a write.
    init(slotCount: Int) {
        capacity = slotCount + PacketBatch.generatedCapacity
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
        guard let vectors = begin(batch[first], header: header) else { return nil }
        var last = first
        for place in 1..<vectors.count {
            guard let next = batch.joined(behind: last) else {
                preconditionFailure("a super-frame has all its packets")
            }
            vectors[place] = iovec(iov_base: batch[next].start, iov_len: batch[next].length)
            last = next
        }
        return vectors
    }

    /// The same of packets that the forwarder made, one behind the other.
    mutating func gatherGenerated(
        _ batch: borrowing PacketBatch, _ first: Int, header: Int
    ) -> UnsafeMutableBufferPointer<iovec>? {
        guard let vectors = begin(batch.generatedPacket(at: first), header: header) else { return nil }
        for place in 1..<vectors.count {
            let next = batch.generatedPacket(at: first + place)
            vectors[place] = iovec(iov_base: next.start, iov_len: next.length)
        }
        return vectors
    }

    private mutating func begin(_ packet: Packet, header: Int) -> UnsafeMutableBufferPointer<iovec>? {
        let count = Int(packet.segmentCount)
        guard used + count <= capacity else { return nil }
        packet.writeVirtioNetHeader()
        let vectors = UnsafeMutableBufferPointer(start: start + used, count: count)
        vectors[0] = iovec(iov_base: packet.start - header, iov_len: packet.length + header)
        used += count
        return vectors
    }

    /// Has all free again.
    @inlinable @inline(__always)
    mutating func removeAll() { used = 0 }
}

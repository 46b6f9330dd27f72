// The way out: a write request for every packet to transmit. They are submitted with the next `receive`, in order; the
// kernel carries each out within the submission, since a TUN device never makes a writer wait.

import IOUring
import PacketBuffer

extension IOUringPort {
    /// Queues the packets to transmit and gives the slots of the others back to the reads.
    @inlinable
    public mutating func complete(_ batch: inout PacketBatch) {
        for index in 0..<batch.count {
            let packet = batch[index]
            switch packet.verdict {
            case .release:
                post(packet.slot)
            case .transmitHome:
                if !write(packet, file: PortFile.home, kind: RequestKind.writeHome) { failedWrites.home &+= 1 }
            case .transmitAccess:
                if !write(packet, file: accessFile, kind: RequestKind.writeAccess) { failedWrites.access &+= 1 }
            }
        }
        publish()
        batch.removeAll()
    }

    /// Queues a write. Where the kernel has no memory to take requests, the packet is given up.
    @inlinable @inline(__always)
    mutating func write(_ packet: Packet, file: Int32, kind: UInt64) -> Bool {
        let isQueued = rings.ring.write(
            file: file, from: packet.start, count: UInt32(packet.length), userData: kind | UInt64(packet.slot))
        if isQueued { writesUnderWay &+= 1 } else { post(packet.slot) }
        return isQueued
    }
}

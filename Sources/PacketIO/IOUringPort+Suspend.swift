// Reading is stopped by cancelling the standing reads, and what they had read before is handed out: a packet is either
// still in the device's queue or comes to the caller.

import IOUring
import PacketBuffer

extension IOUringPort {
    /// Hands queued writes to the kernel, has the standing reads end, and fills the batch with what they read.
    public mutating func suspend(into batch: inout PacketBatch) throws(PortError) -> Bool {
        precondition(batch.isEmpty, "the packets of the last batch await their verdicts")
        // Nothing stands before the first `receive`.
        guard isStarted else { return true }
        takeBacklog(into: &batch)
        // Where the queue is full of writes, the next call has room.
        if isReadUnderWay { _ = rings.ring.cancelAll(userData: RequestKind.cancel) }
        _ = try enter(wait: false)
        try sort(into: &batch)
        return batch.isEmpty && backlog.count == 0 && !train.isUnderWay && !isReadUnderWay && writesUnderWay == 0
    }

    private var isReadUnderWay: Bool { homeRead.isUnderWay || accessRead.isUnderWay || frameRead.isUnderWay }
}

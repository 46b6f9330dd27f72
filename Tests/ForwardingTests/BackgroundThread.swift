// Threads that do what a worker does, until they are told to stop.

import Forwarding
import Foundation
import PacketBuffer
import Synchronization

/// A thread that runs `body` until it returns; what it found wrong.
final class BackgroundThread: Sendable {
    private let stopping = Atomic(false)
    private let found = Mutex<[String]>([])
    private let ended = DispatchGroup()

    /// - Parameter body: is to return when its argument gives true.
    init(_ body: @escaping @Sendable (_ isStopping: () -> Bool) -> [String]) {
        ended.enter()
        Thread.detachNewThread { [self] in
            let wrong = body { stopping.load(ordering: .relaxed) }
            found.withLock { $0 = wrong }
            ended.leave()
        }
    }

    /// Ends the thread; returns what it found.
    func stop() -> [String] {
        stopping.store(true, ordering: .relaxed)
        ended.wait()
        return found.withLock { $0 }
    }
}

/// A forwarder with slots and a batch, for a thread of its own.
struct WorkerLoop: ~Copyable {
    var forwarder: Forwarder
    private var batch = PacketBatch(capacity: 16)
    private let slots = GuardedSlots(count: 16)

    init(_ forwarder: consuming Forwarder) { self.forwarder = forwarder }

    /// Processes up to 16 packets and publishes the counters; what was to be transmitted, nil for what was not.
    mutating func process(_ packets: [Given]) -> [[UInt8]?] {
        for (slot, given) in packets.enumerated() { batch.append(slots.packet(given, slot: slot)) }
        forwarder.process(&batch, now: 0)
        let sent = (0..<batch.count).map { batch[$0].verdict == .release ? nil : Array(batch[$0].bytes) }
        batch.removeAll()
        forwarder.publishCounters()
        return sent
    }

    /// The same, with what the forwarder made of them; there must be room for it in one turn.
    mutating func processAll(_ packets: [Given]) -> [[UInt8]] {
        for (slot, given) in packets.enumerated() { batch.append(slots.packet(given, slot: slot)) }
        forwarder.process(&batch, now: 0)
        if forwarder.hasHandovers { forwarder.takeHandovers(into: &batch) }
        precondition(!batch.isUnfinished, "more than fits was made of the packets")
        let made = (0..<batch.generatedCount).map { Array(batch.generatedPacket(at: $0).bytes) }
        let sent = (0..<batch.count).filter { batch[$0].verdict != .release }.map { Array(batch[$0].bytes) }
        batch.removeAll()
        forwarder.publishCounters()
        return made + sent
    }
}

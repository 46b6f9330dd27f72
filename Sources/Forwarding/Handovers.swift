// How workers hand packets to each other: a queue of fixed size for each pair of them, and a signal for each worker that
// says whether it is worth to look. Whoever gets a packet for a GRE tunnel that another worker numbers makes its headers
// and puts it here; the owner gives it its number and sends it. Nobody waits for anybody.

import Synchronization

/// The packets that workers hand to each other: a queue for each pair of them, in each direction.
public final class Handovers: @unchecked Sendable {
    /// What the owner of a tunnel's numbers needs to know of a packet that lacks nothing but number and checksum.
    struct Note: BitwiseCopyable, Sendable {
        /// The slot of the tunnel's sequence numbers.
        var sequence: UInt32
        /// Of the tunnel that has the slot, so that no other's numbers are taken.
        var generation: UInt32
        /// Where the header of GRE lies in the packet, and its length, in bytes.
        var greOffset: UInt8
        var greLength: UInt8
        var hasChecksum: Bool
    }

    /// Room of a queue, in bytes; a packet takes some 40 beside its own. What finds no room is dropped and counted.
    static let queueCapacity = 1 << 20
    /// A cache line each, so that workers do not disturb each other.
    private static let stride = 64

    /// How many workers there are.
    public let workers: Int
    private let queues: [PacketQueue<Note>]
    private let signals: UnsafeMutableRawPointer

    /// Queues for so many workers, 64 at the most.
    public init(workers: Int) {
        precondition((1...64).contains(workers), "there are 1 to 64 workers")
        self.workers = workers
        let pairs = workers > 1 ? workers * workers : 0
        queues = (0..<pairs).map { PacketQueue(capacity: $0 / workers == $0 % workers ? 64 : Self.queueCapacity) }
        signals = .allocate(byteCount: workers * Self.stride, alignment: Self.stride)
        for worker in 0..<workers {
            (signals + worker * Self.stride).bindMemory(to: Atomic<Bool>.self, capacity: 1)
                .initialize(to: Atomic(false))
        }
    }

    deinit { signals.deallocate() }

    /// Whether something may have been handed to a worker since it took last.
    func signal(to worker: Int) -> UnsafeMutablePointer<Atomic<Bool>> {
        (signals + worker * Self.stride).assumingMemoryBound(to: Atomic<Bool>.self)
    }

    func queue(from: Int, to: Int) -> PacketQueue<Note> { queues[from * workers + to] }
}

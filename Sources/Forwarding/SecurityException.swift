// Packets that their sender had no right to send (RFC 5454, 3.3): the worker notes them in a ring of fixed size, the
// control plane takes them out, logs and publishes them. Where the ring is full a note is left out and counted; the
// drop itself is always counted.

import Synchronization
import Wire

/// What is known of such a packet.
public struct SecurityException: Hashable, Sendable, BitwiseCopyable {
    /// Why it was dropped.
    public let reason: DropReason
    /// Where it came from.
    public let outerSource: IPv4Address
    /// Whom it claimed to be from.
    public let innerSource: IPv6Address

    init(reason: DropReason, outerSource: IPv4Address, innerSource: IPv6Address) {
        self.reason = reason
        self.outerSource = outerSource
        self.innerSource = innerSource
    }
}

/// A ring of security exceptions, from one worker to one reader.
public final class SecurityExceptionRing: @unchecked Sendable {
    /// Notes it holds at the most.
    public static let capacity = 64

    private let notes = UnsafeMutablePointer<SecurityException>.allocate(capacity: capacity)
    private let head = Atomic<UInt64>(0)
    private let tail = Atomic<UInt64>(0)
    private let omitted = Atomic<UInt64>(0)

    /// An empty ring.
    public init() {}

    deinit { notes.deallocate() }

    /// By the worker.
    func note(_ exception: SecurityException) {
        let position = head.load(ordering: .relaxed)
        guard position &- tail.load(ordering: .acquiring) < UInt64(Self.capacity) else {
            omitted.add(1, ordering: .relaxed)
            return
        }
        (notes + Int(position % UInt64(Self.capacity))).initialize(to: exception)
        head.store(position &+ 1, ordering: .releasing)
    }

    /// By the reader: all notes since the last time, and how many were left out.
    public func drain() -> (exceptions: [SecurityException], omitted: UInt64) {
        var exceptions: [SecurityException] = []
        var position = tail.load(ordering: .relaxed)
        let end = head.load(ordering: .acquiring)
        while position < end {
            exceptions.append(notes[Int(position % UInt64(Self.capacity))])
            position += 1
        }
        tail.store(position, ordering: .releasing)
        return (exceptions, omitted.exchange(0, ordering: .relaxed))
    }
}

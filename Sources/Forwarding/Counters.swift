// What the forwarder counts. The worker counts in plain memory of its own; after a batch whose packets have all reached
// their end it publishes the whole block, under a sequence number that is odd meanwhile, so that a reader never sees one
// half of a batch: received + generated = transmitted + punted + absorbed + dropped holds in every snapshot.

import PacketBuffer
import Synchronization
import Wire

/// A number by side.
public struct BySide: Hashable, Sendable, BitwiseCopyable {
    /// On the home side.
    public var home: UInt64
    /// On the access side.
    public var access: UInt64

    /// Both numbers.
    public init(home: UInt64 = 0, access: UInt64 = 0) {
        self.home = home
        self.access = access
    }

    /// Both together.
    public var sum: UInt64 { home + access }

    mutating func add(_ other: BySide) {
        home += other.home
        access += other.access
    }
}

/// One consistent reading of a forwarder's counters.
public struct Counters: Hashable, Sendable {
    /// Packets read from the devices.
    public var received = BySide()
    /// Packets that the forwarder made itself: ICMP errors and answers, copies for members of groups, fragments beside
    /// the last, packets of the control plane.
    public var generated = BySide()
    /// Packets that the kernel took.
    public var transmitted = BySide()
    /// Packets given to the control plane.
    public var punted: UInt64 = 0
    /// Packets consumed on purpose, such as echo requests that were answered, and fragments beside the last of their
    /// datagram.
    public var absorbed: UInt64 = 0
    /// By `DropReason.rawValue`.
    public var dropped = [UInt64](repeating: 0, count: DropReason.count)
    /// Bytes of packets read from the devices.
    public var receivedBytes = BySide()
    /// Bytes of packets given to the kernel, those that it then did not take included.
    public var transmittedBytes = BySide()
    /// ICMP errors that were not made: too many, or no source address for them.
    public var suppressedErrors: UInt64 = 0
    /// Datagrams of which fragments were held (and counted as absorbed), and that were never whole: fragments did not
    /// come in time, contradicted each other, or made room for others.
    public var reassemblyFailures: UInt64 = 0

    /// All zero.
    public init() {}

    /// Adds the counters of another worker.
    public mutating func add(_ other: Counters) {
        received.add(other.received)
        generated.add(other.generated)
        transmitted.add(other.transmitted)
        punted += other.punted
        absorbed += other.absorbed
        for index in dropped.indices { dropped[index] += other.dropped[index] }
        receivedBytes.add(other.receivedBytes)
        transmittedBytes.add(other.transmittedBytes)
        suppressedErrors += other.suppressedErrors
        reassemblyFailures += other.reassemblyFailures
    }

    /// What was dropped for one reason.
    public subscript(_ reason: DropReason) -> UInt64 { dropped[Int(reason.rawValue)] }

    /// Whether every packet is accounted for.
    public var isConserved: Bool {
        received.sum + generated.sum == transmitted.sum + punted + absorbed + dropped.reduce(0, +)
    }
}

/// The cells of a block of counters, by position.
enum CounterIndex {
    static let received = 0
    static let generated = 2
    static let transmitted = 4
    static let punted = 6
    static let absorbed = 7
    static let receivedBytes = 8
    static let transmittedBytes = 10
    static let suppressedErrors = 12
    static let reassemblyFailures = 13
    static let dropped = 14
    // No `static let`: what another module counts would be computed lazily, under a lock that each batch asks for.
    static var count: Int { dropped + DropReason.count }
}

/// Where a worker publishes its counters, and others read them.
public final class PublishedCounters: @unchecked Sendable {
    private let sequence = Atomic<UInt64>(0)
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>

    /// All zero.
    public init() {
        cells = .allocate(capacity: CounterIndex.count)
        for index in 0..<CounterIndex.count { (cells + index).initialize(to: Atomic(0)) }
    }

    deinit { cells.deallocate() }

    /// By the one worker.
    func publish(_ counters: UnsafePointer<UInt64>) {
        let next = sequence.load(ordering: .relaxed) &+ 2
        sequence.store(next &- 1, ordering: .relaxed)
        atomicMemoryFence(ordering: .releasing)
        for index in 0..<CounterIndex.count { cells[index].store(counters[index], ordering: .relaxed) }
        sequence.store(next, ordering: .releasing)
    }

    /// A consistent reading. Waits while the worker publishes, which takes less than a microsecond.
    public func read() -> Counters {
        var values = [UInt64](repeating: 0, count: CounterIndex.count)
        while true {
            let before = sequence.load(ordering: .acquiring)
            for index in 0..<CounterIndex.count { values[index] = cells[index].load(ordering: .relaxed) }
            atomicMemoryFence(ordering: .acquiring)
            if before & 1 == 0, sequence.load(ordering: .relaxed) == before { break }
        }
        func bySide(_ index: Int) -> BySide { BySide(home: values[index], access: values[index + 1]) }
        var counters = Counters()
        counters.received = bySide(CounterIndex.received)
        counters.generated = bySide(CounterIndex.generated)
        counters.transmitted = bySide(CounterIndex.transmitted)
        counters.punted = values[CounterIndex.punted]
        counters.absorbed = values[CounterIndex.absorbed]
        counters.receivedBytes = bySide(CounterIndex.receivedBytes)
        counters.transmittedBytes = bySide(CounterIndex.transmittedBytes)
        counters.suppressedErrors = values[CounterIndex.suppressedErrors]
        counters.reassemblyFailures = values[CounterIndex.reassemblyFailures]
        counters.dropped = Array(values[CounterIndex.dropped...])
        return counters
    }
}

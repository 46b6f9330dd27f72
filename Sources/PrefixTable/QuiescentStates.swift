// When may memory that readers might still be looking at be used again? Quiescent-state-based reclamation: every reader
// says, once per batch, that it holds no pointer into the tables; what the writer has unlinked before that moment can
// then no longer be reached by it. A reader costs one store per batch; a sleeping reader says that it is offline and is
// not waited for. (The method is described by McKenney, and used by liburcu's QSBR flavour.)

import Synchronization

/// The readers of one set of tables, and the epochs that they have passed.
public final class QuiescentStates: @unchecked Sendable {
    /// How many readers there may be.
    public static let readerLimit = 64
    /// A cache line each, so that readers do not disturb each other. The line behind the last holds the epoch.
    private static let stride = 64

    private let memory: UnsafeMutableRawPointer
    private let registered = Mutex(0)

    /// No readers yet.
    public init() {
        memory = .allocate(byteCount: (Self.readerLimit + 1) * Self.stride, alignment: Self.stride)
        for index in 0...Self.readerLimit {
            (memory + index * Self.stride).bindMemory(to: Atomic<UInt64>.self, capacity: 1)
                .initialize(to: Atomic(index == Self.readerLimit ? 1 : QuiescentReader.offline))
        }
    }

    deinit { memory.deallocate() }

    private func cell(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (memory + index * Self.stride).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private var epoch: UnsafeMutablePointer<Atomic<UInt64>> { cell(Self.readerLimit) }

    /// A new reader, offline until it says otherwise; nil past `readerLimit`. Readers last as long as the tables, and
    /// the tables must outlive them.
    public func register() -> QuiescentReader? {
        registered.withLock { count in
            guard count < Self.readerLimit else { return nil }
            defer { count += 1 }
            return QuiescentReader(state: cell(count), epoch: epoch)
        }
    }

    /// By the writer, after it has unlinked something: the epoch that all readers must reach before it may be reused.
    public func advance() -> UInt64 {
        epoch.pointee.add(1, ordering: .sequentiallyConsistent).newValue
    }

    /// The last epoch that all readers have passed: none can still see what was unlinked before it, or an earlier one,
    /// was given out.
    public var passedEpoch: UInt64 {
        let count = registered.withLock { $0 }
        return (0..<count).reduce(.max) { min($0, cell($1).pointee.load(ordering: .sequentiallyConsistent)) }
    }

    /// Whether no reader can still see what was unlinked before `epoch` was given out.
    public func allPassed(_ epoch: UInt64) -> Bool { passedEpoch >= epoch }
}

/// A reader's side of `QuiescentStates`, for one thread.
public struct QuiescentReader: @unchecked Sendable {
    /// Above every epoch.
    @usableFromInline static let offline = UInt64.max

    @usableFromInline let state: UnsafeMutablePointer<Atomic<UInt64>>
    @usableFromInline let epoch: UnsafeMutablePointer<Atomic<UInt64>>

    /// Says that the reader holds nothing that it read from the tables. Once per batch, while online.
    @inlinable @inline(__always)
    public func quiesce() {
        state.pointee.store(epoch.pointee.load(ordering: .acquiring), ordering: .releasing)
    }

    /// Says that the reader will not look at the tables until `goOnline`. Before it sleeps.
    @inlinable @inline(__always)
    public func goOffline() {
        state.pointee.store(Self.offline, ordering: .releasing)
    }

    /// From now on the reader looks at the tables. What the writer unlinked before is not seen any more.
    @inlinable @inline(__always)
    public func goOnline() {
        state.pointee.store(epoch.pointee.load(ordering: .acquiring), ordering: .sequentiallyConsistent)
        // No look-up may be done before the writer can see that this reader is there.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }
}

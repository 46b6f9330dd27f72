// What workers are told to do: to forward, to end, or to rest, which is how the devices' queues pass to a successor. A
// resting worker reads no more, so that what comes waits in the queues, and keeps all that it needs to go on.

import Dispatch
import Synchronization

/// What one worker is to do; for any thread.
final class WorkerOrders: Sendable {
    /// What comes next for a worker that was interrupted.
    enum Next {
        /// To forward.
        case goOn
        /// To finish what the kernel has handed over, and to end.
        case end
        /// To end as it is: another process forwards.
        case leave
    }

    /// An order.
    enum Order {
        case next(Next)
        /// To rest with the others until there is another order.
        case rest(WorkersRest)
    }

    /// Whether it is to do anything else than forward: all that the loop looks at.
    let isInterrupted: Atomic<Bool>
    private let order: Mutex<Order>

    /// - Parameter rest: what it begins with; nil to forward.
    init(_ rest: WorkersRest?) {
        isInterrupted = Atomic(rest != nil)
        order = Mutex(rest.map(Order.rest) ?? .next(.goOn))
    }

    /// The last that was given.
    var current: Order { order.withLock { $0 } }

    /// Gives an order. Who is told to end or to leave does nothing else afterwards.
    /// - Returns: whether it counts.
    func give(_ new: Order) -> Bool {
        order.withLock { order in
            switch (order, new) {
            case (.next(.leave), _), (.next(.end), .next(.goOn)), (.next(.end), .rest): return false
            default: break
            }
            order = new
            let goesOn = if case .next(.goOn) = new { true } else { false }
            isInterrupted.store(!goesOn, ordering: .relaxed)
            return true
        }
    }
}

/// A rest of all workers. They come to it in two steps, since one that still reads may hand packets to one that does not.
final class WorkersRest: Sendable {
    /// How often a resting worker looks whether there is something to do, in microseconds.
    static let lookInterval: UInt32 = 100

    private let count: Int
    private let quiet = Atomic(0)
    private let there = Atomic(0)
    private let all = DispatchSemaphore(value: 0)

    /// - Parameter count: of the workers.
    init(of count: Int) { self.count = count }

    /// Said by each worker, once.
    func readsNoMore() { quiet.add(1, ordering: .sequentiallyConsistent) }

    /// Whether all have said it.
    var allReadNoMore: Bool { quiet.load(ordering: .sequentiallyConsistent) == count }

    /// Said by each worker, once, when it has nothing left to do and can't be given anything.
    func isThere() {
        if there.add(1, ordering: .sequentiallyConsistent).newValue == count { all.signal() }
    }

    /// Waits until all are there.
    /// - Returns: false where they are not by then. To be called once.
    func wait(until deadline: DispatchTime) -> Bool { all.wait(timeout: deadline) == .success }
}

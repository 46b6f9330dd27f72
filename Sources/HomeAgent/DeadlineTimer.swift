// Wakes a state machine when it next has something to do by itself.

import MobileIP
import NIOCore

/// One timer of an event loop, on which it is used. It fires no later than the earliest deadline that it was told of, and
/// may fire where there is nothing to do any more.
final class DeadlineTimer {
    private let eventLoop: any EventLoop
    private var waiting: (task: Scheduled<Void>, deadline: UInt64)?

    init(on eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Fires at a time, unless it does so before then.
    /// - Parameters:
    ///   - deadline: in the nanoseconds of `Moment`; nil for never.
    ///   - fire: called on the event loop.
    func set(to deadline: UInt64?, _ fire: @escaping () -> Void) {
        guard let deadline else { return }
        if let waiting {
            if waiting.deadline <= deadline { return }
            waiting.task.cancel()
        }
        let now = Moment.now.nanoseconds
        let wait = TimeAmount.nanoseconds(deadline > now ? Int64(clamping: deadline - now) : 0)
        let task = eventLoop.assumeIsolated().scheduleTask(in: wait) { [self] in
            waiting = nil
            fire()
        }
        waiting = (task, deadline)
    }
}

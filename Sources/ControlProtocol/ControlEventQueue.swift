// Events that wait for a watcher. The queue is bounded: when it is full, events are left out and counted, and go on
// only once it is half empty, so that a watcher that is always a little too slow gets stretches of events with a gap
// between them, not a gap after each.

import NIOCore

/// The events that a watcher has not yet been sent.
struct ControlEventQueue {
    /// Events that wait at the most.
    let limit: Int
    private var events = CircularBuffer<ControlEvent>()
    private var lost: UInt64 = 0
    private var timeOfLastLost: UInt64 = 0

    init(limit: Int) {
        precondition(limit >= 2, "the event after a gap needs the gap's notice before it")
        self.limit = limit
    }

    /// Adds an event, or counts it as lost.
    mutating func append(_ event: ControlEvent) {
        if lost > 0, events.count <= limit / 2 - 1 { events.append(takeLost()!) }
        guard lost == 0, events.count < limit else {
            lost += 1
            timeOfLastLost = event.time
            return
        }
        events.append(event)
    }

    /// The next to be sent; behind the last one, how many were lost since.
    mutating func popFirst() -> ControlEvent? { events.popFirst() ?? takeLost() }

    private mutating func takeLost() -> ControlEvent? {
        guard lost > 0 else { return nil }
        var event = ControlEvent()
        event.time = timeOfLastLost
        event.lost = lost
        lost = 0
        return event
    }
}

// Events that wait for a watcher. The queue is bounded: when it is full, events are left out and counted, and go on
// only once it is half empty, so that a watcher that is always a little too slow gets stretches of events with a gap
// between them, not a gap after each.

import NIOCore

/// The events of one kind that a watcher has not yet been sent.
struct ControlEventQueue {
    /// What shares a queue.
    enum Kind {
        /// Of bindings and of security; each takes one place.
        case events
        /// Punted packets, which come as fast as anybody sends them; they take places by the byte.
        case punts
    }

    private let kind: Kind
    /// Places, all of which together may be taken.
    private let limit: Int
    private var events = CircularBuffer<ControlEvent>()
    private var taken = 0
    private var lost: UInt64 = 0
    private var timeOfLastLost: UInt64 = 0

    /// An empty queue.
    /// - Parameter limit: how many events wait, or bytes of punted packets.
    init(_ kind: Kind = .events, limit: Int) {
        precondition(limit >= 2, "the event after a gap needs the gap's notice before it")
        self.kind = kind
        self.limit = limit
    }

    /// Adds an event, or counts it as lost.
    /// - Returns: whether it was added.
    @discardableResult
    mutating func append(_ event: ControlEvent) -> Bool {
        if lost > 0, taken <= limit / 2 - 1 { add(takeLost()!) }
        guard lost == 0, taken + places(of: event) <= limit else {
            lost += 1
            timeOfLastLost = event.time
            return false
        }
        add(event)
        return true
    }

    /// Counts an event as lost that `append` would not add, so that it need not be made.
    /// - Returns: false where it would.
    mutating func loses(at time: UInt64) -> Bool {
        let isFull = lost > 0 ? taken > limit / 2 - 1 : taken >= limit
        guard isFull else { return false }
        lost += 1
        timeOfLastLost = time
        return true
    }

    /// The next to be sent; behind the last one, how many were lost since.
    mutating func popFirst() -> ControlEvent? {
        guard let event = events.popFirst() else { return takeLost() }
        taken -= places(of: event)
        return event
    }

    private mutating func add(_ event: ControlEvent) {
        events.append(event)
        taken += places(of: event)
    }

    private func places(of event: ControlEvent) -> Int {
        switch (kind, event.body) {
        case (.punts, .punt(let punt)): punt.size
        default: 1
        }
    }

    private mutating func takeLost() -> ControlEvent? {
        guard lost > 0 else { return nil }
        var event = ControlEvent()
        event.time = timeOfLastLost
        event.body = kind == .punts ? .lostPunts(lost) : .lost(lost)
        lost = 0
        return event
    }
}

extension ControlPuntEvent {
    /// What it takes in memory and on the wire, in bytes, roughly; never less than on the wire.
    var size: Int { packet.count + binding.utf8.count + 64 }
}

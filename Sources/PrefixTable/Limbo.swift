// What was unlinked and may still be looked at by readers, in the order in which it was unlinked.

/// A queue of what waits until every reader has passed a quiescent point.
struct Limbo<Element> {
    private let quiescentStates: QuiescentStates
    /// In the order of their epochs; those before `start` were let go already, but stand there for a while.
    private var waiting: [(element: Element, epoch: UInt64)] = []
    private var start = 0

    /// Nothing waits.
    init(_ quiescentStates: QuiescentStates) { self.quiescentStates = quiescentStates }

    /// Adds what readers can no longer come upon.
    mutating func append(_ element: Element) { waiting.append((element, quiescentStates.advance())) }

    /// Takes out what all readers have let go. What an element owns, as a block of a table its memory, is free when no
    /// other waits, or a thousand more have been let go.
    mutating func release(_ body: (Element) -> Void) {
        guard start < waiting.count else { return }
        let passed = quiescentStates.passedEpoch
        while start < waiting.count, waiting[start].epoch <= passed {
            body(waiting[start].element)
            start += 1
        }
        if start == waiting.count || (start > 1024 && start * 2 > waiting.count) {
            waiting.removeFirst(start)
            start = 0
        }
    }
}

// Work with files, off the event loop and one piece after the other: what is read and what is added stay in one order,
// so that a node that was added while files were read is not taken for one that has gone.

import Dispatch
import NIOCore

/// Pieces of work, each begun when the one before is done. It belongs to its event loop.
final class FileWork {
    /// How many wait before no more should come.
    static let limit = 64

    private let eventLoop: any EventLoop
    private let queue = DispatchQueue(label: "mooring-files")
    private var waiting = CircularBuffer<(@escaping () -> Void) -> Void>()
    private var isUnderWay = false

    init(on eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Whether so many wait that others are to try again.
    var isFull: Bool { waiting.count >= Self.limit }

    /// Begins a piece of work when those before are done.
    /// - Parameter work: calls what it is given when it is done, on the event loop.
    func inTurn(_ work: @escaping (_ done: @escaping () -> Void) -> Void) {
        waiting.append(work)
        begin()
    }

    private func begin() {
        guard !isUnderWay, let work = waiting.popFirst() else { return }
        isUnderWay = true
        work { [self] in
            isUnderWay = false
            begin()
        }
    }

    /// Does what takes time elsewhere, and hands over what came of it on the event loop.
    func run<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Value, _ then: @escaping (Result<Value, Failure>) -> Void
    ) {
        // Called on the event loop alone.
        nonisolated(unsafe) let then = then
        queue.async { [eventLoop] in
            let result = Result { () throws(Failure) in try body() }
            eventLoop.execute { then(result) }
        }
    }
}

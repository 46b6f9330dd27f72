// Has checkpoints written while the daemon runs: every so often, where something has changed. Bindings are encoded on the
// event loop, whose they are, a millisecond at a time, so that requests are served in between; a thread of its own writes,
// and may wait for the disk. What can't be written is told and tried again: bindings that are not saved forward as well.

import Checkpoint
import ControlProtocol
import Dispatch
import Forwarding
import Glibc
import Logging
import NIOCore

/// When checkpoints are written, and how the last one went; for the event loop's thread.
final class CheckpointSchedule {
    /// How long bindings are encoded before others have their turn.
    private static let slice = Duration.milliseconds(1)
    /// Where others take long turns: the share of the time that is taken, one in so many, and how long at the most.
    private static let share = 8
    private static let longestSlice = Duration.milliseconds(20)
    /// Blocks that wait for the disk. Encoding waits at this.
    private static let waitingLimit = 64
    /// Between two checkpoints passes at least so many times what the first took.
    private static let rest: UInt64 = 10
    /// How often a failure is logged, in nanoseconds, while there is one after the other.
    private static let logInterval: UInt64 = 60_000_000_000

    /// Where they lie.
    let file: CheckpointFile
    /// How they went, as `mooring status` tells it.
    var status: ControlCheckpointStatus {
        var status = result
        status.isOutdated = savedTouchCount != table.touchCount
        return status
    }

    private let interval: UInt64
    private let table: BindingTable
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let queue = DispatchQueue(label: "mooring-checkpoint")
    /// Tells what came from the binding file. Set before the first turn.
    weak var origin: (any CheckpointOrigin)?

    private var result = ControlCheckpointStatus()
    private(set) var number: UInt64
    /// Keeps others from the file. Where it could not be had, each checkpoint tries for itself.
    let lock: CInt?
    /// Whether none is begun, since somebody else copies the table.
    private var isHeld = false
    private var snapshot: CheckpointSnapshot?
    private var writing: CheckpointWriting?
    private var begun: UInt64 = 0
    private var sliceEnd = ContinuousClock.now
    private var waiting = 0
    private var isPaused = false
    private var due: UInt64
    /// The table's when the last one was written; nil where none was.
    private var savedTouchCount: UInt64?
    private var loggedFailure: UInt64?

    /// - Parameters:
    ///   - lock: of the file, where it could be had.
    ///   - intervalSeconds: between two.
    ///   - number: of the one that was restored.
    init(
        _ file: CheckpointFile, lock: CInt?, intervalSeconds: Int, number: UInt64, of table: BindingTable,
        on eventLoop: any EventLoop, logger: Logger
    ) {
        self.lock = lock
        self.file = file
        interval = UInt64(intervalSeconds) * 1_000_000_000
        self.number = number
        self.table = table
        self.eventLoop = eventLoop
        self.logger = logger
        due = bootTimeNanoseconds() + interval
        result.path = file.path
    }

    deinit { if let lock { close(lock) } }

    // MARK: While the daemon runs

    /// Begins one where it is time and something has changed.
    func tick(now: UInt64) {
        guard writing == nil, !isHeld, now >= due, savedTouchCount != table.touchCount, let origin else { return }
        begun = now
        number += 1
        let writing = CheckpointWriting()
        self.writing = writing
        let snapshot = CheckpointSnapshot(of: table, origin: origin, number: number) { [self] in write($0, by: writing)
        }
        self.snapshot = snapshot
        let header = snapshot.header
        let isLocked = lock != nil
        queue.async { [file] in writing.begin(file, isLocked: isLocked, header: header) }
        sliceEnd = .now
        run()
    }

    /// Begins anew what was begun, since what came from the binding file has changed.
    func startOver() {
        guard snapshot != nil else { return }
        drop()
        due = 0
    }

    /// A turn.
    private func run() {
        guard let snapshot, let writing else { return }
        guard waiting < Self.waitingLimit else { return isPaused = true }
        let others = ContinuousClock.now - sliceEnd
        let isDone = snapshot.run(for: min(max(Self.slice, others / Self.share), Self.longestSlice))
        sliceEnd = .now
        guard isDone else { return eventLoop.assumeIsolated().execute { [self] in run() } }
        let (count, touchCount) = (snapshot.count, snapshot.touchCount)
        self.snapshot = nil
        nonisolated(unsafe) let schedule = self
        queue.async { [eventLoop] in
            let result = writing.commit()
            eventLoop.execute { schedule.end(writing, result, count: count, touchCount: touchCount) }
        }
    }

    private func write(_ block: CheckpointBlock, by writing: CheckpointWriting) {
        waiting += 1
        nonisolated(unsafe) let schedule = self
        queue.async { [eventLoop] in
            let hasFailed = writing.write(block)
            eventLoop.execute { schedule.isWritten(writing, hasFailed) }
        }
    }

    private func isWritten(_ writing: CheckpointWriting, _ hasFailed: Bool) {
        waiting -= 1
        // There is no use in encoding the rest.
        if hasFailed, writing === self.writing, snapshot != nil {
            snapshot = nil
            nonisolated(unsafe) let schedule = self
            queue.async { [eventLoop] in
                let result = writing.commit()
                eventLoop.execute { schedule.end(writing, result, count: 0, touchCount: 0) }
            }
        }
        if isPaused, waiting < Self.waitingLimit / 2 {
            isPaused = false
            run()
        }
    }

    private func end(
        _ writing: CheckpointWriting, _ result: Result<Int, CheckpointError>, count: Int, touchCount: UInt64
    ) {
        guard writing === self.writing else { return }
        self.writing = nil
        let now = bootTimeNanoseconds()
        due = max(begun + interval, now + Self.rest * (now - begun))
        note(result, count: count, touchCount: touchCount, now: now)
    }

    /// Begins none until `goOn`, and gives up what was begun.
    func hold() {
        drop()
        // What was given up leaves a file behind until then.
        queue.sync {}
        isHeld = true
    }

    /// Ends what `hold` began.
    func goOn() { isHeld = false }

    /// Gives up what was begun.
    private func drop() {
        snapshot = nil
        if let writing { queue.async { writing.abandon() } }
        writing = nil
        isPaused = false
    }

    // MARK: At the end

    /// Writes the last one, where something has changed, and waits for it.
    func finish() {
        drop()
        queue.sync {}
        guard savedTouchCount != table.touchCount, let origin else { return }
        begun = bootTimeNanoseconds()
        number += 1
        let writing = CheckpointWriting()
        let snapshot = CheckpointSnapshot(of: table, origin: origin, number: number) { _ = writing.write($0) }
        writing.begin(file, isLocked: lock != nil, header: snapshot.header)
        while !snapshot.run(for: .seconds(60)) {}
        let outcome = writing.commit()
        if case .failure(let error) = outcome {
            // Whatever was told of those before: this one is not tried again.
            return logger.error(
                "the last checkpoint was not written: what has changed since the one before is lost",
                metadata: ["file": "\(file.path)", "reason": "\(error)"])
        }
        note(outcome, count: snapshot.count, touchCount: snapshot.touchCount, now: bootTimeNanoseconds())
    }

    // MARK: How it went

    private func note(_ outcome: Result<Int, CheckpointError>, count: Int, touchCount: UInt64, now: UInt64) {
        switch outcome {
        case .success(let size):
            if loggedFailure != nil {
                logger.notice("checkpoints are written again", metadata: ["file": "\(file.path)"])
            }
            loggedFailure = nil
            savedTouchCount = touchCount
            result.timeMilliseconds = CheckpointClock.now().wallTime / 1_000_000
            result.bindings = UInt64(count)
            result.bytes = UInt64(size)
            result.durationMilliseconds = (now - begun) / 1_000_000
            result.written += 1
            result.error = ""
            logger.debug(
                "checkpoint written",
                metadata: [
                    "file": "\(file.path)", "bindings": "\(count)", "bytes": "\(size)",
                    "milliseconds": "\(result.durationMilliseconds)",
                ])
        case .failure(let error):
            result.failures += 1
            let isSame = result.error == error.description
            result.error = error.description
            if isSame, let loggedFailure, now - loggedFailure < Self.logInterval { return }
            loggedFailure = now
            logger.error(
                "checkpoint not written; the one before stays, and forwarding goes on",
                metadata: ["file": "\(file.path)", "reason": "\(error)", "failures": "\(result.failures)"])
        }
    }
}

/// A checkpoint that is being written; for one thread at a time.
private final class CheckpointWriting: @unchecked Sendable {
    private var state = Result<CheckpointWriter?, CheckpointError>.success(nil)
    private var lock: CInt = -1

    deinit { if lock >= 0 { close(lock) } }

    func begin(_ file: CheckpointFile, isLocked: Bool, header: CheckpointHeader) {
        do throws(CheckpointError) {
            if !isLocked { lock = try file.lock() }
            state = .success(try CheckpointWriter(file, header: header))
        } catch {
            state = .failure(error)
        }
    }

    /// - Returns: whether it has failed.
    func write(_ block: consuming CheckpointBlock) -> Bool {
        guard case .success(let writer?) = state else { return true }
        do throws(CheckpointError) {
            try writer.write(block)
            return false
        } catch {
            state = .failure(error)
            return true
        }
    }

    /// - Returns: its size in bytes.
    func commit() -> Result<Int, CheckpointError> {
        defer { abandon() }
        switch state {
        case .success(let writer?):
            do throws(CheckpointError) {
                try writer.commit()
                return .success(writer.size)
            } catch {
                return .failure(error)
            }
        case .success(nil): return .failure(.malformed("it was not begun"))
        case .failure(let error): return .failure(error)
        }
    }

    func abandon() {
        state = .success(nil)
        if lock >= 0 { close(lock) }
        lock = -1
    }
}

// The table on its way to a successor: a copy while packets flow, then what has changed since, until that is little, and
// last what has changed since then, when no packet flows. Files in memory, which the successor reads.

import Checkpoint
import Forwarding
import Succession

/// A table that is handed over; for the event loop's thread.
final class SuccessionTransfer {
    /// How long requests wait at a time.
    static let slice = Duration.milliseconds(1)

    private let table: BindingTable
    private unowned let origin: any CheckpointOrigin
    private let number: UInt64
    private var marks = TrafficMarks()
    /// The next binding's number that is looked at, before the copy.
    private var nextMark = 0
    private var file: TransferFile
    private var copy: CheckpointSnapshot?
    private var changes: CheckpointChanges?

    /// - Parameter number: of the last checkpoint.
    init(of table: BindingTable, origin: any CheckpointOrigin, number: UInt64) throws {
        self.table = table
        self.origin = origin
        self.number = number
        file = try TransferFile()
    }

    /// Gives up what was begun, and has the table note nothing more.
    func end() {
        (copy, changes) = (nil, nil)
        table.isNotingTouched = false
    }

    /// Goes on with the copy for a millisecond.
    /// - Returns: it, when it is done.
    func runCopy() throws -> MemoryFile? {
        // What goes through a binding behind this look is seen as a change, whether the copy has it or not.
        while copy == nil, nextMark < table.numberEnd {
            let end = min(nextMark + 1024, table.numberEnd)
            for number in nextMark..<end { _ = marks.hasMoved(number, of: table, isTouched: true) }
            nextMark = end
            if nextMark < table.numberEnd { return nil }
        }
        if copy == nil {
            let new = CheckpointSnapshot(of: table, origin: origin, number: number, keepsNoting: true, sink: file.write)
            try file.begin(new.header)
            copy = new
        }
        guard copy?.run(for: Self.slice) == true else { return nil }
        return try file.end()
    }

    /// Begins with what has changed since the copy, or since this was called last.
    func beginChanges() throws {
        file = try TransferFile()
        let header = CheckpointHeader(clock: .now(), number: number)
        try file.begin(header)
        changes = CheckpointChanges(
            of: table, origin: origin, since: marks, touchedMeanwhile: copy?.touchedMeanwhile ?? [], number: number,
            sink: file.write)
        copy = nil
    }

    /// Goes on with changes.
    /// - Parameter limit: how long; nil to the end.
    /// - Returns: they and how many they are, when they are done.
    func runChanges(for limit: Duration? = slice) throws -> (file: MemoryFile, count: Int)? {
        guard let changes, changes.run(for: limit) else { return nil }
        marks = changes.marks
        return (try file.end(), changes.count)
    }
}

/// A file that is being written.
private final class TransferFile {
    private let memory: MemoryFile
    private let stream: CheckpointStream
    private var failure: CheckpointError?

    init() throws {
        memory = try MemoryFile()
        stream = CheckpointStream(memory.descriptor, name: "a file in memory")
    }

    func begin(_ header: CheckpointHeader) throws { try stream.begin(header) }

    func write(_ block: CheckpointBlock) {
        guard failure == nil else { return }
        do throws(CheckpointError) { try stream.write(block) } catch { failure = error }
    }

    func end() throws -> MemoryFile {
        if let failure { throw failure }
        return memory
    }
}

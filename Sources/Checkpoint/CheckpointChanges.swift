// What has become of a table behind a copy of it (CheckpointSnapshot that keeps noting), for another process that follows:
// in the form of a checkpoint that has changes only. Puts and removals are those of the moment at which it is begun, taken
// without a pause, so that no prefix has two holders in it. Bindings that only packets went through are found by a look
// at all of them, a few at a time; those that were touched since are left to the next.

import Bindings
import Forwarding

/// Changes of a table that are being written; for the table's thread.
public final class CheckpointChanges {
    /// How many bindings are looked at before the clock is asked again.
    private static let stride = 256

    /// What it says of itself.
    public let header: CheckpointHeader
    /// What had gone through bindings when each was looked at.
    public private(set) var marks: TrafficMarks
    /// How many bindings and groups it has.
    public private(set) var count = 0

    private let table: BindingTable
    private unowned let origin: any CheckpointOrigin
    private var encoder: CheckpointEncoder
    private var nextNumber = 0
    private var isDone = false

    /// Begins, with what was touched since the copy, or the changes before.
    /// - Parameters:
    ///   - marks: from before the copy, or of the changes before.
    ///   - touchedMeanwhile: of the copy, behind which these are the first changes; else none.
    ///   - number: of the copy.
    ///   - sink: gets the blocks in their order, on the calling thread.
    public init(
        of table: BindingTable, origin: any CheckpointOrigin, since marks: TrafficMarks,
        touchedMeanwhile: Set<String> = [], number: UInt64,
        sink: @escaping (CheckpointBlock) -> Void
    ) {
        self.table = table
        self.origin = origin
        self.marks = marks
        header = CheckpointHeader(clock: .now(), number: number)
        encoder = CheckpointEncoder(sink: sink)
        let touched = table.takeTouched()
        for id in touched.ids.union(touchedMeanwhile) {
            count += 1
            if let number = table.number(of: id), let saved = table.saved(at: number) {
                _ = self.marks.hasMoved(number, of: table, isTouched: true)
                encoder.add(saved, isFromFile: origin.isFromFile(id), .changes)
            } else {
                encoder.addRemoved(id)
            }
        }
        for address in touched.groups {
            count += 1
            encoder.add(
                group: address, members: table.members(ofGroup: address),
                isFromFile: { origin.isFromFile($0, of: address) }, .changes)
        }
    }

    /// Goes on.
    /// - Parameter limit: how long at about; nil to the end.
    /// - Returns: whether it is done.
    public func run(for limit: Duration?) -> Bool {
        let deadline = limit.map { ContinuousClock.now + $0 }
        while nextNumber < table.numberEnd {
            let end = min(nextNumber + Self.stride, table.numberEnd)
            for number in nextNumber..<end where marks.hasMoved(number, of: table, isTouched: false) {
                guard let saved = table.saved(at: number), !table.isTouched(saved.binding.id) else { continue }
                count += 1
                encoder.add(saved, isFromFile: origin.isFromFile(saved.binding.id), .changes)
            }
            nextNumber = end
            if let deadline, ContinuousClock.now >= deadline { return false }
        }
        if !isDone {
            isDone = true
            encoder.end(
                bindings: table.count, members: table.memberCount, lastRevision: table.lastRevision,
                file: origin.fileDigest)
        }
        return true
    }
}

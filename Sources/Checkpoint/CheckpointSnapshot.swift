// Copies a table's bindings a few at a time, so that whoever changes the table has to wait for a few only, and the result
// is the state of one moment all the same: the table notes what is touched meanwhile, and that is copied again behind the
// rest, as it is then. What is touched during that is copied once more, and so on; these rounds get shorter, and the last
// one is done without a pause. What the checkpoint then amounts to is the table as it was when that ended.

import Bindings
import Forwarding
import Wire

/// Where bindings and memberships come from, which the table does not know.
public protocol CheckpointOrigin: AnyObject {
    /// Whether the binding file named a binding.
    func isFromFile(_ id: String) -> Bool
    /// Whether the binding file named a member of a group.
    func isFromFile(_ id: String, of group: IPv6Address) -> Bool
    /// The binding file that was read last.
    var fileDigest: CheckpointFileDigest? { get }
}

/// A checkpoint that is being made of a table; for the table's thread. One at a time of a table.
public final class CheckpointSnapshot {
    /// Rounds of changes before the last, which is done without a pause however much was touched.
    private static let roundLimit = 8
    /// What is touched less than this is copied at once.
    private static let smallRound = 256
    /// How many bindings are copied before the clock is asked again.
    private static let stride = 64

    /// What it says of itself.
    public let header: CheckpointHeader
    /// How many bindings it holds; once it is done.
    public private(set) var count = 0
    /// What the table's `touchCount` was when it was done.
    public private(set) var touchCount: UInt64 = 0

    /// Ids that were touched while it was made, where the table goes on to note them: the first `CheckpointChanges` has
    /// these too, since what had gone through them was not looked at.
    public private(set) var touchedMeanwhile: Set<String> = []

    private let table: BindingTable
    private let keepsNoting: Bool
    private unowned let origin: any CheckpointOrigin
    private var encoder: CheckpointEncoder
    /// How many numbers of bindings are still to be copied: a number is used again only for what is touched.
    private var numbersLeft: Int
    private var ids: [String] = []
    private var nextID = 0
    private var groups: [IPv6Address]
    private var nextGroup = 0
    private var pass = CheckpointEncoder.Pass.copy
    private var rounds = 0
    private var isDone = false

    /// Begins a copy.
    /// - Parameters:
    ///   - number: one more than that of the checkpoint before.
    ///   - keepsNoting: whether the table goes on to note what is touched when this is done, for `CheckpointChanges`.
    ///   - sink: gets the blocks in their order, on the calling thread.
    public init(
        of table: BindingTable, origin: any CheckpointOrigin, number: UInt64, keepsNoting: Bool = false,
        sink: @escaping (CheckpointBlock) -> Void
    ) {
        self.table = table
        self.keepsNoting = keepsNoting
        self.origin = origin
        header = CheckpointHeader(clock: .now(), number: number)
        encoder = CheckpointEncoder(sink: sink)
        table.isNotingTouched = true
        numbersLeft = table.numberEnd
        groups = table.groupAddresses
    }

    deinit { if !(isDone && keepsNoting) { table.isNotingTouched = false } }

    /// Goes on.
    /// - Parameter limit: how long at about, while much is left to do.
    /// - Returns: whether it is done.
    public func run(for limit: Duration) -> Bool {
        let deadline = ContinuousClock.now + limit
        while !isDone {
            copy(until: deadline)
            let isPassDone = numbersLeft == 0 && nextID == ids.count && nextGroup == groups.count
            // Who touches more than this would have the rest of the copy be of no use.
            let mustEnd = table.touchedNameCount > table.configuration.bindingLimit / 4 + 65_536
            if !isPassDone {
                guard mustEnd else { return false }
                copy(until: nil)
            }
            let touched = table.takeTouched()
            if keepsNoting { touchedMeanwhile.formUnion(touched.ids) }
            (ids, groups) = (Array(touched.ids), Array(touched.groups))
            (nextID, nextGroup) = (0, 0)
            pass = .changes
            rounds += 1
            if mustEnd || rounds > Self.roundLimit || ids.count + groups.count <= Self.smallRound {
                copy(until: nil)
                end()
            } else if ContinuousClock.now >= deadline {
                return false
            }
        }
        return true
    }

    /// Copies to the end, or to about the deadline.
    private func copy(until deadline: ContinuousClock.Instant?) {
        while numbersLeft > 0 {
            let next = max(numbersLeft - Self.stride, 0)
            for number in next..<numbersLeft {
                guard let saved = table.saved(at: number) else { continue }
                encoder.add(saved, isFromFile: origin.isFromFile(saved.binding.id), pass)
            }
            numbersLeft = next
            if let deadline, ContinuousClock.now >= deadline { return }
        }
        while nextID < ids.count {
            for id in ids[nextID..<min(nextID + Self.stride, ids.count)] {
                if let saved = table.saved(id) {
                    encoder.add(saved, isFromFile: origin.isFromFile(id), pass)
                } else {
                    encoder.addRemoved(id)
                }
            }
            nextID = min(nextID + Self.stride, ids.count)
            if let deadline, ContinuousClock.now >= deadline { return }
        }
        while nextGroup < groups.count {
            let address = groups[nextGroup]
            nextGroup += 1
            encoder.add(
                group: address, members: table.members(ofGroup: address),
                isFromFile: { origin.isFromFile($0, of: address) }, pass)
            if let deadline, ContinuousClock.now >= deadline { return }
        }
    }

    private func end() {
        isDone = true
        count = table.count
        touchCount = table.touchCount
        encoder.end(
            bindings: count, members: table.memberCount, lastRevision: table.lastRevision, file: origin.fileDigest)
        if !keepsNoting { table.isNotingTouched = false }
    }
}

// How long changes of a table hold up a reader: the longest time that a batch of look-ups takes on one thread while
// another changes the table, and the same while nothing changes.

import Foundation
import PrefixTable
import Synchronization
import Wire

/// The longest batch of 64 look-ups, in microseconds of real time.
struct LookupStall {
    let idle: Double
    let underUpdates: Double

    /// - Parameter change: changes the table for a while, on this thread.
    init(
        _ table: PrefixTable, _ quiescent: QuiescentReader, _ addresses: [IPv6Address], while change: () -> Void
    ) {
        idle = Self.longest(table, quiescent, addresses) { Thread.sleep(forTimeInterval: 0.3) }
        underUpdates = Self.longest(table, quiescent, addresses, while: change)
    }

    private final class Shared: Sendable {
        let stopping = Atomic(false)
        let longest = Atomic(0)
        let ended = DispatchSemaphore(value: 0)
    }

    private static func longest(
        _ table: PrefixTable, _ quiescent: QuiescentReader, _ addresses: [IPv6Address], while change: () -> Void
    ) -> Double {
        let shared = Shared()
        let reader = table.reader
        Thread.detachNewThread {
            var results = [UInt32](repeating: 0, count: 64)
            var next = 0
            var longest = 0
            quiescent.goOnline()
            while !shared.stopping.load(ordering: .relaxed) {
                let start = DispatchTime.now().uptimeNanoseconds
                addresses.withUnsafeBytes { bytes in
                    results.withUnsafeMutableBytes { results in
                        reader.lookup(
                            count: 64, addresses: bytes.baseAddress! + next * 16, stride: 16,
                            results: results.baseAddress!, resultStride: 4)
                    }
                }
                quiescent.quiesce()
                longest = max(longest, Int(DispatchTime.now().uptimeNanoseconds - start))
                next = next + 128 < addresses.count ? next + 64 : 0
            }
            quiescent.goOffline()
            shared.longest.store(longest, ordering: .relaxed)
            shared.ended.signal()
        }
        change()
        shared.stopping.store(true, ordering: .relaxed)
        shared.ended.wait()
        return Double(shared.longest.load(ordering: .relaxed)) / 1000
    }
}

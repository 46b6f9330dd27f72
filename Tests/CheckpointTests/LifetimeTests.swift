// Lifetimes over a restart of the daemon and of the host, with clocks that jump.

import Bindings
import Checkpoint
import Forwarding
import Testing
import Wire

@Suite("Lifetimes over a restart") struct LifetimeTests {
    private static let second: UInt64 = 1_000_000_000
    private static let before = CheckpointClock(bootID: (1, 2), bootTime: 1000 * second, wallTime: 5_000_000 * second)

    private static func clock(_ bootID: UInt64, up: UInt64, wall: Int64) -> CheckpointClock {
        CheckpointClock(
            bootID: (1, bootID), bootTime: up * second, wallTime: UInt64(Int64(5_000_000) + wall) * second)
    }

    /// What is left of a lifetime that had 600 seconds left, in seconds.
    private static let cases: [(now: CheckpointClock, left: UInt64)] = [
        // The same start of the host: the wall clock says nothing, however it jumps.
        (clock(2, up: 1000, wall: 0), 600), (clock(2, up: 1100, wall: 100), 500),
        (clock(2, up: 1100, wall: -9999), 500),
        (clock(2, up: 1100, wall: 999_999), 500), (clock(2, up: 1599, wall: 0), 1), (clock(2, up: 1600, wall: 0), 0),
        (clock(2, up: 9999, wall: 0), 0),
        // Another start: it was down for as long as the wall clock says.
        (clock(3, up: 20, wall: 100), 500), (clock(3, up: 20, wall: 600), 0), (clock(3, up: 20, wall: 10_000), 0),
        // The wall clock has gone back: at least it is up.
        (clock(3, up: 20, wall: -10_000), 580), (clock(3, up: 700, wall: -10_000), 0), (clock(3, up: 20, wall: 5), 580),
        // A start that has no name is another one.
        (CheckpointClock(bootID: (0, 0), bootTime: 1100 * second, wallTime: 5_000_100 * second), 0),
        // A clock that ran backwards within one start is not that clock.
        (clock(2, up: 500, wall: 100), 100),
    ]

    @Test(
        "What is left is right, and where clocks contradict each other at most what the host's uptime allows",
        arguments: cases)
    func carried(now: CheckpointClock, left: UInt64) {
        let end = Self.before.carry(Self.before.bootTime + 600 * Self.second, over: now)
        #expect(left == 0 ? end <= now.bootTime : end == now.bootTime + left * Self.second)
    }

    @Test("A start without a name is not the same as another without one")
    func nameless() {
        let before = CheckpointClock(bootID: (0, 0), bootTime: 10, wallTime: 100)
        #expect(before.carry(60, over: CheckpointClock(bootID: (0, 0), bootTime: 10, wallTime: 130)) == 30)
    }

    @Test("Times at the ends of their range do not overflow")
    func extremes() {
        let now = Self.clock(3, up: 20, wall: 100)
        #expect(Self.before.carry(.max, over: now) > now.bootTime)
        #expect(Self.before.carry(0, over: now) == now.bootTime)
        let late = CheckpointClock(bootID: (9, 9), bootTime: .max, wallTime: .max)
        #expect(Self.before.carry(.max, over: late) == .max)
        #expect(CheckpointClock(bootID: (1, 1), bootTime: 0, wallTime: .max).carry(.max, over: late) == .max)
    }

    @Test("A binding whose lifetime has passed meanwhile does not come back; others have what is left")
    func restored() throws {
        let table = try BindingTable.sample()
        let ids = ["ended", "going", "for-ever"]
        let saved = zip(ids, [600, 601, nil] as [UInt64?]).map { id, seconds in
            BindingTable.Saved(
                binding: Binding(id: id, careOfAddress: IPv4Address(rawValue: 0x0A00_0001)),
                expiry: seconds.map { $0 * Self.second }, revision: 1, traffic: BindingTraffic(), sequence: nil,
                owner: "")
        }
        _ = try table.restore(saved, lastRevision: 9, now: 600 * Self.second)
        #expect(Array(table.ids(after: "", limit: .max)) == ["for-ever", "going"])
        #expect(table.state(of: "going", now: 600 * Self.second)?.binding.lifetime == 1)
        #expect(table.expire(now: 601 * Self.second).map(\.id) == ["going"])
    }
}

// Which endpoints of bindings are led to the access device, and when those that could not be are tried again: with one timer
// for all, after a second and then ever longer, a minute at the most. An endpoint that is new is tried at once.
//
// Bounds: as many as bindings name, and those that could not be taken back.

import PacketIO
import Wire

/// Routes of endpoints that come and go.
struct EndpointRoutes {
    /// Until what failed is tried again, in nanoseconds; doubled each time.
    static let firstWait: UInt64 = 1_000_000_000
    static let longestWait: UInt64 = 60_000_000_000

    /// Those that are led to the device.
    private(set) var routed: Set<IPv4Address> = []
    /// Nobody names them any more, and they could not be taken back.
    private var leftOver: Set<IPv4Address> = []
    /// What failed the last time.
    private var failed: Set<IPv4Address> = []
    private var wait = firstWait
    private var retryAt: UInt64?

    /// Whether something failed that is to be tried again by now.
    func isRetryDue(at now: UInt64) -> Bool { retryAt.map { $0 <= now } ?? false }

    /// Leads those that are wanted to the device, and takes the others back.
    /// - Parameter now: in nanoseconds, by a clock that is never set.
    /// - Returns: what could not be done; what is not due yet is not tried.
    mutating func follow(
        _ wanted: Set<IPv4Address>, at now: UInt64, add: (IPv4Address) throws(SetupError) -> Void,
        remove: (IPv4Address) throws(SetupError) -> Void
    ) -> [SetupError] {
        let isDue = isRetryDue(at: now)
        leftOver.formUnion(routed.subtracting(wanted))
        leftOver.subtract(wanted)
        routed.formIntersection(wanted)
        let open = wanted.subtracting(routed)
        failed.formIntersection(open.union(leftOver))
        var problems: [SetupError] = []
        // Those of a set that are to be tried now; `done` notes that one is.
        func attempt(
            _ endpoints: Set<IPv4Address>, _ action: (IPv4Address) throws(SetupError) -> Void,
            done: (IPv4Address) -> Void
        ) {
            for endpoint in endpoints.sorted() where isDue || !failed.contains(endpoint) {
                do throws(SetupError) {
                    try action(endpoint)
                    done(endpoint)
                    failed.remove(endpoint)
                } catch {
                    failed.insert(endpoint)
                    problems.append(error)
                }
            }
        }
        attempt(open, add) { routed.insert($0) }
        attempt(leftOver, remove) { leftOver.remove($0) }
        setTimer(at: now, wasDue: isDue)
        return problems
    }

    private mutating func setTimer(at now: UInt64, wasDue: Bool) {
        guard !failed.isEmpty else {
            (retryAt, wait) = (nil, Self.firstWait)
            return
        }
        guard retryAt == nil || wasDue else { return }
        if wasDue { wait = min(wait * 2, Self.longestWait) }
        retryAt = now + wait
    }
}

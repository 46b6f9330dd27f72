// When a lifetime ends is kept on the clock that runs since the host was started (CLOCK_BOOTTIME): it neither jumps nor
// stands still while the host sleeps. Within one start of the host a checkpoint's times are therefore exact, whatever
// happens to the wall clock. After another start only the wall clock spans the gap, and it may be wrong: it may have
// been set, or the host may have none and begin in 1970. One thing is sure even then: the host has been up since the
// checkpoint for as long as it is up now. The longer of the two counts as time that has passed. So a wall clock that
// went back lets a binding live for the time that the host was off too long at the most, and one that went ahead ends
// bindings too early, which their nodes notice and register anew.

import Glibc

/// What the clocks say at one moment, and in which start of the host.
public struct CheckpointClock: Hashable, Sendable {
    /// Names the start of the host; zero where it is not known.
    public var bootID: (high: UInt64, low: UInt64) {
        get { (bootIDHigh, bootIDLow) }
        set { (bootIDHigh, bootIDLow) = newValue }
    }
    private var bootIDHigh: UInt64
    private var bootIDLow: UInt64
    /// Nanoseconds since the host was started, its sleep included.
    public var bootTime: UInt64
    /// Nanoseconds since 1970.
    public var wallTime: UInt64

    /// Clocks that say this.
    public init(bootID: (high: UInt64, low: UInt64), bootTime: UInt64, wallTime: UInt64) {
        (bootIDHigh, bootIDLow) = bootID
        self.bootTime = bootTime
        self.wallTime = wallTime
    }

    /// What they say now.
    public static func now() -> CheckpointClock {
        CheckpointClock(
            bootID: currentBootID, bootTime: nanoseconds(of: CLOCK_BOOTTIME), wallTime: nanoseconds(of: CLOCK_REALTIME))
    }

    /// Carries a moment over from these clocks to others.
    /// - Parameters:
    ///   - moment: on these clocks' `bootTime`, in nanoseconds.
    ///   - now: the clocks to carry it over to.
    /// - Returns: the moment on the `bootTime` of `now`; no later than that where it has passed.
    public func carry(_ moment: UInt64, over now: CheckpointClock) -> UInt64 {
        let isSameStart = bootID != (0, 0) && bootID == now.bootID && now.bootTime >= bootTime
        if isSameStart { return moment }
        let elapsed = max(now.bootTime, now.wallTime > wallTime ? now.wallTime - wallTime : 0)
        let left = moment > bootTime ? moment - bootTime : 0
        guard left > elapsed else { return now.bootTime }
        let (sum, overflow) = now.bootTime.addingReportingOverflow(left - elapsed)
        return overflow ? .max : sum
    }

    private static func nanoseconds(of clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        // A wall clock before 1970 is as good as one in 1970.
        return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
    }

    private static let currentBootID: (high: UInt64, low: UInt64) = {
        guard let file = fopen("/proc/sys/kernel/random/boot_id", "re") else { return (0, 0) }
        defer { fclose(file) }
        var text = [CChar](repeating: 0, count: 64)
        guard fgets(&text, CInt(text.count), file) != nil else { return (0, 0) }
        let digits = text.compactMap { Character(UnicodeScalar(UInt8(bitPattern: $0))).hexDigitValue }
        guard digits.count == 32 else { return (0, 0) }
        func number(_ digits: ArraySlice<Int>) -> UInt64 { digits.reduce(0) { $0 << 4 | UInt64($1) } }
        return (number(digits[..<16]), number(digits[16...]))
    }()
}

import Glibc
import MobileIP

extension Moment {
    /// By the time of day, and by the time since the machine was started, sleep included.
    static var now: Moment {
        var (day, boot) = (timespec(), timespec())
        clock_gettime(CLOCK_REALTIME, &day)
        clock_gettime(CLOCK_BOOTTIME, &boot)
        return Moment(
            timeOfDay: NetworkTime(secondsSince1970: Int64(day.tv_sec), nanoseconds: UInt32(day.tv_nsec)),
            nanoseconds: UInt64(boot.tv_sec) * 1_000_000_000 + UInt64(boot.tv_nsec))
    }
}

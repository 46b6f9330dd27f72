/// A limit of so many a second, with a burst. It keeps time, not tokens, so nothing is lost to rounding.
public struct TokenBucket: Sendable {
    private let nanosecondsPerToken: UInt64
    private let burstNanoseconds: UInt64
    private var credit: UInt64
    private var last: UInt64?

    /// A full bucket.
    /// - Parameters:
    ///   - perSecond: how many a second in the long run; 0 allows none.
    ///   - burst: how many at once, at least 1.
    public init(perSecond: UInt64, burst: UInt64) {
        nanosecondsPerToken = perSecond == 0 ? 0 : max(1_000_000_000 / perSecond, 1)
        let (product, overflow) = nanosecondsPerToken.multipliedReportingOverflow(by: max(burst, 1))
        burstNanoseconds = overflow ? .max : product
        credit = burstNanoseconds
    }

    /// Takes a token if there is one.
    /// - Parameter now: in nanoseconds; a clock that runs backwards saves up nothing.
    public mutating func take(now: UInt64) -> Bool {
        guard nanosecondsPerToken > 0 else { return false }
        let elapsed = now > last ?? now ? now - (last ?? now) : 0
        last = max(last ?? now, now)
        credit = elapsed < burstNanoseconds - credit ? credit + elapsed : burstNanoseconds
        guard credit >= nanosecondsPerToken else { return false }
        credit -= nanosecondsPerToken
        return true
    }
}

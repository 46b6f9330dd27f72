// When advertisements are sent, and which number they bear (RFC 5944, 2.3 and 2.3.2; RFC 1256, 6.2).

/// The times and numbers of a foreign agent's advertisements.
struct Advertiser {
    /// When the next is due that nobody asked for; nil for never.
    private(set) var deadline: UInt64?
    /// In seconds.
    private let interval: Int?
    private var random: any RandomNumberGenerator
    private var nextSequenceNumber: UInt16 = 0
    private var second: UInt64 = 0
    private var sentInSecond = 0

    /// The first is due at once.
    init(interval: Int?, random: any RandomNumberGenerator) {
        self.interval = interval
        self.random = random
        deadline = interval == nil ? nil : 0
    }

    /// For how long one is valid, in seconds: three intervals, or half an hour.
    var lifetime: UInt16 { interval.map { UInt16(3 * $0) } ?? 1800 }

    /// Whether one is due; the next is then.
    mutating func takeDue(at now: UInt64) -> Bool {
        guard let deadline, let interval, deadline <= now else { return false }
        let longest = UInt64(interval) * 1_000_000_000
        self.deadline = now + UInt64.random(in: longest / 4 * 3...longest, using: &random)
        return true
    }

    /// Whether one more may be sent in this second, which is then counted.
    mutating func admits(at now: UInt64, limit: Int) -> Bool {
        if now / 1_000_000_000 != second { (second, sentInSecond) = (now / 1_000_000_000, 0) }
        guard sentInSecond < limit else { return false }
        sentInSecond += 1
        return true
    }

    /// 0 after the start, and 256 after 65535: so nodes tell a restart from going round (RFC 5944, 2.3.2).
    mutating func takeSequenceNumber() -> UInt16 {
        defer { nextSequenceNumber = nextSequenceNumber == .max ? 256 : nextSequenceNumber + 1 }
        return nextSequenceNumber
    }
}

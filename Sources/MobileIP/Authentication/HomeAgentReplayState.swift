// The home agent's side of replay protection (RFC 5944, 5.7): one such value for each mobile node. It is asked when the
// authentication was found right, and not before, else anyone could move it.

/// What a home agent remembers of a mobile node's identifications.
public struct HomeAgentReplayState: Hashable, Sendable {
    /// The identification that was accepted last.
    public private(set) var lastAccepted: UInt64?
    /// The reply's identification to that.
    public private(set) var lastReply: UInt64?
    /// The nonce that the next request must bring; nil before the first reply.
    public private(set) var nonce: UInt32?

    /// Nothing is known of the mobile node, or what was known before a restart.
    public init(lastAccepted: UInt64? = nil, lastReply: UInt64? = nil, nonce: UInt32? = nil) {
        self.lastAccepted = lastAccepted
        self.lastReply = lastReply
        self.nonce = nonce
    }

    /// What to do with a request. Each bears the identification for the reply.
    public enum Verdict: Hashable, Sendable {
        /// It is fresh.
        case fresh(reply: UInt64)
        /// It is, with nonces, the last accepted one again, whose reply was lost (RFC 5944, 3.6.3): the same reply
        /// answers it, and nothing changes.
        case repeated(reply: UInt64)
        /// It is to be rejected with code 133; the mobile node learns the time, or a nonce, from the reply.
        case mismatch(reply: UInt64)
    }

    /// Takes an identification of an authenticated request.
    /// - Parameters:
    ///   - now: the home agent's time of day.
    ///   - newNonce: a random number, for nonces.
    public mutating func check(
        _ identification: UInt64, by style: ReplayProtection, at now: NetworkTime, newNonce: UInt32
    ) -> Verdict {
        switch style {
        case .timestamps(let tolerance): checkTimestamp(identification, tolerance, now)
        case .nonces: checkNonce(identification, newNonce)
        }
    }

    private mutating func checkTimestamp(_ identification: UInt64, _ tolerance: Duration, _ now: NetworkTime) -> Verdict
    {
        let time = NetworkTime(rawValue: identification)
        let isClose = time.units(since: now).magnitude <= NetworkTime.units(of: tolerance)
        let isLater = lastAccepted.map { time.isLater(than: NetworkTime(rawValue: $0)) } ?? true
        guard isClose, isLater else {
            return .mismatch(reply: Identification.joined(high: now.seconds, low: Identification.low(identification)))
        }
        (lastAccepted, lastReply) = (identification, identification)
        return .fresh(reply: identification)
    }

    private mutating func checkNonce(_ identification: UInt64, _ newNonce: UInt32) -> Verdict {
        if let lastReply, identification == lastAccepted { return .repeated(reply: lastReply) }
        let isFresh = nonce.map { $0 == Identification.high(identification) } ?? false
        nonce = newNonce
        let reply = Identification.joined(high: newNonce, low: Identification.low(identification))
        guard isFresh else { return .mismatch(reply: reply) }
        (lastAccepted, lastReply) = (identification, reply)
        return .fresh(reply: reply)
    }
}

// The mobile node's side of replay protection (RFC 5944, 5.7): one such value for each home agent.

/// What a mobile node remembers for the identifications of its requests.
public struct MobileNodeReplayState: Hashable, Sendable {
    /// The identification of the last request.
    public private(set) var lastSent: UInt64?
    /// That of the last request that was accepted.
    public private(set) var lastAccepted: UInt64?
    /// The home agent's clock less this node's, in units of 2⁻³² seconds.
    public private(set) var clockOffset: Int64
    /// The nonce for the next request.
    public private(set) var nonce: UInt32

    /// - Parameter nonce: with nonces, what the last reply brought, or any number: the first request is then rejected,
    ///   and the reply brings one.
    public init(lastSent: UInt64? = nil, lastAccepted: UInt64? = nil, clockOffset: Int64 = 0, nonce: UInt32 = 0) {
        self.lastSent = lastSent
        self.lastAccepted = lastAccepted
        self.clockOffset = clockOffset
        self.nonce = nonce
    }

    /// The identification for a new request. With nonces, a request that is sent again keeps its own (RFC 5944, 3.6.3).
    /// - Parameters:
    ///   - now: the node's time of day.
    ///   - random: a random number: with timestamps its lowest bits stand for those that a clock of nanoseconds does
    ///     not have, with nonces it is the node's own nonce.
    public mutating func makeIdentification(by style: ReplayProtection, at now: NetworkTime, random: UInt32) -> UInt64 {
        var identification: UInt64
        switch style {
        case .timestamps:
            identification = now.advanced(byUnits: clockOffset).rawValue & ~3 | UInt64(random & 3)
            if let lastSent, !NetworkTime(rawValue: identification).isLater(than: NetworkTime(rawValue: lastSent)) {
                identification = lastSent &+ 1
            }
        case .nonces:
            let isRepeated = lastSent.map { Identification.low($0) == random } ?? false
            identification = Identification.joined(high: nonce, low: isRepeated ? random &+ 1 : random)
        }
        lastSent = identification
        return identification
    }

    /// Whether a reply can be to that request: the lower halves are the same (RFC 5944, 3.6.2.1).
    public static func matches(reply: UInt64, request: UInt64) -> Bool {
        Identification.low(reply) == Identification.low(request)
    }

    /// Takes the identification of an authenticated reply of the home agent that matches the request.
    /// - Parameters:
    ///   - request: the request's identification.
    ///   - code: the reply's.
    ///   - now: the node's time of day when the reply came.
    public mutating func accept(
        reply: UInt64, to request: UInt64, code: ReplyCode, by style: ReplayProtection, at now: NetworkTime
    ) {
        if code.isAccepted { lastAccepted = request }
        switch style {
        case .nonces: nonce = Identification.high(reply)
        case .timestamps where code == .identificationMismatch:
            // Only seconds are told; on average half a second has passed of the one that is.
            let time = NetworkTime(rawValue: Identification.joined(high: Identification.high(reply), low: 1 << 31))
            clockOffset = time.units(since: now)
            // What was rejected does not bind: the home agent's time may be before it.
            lastSent = lastAccepted
        case .timestamps: break
        }
    }
}

// RFC 5944, 5.7: both styles, from both sides. Times and nonces are given, so nothing depends on a clock.

import Testing

@testable import MobileIP

@Suite("Replay protection")
struct ReplayProtectionTests {
    private static let timestamps = ReplayProtection.timestamps()
    private static let second: Int64 = 1 << 32
    /// A time of day, half a second after a full one.
    private static let now = NetworkTime(secondsSince1970: 1_800_000_000, nanoseconds: 500_000_000)

    // MARK: Times

    @Test("times are those of the Network Time Protocol, and 2036 is no end")
    func times() {
        #expect(NetworkTime(secondsSince1970: 0).rawValue == 2_208_988_800 << 32)
        #expect(NetworkTime(secondsSince1970: 0, nanoseconds: 500_000_000).fraction == 1 << 31)
        #expect(NetworkTime(secondsSince1970: 0, nanoseconds: 999_999_999).fraction == 0xFFFF_FFFB)
        let last = NetworkTime(secondsSince1970: 2_085_978_495)
        let next = NetworkTime(secondsSince1970: 2_085_978_496)
        #expect(last.seconds == .max && next.seconds == 0)
        #expect(next.isLater(than: last) && !last.isLater(than: next) && !last.isLater(than: last))
        #expect(next.units(since: last) == Self.second && last.units(since: next) == -Self.second)
        #expect(last.advanced(byUnits: Self.second) == next && next.advanced(byUnits: -Self.second) == last)
        #expect(NetworkTime.units(of: .milliseconds(1500)) == 3 << 31)
        #expect(NetworkTime.units(of: .seconds(-1)) == 0)
        #expect(NetworkTime.units(of: .seconds(Int64.max)) == UInt64(Int64.max))
    }

    // MARK: The home agent, timestamps

    @Test(
        "S2 a timestamp may differ from the home agent's clock by as much as the tolerance",
        arguments: [(0, true), (7, true), (-7, true), (7.000_001, false), (-7.000_001, false), (3600, false)])
    func tolerance(_ difference: Double, _ isFresh: Bool) {
        let identification = Self.now.advanced(byUnits: Int64(difference * Double(Self.second))).rawValue
        var state = HomeAgentReplayState()
        let verdict = state.check(identification, by: Self.timestamps, at: Self.now, newNonce: 0)
        let low = identification & 0xFFFF_FFFF
        let rejection = UInt64(Self.now.seconds) << 32 | low
        #expect(verdict == (isFresh ? .fresh(reply: identification) : .mismatch(reply: rejection)))
        #expect(state.lastAccepted == (isFresh ? identification : nil))
    }

    @Test("S2 each timestamp must be later than the last that was accepted, by any little")
    func sequence() {
        var state = HomeAgentReplayState()
        func check(_ identification: UInt64) -> Bool {
            if case .fresh(reply: identification) = state.check(
                identification, by: Self.timestamps, at: Self.now, newNonce: 0)
            {
                return true
            }
            return false
        }
        let first = Self.now.rawValue
        #expect(check(first))
        #expect(!check(first), "a duplicate")
        #expect(!check(first - 1), "an earlier one")
        #expect(check(first + 1))
        #expect(!check(first + 8 << 32), "too far ahead")
        #expect(check(first + 2), "what was rejected does not count")
        #expect(state.lastAccepted == first + 2)
    }

    @Test("S2 times go on over 2036")
    func era() {
        let last = NetworkTime(secondsSince1970: 2_085_978_495), next = NetworkTime(secondsSince1970: 2_085_978_496)
        var state = HomeAgentReplayState(lastAccepted: last.rawValue)
        #expect(
            state.check(next.rawValue, by: Self.timestamps, at: last, newNonce: 0) == .fresh(reply: next.rawValue))
        #expect(
            state.check(last.rawValue, by: Self.timestamps, at: next, newNonce: 0)
                == .mismatch(reply: next.rawValue & ~0xFFFF_FFFF | last.rawValue & 0xFFFF_FFFF))
    }

    // MARK: The home agent, nonces

    @Test("S2 a request must bring the nonce of the last reply, and each reply has a new one")
    func nonces() {
        var state = HomeAgentReplayState()
        func check(_ high: UInt64, _ low: UInt64, _ newNonce: UInt32) -> HomeAgentReplayState.Verdict {
            state.check(high << 32 | low, by: .nonces, at: Self.now, newNonce: newNonce)
        }
        #expect(check(0, 1, 100) == .mismatch(reply: 100 << 32 | 1), "none was given yet, not even 0")
        #expect(check(100, 2, 200) == .fresh(reply: 200 << 32 | 2))
        #expect(check(100, 2, 300) == .repeated(reply: 200 << 32 | 2), "the reply was lost")
        #expect(check(200, 3, 300) == .fresh(reply: 300 << 32 | 3), "and what it was is still the nonce")
        #expect(check(100, 2, 400) == .mismatch(reply: 400 << 32 | 2), "an old request again")
        #expect(check(300, 4, 500) == .mismatch(reply: 500 << 32 | 4), "the nonce is another since")
        #expect(check(500, 5, 600) == .fresh(reply: 600 << 32 | 5))
    }

    // MARK: The mobile node

    @Test("S2 with timestamps, each identification is later than the one before, whatever the clock does")
    func identifications() {
        var state = MobileNodeReplayState()
        var last: UInt64 = 0
        for (step, difference) in [0, 1, 0, 0, -5, 2, 2].enumerated() {
            let time = Self.now.advanced(byUnits: Int64(difference) * Self.second)
            let identification = state.makeIdentification(by: Self.timestamps, at: time, random: UInt32(step))
            #expect(identification > last)
            last = identification
        }
        var other = MobileNodeReplayState()
        let identification = other.makeIdentification(by: Self.timestamps, at: Self.now, random: .max)
        #expect(identification == Self.now.rawValue | 3, "the lowest bits are random, the others the clock's")
    }

    @Test(
        "S2 a mobile node with a wrong clock is told the time, and is accepted",
        arguments: [Int64(-86400), -8, 8, 86400, 1_000_000_000])
    func resynchronization(_ error: Int64) {
        let wrong = Self.now.advanced(byUnits: error * Self.second)
        var mobileNode = MobileNodeReplayState()
        var homeAgent = HomeAgentReplayState()
        let request = mobileNode.makeIdentification(by: Self.timestamps, at: wrong, random: 0)
        let verdict = homeAgent.check(request, by: Self.timestamps, at: Self.now, newNonce: 0)
        guard case .mismatch(let reply) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(MobileNodeReplayState.matches(reply: reply, request: request))
        mobileNode.accept(reply: reply, to: request, code: .identificationMismatch, by: Self.timestamps, at: wrong)
        let again = mobileNode.makeIdentification(by: Self.timestamps, at: wrong, random: 0)
        let answer = homeAgent.check(again, by: Self.timestamps, at: Self.now, newNonce: 0)
        #expect(answer == .fresh(reply: again))
        mobileNode.accept(reply: again, to: again, code: .accepted, by: Self.timestamps, at: wrong)
        #expect(mobileNode.lastAccepted == again)
        let later = mobileNode.makeIdentification(by: Self.timestamps, at: wrong, random: 0)
        #expect(homeAgent.check(later, by: Self.timestamps, at: Self.now, newNonce: 0) == .fresh(reply: later))
    }

    @Test("a clock that is told to go back does not go behind what was accepted")
    func resynchronizationBackwards() {
        var state = MobileNodeReplayState()
        let accepted = state.makeIdentification(by: Self.timestamps, at: Self.now, random: 0)
        state.accept(reply: accepted, to: accepted, code: .accepted, by: Self.timestamps, at: Self.now)
        let rejected = state.makeIdentification(by: Self.timestamps, at: Self.now, random: 0)
        let reply = UInt64(Self.now.seconds - 3600) << 32 | rejected & 0xFFFF_FFFF
        state.accept(reply: reply, to: rejected, code: .identificationMismatch, by: Self.timestamps, at: Self.now)
        #expect(state.makeIdentification(by: Self.timestamps, at: Self.now, random: 0) > accepted)
    }

    @Test("a rejection for another reason leaves the clock alone")
    func otherRejection() {
        var state = MobileNodeReplayState()
        let request = state.makeIdentification(by: Self.timestamps, at: Self.now, random: 0)
        state.accept(reply: 77 << 32, to: request, code: .reasonUnspecified, by: Self.timestamps, at: Self.now)
        #expect(state.clockOffset == 0 && state.lastSent == request && state.lastAccepted == nil)
    }

    @Test("S2 with nonces, the two sides find each other and go on")
    func exchange() {
        var mobileNode = MobileNodeReplayState()
        var homeAgent = HomeAgentReplayState()
        var codes: [ReplyCode] = []
        for step in UInt32(1)...5 {
            let request = mobileNode.makeIdentification(by: .nonces, at: Self.now, random: 1000 + step)
            #expect(UInt32(truncatingIfNeeded: request) == 1000 + step)
            let verdict = homeAgent.check(request, by: .nonces, at: Self.now, newNonce: 7 * step)
            switch verdict {
            case .fresh(let reply), .repeated(let reply):
                codes.append(.accepted)
                mobileNode.accept(reply: reply, to: request, code: .accepted, by: .nonces, at: Self.now)
            case .mismatch(let reply):
                codes.append(.identificationMismatch)
                mobileNode.accept(reply: reply, to: request, code: .identificationMismatch, by: .nonces, at: Self.now)
            }
        }
        #expect(codes == [.identificationMismatch, .accepted, .accepted, .accepted, .accepted])
    }

    @Test("the mobile node's own nonce differs from the one before")
    func ownNonce() {
        var state = MobileNodeReplayState(nonce: 9)
        #expect(state.makeIdentification(by: .nonces, at: Self.now, random: 5) == 9 << 32 | 5)
        #expect(state.makeIdentification(by: .nonces, at: Self.now, random: 5) == 9 << 32 | 6)
        #expect(!MobileNodeReplayState.matches(reply: 9 << 32 | 6, request: 9 << 32 | 5))
    }

    @Test("seven seconds are the tolerance where none is given")
    func defaults() {
        #expect(ReplayProtection.timestamps() == .timestamps(tolerance: .seconds(7)))
        #expect(
            "\(ReplayProtection.timestamps()), \(ReplayProtection.nonces)" == "timestamps within 7.0 seconds, nonces")
    }
}

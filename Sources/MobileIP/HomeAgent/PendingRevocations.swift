// Revocations that wait for an acknowledgment (RFC 3543, 4.2.2.1): each is sent again, with a new time, twice as late
// each time, until it is acknowledged, given up, or the binding would have ended by itself. Each holds all that it needs:
// node and foreign agent may be gone from the configuration.

import Wire

/// A revocation that was sent.
struct PendingRevocation {
    /// Which other side's binding of which node it ends.
    struct Key: Hashable {
        let homeAddress: IPv4Address
        let destination: IPv4Address
    }

    let key: Key
    /// The home agent's address, and the care-of address.
    let homeDomainAddress: IPv4Address
    let foreignDomainAddress: IPv4Address
    let association: SecurityAssociation
    let authentication: AuthenticationExtension.Kind
    /// The I bit.
    let inform: Bool
    /// When the binding would have ended, in nanoseconds.
    let expiry: UInt64
    /// The time in the last message that was sent, or before the first, that of the registration.
    var identifier: UInt32
    /// How often it was sent.
    var attempts = 0

    /// Writes the message, with the time that it is now; later than in the message before in any case.
    mutating func makeMessage(_ now: Moment) -> OutgoingDatagram {
        identifier = max(identifier &+ 1, now.timeOfDay.seconds, by: RevocationClock.isEarlier)
        attempts += 1
        let message = RegistrationRevocation(
            flags: inform ? [.homeAgent, .inform] : .homeAgent, homeAddress: key.homeAddress,
            homeDomainAddress: homeDomainAddress, foreignDomainAddress: foreignDomainAddress, identifier: identifier)
        do throws(MobileIPError) {
            return OutgoingDatagram(
                payload: try association.sign(message, as: authentication), source: homeDomainAddress,
                destination: key.destination, destinationPort: 434)
        } catch { preconditionFailure("a revocation has no extensions but its authentication: \(error)") }
    }
}

/// The 32-bit times of revocations (RFC 3543, 3.5): seconds of the time of day, compared by the shorter way.
enum RevocationClock {
    static func isEarlier(_ first: UInt32, _ second: UInt32) -> Bool { Int32(bitPattern: first &- second) < 0 }
}

private func max(_ first: UInt32, _ second: UInt32, by isEarlier: (UInt32, UInt32) -> Bool) -> UInt32 {
    isEarlier(first, second) ? second : first
}

/// All that wait.
struct PendingRevocations {
    private var pending: [PendingRevocation?] = []
    private var free: [UInt32] = []
    private var numbers: [PendingRevocation.Key: UInt32] = [:]
    private var deadlines = DeadlineHeap()

    /// How many there are.
    var count: Int { numbers.count }

    /// When the next is to be sent again or given up.
    var earliest: UInt64? { deadlines.earliest }

    /// Sends one for the first time. One that waits for the same is replaced.
    mutating func start(
        _ revocation: PendingRevocation, _ policy: RevocationPolicy, _ now: Moment,
        _ actions: inout [HomeAgentAction]
    ) {
        var revocation = revocation
        cancel(revocation.key)
        actions.append(.send(revocation.makeMessage(now)))
        actions.append(.count(.revocation(.sent)))
        let number = free.popLast() ?? UInt32(pending.count)
        if Int(number) == pending.count { pending.append(revocation) } else { pending[Int(number)] = revocation }
        numbers[revocation.key] = number
        wait(number, policy, now)
    }

    /// Sends what is due once more, or gives it up.
    /// - Returns: false where nothing was due.
    mutating func sendDue(_ now: Moment, _ policy: RevocationPolicy, _ actions: inout [HomeAgentAction]) -> Bool {
        guard let number = deadlines.takeDue(at: now.nanoseconds) else { return false }
        guard var revocation = pending[Int(number)] else { return true }
        guard revocation.attempts < policy.attempts, now.nanoseconds < revocation.expiry else {
            cancel(revocation.key)
            actions.append(.count(.revocation(.givenUp)))
            return true
        }
        actions.append(.send(revocation.makeMessage(now)))
        actions.append(.count(.revocation(.sentAgain)))
        pending[Int(number)] = revocation
        wait(number, policy, now)
        return true
    }

    private mutating func wait(_ number: UInt32, _ policy: RevocationPolicy, _ now: Moment) {
        guard let revocation = pending[Int(number)] else { return }
        // From a second to a day, whatever the policy says.
        let first = min(max(policy.firstInterval, 1), 86400)
        let seconds = min(first << min(revocation.attempts - 1, 16), 86400)
        deadlines.set(number, to: min(now.nanoseconds + UInt64(seconds) * 1_000_000_000, revocation.expiry))
    }

    /// Waits no more: the node has registered by way of the same foreign agent again, or the like.
    mutating func cancel(_ key: PendingRevocation.Key) {
        guard let number = numbers.removeValue(forKey: key) else { return }
        pending[Int(number)] = nil
        free.append(number)
        deadlines.remove(number)
    }

    /// Takes an acknowledgment (RFC 3543, 3.5).
    mutating func acknowledge(
        _ received: ReceivedMessage<RegistrationRevocationAcknowledgment>, from source: IPv4Address
    ) -> HomeAgentOutcome {
        let key = PendingRevocation.Key(homeAddress: received.message.homeAddress, destination: source)
        guard let number = numbers[key], let revocation = pending[Int(number)],
            revocation.identifier == received.message.identifier
        else { return .discarded(.acknowledgmentUnmatched) }
        do throws(AuthenticationError) {
            try revocation.association.verify(received, revocation.authentication)
        } catch {
            return .discarded(.acknowledgmentUnauthenticated)
        }
        cancel(key)
        return .revocation(.acknowledged)
    }
}

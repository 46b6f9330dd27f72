// What became of all that came, by name. Names are kebab case, as mooringd's, and stay once they were released.

import MobileIP
import Wire

/// What the service itself did with something.
public enum ServiceOutcome: CountedReason {
    case intakeFull
    case puntsLost
    case replyNotSent
    case replyWithdrawn
    case bindingRefused
    case storeFailed
    case routeFailed
    case exceptionNotLogged
    case queryNotSent

    /// A sentence for people: what was done.
    public var explanation: String {
        switch self {
        case .intakeFull: "A datagram came while as many waited as may."
        case .puntsLost: "The forwarder had punted packets that were read too slowly."
        case .replyNotSent: "The forwarder, or the socket, did not take a datagram to be sent."
        case .replyWithdrawn: "A reply that is counted was not sent: the forwarder had refused the binding."
        case .bindingRefused: "The forwarder refused a binding, or one of its prefixes."
        case .storeFailed: "A batch could not be stored, and was tried again."
        case .routeFailed: "The kernel refused to add or to delete a route."
        case .exceptionNotLogged: "A security exception was left out of the log."
        case .queryNotSent: "The forwarder did not take a query for listeners; the next one is sent in its time."
        }
    }
}

/// Counters of the home agent.
struct HomeAgentCounters {
    private var counts: [String: UInt64]

    /// All whose names are known begin at 0, so that who watches one sees it from the first moment.
    init() {
        var names = ServiceOutcome.allCases.map(\.name) + PuntError.allCases.map(\.name)
        names += MulticastOutcome.allCases.map(\.name)
        names += HomeAgentDiscard.allCases.map { Self.name(of: .discarded($0)) }
        names += MobileIPError.allCases.map { Self.name(of: .malformed($0)) }
        names += BindingEnd.allCases.map { Self.name(of: .bindingEnded($0)) }
        names += RevocationOutcome.allCases.map { Self.name(of: .revocation($0)) }
        names += [Self.name(of: .configuredPrefixTaken), Self.name(of: .nodeRefused)]
        names += ([0, 1] + (128...139)).map { Self.name(of: .replied(ReplyCode(rawValue: $0))) }
        names += [0, 1, 8, 9].map { Self.name(of: .prefix(IPv6PrefixReplyCode(rawValue: $0))) }
        counts = Dictionary(names.map { ($0, 0) }, uniquingKeysWith: { first, _ in first })
    }

    /// By name.
    var all: [String: UInt64] { counts }

    mutating func count(_ outcome: HomeAgentOutcome) { counts[Self.name(of: outcome), default: 0] += 1 }

    mutating func count(_ reason: some CountedReason, _ number: Int = 1) {
        counts[reason.name, default: 0] += UInt64(number)
    }

    /// The counter of an outcome, such as `reply-131`.
    static func name(of outcome: HomeAgentOutcome) -> String {
        switch outcome {
        case .replied(let code): "reply-\(code.rawValue)"
        case .prefix(let code): "prefix-\(code.rawValue)"
        case .malformed(let error): "malformed-\(error.name)"
        case .discarded(let discard): "discarded-\(discard.name)"
        case .bindingEnded(let end): "binding-\(end.name)"
        case .revocation(let outcome): "revocation-\(outcome.name)"
        case .configuredPrefixTaken: "configured-prefix-taken"
        case .nodeRefused: "node-refused"
        }
    }
}

extension BindingEnd {
    fileprivate var name: String {
        switch self {
        case .expired: "expired"
        case .deregistered: "deregistered"
        case .revoked: "revoked"
        case .revokedByForeignAgent: "revoked-by-foreign-agent"
        case .nodeRemoved: "node-removed"
        case .refusedByForwarder: "refused-by-forwarder"
        }
    }
}

extension RevocationOutcome {
    fileprivate var name: String {
        switch self {
        case .sent: "sent"
        case .sentAgain: "sent-again"
        case .acknowledged: "acknowledged"
        case .givenUp: "given-up"
        case .notSent: "not-sent"
        case .received: "received"
        }
    }
}

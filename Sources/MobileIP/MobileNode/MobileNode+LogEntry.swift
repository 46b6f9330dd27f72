// What a mobile node has to say to those who look after it.

import Wire

/// Why a message was discarded without an answer (RFC 5944, 3.6.2.1; RFC 3543, 4.2.2.3).
public enum MobileNodeDiscard: CountedReason {
    case messageMalformed
    case messageUnexpected
    case requestNotPending
    case identificationMismatch
    case homeAddressMismatch
    case homeAgentMismatch
    case homeAgentAuthentication
    case foreignAgentAuthentication
    case foreignAgentNotAsked
    case bindingNotRevoked
    case revocationReplayed
    case agentUnknown
    case agentUnusable
    case agentForgotten
    case interfaceNotHeard
    case delegationRefused

    /// A sentence for people: what was wrong with it.
    public var explanation: String {
        switch self {
        case .messageMalformed: "It is no message of Mobile IPv4, or a malformed one."
        case .messageUnexpected: "Messages of its type are not for a mobile node."
        case .requestNotPending: "No request waits for a reply."
        case .identificationMismatch: "The identification is not that of the last request."
        case .homeAddressMismatch: "The home address is another than that of the request."
        case .homeAgentMismatch: "The home agent is another than the one that was asked."
        case .homeAgentAuthentication: "The home agent's authentication does not hold."
        case .foreignAgentAuthentication: "The foreign agent's authentication does not hold."
        case .foreignAgentNotAsked: "A foreign agent's code, but no foreign agent was asked, or another one."
        case .bindingNotRevoked: "It revokes another binding than the one that there is."
        case .revocationReplayed: "The revocation is older than one that was heard of."
        case .agentUnknown: "An agent that was not heard before says that it is gone."
        case .agentUnusable:
            "It is neither this node's home agent nor a foreign agent with a care-of address."
        case .agentForgotten: "More agents than are remembered: another one that is not in use is forgotten."
        case .interfaceNotHeard: "More interfaces than agents are looked for on."
        case .delegationRefused: "Delegated prefixes that can't be registered; those before them stay."
        }
    }

    /// Whether RFC 5944 has it logged as a security exception.
    public var isSecurityException: Bool {
        switch self {
        case .homeAgentAuthentication, .foreignAgentAuthentication, .foreignAgentNotAsked, .revocationReplayed: true
        default: false
        }
    }
}

extension MobileNode {
    /// Why a registration that was to end may last.
    public enum NotDeregistered: Hashable, Sendable {
        /// To no request.
        case noReply
        /// With that code.
        case rejected(ReplyCode)
        /// There is neither a care-of address nor an agent.
        case noWay
    }

    /// Something to be written down.
    public enum LogEntry: Hashable, Sendable {
        /// How much it matters.
        public enum Level: Hashable, Sendable { case notice, warning, securityException }

        /// The home agent has accepted.
        case registered(homeAgent: IPv4Address, careOfAddress: IPv4Address, RegistrationLifetime)
        /// The registration has ended as it was to.
        case deregistered
        /// It was to end, and the home agent may keep it until its lifetime is over.
        case notDeregistered(NotDeregistered)
        /// The node ends, and there was no registration.
        case nothingToDeregister
        /// A reply rejects; what comes next.
        case rejected(ReplyCode, ReplyReaction)
        /// A prefix is not registered.
        case prefixRejected(IPv6HomePrefix, IPv6PrefixReplyCode?)
        /// The home agent does not know the extensions of RFC 5454.
        case ipv6Unsupported(homeAgent: IPv4Address)
        /// An IPv4 network behind the node is not registered.
        case mobileNetworkRejected(MobileNetworkPrefix, MobileNetworkAcknowledgment.Code?)
        /// Nobody answers.
        case unanswered(homeAgent: IPv4Address?, transmissions: Int)
        /// Another home agent is asked.
        case homeAgentChanged(IPv4Address)
        /// The registration has ended because it was not renewed in time.
        case expired
        /// The home agent has revoked the registration.
        case revoked(homeAgent: IPv4Address)
        /// Keepalives were not answered: a NAT has forgotten the tunnel.
        case mappingLost(nextInterval: Duration)
        /// Messages were discarded since the last such entry, the last of them for this reason.
        case discarded(MobileNodeDiscard, detail: String, count: Int)

        /// How much it matters.
        public var level: Level {
            switch self {
            case .registered, .deregistered, .nothingToDeregister, .homeAgentChanged: .notice
            case .rejected(.mobileNodeFailedAuthentication, _), .rejected(.foreignAgentFailedAuthentication, _),
                .rejected(.foreignMobileNodeFailedAuthentication, _),
                .rejected(.foreignHomeAgentFailedAuthentication, _):
                .securityException
            case .discarded(let reason, _, _): reason.isSecurityException ? .securityException : .warning
            default: .warning
            }
        }
    }
}

extension MobileNode.LogEntry: CustomStringConvertible {
    /// A sentence for people.
    public var description: String {
        switch self {
        case .registered(let homeAgent, let careOfAddress, let lifetime):
            "Registered \(careOfAddress) with \(homeAgent) for \(lifetime)."
        case .deregistered: "Deregistered."
        case .notDeregistered(let reason):
            "Not deregistered: \(reason). The home agent may keep the registration until its lifetime is over."
        case .nothingToDeregister: "Nothing to deregister: there is no registration."
        case .rejected(let code, let reaction): "Rejected with code \(code) \(reaction.explanation)"
        case .prefixRejected(let prefix, let code):
            "\(prefix) is not registered: \(code?.explanation ?? "the home agent did not answer to it.")"
        case .ipv6Unsupported(let homeAgent):
            "\(homeAgent) does not know the extensions for IPv6 (RFC 5454); going on with IPv4 alone."
        case .mobileNetworkRejected(let prefix, let code):
            "\(prefix.address)/\(prefix.length) is not registered, code \(code.map { "\($0.rawValue)" } ?? "missing")."
        case .unanswered(let homeAgent, let transmissions):
            "No answer from \(homeAgent.map { "\($0)" } ?? "the foreign agent") to \(transmissions) requests."
        case .homeAgentChanged(let homeAgent): "Turning to home agent \(homeAgent)."
        case .expired: "The registration has expired."
        case .revoked(let homeAgent): "\(homeAgent) has revoked the registration."
        case .mappingLost(let interval):
            "Keepalives were not answered; registering anew, next keepalive after \(interval)."
        case .discarded(let reason, let detail, let count):
            "Discarded \(count == 1 ? "a message" : "\(count) messages"). \(reason.explanation)"
                + (detail.isEmpty ? "" : " \(detail)")
        }
    }
}

extension MobileNode.NotDeregistered: CustomStringConvertible {
    /// For people.
    public var description: String {
        switch self {
        case .noReply: "no reply came"
        case .rejected(let code): "the request was rejected with code \(code)"
        case .noWay: "there is no way to the home agent"
        }
    }
}

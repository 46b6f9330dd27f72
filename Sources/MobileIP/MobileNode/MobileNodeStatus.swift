// What a mobile node shows of itself.

import Wire

/// What a mobile node shows of itself.
public struct MobileNodeStatus: Hashable, Sendable {
    /// What it is about. The raw value is its name for people.
    public enum Phase: String, Hashable, Sendable {
        /// There is neither a care-of address nor an agent.
        case unattached
        /// A request is not answered yet, and there is no registration from where the node is; the tunnel may still lead to
        /// where it was.
        case registering
        /// There is a registration from where the node is.
        case registered
        /// There is none; the next attempt comes later.
        case waiting
        /// At home, nothing is needed.
        case atHome = "at home"
        /// A request to end the registration is not answered yet.
        case deregistering
        /// It has ended.
        case finished
    }

    /// What has ended a registration, or stands in the way of one.
    public enum Hindrance: Hashable, Sendable {
        /// The home agent has revoked it (RFC 3543).
        case revoked(homeAgent: IPv4Address)
        /// It was not renewed in time.
        case expired
        /// The agent that the node was with is not heard any more, or says so itself.
        case agentLost(IPv4Address)
        /// The node's own care-of address can't be used any more.
        case careOfAddressGone(IPv4Address)
        /// Who was asked refuses.
        case rejected(ReplyCode)
        /// Who was asked does not answer; nil where nobody has an address yet.
        case unanswered(IPv4Address?, transmissions: Int)
    }

    /// What became of a prefix.
    public enum PrefixOutcome: Hashable, Sendable {
        /// Not asked for yet, or not answered yet.
        case pending
        /// Registered.
        case accepted(MobileNodeConfiguration.PrefixTunnel)
        /// Rejected by its own reply.
        case rejected(IPv6PrefixReplyCode)
        /// Rejected by having no reply (RFC 5454, 3.5).
        case unanswered
    }

    /// A prefix, and what became of it.
    public struct Prefix: Hashable, Sendable {
        /// As it is asked for.
        public var prefix: IPv6HomePrefix
        /// What became of it.
        public var outcome: PrefixOutcome
    }

    /// An agent that is heard.
    public struct Agent: Hashable, Sendable {
        /// Where it is.
        public var location: MobileNode.AgentLocation
        /// The one that it would be registered with; nil where it is no foreign agent.
        public var careOfAddress: IPv4Address?
        /// What it offers.
        public var flags: AgentAdvertisement.Flags
        /// The longest that it grants.
        public var registrationLifetime: RegistrationLifetime
        /// When it is forgotten unless it is heard again, on the clock of `Moment.elapsed`.
        public var expiry: Duration
        /// Until then it is not asked.
        public var refusedUntil: Duration?
        /// Whether registrations go by way of it.
        public var isInUse: Bool
    }

    /// What it is about.
    public var phase: Phase
    /// Since when, on the clock of `Moment.elapsed`.
    public var phaseSince: Duration
    /// What has ended the registration, or stands in its way; nil since the last one that was accepted.
    public var hindrance: Hindrance?
    /// Since when, on the clock of `Moment.elapsed`.
    public var hindranceSince: Duration?
    /// Nil while none is known.
    public var homeAddress: IPv4Address?
    /// Which the next request is for; nil while none is known.
    public var homeAgent: IPv4Address?
    /// Nil while there is none.
    public var careOfAddress: IPv4Address?
    /// By which the node is attached; nil while it is not.
    public var interface: String?
    /// The registration's tunnel.
    public var tunnel: MobileNode.Tunnel?
    /// How long the registration was granted for; nil where there is none.
    public var lifetime: RegistrationLifetime?
    /// All that are wanted.
    public var prefixes: [Prefix]
    /// Whether the home agent knows the extensions of RFC 5454; nil while that is not known.
    public var supportsIPv6: Bool?
    /// The code of the last reply.
    public var lastCode: ReplyCode?
    /// How often a keepalive is sent; nil where none is.
    public var keepaliveInterval: Duration?
}

extension MobileNodeStatus.Hindrance: CustomStringConvertible {
    /// For people.
    public var description: String {
        switch self {
        case .revoked(let homeAgent): "\(homeAgent) has revoked the registration"
        case .expired: "the registration has expired"
        case .agentLost(let agent): "the agent \(agent) is not heard any more"
        case .careOfAddressGone(let address): "the care-of address \(address) is gone"
        case .rejected(let code): "rejected with code \(code)"
        case .unanswered(let asked, let transmissions):
            "no answer\(asked.map { " from \($0)" } ?? "") to \(transmissions) requests"
        }
    }
}

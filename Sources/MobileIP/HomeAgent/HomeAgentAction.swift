// What a home agent does, in the order in which it is to be done: what is stored before what rests on it is told.

import Wire

/// Something to be done.
public enum HomeAgentAction: Hashable, Sendable {
    /// Keep a node's record, in place of the one it had.
    case store(StoredRegistration)
    /// The node's record is of no use any more.
    case forget(NodeIdentity)
    /// Tell the forwarder of a binding, in place of the one of its name. Where it refuses, the home agent is told by
    /// `HomeAgentEvent.bindingRefused`, with the registration that is to hold then.
    case putBinding(MobilityBinding, former: FormerRegistration? = nil)
    /// Have the forwarder remove the binding of a home address.
    case removeBinding(homeAddress: IPv4Address)
    /// Make a binding's address or prefix reachable. It is not there yet.
    case addRoute(HomeRoute)
    /// Take that back.
    case removeRoute(HomeRoute)
    /// Send a datagram, when all before it is done.
    case send(OutgoingDatagram)
    /// Count an outcome.
    case count(HomeAgentOutcome)
    /// Log a security exception. How many are logged, who logs bounds.
    case log(SecurityException)
}

/// What became of something, each with a counter of its own.
public enum HomeAgentOutcome: Hashable, Sendable {
    /// A request was answered.
    case replied(ReplyCode)
    /// A prefix request was answered under an accepting code.
    case prefix(IPv6PrefixReplyCode)
    /// A datagram was no message.
    case malformed(MobileIPError)
    /// A message got no answer.
    case discarded(HomeAgentDiscard)
    /// A binding ended.
    case bindingEnded(BindingEnd)
    /// A step of a revocation.
    case revocation(RevocationOutcome)
    /// An address or prefix of a node's configuration, or of a stored record, that another node holds.
    case configuredPrefixTaken
    /// A node was not taken: there are as many as there may be, or its home address is another's.
    case nodeRefused
}

/// Why a binding ended.
public enum BindingEnd: CaseIterable, Hashable, Sendable {
    /// Its lifetime has passed.
    case expired
    /// The node asked for it.
    case deregistered
    /// The operator ended it.
    case revoked
    /// The foreign agent ended it.
    case revokedByForeignAgent
    /// The node is no longer served, or has another home address.
    case nodeRemoved
    /// The forwarder did not take it.
    case refusedByForwarder
}

/// What became of a revocation.
public enum RevocationOutcome: CaseIterable, Hashable, Sendable {
    /// Sent for the first time.
    case sent
    /// Sent again.
    case sentAgain
    /// Acknowledged by the other side.
    case acknowledged
    /// Not acknowledged, and given up.
    case givenUp
    /// Not sent: too many are under way.
    case notSent
    /// One of a foreign agent was acknowledged.
    case received
}

/// What RFC 5944 has logged as a security exception (3.8.2.1).
public struct SecurityException: Hashable, Sendable {
    /// What is wrong.
    public enum Reason: Hashable, Sendable {
        /// With the authentication of the node.
        case mobileHome(AuthenticationError)
        /// With that of the foreign agent.
        case foreignHome(AuthenticationError)
        /// There is a foreign agent's authentication, though nothing is shared with who sent it.
        case foreignHomeUnexpected
        /// The identification is not fresh.
        case identification
    }

    /// What is wrong.
    public var reason: Reason
    /// Who the message says it is from; nil where that is nobody known.
    public var node: NodeIdentity?
    /// As the message has it.
    public var homeAddress: IPv4Address
    /// Where it came from.
    public var source: IPv4Address
    /// The UDP port it came from.
    public var sourcePort: UInt16
    /// That of the authentication in question; nil where there is none.
    public var securityParameterIndex: UInt32?

    /// An exception with these fields.
    public init(
        _ reason: Reason, node: NodeIdentity?, homeAddress: IPv4Address, source: IPv4Address, sourcePort: UInt16,
        securityParameterIndex: UInt32?
    ) {
        self.reason = reason
        self.node = node
        self.homeAddress = homeAddress
        self.source = source
        self.sourcePort = sourcePort
        self.securityParameterIndex = securityParameterIndex
    }
}

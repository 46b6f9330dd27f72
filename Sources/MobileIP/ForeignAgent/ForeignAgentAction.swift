// What a foreign agent does, in the order in which it is to be done: a visitor is there before it is told so.

import Wire

/// Something to be done.
public enum ForeignAgentAction: Hashable, Sendable {
    /// Send a request to UDP port 434 of a home agent, from port 434 of a care-of address.
    case relay([UInt8], from: IPv4Address, to: IPv4Address)
    /// Send a reply on the visited link.
    case answer(VisitingReply)
    /// Send an ICMP message on the visited link, with TTL 1.
    case advertise([UInt8], to: AdvertisementDestination)
    /// Deliver what comes for a visitor, in place of the visitor of its home address.
    case putVisitor(Visitor)
    /// Deliver nothing to that home address any more.
    case removeVisitor(homeAddress: IPv4Address)
    /// Count an outcome.
    case count(ForeignAgentOutcome)
    /// Log a security exception. How many are logged, who logs bounds.
    case log(ForeignAgentSecurityException)
}

/// A registration reply to a mobile node.
public struct VisitingReply: Hashable, Sendable {
    /// The UDP payload.
    public var payload: [UInt8]
    /// An address of the agent; the port is 434.
    public var source: IPv4Address
    /// The home address, or 255.255.255.255 where there is none (RFC 5944, 3.7.2.3).
    public var destination: IPv4Address
    /// The UDP port it goes to.
    public var destinationPort: UInt16
    /// Where the request came from, and the frame goes to.
    public var linkLayerAddress: LinkLayerAddress
}

/// To whom an advertisement goes.
public enum AdvertisementDestination: Hashable, Sendable {
    /// All nodes of the visited link: 224.0.0.1.
    case allNodes
    /// Who has asked for it.
    case node(VisitingSource)
}

/// A mobile node whose registration by a care-of address of the agent is in effect.
public struct Visitor: Hashable, Sendable {
    /// Where packets in the tunnel are for.
    public var homeAddress: IPv4Address
    /// The other end of the tunnel.
    public var homeAgent: IPv4Address
    /// This end of the tunnel.
    public var careOfAddress: IPv4Address
    /// Where packets are delivered to.
    public var linkLayerAddress: LinkLayerAddress
    /// As long as it lasts where it is not registered again.
    public var lifetime: RegistrationLifetime
    /// Whether what it sends goes through the tunnel too (RFC 3024, 5.1).
    public var usesReverseTunnel: Bool
}

/// What became of something, each with a counter of its own.
public enum ForeignAgentOutcome: Hashable, Sendable {
    /// A request went to its home agent.
    case requestRelayed
    /// A home agent's reply went to its node.
    case replyRelayed(ReplyCode)
    /// The agent itself rejected a request.
    case denied(ReplyCode)
    /// A datagram was no message.
    case malformed(MobileIPError)
    /// Something got no answer.
    case discarded(ForeignAgentDiscard)
    /// A visitor is no more.
    case visitorEnded(VisitorEnd)
    /// An advertisement was sent, asked for or not.
    case advertised
}

/// Why a visitor is no more.
public enum VisitorEnd: CaseIterable, Hashable, Sendable {
    /// Its lifetime has passed.
    case expired
    /// It asked its home agent for the end, which agreed.
    case deregistered
    /// It has registered a care-of address of its own.
    case coLocated
}

/// What RFC 5944 has logged as a security exception (3.7.2.1 and 3.7.3.1).
public struct ForeignAgentSecurityException: Hashable, Sendable {
    /// Whose authentication is wrong.
    public enum Party: Hashable, Sendable {
        case mobileNode
        case homeAgent
    }

    /// Whose authentication is wrong.
    public var party: Party
    /// What is wrong with it.
    public var error: AuthenticationError
    /// As the message has it.
    public var homeAddress: IPv4Address
    /// Where the message came from.
    public var source: IPv4Address
}

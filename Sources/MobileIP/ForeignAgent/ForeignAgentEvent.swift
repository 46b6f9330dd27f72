// What a foreign agent is told. It has no clock and no socket: each event comes with the time.

import Wire

/// Something that happened.
public enum ForeignAgentEvent: Sendable {
    /// A datagram came to UDP port 434 on the visited link.
    case request(VisitingDatagram)
    /// A datagram came to UDP port 434 of a care-of address.
    case reply(HomeAgentDatagram)
    /// An agent solicitation came on the visited link.
    case solicitation(VisitingSource)
    /// An ICMP error said that a relayed request did not arrive.
    case unreachable(UnreachableHomeAgent)
    /// `ForeignAgentStateMachine.nextDeadline` has passed. It may come at any time.
    case deadline
}

/// An address of a link, such as the six bytes of Ethernet.
public struct LinkLayerAddress: Hashable, Sendable, CustomStringConvertible {
    /// As they stand in a frame.
    public var bytes: [UInt8]

    /// An address of these bytes.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// As `02:00:00:00:00:01`.
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}

/// Who sent something on the visited link.
public struct VisitingSource: Hashable, Sendable {
    /// The source in the IP header; unspecified where the node has no address yet.
    public var address: IPv4Address
    /// The source of the frame: the node is not asked for it, since it may not answer (RFC 5944, 4.6).
    public var linkLayerAddress: LinkLayerAddress

    /// A sender with both of its addresses.
    public init(address: IPv4Address, linkLayerAddress: LinkLayerAddress) {
        self.address = address
        self.linkLayerAddress = linkLayerAddress
    }
}

/// A datagram of a mobile node, with a good checksum or none.
public struct VisitingDatagram: Hashable, Sendable {
    /// The UDP payload.
    public var payload: [UInt8]
    /// Who sent it.
    public var source: VisitingSource
    /// The UDP port it was sent from.
    public var sourcePort: UInt16
    /// An address of the agent, or of several agents: 224.0.0.11, 255.255.255.255.
    public var destination: IPv4Address
    /// Of the IP header: 255 where nobody forwarded it.
    public var timeToLive: UInt8

    /// A datagram with these fields.
    public init(
        payload: [UInt8], source: VisitingSource, sourcePort: UInt16, destination: IPv4Address, timeToLive: UInt8
    ) {
        self.payload = payload
        self.source = source
        self.sourcePort = sourcePort
        self.destination = destination
        self.timeToLive = timeToLive
    }
}

/// A datagram of a home agent, with a good checksum or none.
public struct HomeAgentDatagram: Hashable, Sendable {
    /// The UDP payload.
    public var payload: [UInt8]
    /// Who sent it.
    public var source: IPv4Address

    /// A datagram with these fields.
    public init(payload: [UInt8], source: IPv4Address) {
        self.payload = payload
        self.source = source
    }
}

/// A destination unreachable (ICMP type 3) that quotes a relayed request.
public struct UnreachableHomeAgent: Hashable, Sendable {
    /// Where the request was sent.
    public var homeAgent: IPv4Address
    /// Of the ICMP message.
    public var code: UInt8
    /// As much of the request's UDP payload as is quoted; often nothing.
    public var quote: [UInt8]

    /// An error with these fields.
    public init(homeAgent: IPv4Address, code: UInt8, quote: [UInt8]) {
        self.homeAgent = homeAgent
        self.code = code
        self.quote = quote
    }
}

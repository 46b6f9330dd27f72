// What a home agent is told. It has no clock, no socket and no file: each event comes with the time.

import Wire

/// The time of an event, by both clocks.
public struct Moment: Hashable, Sendable {
    /// For identifications and records.
    public var timeOfDay: NetworkTime
    /// For lifetimes: nanoseconds of a clock that never goes backwards, from any beginning.
    public var nanoseconds: UInt64

    /// A time by both clocks.
    public init(timeOfDay: NetworkTime, nanoseconds: UInt64) {
        self.timeOfDay = timeOfDay
        self.nanoseconds = nanoseconds
    }
}

/// Something that happened.
public enum HomeAgentEvent: Sendable {
    /// A datagram came to UDP port 434. MIP Tunnel Data Messages are the forwarder's and do not come here. That a NAT
    /// made another mapping, the home agent learns from a new registration alone (RFC 3519, 4.10).
    case datagram(ReceivedDatagram)
    /// `HomeAgent.nextDeadline` has passed. It may come at any time.
    case deadline
    /// Nodes that are new or changed, and nodes that are no longer served, which lose their bindings.
    case nodesChanged(put: [ServedNode], removed: [NodeIdentity])
    /// Another configuration. Bindings stay as they are until they are registered again.
    case configurationChanged(HomeAgentConfiguration)
    /// The operator ends a node's binding.
    case revoked(NodeIdentity)
    /// The forwarder has refused a binding that it was told of.
    case bindingRefused(BindingRefusal)
    /// A prefix was delegated to a node, which may now register it (RFC 5454, 3.7.1).
    case delegated(IPv6Prefix, to: NodeIdentity)
    /// A delegation ended; the prefix goes out of the node's binding.
    case delegationEnded(IPv6Prefix, to: NodeIdentity)
    /// The forwarder can't be reached: until it can be, no binding is put or removed.
    case dataplaneLost
    /// It can be reached again, and is told of all bindings anew: `HomeAgent.bindings(from:limit:at:)` between a
    /// beginning and an end of a resynchronization. From this event on bindings are put and removed again.
    case dataplaneReturned
    /// Records from before a restart, once the nodes are known. Those of other nodes are forgotten.
    case restored([StoredRegistration])
}

/// Where the home agent's networks are.
public enum NetworkSide: Hashable, Sendable {
    /// The home network: who sends from there is at home.
    case home
    /// Where care-of addresses are.
    case access
}

/// A datagram that came to UDP port 434, with a good checksum or none.
public struct ReceivedDatagram: Hashable, Sendable {
    /// The UDP payload.
    public var payload: [UInt8]
    /// Who sent it.
    public var source: IPv4Address
    /// The UDP port it was sent from.
    public var sourcePort: UInt16
    /// An address of the home agent, or a broadcast address.
    public var destination: IPv4Address
    /// Where it came in.
    public var side: NetworkSide

    /// A datagram with these fields.
    public init(
        payload: [UInt8], source: IPv4Address, sourcePort: UInt16, destination: IPv4Address,
        side: NetworkSide = .access
    ) {
        self.payload = payload
        self.source = source
        self.sourcePort = sourcePort
        self.destination = destination
        self.side = side
    }
}

/// A datagram to be sent from UDP port 434.
public struct OutgoingDatagram: Hashable, Sendable {
    /// The UDP payload.
    public var payload: [UInt8]
    /// An address of the home agent.
    public var source: IPv4Address
    /// To whom. It is never tunneled, even where it is a home address with a binding (RFC 5944, 3.8.3.1).
    public var destination: IPv4Address
    /// The UDP port it goes to.
    public var destinationPort: UInt16
    /// Where it goes out.
    public var side: NetworkSide

    /// A datagram with these fields.
    public init(
        payload: [UInt8], source: IPv4Address, destination: IPv4Address, destinationPort: UInt16,
        side: NetworkSide = .access
    ) {
        self.payload = payload
        self.source = source
        self.destination = destination
        self.destinationPort = destinationPort
        self.side = side
    }
}

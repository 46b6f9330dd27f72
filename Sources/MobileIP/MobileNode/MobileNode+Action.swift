// What a mobile node has done for it. Tunnel, addresses and routes are told as changes of what was told before.

import Wire

extension MobileNode {
    /// What is to be done.
    public enum Action: Hashable, Sendable {
        /// A message is to be sent.
        case send(Datagram)
        /// The tunnel is to be this one, in place of any before.
        case installTunnel(Tunnel)
        /// There is to be no tunnel.
        case removeTunnel
        /// The tunnel's interface is to have that address.
        case addAddress(Address)
        /// The tunnel's interface is not to have that address any more.
        case removeAddress(Address)
        /// Packets to that destination are to go to the tunnel's interface.
        case addRoute(Route)
        /// Packets to that destination are not to go there any more.
        case removeRoute(Route)
        /// An ICMP echo request from the home address to the home agent is to be sent in the tunnel (RFC 3519, 4.9).
        case sendKeepalive(sequence: UInt16)
        /// An agent solicitation is to be sent on that interface (RFC 5944, 2.2).
        case solicit(interface: String)
        /// The node's state has changed.
        case report(MobileNodeStatus)
        /// Something is to be written down.
        case log(LogEntry)
        /// The node has ended; nothing comes after it.
        case finish
    }

    /// A UDP datagram to be sent.
    public struct Datagram: Hashable, Sendable {
        /// A message.
        public var payload: [UInt8]
        /// The source; unspecified where the node has no address yet.
        public var source: IPv4Address
        /// The source's port.
        public var sourcePort: UInt16
        /// The destination.
        public var destination: IPv4Address
        /// The destination's port.
        public var destinationPort: UInt16
        /// By which it is to go.
        public var interface: String
        /// Where its frame is to go, an agent's address on that interface's link (RFC 5944, 3.6.1.1), with TTL 255, which
        /// a foreign agent with a reverse tunnel asks for (RFC 3024, 4.1). Nil where the host finds the way.
        public var linkLayerAddress: LinkLayerAddress?

        /// A datagram of these.
        public init(
            payload: [UInt8], source: IPv4Address, sourcePort: UInt16, destination: IPv4Address,
            destinationPort: UInt16, interface: String, linkLayerAddress: LinkLayerAddress?
        ) {
            self.payload = payload
            self.source = source
            self.sourcePort = sourcePort
            self.destination = destination
            self.destinationPort = destinationPort
            self.interface = interface
            self.linkLayerAddress = linkLayerAddress
        }
    }

    /// The node's tunnel.
    public struct Tunnel: Hashable, Sendable {
        /// The node's end. At a foreign agent that decapsulates, the agent's address.
        public var careOfAddress: IPv4Address
        /// Whether the care-of address is the node's own.
        public var isCoLocated: Bool
        /// The other end.
        public var homeAgent: IPv4Address
        /// The node's home address.
        public var homeAddress: IPv4Address
        /// Inside of IPv4, or of UDP.
        public var encapsulation: MobileNodeConfiguration.Encapsulation
        /// Keys of GRE packets (RFC 6245); nil for none.
        public var greKeys: GREKeys?
        /// Where the tunnel is in UDP (RFC 3519): the ports of both ends.
        public var udp: UDPPorts?
        /// Whether packets from the home address go by the tunnel (RFC 3024).
        public var isReverse: Bool
        /// Accepted, with the tunnel of each; among them, with length 128, a link-local address.
        public var prefixes: [AcceptedPrefix]
        /// IPv4 networks behind the node that are accepted.
        public var mobileNetworks: [IPv4Prefix]
        /// The moment at which the registration ends, on the clock of `Moment.elapsed`; nil for never.
        public var expiry: Duration?
    }

    /// Keys of GRE packets.
    public struct GREKeys: Hashable, Sendable {
        /// In packets to this node.
        public var incoming: UInt32
        /// In packets to the home agent.
        public var outgoing: UInt32
    }

    /// Both ends of a tunnel in UDP.
    public struct UDPPorts: Hashable, Sendable {
        /// This node's.
        public var local: UInt16
        /// The home agent's.
        public var remote: UInt16

        /// These ports.
        public init(local: UInt16, remote: UInt16) { (self.local, self.remote) = (local, remote) }
    }

    /// A prefix that the home agent has accepted.
    public struct AcceptedPrefix: Hashable, Sendable {
        /// Which; a link-local address has length 128.
        public var prefix: IPv6Prefix
        /// By which tunnel it comes.
        public var tunnel: MobileNodeConfiguration.PrefixTunnel
    }

    /// An address of the tunnel's interface.
    public enum Address: Hashable, Sendable {
        /// An IPv4 address by itself.
        case ipv4(IPv4Address)
        /// An IPv6 address; what is on its link is told by the length.
        case ipv6(IPv6Address, length: UInt8)
    }

    /// A destination that the tunnel's interface leads to.
    public enum Route: Hashable, Sendable {
        /// Of IPv4.
        case ipv4(IPv4Prefix)
        /// Of IPv6.
        case ipv6(IPv6Prefix)
        /// All IPv4 goes to a foreign agent, and not to the tunnel's interface.
        case agent(AgentRoute)
    }

    /// A foreign agent as the router of all that the home address sends, the tunnel to the home agent among it (RFC 5944,
    /// 4.2.1).
    public struct AgentRoute: Hashable, Sendable {
        /// Nobody is asked by ARP for its link-layer address (RFC 5944, 4.6).
        public var agent: AgentLocation
        /// The source.
        public var homeAddress: IPv4Address
        /// Reached by way of the agent too.
        public var homeAgent: IPv4Address

        /// A route of these.
        public init(agent: AgentLocation, homeAddress: IPv4Address, homeAgent: IPv4Address) {
            self.agent = agent
            self.homeAddress = homeAddress
            self.homeAgent = homeAgent
        }
    }
}

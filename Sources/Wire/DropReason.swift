// Why packets are dropped. This one list makes the case, the counter's name (the case in kebab case) and the sentence
// for people; docs, counters and messages take theirs from here. It lies in `Wire` because a view that finds a
// malformed header throws one of them.

/// Why a packet was dropped.
public enum DropReason: UInt8, CountedReason, BitwiseCopyable {
    // Malformed, either side.
    case empty
    case notIP
    case ipv4Truncated
    case ipv4HeaderLength
    case ipv4TotalLength
    case ipv4Checksum
    case ipv6Truncated
    case ipv6PayloadLength
    case ipv6ExtensionHeader
    case udpTruncated
    case udpLength
    case icmpv6Truncated
    case greTruncated
    case minimalTruncated
    case mobileTunnelDataTruncated
    case superFrameMalformed

    // Home side, towards the tunnel.
    case noBinding
    case packetTooBig
    case tunnelLoop
    case minimalFragment

    // Either side.
    case multicastNotCarried
    case noGroupMember
    case linkLocal
    case timeToLiveZero
    case minimalOptions

    // Access side, out of the tunnel.
    case ipv6NotCarried
    case notForEndpoint
    case fragmentLength
    case fragmentOverlap
    case fragmentDuplicate
    case fragmentSpoiled
    case fragmentLimit
    case unsupportedProtocol
    case icmpv4Ignored
    case icmpv4Malformed
    case outerSourceInvalid
    case innerVersion
    case innerSourceInvalid
    case innerSourceUnregistered
    case outerSourceMismatch
    case tunnelMismatch
    case ecnNotCapable
    case greVersion
    case greRouting
    case greFlags
    case greChecksum
    case greProtocolType
    case greKey
    case greSequence
    case minimalChecksum
    case udpChecksum
    case udpPortMismatch
    case mobileTunnelDataNextHeader
    case neighborHopLimit
    case listenerMalformed

    // The control plane.
    case puntUnattended
    case puntQueueFull

    // Other workers.
    case workerQueueFull

    // The kernel.
    case receiveFailed
    case transmitFailed

    /// How many reasons there are. `allCases` makes an array; counters are laid out where nothing may be allocated.
    @inlinable
    public static var count: Int { Int(transmitFailed.rawValue) + 1 }

    /// A sentence for people: what was wrong with the packet.
    public var explanation: String {
        switch self {
        case .empty: "The packet has no bytes."
        case .notIP: "The first nibble is neither 4 nor 6."
        case .ipv4Truncated: "Fewer bytes than an IPv4 header."
        case .ipv4HeaderLength: "The IPv4 header length is below 20 bytes or past the end of the packet."
        case .ipv4TotalLength: "The IPv4 total length is below the header length or past the end of the packet."
        case .ipv4Checksum: "The IPv4 header checksum is wrong."
        case .ipv6Truncated: "Fewer bytes than an IPv6 header."
        case .ipv6PayloadLength: "The IPv6 payload length is past the end of the packet."
        case .ipv6ExtensionHeader: "The chain of IPv6 extension headers is cut off or longer than is walked."
        case .udpTruncated: "Fewer bytes than a UDP header."
        case .udpLength: "The UDP length is below 8 bytes or past the end of the packet."
        case .icmpv6Truncated: "Fewer bytes than an ICMPv6 header."
        case .greTruncated: "Fewer bytes than the GRE header says it has."
        case .minimalTruncated: "Fewer bytes than a minimal forwarding header."
        case .mobileTunnelDataTruncated: "Fewer bytes than a Mobile Tunnel Data header."
        case .superFrameMalformed: "A super-frame whose headers contradict what the kernel says of it."
        case .noBinding: "No binding has a prefix that holds the destination, or it as its home address."
        case .timeToLiveZero: "The TTL of an IPv4 packet is 0 already."
        case .tunnelLoop: "The source of an IPv4 packet is an end of the tunnel that it would go into."
        case .minimalOptions: "IPv4 options, which minimal encapsulation can't carry."
        case .minimalFragment: "A fragment, which minimal encapsulation can't carry."
        case .multicastNotCarried:
            "An IPv4 multicast or broadcast destination, or an IPv6 one of a scope below that of a link."
        case .noGroupMember: "No binding is a member of the IPv6 multicast group."
        case .linkLocal:
            "An IPv6 link-local source or destination with another that is not of the link, or that no binding has."
        case .packetTooBig: "The packet is larger than the tunnel MTU; its sender is told with Packet Too Big."
        case .ipv6NotCarried: "An IPv6 packet from the access side, in no tunnel; this version tunnels over IPv4."
        case .notForEndpoint: "The outer destination is not the tunnel endpoint."
        case .fragmentLength:
            "A fragment without payload, of a length that none but the last may have, or past where its datagram can end."
        case .fragmentOverlap: "A fragment overlaps another of its datagram, which is given up."
        case .fragmentDuplicate: "A fragment that is there already."
        case .fragmentSpoiled: "A fragment of a datagram that was given up."
        case .fragmentLimit: "A fragment of a datagram that has too many, or no memory is left for it."
        case .unsupportedProtocol: "The outer packet's protocol is no tunnel that this version knows."
        case .icmpv4Ignored:
            "An ICMPv4 message to the endpoint that is neither an echo request nor tells of a tunnel packet."
        case .icmpv4Malformed: "An ICMPv4 message to the endpoint that is too short or whose checksum is wrong."
        case .outerSourceInvalid: "The outer source is multicast, broadcast, loopback or unspecified."
        case .innerVersion: "The packet in the tunnel is not of the IP version that the tunnel's header says."
        case .innerSourceInvalid: "The inner source is multicast, unspecified, loopback, IPv4-mapped or -compatible."
        case .innerSourceUnregistered: "The inner source is in no registered prefix, and no registered home address."
        case .outerSourceMismatch: "The outer source is not the care-of address of the inner source's binding."
        case .tunnelMismatch: "The packet came by another kind of tunnel than its binding's."
        case .greVersion: "The GRE version is not 0."
        case .greRouting: "GRE with the routing field of RFC 1701."
        case .greFlags: "GRE with flags of RFC 1701 that must not be set."
        case .greChecksum: "The GRE checksum is wrong."
        case .greProtocolType: "GRE that carries neither IPv4 nor IPv6."
        case .greKey: "The GRE key is not the binding's."
        case .greSequence: "The GRE sequence number is not behind that of the last packet."
        case .minimalChecksum: "The checksum of the minimal forwarding header is wrong."
        case .udpChecksum: "The UDP checksum of a tunnel packet is wrong."
        case .udpPortMismatch: "The UDP source port is not that of the inner source's binding."
        case .mobileTunnelDataNextHeader:
            "Mobile Tunnel Data whose next header is none of IPv4, IPv6, GRE and minimal encapsulation."
        case .neighborHopLimit: "Neighbour discovery in a tunnel whose hop limit is not 255."
        case .listenerMalformed:
            "Multicast Listener Discovery that has another hop limit than 1, no router alert, or a wrong checksum."
        case .puntUnattended: "A packet for the control plane, and nobody takes packets at the control socket."
        case .puntQueueFull: "A packet for the control plane, which takes them more slowly than they come."
        case .workerQueueFull:
            "A packet for a GRE tunnel with sequence numbers, whose worker takes them more slowly than others bring them."
        case .ecnNotCapable:
            "The outer ECN field, or that of a fragment, says congestion, but the packet is not ECN-capable."
        case .receiveFailed:
            "The kernel could not hand it over, or had no room in a socket, or it was larger than the MTU at the start."
        case .transmitFailed: "The kernel did not take the packet: the device is down or out of memory."
        }
    }

    /// Whether it is a security exception (RFC 5454, 3.3): logged at a bounded rate and sent to watchers.
    public var isSecurityException: Bool { self == .innerSourceUnregistered || self == .outerSourceMismatch }
}

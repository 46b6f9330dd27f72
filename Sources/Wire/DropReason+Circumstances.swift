// Where on its way a packet is dropped for a reason, which document the reason rests on, and what an operator does
// about it. docs/counters.md and `mooring counters --explain` are made of it. The switch has no default: a reason
// without its circumstances does not compile.

/// A station on the way of a packet; the raw value is its number on the picture of docs/counters.md.
public enum PacketStation: UInt8, CaseIterable, Sendable {
    case receive = 1
    case classify, lookUp, encapsulate, decapsulate, complete

    /// The station's name on the picture.
    public var name: String {
        switch self {
        case .receive: "receive"
        case .classify: "classify"
        case .lookUp: "look up"
        case .encapsulate: "encapsulate"
        case .decapsulate: "decapsulate"
        case .complete: "complete"
        }
    }
}

extension DropReason {
    /// What people who look for a lost packet need to know of a reason, beside its explanation.
    public struct Circumstances: Sendable {
        /// The sides that the packet can have come from.
        public enum Origin: String, Sendable { case home, access, either }

        /// The station at which the packet is dropped.
        public let station: PacketStation
        /// Where the packet came from.
        public let origin: Origin
        /// The documents and their sections that the check rests on; nil where it is the host that failed.
        public let source: String?
        /// What an operator does where the counter rises.
        public let advice: String

        init(_ station: PacketStation, from origin: Origin, _ source: String?, _ advice: String) {
            (self.station, self.origin, self.source, self.advice) = (station, origin, source, advice)
        }
    }

    /// Where the packet was dropped, on what grounds, and what to do about it.
    public var circumstances: Circumstances {
        switch self {
        case .empty:
            Circumstances(
                .classify, from: .either, "RFC 791, 3.1; RFC 8200, 3",
                "Find who writes to the device; the kernel does not send packets without bytes.")
        case .notIP:
            Circumstances(
                .classify, from: .either, "RFC 791, 3.1; RFC 8200, 3",
                "Find who writes to the device: a packet socket, a bridge, a program other than the kernel.")
        case .ipv4Truncated, .ipv4HeaderLength, .ipv4TotalLength:
            Circumstances(
                .classify, from: .either, "RFC 791, 3.1; RFC 1122, 3.2.1",
                "Capture on the device: the kernel drops such packets itself, so they were made on this host.")
        case .ipv4Checksum:
            Circumstances(
                .classify, from: .either, "RFC 1122, 3.2.1.2",
                "Capture on the device; look for checksum offload that was left undone before it.")
        case .ipv6Truncated, .ipv6PayloadLength:
            Circumstances(
                .classify, from: .either, "RFC 8200, 3",
                "From the access side, look at the node that encapsulates: it cuts off or mislabels what it sends.")
        case .ipv6ExtensionHeader:
            Circumstances(
                .classify, from: .either, "RFC 8200, 4",
                "Capture one and look at its chain of headers; such packets are made by hand or by a faulty stack.")
        case .udpTruncated, .udpLength:
            Circumstances(
                .classify, from: .access, "RFC 768; RFC 3519, 3.3",
                "Capture UDP port 434 on the access side; the sender or a NAT on the way spoils the datagrams.")
        case .icmpv6Truncated:
            Circumstances(
                .classify, from: .either, "RFC 4443, 2.1", "Capture one; its sender is faulty or probes for faults.")
        case .noBinding:
            Circumstances(
                .lookUp, from: .home, "RFC 5454, 3.3.2; RFC 4443, 3.1",
                "See `mooring binding list`: the node is not registered, or a route to the device is too wide.")
        case .greTruncated, .minimalTruncated, .mobileTunnelDataTruncated:
            Circumstances(
                .classify, from: .access, "RFC 2784, 2.1; RFC 2004, 3; RFC 3519, 3.3",
                "Capture one; its sender is faulty or probes for faults.")
        case .superFrameMalformed:
            Circumstances(
                .classify, from: .either, nil,
                "Report it with the kernel's version; `mooringd --offload off` does without super-frames.")
        case .timeToLiveZero:
            Circumstances(
                .classify, from: .either, "RFC 2003, 3.1; RFC 1122, 3.2.1.7",
                "Find who made the packet: a router would have dropped it before.")
        case .minimalOptions:
            Circumstances(
                .encapsulate, from: .either, "RFC 2004, 3",
                "Have the node ask for IP-in-IP or GRE where its correspondents use IPv4 options.")
        case .minimalFragment:
            Circumstances(
                .encapsulate, from: .home, "RFC 2004, 3",
                "Have the node ask for IP-in-IP or GRE where its correspondents send fragments.")
        case .tunnelLoop:
            Circumstances(
                .encapsulate, from: .home, "RFC 2003, 3.2",
                "Look at the routes: a packet from an end of the tunnel must not be led to the home device.")
        case .tunnelMismatch:
            Circumstances(
                .decapsulate, from: .access, "RFC 5454, 3.3.2; RFC 3519, 3.3",
                "Compare the binding's encapsulation and tunnel with what the node sends; one of the two is out of date."
            )
        case .greVersion, .greRouting, .greFlags, .greProtocolType:
            Circumstances(
                .classify, from: .access, "RFC 2784, 2",
                "Capture one; it is PPTP (version 1), an old GRE, or a payload that is no IP: not a node's.")
        case .greChecksum:
            Circumstances(
                .classify, from: .access, "RFC 2784, 2.5", "A few are damage on the path. Many: look at the sender.")
        case .greKey:
            Circumstances(
                .decapsulate, from: .access, "RFC 2890, 2.1; RFC 6245",
                "Compare the key of the binding with the node's: they have registered different ones.")
        case .greSequence:
            Circumstances(
                .decapsulate, from: .access, "RFC 2890, 2.2",
                "The path reorders or doubles packets; do without sequence numbers if they are not needed.")
        case .minimalChecksum:
            Circumstances(
                .classify, from: .access, "RFC 2004, 3", "A few are damage on the path. Many: look at the sender.")
        case .udpChecksum:
            Circumstances(
                .classify, from: .access, "RFC 768; RFC 3519, 4.3",
                "A few are damage on the path. Many: a NAT on the way does not mend the checksum.")
        case .udpPortMismatch:
            Circumstances(
                .decapsulate, from: .access, "RFC 3519, 4.3",
                "The NAT before the node has given it another port; the node's next registration mends it.")
        case .mobileTunnelDataNextHeader:
            Circumstances(
                .classify, from: .access, "RFC 3519, 3.3",
                "The node has a fault: UDP carries only IP, GRE and minimal encapsulation."
            )
        case .packetTooBig:
            Circumstances(
                .encapsulate, from: .home, "RFC 4213, 3.2.1; RFC 8201",
                "A few are path MTU discovery at work. Many from one source: it does not get or heed Packet Too Big.")
        case .multicastNotCarried:
            Circumstances(
                .classify, from: .either, "RFC 5454, 3.3.2; RFC 4291, 2.7",
                "Have correspondents use IPv6 groups; IPv4 multicast is not tunnelled.")
        case .noGroupMember:
            Circumstances(
                .lookUp, from: .home, "RFC 5454, 3.3.2",
                "See `mooring group list`. Nothing to do where it is the kernel's own listener reports.")
        case .linkLocal:
            Circumstances(
                .classify, from: .either, "RFC 4291, 2.5.6; RFC 5454, 3.7.1",
                "A node that uses its link-local address has to register it; see `mooring binding list`.")
        case .neighborHopLimit:
            Circumstances(
                .classify, from: .access, "RFC 4861, 6.1; RFC 4861, 7.1; RFC 4213, 3.8",
                "Someone beyond the tunnel's link forges neighbour discovery; capture one to see who.")
        case .listenerMalformed:
            Circumstances(
                .classify, from: .access, "RFC 2710, 3; RFC 3810, 5", "Capture one; its sender is faulty.")
        case .puntUnattended:
            Circumstances(
                .classify, from: .access, "RFC 5944, 3; RFC 5454, 3.3.3",
                "Start the home agent, or have it take packets (Watch with punts) at the control socket.")
        case .puntQueueFull:
            Circumstances(
                .classify, from: .access, "RFC 5944, 3; RFC 5454, 3.3.3",
                "A flood of registrations, or a home agent that is too slow: capture UDP port 434.")
        case .workerQueueFull:
            Circumstances(
                .encapsulate, from: .home, "RFC 2890, 2.2",
                "One tunnel gets more than a worker can send: do without sequence numbers, or use one worker.")
        case .ipv6NotCarried:
            Circumstances(
                .classify, from: .access, "RFC 4213, 3.6",
                "Take the route away that leads IPv6 to the access device; it takes IPv4 alone.")
        case .notForEndpoint:
            Circumstances(
                .classify, from: .access, "RFC 4213, 3.6",
                "Compare the outer destination with the endpoints of `mooring status` and the routes to the device.")
        case .fragmentLength:
            Circumstances(
                .classify, from: .either, "RFC 791, 3.2", "Capture one: it is made by hand, or by a faulty stack.")
        case .fragmentOverlap, .fragmentSpoiled:
            Circumstances(
                .classify, from: .access, "RFC 1858; RFC 3128; RFC 4213, 3.6",
                "Someone forges fragments, or a sender uses identifications anew too soon (RFC 6864).")
        case .fragmentDuplicate:
            Circumstances(.classify, from: .access, "RFC 791, 3.2", "The path doubles packets; nothing is lost by it.")
        case .fragmentLimit:
            Circumstances(
                .classify, from: .access, "RFC 791, 3.2; RFC 4213, 3.6",
                "Lower the tunnel MTU at the node, so that its packets fit the path without fragments.")
        case .unsupportedProtocol:
            Circumstances(
                .classify, from: .access, "RFC 5454, 3.3.2",
                "Capture one for its protocol number: a node that uses another tunnel kind, or a scan.")
        case .icmpv4Ignored:
            Circumstances(
                .classify, from: .access, "RFC 4213, 3.4; RFC 792",
                "Capture one: an error that quotes too little to tell whom it concerns, or a message that no tunnel needs."
            )
        case .icmpv4Malformed:
            Circumstances(
                .classify, from: .access, "RFC 792; RFC 1122, 3.2.2",
                "A few are damage on the path. Many from one source: someone sends them on purpose.")
        case .outerSourceInvalid:
            Circumstances(
                .classify, from: .access, "RFC 4213, 3.6; RFC 1122, 3.2.1.3",
                "Spoofed: have such sources filtered where packets come into your network (RFC 2827).")
        case .innerVersion:
            Circumstances(
                .classify, from: .access, "RFC 4213, 3.6",
                "Look at the node: what it puts in the tunnel is not what the tunnel's header says.")
        case .innerSourceInvalid:
            Circumstances(
                .classify, from: .access, "RFC 4213, 3.6",
                "Look at the node: it tunnels packets with a source that no host may send from.")
        case .innerSourceUnregistered:
            Circumstances(
                .lookUp, from: .access, "RFC 5454, 3.3.2; RFC 5454, 4",
                "See `mooring watch --security`: the binding has run out, or a node sends for a prefix not its own.")
        case .outerSourceMismatch:
            Circumstances(
                .decapsulate, from: .access, "RFC 5454, 3.3.2; RFC 3024, 6.1",
                "See `mooring watch --security`: a node moved before its binding did, or someone spoofs its prefix.")
        case .ecnNotCapable:
            Circumstances(
                .decapsulate, from: .access, "RFC 6040, 4.2",
                "It is congestion's loss, as without a tunnel. Many: a router marks packets that it must not.")
        case .receiveFailed:
            Circumstances(
                .receive, from: .either, nil,
                "Restart mooringd where a device's MTU was raised since; where tunnels bring too much give it workers.")
        case .transmitFailed:
            Circumstances(
                .complete, from: .either, nil,
                "See that both devices are up (`ip -s link`) and that the host has memory left.")
        }
    }
}

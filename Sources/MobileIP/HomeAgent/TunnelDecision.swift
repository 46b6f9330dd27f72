// Which tunnel a binding gets: where it leads (RFC 3519, 4.6: behind a NAT, to where the request came from), what it is
// made of (RFC 5944, 3.3: the M and G bits; RFC 6245; RFC 3519, 4.1), and whether it has a way back (RFC 3024, 4.3.1).

import Wire

/// The tunnel of a binding, and what the reply says of it.
struct TunnelDecision {
    let tunnel: MobilityTunnel
    /// Nil where none was asked for.
    let udpReply: UDPTunnelReply?
    /// The key for packets to the home agent, where one was asked for.
    let greKey: UInt32?
    /// Whether IPv6 can go to the care-of address: a node's own, and not where the encapsulation carries IPv4 alone. In
    /// UDP it can where the node leaves the encapsulation open, as RFC 5454, 3.9 has it.
    let carriesIPv6: Bool

    /// What decides.
    struct Circumstances {
        let attempt: RegistrationAttempt
        let policy: NodePolicy
        let configuration: HomeAgentConfiguration
        /// The home agent's end.
        let endpoint: IPv4Address
        /// Of the binding that there is.
        let currentTunnel: MobilityTunnel?
    }

    /// - Throws: the code that the request is rejected with.
    init(_ circumstances: Circumstances, random: inout any RandomNumberGenerator) throws(Rejection) {
        let attempt = circumstances.attempt
        let (request, policy) = (attempt.request, circumstances.policy)
        let asked = try Self.udpTunnelRequest(attempt)
        let usesUDP = try circumstances.usesUDP(asked)
        if let asked {
            udpReply =
                usesUDP
                ? UDPTunnelReply(
                    code: .accepted, isForced: asked.force,
                    keepaliveInterval: circumstances.configuration.udpTunnel.keepaliveInterval)
                : UDPTunnelReply(code: .declined)
        } else {
            udpReply = nil
        }
        let named = usesUDP ? asked?.encapsulation ?? 0 : 0
        let kind = try circumstances.kind(named: named, inUDP: usesUDP)
        var tunnel = MobilityTunnel(
            endpoint: circumstances.endpoint,
            careOfAddress: usesUDP ? attempt.datagram.source : request.careOfAddress,
            udpPort: usesUDP ? attempt.datagram.sourcePort : nil)
        switch kind {
        case .ipInIP: greKey = nil
        case .minimal:
            tunnel.encapsulation = .minimal
            greKey = nil
        case .gre:
            greKey = attempt.requestedGREKey.map { key in
                key == 0 ? circumstances.currentKey ?? UInt32.random(in: 1 ... .max, using: &random) : key
            }
            tunnel.encapsulation = .gre(key: greKey)
        }
        self.tunnel = tunnel
        carriesIPv6 = attempt.isCoLocated && kind != .minimal && named == 0
        try Self.checkReverseTunnel(policy.reverseTunnel, isAsked: request.flags.contains(.reverseTunneling))
    }

    private static func checkReverseTunnel(
        _ policy: NodePolicy.ReverseTunnel, isAsked: Bool
    ) throws(Rejection) {
        switch (policy, isAsked) {
        case (.required, false): throw Rejection(.reverseTunnelMandatory)
        case (.refused, true): throw Rejection(.reverseTunnelUnavailable)
        default: break
        }
    }

    /// The node's, where its care-of address is its own, or else the foreign agent's (RFC 3519, 4.6.1).
    private static func udpTunnelRequest(_ attempt: RegistrationAttempt) throws(Rejection) -> UDPTunnelRequest? {
        let (fromNode, fromForeignAgent) = (attempt.fromNode.udpTunnel, attempt.fromForeignAgent.udpTunnel)
        if fromNode != nil, !attempt.isCoLocated { throw Rejection(.poorlyFormedRequest) }
        if fromForeignAgent != nil, attempt.isCoLocated { throw Rejection(.poorlyFormedRequest) }
        return fromNode ?? fromForeignAgent
    }
}

extension RegistrationAttempt {
    /// Nil where GRE keys were not asked for. The extension is a foreign agent's (RFC 6245, 3); a node with a care-of
    /// address of its own may say so itself.
    var requestedGREKey: UInt32? { isCoLocated ? fromNode.greKey : fromForeignAgent.greKey }
}

extension TunnelDecision.Circumstances {
    /// What the tunnel is made of; in UDP, what is in it.
    fileprivate enum Kind { case ipInIP, gre, minimal }

    fileprivate var currentKey: UInt32? {
        guard case .gre(let key) = currentTunnel?.encapsulation else { return nil }
        return key
    }

    /// Whether the tunnel is in UDP: where the source is not the care-of address, which is how a NAT shows, or where it
    /// is forced.
    fileprivate func usesUDP(_ asked: UDPTunnelRequest?) throws(Rejection) -> Bool {
        let isTranslated = attempt.datagram.source != attempt.request.careOfAddress
        // With R, the tunnel would lead to where the first keepalive comes from (RFC 3519, 4.11). The forwarder knows
        // no tunnel whose end is not known yet, so it is declined.
        let isWanted = asked.map { !$0.registrationThroughForeignAgentRequired && (isTranslated || $0.force) } ?? false
        if isWanted {
            guard policy.encapsulations.contains(.udp), isTranslated || configuration.udpTunnel.mayBeForced else {
                throw Rejection(.administrativelyProhibited)
            }
            return true
        }
        let careOfAddress = attempt.request.careOfAddress
        if isTranslated, configuration.privateRanges.contains(where: { $0.contains(careOfAddress) }) {
            throw Rejection(.administrativelyProhibited)
        }
        return false
    }

    /// - Parameter number: the protocol that the UDP Tunnel Request names, or 0 where the bits decide.
    fileprivate func kind(named number: UInt8, inUDP usesUDP: Bool) throws(Rejection) -> Kind {
        let allowed = policy.encapsulations
        switch number {
        case 0: break
        case 4: return .ipInIP
        case 47 where allowed.contains(.gre): return .gre
        case 55 where allowed.contains(.minimal): return .minimal
        default: throw Rejection(.udpEncapsulationUnavailable)
        }
        let flags = attempt.request.flags
        let hasKey = attempt.requestedGREKey != nil
        let wantsGRE = flags.contains(.greEncapsulation) || hasKey
        if wantsGRE, allowed.contains(.gre) { return .gre }
        let wantsMinimal = flags.contains(.minimalEncapsulation)
        if wantsMinimal, !hasKey, allowed.contains(.minimal) { return .minimal }
        if wantsGRE || wantsMinimal {
            throw Rejection(usesUDP ? .udpEncapsulationUnavailable : .encapsulationUnavailable)
        }
        return .ipInIP
    }
}

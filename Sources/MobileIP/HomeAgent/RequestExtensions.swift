// The extensions of a request that the home agent reads, told apart by who added them: what stands before the
// mobile-home authentication is the node's and covered by it, what stands behind is a foreign agent's (RFC 5944, 3.7.2.2;
// RFC 5454, 3.1). Of what may stand once, the first counts.

import Wire

/// What one of the two added.
struct RequestExtensions {
    var accessIdentifier: NetworkAccessIdentifier?
    var udpTunnel: UDPTunnelRequest?
    var greKey: UInt32?
    var revocationSupport: RevocationSupport?
    var dynamicHomeAgent: DynamicHomeAgent?
    var challenge: Challenge?
    /// Whether IPv6 may be tunneled to the care-of address.
    var hasTunnelingMode = false
    /// In their order, the same one perhaps several times.
    var prefixes: [IPv6HomePrefix] = []
    /// In their order, the same one perhaps several times.
    var networks: [MobileNetworkPrefix] = []

    init(_ extensions: ArraySlice<MobileIPExtension>) {
        for element in extensions {
            switch element {
            case .mobileNodeNAI(let value): accessIdentifier = accessIdentifier ?? value
            case .udpTunnelRequest(let value): udpTunnel = udpTunnel ?? value
            case .greKey(let value): greKey = greKey ?? value
            case .revocationSupport(let value): revocationSupport = revocationSupport ?? value
            case .dynamicHomeAgent(let value): dynamicHomeAgent = dynamicHomeAgent ?? value
            case .challenge(let value): challenge = challenge ?? value
            case .ipv6TunnelingMode: hasTunnelingMode = true
            case .ipv6PrefixRequest(let value): prefixes.append(value.prefix)
            case .mobileNetworkRequest(let value): networks.append(value.prefix)
            default: break
            }
        }
    }
}

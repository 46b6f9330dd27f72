// What a mobile node is told before it begins. It is a value; where it comes from is the program's business.

import Wire

/// What a mobile node is told before it begins.
public struct MobileNodeConfiguration: Hashable, Sendable {
    /// The tunnel's header inside of IPv4 or UDP (RFC 5944, 3.3: the M and G bits).
    public enum Encapsulation: String, Hashable, Sendable, CaseIterable {
        /// IP-in-IP (RFC 2003).
        case ipInIP = "ip-in-ip"
        /// GRE (RFC 2784).
        case gre
        /// Minimal encapsulation (RFC 2004).
        case minimal
    }

    /// By which tunnel IPv6 is to come (RFC 5454, 3.3.2).
    public enum PrefixTunnel: String, Hashable, Sendable, CaseIterable {
        /// The tunnel to the care-of address.
        case careOf = "care-of"
        /// A tunnel to the home address, inside of that of IPv4.
        case homeAddress = "home-address"
    }

    /// Whether packets go to the home agent by the tunnel, too (RFC 3024).
    public enum ReverseTunneling: String, Hashable, Sendable, CaseIterable {
        /// Only with it.
        case required
        /// With it where the home agent can.
        case preferred
        /// Only where an agent wants it.
        case off
    }

    /// Whether the tunnel is in UDP (RFC 3519).
    public enum UDPTunneling: String, Hashable, Sendable, CaseIterable {
        /// Where the home agent finds a NAT on the way.
        case automatic = "auto"
        /// Always.
        case forced
        /// Never.
        case off
    }

    /// Whether foreign agents are used (RFC 5944, 2.4).
    public enum ForeignAgentUse: String, Hashable, Sendable, CaseIterable {
        /// They are not listened to.
        case off
        /// Where there is no care-of address of one's own, or one says that registering with it is required.
        case fallback
        /// Before a care-of address of one's own.
        case preferred
    }

    /// An IPv6 prefix to be registered.
    public struct Prefix: Hashable, Sendable {
        /// What is asked for.
        public var prefix: IPv6Prefix
        /// The node's own address of it.
        public var address: IPv6Address

        /// - Parameter address: of that prefix; by default its first but one, or the only one.
        public init(_ prefix: IPv6Prefix, address: IPv6Address? = nil) {
            self.prefix = prefix
            let last: UInt64 = prefix.length == 128 ? 0 : 1
            self.address =
                address ?? IPv6Address(high: prefix.address.high, low: prefix.address.low | last)
        }
    }

    /// Nil has the home agent assign one, which needs `identifier` (RFC 2794).
    public var homeAddress: IPv4Address?
    /// The node's NAI.
    public var identifier: NetworkAccessIdentifier?
    /// In order of preference; the next is tried where one does not answer, or refuses. Empty only with
    /// `assignsHomeAgent`, where a foreign agent then chooses.
    public var homeAgents: [IPv4Address]
    /// Whether home agents may name another one in their place (RFC 4433), which needs `identifier` and no
    /// `homeAddress`.
    public var assignsHomeAgent = false
    /// With the home agents.
    public var securityAssociation: SecurityAssociation
    /// With foreign agents (RFC 5944, 3.5.3).
    public var foreignSecurityAssociation: SecurityAssociation?
    /// To be registered by name (RFC 5454, 1.4: explicit mode). `maximumPrefixes` at the most, with those delegated.
    public var prefixes: [Prefix] = []
    /// Whether link-local traffic is asked for, by which a client of DHCPv6 can be delegated prefixes (RFC 5454, 3.7.1).
    public var opensLinkLocal = false
    /// By which tunnel IPv6 is to come where the care-of address is co-located.
    public var prefixTunnel = PrefixTunnel.careOf
    /// In order of preference; not empty.
    public var encapsulations: [Encapsulation] = [.ipInIP]
    /// Whether packets go to the home agent by the tunnel, too.
    public var reverseTunneling = ReverseTunneling.required
    /// The key that GRE packets to this node are to have (RFC 6245); 0 has the home agent choose. Nil for none.
    public var greKey: UInt32?
    /// IPv4 networks behind this node (RFC 5177), `maximumPrefixes` at the most.
    public var mobileNetworks: [IPv4Prefix] = []
    /// What is asked for.
    public var lifetime = RegistrationLifetime(seconds: 600)
    /// How long before its end a registration is renewed; half of the lifetime at the most.
    public var renewalMargin: Duration = .seconds(60)
    /// Whether foreign agents are used.
    public var foreignAgents = ForeignAgentUse.fallback
    /// Whether the tunnel is in UDP.
    public var udpTunneling = UDPTunneling.automatic
    /// After which a NAT may forget the tunnel, where the home agent does not say (RFC 3519, 4.9).
    public var keepaliveInterval: Duration = .seconds(110)
    /// Whether the home agent may revoke the registration (RFC 3543).
    public var acceptsRevocation = true
    /// The UDP port that requests are sent from, and UDP tunnels end at.
    public var port: UInt16 = 434

    /// Of IPv6, and of IPv4 behind the node, each.
    public static let maximumPrefixes = 1024
    /// The shortest interval between keepalives (RFC 3519, 4.10).
    public static let minimumKeepaliveInterval: Duration = .seconds(10)
    /// The shortest lifetime that makes sense: below, nearly every second is one of registration.
    public static let minimumLifetime = RegistrationLifetime(seconds: 5)

    /// A configuration with defaults for all else.
    public init(
        homeAddress: IPv4Address?, identifier: NetworkAccessIdentifier? = nil, homeAgents: [IPv4Address],
        securityAssociation: SecurityAssociation
    ) {
        self.homeAddress = homeAddress
        self.identifier = identifier
        self.homeAgents = homeAgents
        self.securityAssociation = securityAssociation
    }
}

extension MobileNodeConfiguration {
    /// What is wrong with a configuration.
    public struct Problem: Error, Hashable, CustomStringConvertible {
        /// Which part, by its name here, with an index where it is one of several.
        public let place: String
        /// What is wrong and what to do.
        public let problem: String
        /// Place and problem.
        public var description: String { "\(place): \(problem)" }
    }

    /// Checks all rules.
    /// - Throws: the first that is broken.
    public func validate() throws(Problem) {
        try validateNames()
        try validatePrefixes()
        try validateNetworks()
        guard !encapsulations.isEmpty, Set(encapsulations).count == encapsulations.count else {
            throw Problem(place: "encapsulations", problem: "name each that may be used once, and one at least")
        }
        if greKey != nil, !encapsulations.contains(.gre) {
            throw Problem(place: "greKey", problem: "needs gre among the encapsulations")
        }
        guard lifetime >= Self.minimumLifetime else {
            throw Problem(place: "lifetime", problem: "is shorter than \(Self.minimumLifetime)")
        }
        guard renewalMargin > .zero else {
            throw Problem(place: "renewalMargin", problem: "is to be above zero")
        }
        guard keepaliveInterval >= Self.minimumKeepaliveInterval else {
            throw Problem(place: "keepaliveInterval", problem: "is shorter than 10 s (RFC 3519, 4.10)")
        }
        if udpTunneling == .forced, reverseTunneling == .off {
            throw Problem(
                place: "reverseTunneling", problem: "is needed by a tunnel in UDP (RFC 3519, 3.1.5): allow it")
        }
        guard port != 0 else { throw Problem(place: "port", problem: "is to be 1 to 65535") }
    }

    private func validateNames() throws(Problem) {
        if let homeAddress, !homeAddress.isUnicastSource {
            throw Problem(place: "homeAddress", problem: "\(homeAddress) is no unicast address")
        }
        if homeAddress == nil, identifier == nil {
            throw Problem(
                place: "homeAddress", problem: "give one, or an identifier (NAI) by which one is assigned (RFC 2794)")
        }
        if assignsHomeAgent, homeAddress != nil || identifier == nil {
            throw Problem(
                place: "assignsHomeAgent", problem: "needs an identifier (NAI) and no home address (RFC 4433, 5.1)")
        }
        if homeAgents.isEmpty, !assignsHomeAgent {
            throw Problem(place: "homeAgents", problem: "name one home agent at least")
        }
        for (index, agent) in homeAgents.enumerated() {
            let place = "homeAgents[\(index)]"
            guard agent.isUnicastSource else { throw Problem(place: place, problem: "\(agent) is no unicast address") }
            if homeAgents[..<index].contains(agent) { throw Problem(place: place, problem: "\(agent) stands twice") }
            if agent == homeAddress {
                throw Problem(place: place, problem: "\(agent) is the home address, which is the node's own")
            }
        }
    }

    private func validatePrefixes() throws(Problem) {
        guard prefixes.count <= Self.maximumPrefixes else {
            throw Problem(place: "prefixes", problem: "more than \(Self.maximumPrefixes)")
        }
        for (index, own) in prefixes.enumerated() {
            let place = "prefixes[\(index)]"
            let prefix = own.prefix
            if let obstacle = prefix.homePrefixObstacle { throw Problem(place: place, problem: obstacle) }
            guard prefix.contains(own.address) else {
                throw Problem(place: place, problem: "\(own.address) is not of \(prefix)")
            }
            if let other = prefixes[..<index].first(where: { $0.prefix.overlaps(prefix) }) {
                throw Problem(place: place, problem: "\(prefix) overlaps \(other.prefix)")
            }
        }
    }

    private func validateNetworks() throws(Problem) {
        guard mobileNetworks.count <= Self.maximumPrefixes else {
            throw Problem(place: "mobileNetworks", problem: "more than \(Self.maximumPrefixes)")
        }
        for (index, network) in mobileNetworks.enumerated() {
            let place = "mobileNetworks[\(index)]"
            if mobileNetworks[..<index].contains(network) {
                throw Problem(place: place, problem: "\(network) stands twice")
            }
            if let obstacle = network.mobileNetworkObstacle(homeAddress: homeAddress, homeAgents: homeAgents) {
                throw Problem(place: place, problem: obstacle)
            }
        }
    }
}

extension MobileNodeConfiguration {
    /// Why these can't be registered as delegated prefixes beside the node's own; nil where they can.
    public func obstacle(toDelegated delegated: [IPv6Prefix]) -> String? {
        if let obstacle = delegated.lazy.compactMap(\.homePrefixObstacle).first { return obstacle }
        let all = Set(delegated).union(prefixes.map(\.prefix))
        guard all.count <= Self.maximumPrefixes else {
            return
                "\(all.count) prefixes with those of the configuration, where \(Self.maximumPrefixes) can be registered"
        }
        // One that is configured may be delegated as well, and one may be named twice: that is registered once.
        let owned = all.enumerated().map { OwnedPrefix(prefix: $0.element, owner: $0.offset) }
        guard let (holder, held) = OwnedPrefix.firstOverlap(of: owned) else { return nil }
        let isHolderConfigured = prefixes.contains { $0.prefix == holder.prefix }
        let isHeldConfigured = prefixes.contains { $0.prefix == held.prefix }
        let (named, other) = isHeldConfigured ? (holder.prefix, held.prefix) : (held.prefix, holder.prefix)
        let place = isHolderConfigured || isHeldConfigured ? ", which is configured" : ""
        return "\(named) overlaps \(other)\(place)"
    }
}

extension IPv6Prefix {
    /// Addresses that no prefix of a node has, as the forwarder refuses them.
    private static let notHome: [(IPv6Prefix, name: String)] = [
        (.linkLocal, "link-local addresses, which have a setting of their own"),
        (IPv6Prefix(containing: IPv6Address(high: 0xFF << 56, low: 0), length: 8), "multicast groups"),
        (
            IPv6Prefix(containing: .unspecified, length: 96),
            "the unspecified address, loopback and IPv4-compatible addresses"
        ),
        (
            IPv6Prefix(containing: IPv6Address(high: 0, low: 0xFFFF << 32), length: 96),
            "IPv4-mapped addresses"
        ),
    ]

    /// Why it can't be a node's prefix, nor be one that has such; nil where it can.
    public var homePrefixObstacle: String? {
        if length == 0 { return "\(self) is all of IPv6, and no prefix of global unicast addresses" }
        guard let (_, name) = Self.notHome.first(where: { overlaps($0.0) }) else { return nil }
        return "\(self) is no prefix of global unicast addresses: it has \(name)"
    }
}

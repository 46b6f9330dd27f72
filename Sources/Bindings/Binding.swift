// A binding as the control plane sees it: which node, where it is, what is tunnelled to it and how. It is the one form
// in which the binding file, the control protocol and the forwarder speak of bindings; each makes it from, or turns it
// into, its own. `validate` holds every rule that concerns one binding alone; what concerns two (overlapping prefixes,
// RFC 5454 3.3) is the binding store's.

import Wire

/// What the IPv4 tunnel to a care-of address looks like.
public enum Encapsulation: String, Sendable, CaseIterable {
    /// IP-in-IP (RFC 2003), and for IPv6 protocol 41 (RFC 4213).
    case ipInIP = "ip-in-ip"
    /// GRE (RFC 2784, 2890, 7676).
    case gre
    /// Minimal encapsulation (RFC 2004), which never carries IPv6.
    case minimal
    /// UDP, Mobile Tunnel Data (RFC 3519).
    case udp
}

/// What Mobile Tunnel Data carries (RFC 3519, 3.1.4).
public enum UDPEncapsulation: String, Sendable, CaseIterable {
    /// IPv4, and by RFC 5454, 3.9, IPv6.
    case ipInIP = "ip-in-ip"
    /// GRE.
    case gre
    /// Minimal encapsulation, which never carries IPv6.
    case minimal
}

/// How the outer DSCP relates to the inner (RFC 2983).
public enum DSCPModel: String, Sendable, CaseIterable {
    /// Copied out at encapsulation and in at decapsulation.
    case uniform
    /// Outer zero, inner untouched.
    case pipe
}

/// How the outer ECN field is set at encapsulation (RFC 6040, 4.1).
public enum ECNMode: String, Sendable, CaseIterable {
    /// Copied from the inner header.
    case normal
    /// Always Not-ECT.
    case compatibility
}

/// By which tunnel a prefix is reached (RFC 5454, 3.3).
public enum PrefixTunnel: String, Sendable, CaseIterable {
    /// Directly to the care-of address.
    case careOf = "care-of"
    /// To the home address, and that packet in the IPv4 tunnel.
    case homeAddress = "home-address"
}

/// At which end of its tunnel a daemon is (RFC 5454, 1.2).
public enum Role: String, Sendable, CaseIterable {
    /// The home agent's: the tunnel leads to the node's care-of address.
    case homeAgent = "home-agent"
    /// The mobile node's: the tunnel leads to the home agent, and starts at the care-of address.
    case mobileNode = "mobile-node"
}

/// A prefix of a binding.
public struct BoundPrefix: Hashable, Sendable {
    /// The IPv6 prefix.
    public var prefix: IPv6Prefix
    /// How it is reached.
    public var tunnel: PrefixTunnel

    /// A prefix, reached by the care-of tunnel where nothing else is said.
    public init(_ prefix: IPv6Prefix, tunnel: PrefixTunnel = .careOf) {
        self.prefix = prefix
        self.tunnel = tunnel
    }
}

/// Options of a GRE tunnel.
public struct GREOptions: Hashable, Sendable {
    /// The key (RFC 2890); nil for none.
    public var key: UInt32?
    /// Whether packets bear sequence numbers (RFC 2890).
    public var sequence = false
    /// Whether packets bear a checksum (RFC 2784).
    public var checksum = false

    /// GRE with neither key, sequence number nor checksum.
    public init(key: UInt32? = nil, sequence: Bool = false, checksum: Bool = false) {
        self.key = key
        self.sequence = sequence
        self.checksum = checksum
    }
}

/// A mobile node's binding.
public struct Binding: Hashable, Sendable {
    /// Names the binding: 1 to 128 bytes of printable ASCII without spaces. Putting a binding replaces the one with its id.
    public var id: String
    /// Whose end of the tunnel this is. At the mobile node `careOfAddress` is the home agent's address, `endpoint` the
    /// node's care-of address, and prefixes and networks are what lies behind the home agent.
    public var role = Role.homeAgent
    /// The node's IPv4 home address; nil where it has none.
    public var homeAddress: IPv4Address?
    /// Where the tunnel leads.
    public var careOfAddress: IPv4Address
    /// Where the tunnel starts: the outer source. Nil means the daemon's endpoint.
    public var endpoint: IPv4Address?
    /// The kind of the IPv4 tunnel.
    public var encapsulation = Encapsulation.ipInIP
    /// Only where `carriesGRE`; nil there means GRE without options.
    public var gre: GREOptions?
    /// The mobile node's port, where `encapsulation` is `udp`, and only there. The home agent's is 434.
    public var udpPort: UInt16?
    /// What stands inside of UDP (RFC 3519, 3.3), where `encapsulation` is `udp`, and only there.
    public var udpEncapsulation = UDPEncapsulation.ipInIP
    /// What is tunnelled to it. May be empty.
    public var prefixes: [BoundPrefix] = []
    /// IPv4 networks that are tunnelled to it: of a mobile router those of RFC 5177, at a mobile node what it reaches by
    /// the tunnel. May be empty. A home address within one leads to its own binding.
    public var networks: [IPv4Prefix] = []
    /// How DSCP is treated.
    public var dscp = DSCPModel.uniform
    /// How ECN is treated at encapsulation.
    public var ecn = ECNMode.normal
    /// The largest inner packet in bytes, 1280 to 1480 (RFC 4213, 3.2); nil means the daemon's, or 1480 with
    /// `mtuDiscovery`.
    public var tunnelMTU: UInt16?
    /// Whether the tunnel MTU follows what ICMPv4 says of the path (RFC 4213, 3.2.2), up to `tunnelMTU`.
    public var mtuDiscovery = false
    /// Seconds until it is removed by itself; nil means for ever.
    public var lifetime: UInt32?

    /// A binding by IP-in-IP for ever.
    public init(id: String, careOfAddress: IPv4Address, prefixes: [BoundPrefix] = []) {
        self.id = id
        self.careOfAddress = careOfAddress
        self.prefixes = prefixes
    }
}

/// Bounds that bindings are checked against.
public enum BindingLimits {
    /// Of an id, in bytes.
    public static let idLength = 128
    /// Who have bindings at a time.
    public static let owners = 256
    /// Of an owner's name, in bytes.
    public static let ownerLength = 64
    /// Of one binding.
    public static let prefixesPerBinding = 1024
    /// Of one binding.
    public static let networksPerBinding = 1024
    /// A static tunnel MTU, in bytes (RFC 4213, 3.2.1): what IPv6 needs at least, to Ethernet less the outer header.
    public static let tunnelMTU: ClosedRange<UInt16> = 1280...1480
}

/// Why a binding, or a file of them, is not accepted: where, and what to do.
public struct BindingError: Error, Hashable, CustomStringConvertible {
    /// The place, as a path: `bindings[3].prefixes[0].prefix`, or the binding's id.
    public let place: String
    /// What is wrong and what to do.
    public let problem: String

    /// An error with its place.
    public init(_ place: String, _ problem: String) {
        self.place = place
        self.problem = problem
    }

    /// Place and problem.
    public var description: String { place.isEmpty ? problem : "\(place): \(problem)" }
}

extension Binding {
    /// Gives a mobile node's UDP tunnel without a port the one that Mobile IP has (RFC 3519, 4.1).
    public mutating func setUsualPort() {
        if role == .mobileNode, encapsulation == .udp { udpPort = udpPort ?? MobileTunnelData.port }
    }

    /// Whether the tunnel has a GRE header.
    public var carriesGRE: Bool { encapsulation == .gre || (encapsulation == .udp && udpEncapsulation == .gre) }

    /// Whether the tunnel is of minimal encapsulation, which never carries IPv6 to the care-of address.
    public var isMinimal: Bool {
        encapsulation == .minimal || (encapsulation == .udp && udpEncapsulation == .minimal)
    }

    /// Whether a text may name a binding.
    public static func isID(_ text: String) -> Bool {
        (1...BindingLimits.idLength).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// Whether nodes may be members of a multicast group: not where its packets never leave an interface (RFC 4291,
    /// 2.7).
    public static func isGroup(_ address: IPv6Address) -> Bool {
        address.isMulticast && address.multicastScope >= IPv6Address.linkLocalScope
    }

    /// Checks all rules that concern this binding alone.
    /// - Parameter place: what an error calls it; by default the id.
    /// - Throws: the first rule that is broken.
    public func validate(at place: String? = nil) throws(BindingError) {
        guard Self.isID(id) else {
            throw BindingError(
                "\(place ?? "binding \(StrictJSON.quoted(id))").id",
                "an id has 1 to \(BindingLimits.idLength) printable ASCII characters and no space")
        }
        // Texts are made only where something is wrong: a million bindings are checked in a load.
        func error(_ part: String, _ problem: String) -> BindingError {
            BindingError("\(place ?? "binding \(id)")\(part)", problem)
        }
        guard careOfAddress.isUnicastSource else {
            throw error(".careOfAddress", "\(careOfAddress) is no unicast address")
        }
        if let endpoint, !endpoint.isUnicastSource {
            throw error(".endpoint", "\(endpoint) is no unicast address")
        }
        if careOfAddress == endpoint {
            throw error(".careOfAddress", "\(careOfAddress) is the tunnel's own endpoint")
        }
        if let homeAddress, !homeAddress.isUnicastSource {
            throw error(".homeAddress", "\(homeAddress) is no unicast address")
        }
        if gre != nil, !carriesGRE {
            throw error(".gre", "stands only beside encapsulation \"gre\", or that within \"udp\"")
        }
        if (udpPort != nil) != (encapsulation == .udp) {
            throw error(".udp", "a port stands beside encapsulation \"udp\", and only there")
        }
        if udpEncapsulation != .ipInIP, encapsulation != .udp {
            throw error(".udp.encapsulation", "stands only beside encapsulation \"udp\"")
        }
        if udpPort == 0 { throw error(".udp.port", "a port is 1 to 65535") }
        if lifetime == 0 {
            throw error(".lifetime", "is 0; leave it out for ever, or remove the binding")
        }
        if let tunnelMTU, !BindingLimits.tunnelMTU.contains(tunnelMTU) {
            throw error(".tunnelMTU", "\(tunnelMTU) is not within 1280 and 1480")
        }
        guard prefixes.count <= BindingLimits.prefixesPerBinding else {
            throw error(".prefixes", "more than \(BindingLimits.prefixesPerBinding) prefixes")
        }
        if let index = Self.firstRepeated(prefixes, by: \.prefix) {
            throw error(".prefixes[\(index)]", "\(prefixes[index].prefix) stands twice in this binding")
        }
        if role == .mobileNode, careOfAddress == homeAddress {
            throw error(".careOfAddress", "\(careOfAddress) is the node's home address; name the home agent's")
        }
        try validateNetworks(at: place)
        for (index, bound) in prefixes.enumerated() {
            func error(_ problem: String) -> BindingError {
                BindingError("\(place ?? "binding \(id)").prefixes[\(index)]", problem)
            }
            if bound.tunnel == .homeAddress, homeAddress == nil {
                throw error("tunnel \"home-address\" needs a homeAddress")
            }
            if bound.tunnel == .careOf, isMinimal {
                throw error("minimal encapsulation never carries IPv6: use tunnel \"home-address\"")
            }
            // A default route's half may hold such addresses; packets from and to them are dropped all the same.
            let address = bound.prefix.address
            if role == .mobileNode, address.isLinkLocal {
                // To the node all that is link-local lies behind the tunnel, whatever its address. At a foreign agent the
                // tunnel itself starts at the home address (RFC 5454, 3.3.2).
                let isOfHomeAddress = bound.tunnel == .homeAddress || (homeAddress != nil && endpoint == homeAddress)
                guard bound.prefix == .linkLocal, isOfHomeAddress else {
                    throw error("at a mobile node link-local traffic is fe80::/10 by tunnel \"home-address\"")
                }
                continue
            }
            if address.isLinkLocal {
                // RFC 5454, 2.2 and 3.7.1: such an address is registered by itself, and reached by the home address.
                guard bound.prefix.length == 128 else {
                    throw error("\(bound.prefix) is link-local: name the one address, with length 128")
                }
                guard bound.tunnel == .homeAddress else {
                    throw error("\(bound.prefix) is link-local, which needs tunnel \"home-address\"")
                }
                continue
            }
            if bound.prefix.length > 0,
                address.isMulticast
                    || (bound.prefix.length >= 96 && address.isForbiddenTunnelSource)
            {
                throw error("\(bound.prefix) is no prefix of global unicast addresses")
            }
        }
    }

    private func validateNetworks(at place: String?) throws(BindingError) {
        if networks.isEmpty { return }
        let place = place ?? "binding \(id)"
        guard networks.count <= BindingLimits.networksPerBinding else {
            throw BindingError("\(place).networks", "more than \(BindingLimits.networksPerBinding) networks")
        }
        if let index = Self.firstRepeated(networks, by: \.self) {
            throw BindingError("\(place).networks[\(index)]", "\(networks[index]) stands twice in this binding")
        }
        for (index, network) in networks.enumerated() where network.length > 0 {
            // A default route's half may hold such addresses; packets from and to them are dropped all the same.
            guard network.address.isUnicastSource || (network.length < 8 && network.address == .unspecified) else {
                throw BindingError("\(place).networks[\(index)]", "\(network) is no network of unicast addresses")
            }
        }
    }

    /// The place of the first part that stands before it too.
    private static func firstRepeated<Part, Key: Hashable>(_ parts: [Part], by key: (Part) -> Key) -> Int? {
        if parts.count < 2 { return nil }
        // Few are compared with each other sooner than they are hashed.
        if parts.count <= 8 {
            return parts.indices.first { index in parts[..<index].contains { key($0) == key(parts[index]) } }
        }
        var seen: Set<Key> = []
        return parts.firstIndex { !seen.insert(key($0)).inserted }
    }
}

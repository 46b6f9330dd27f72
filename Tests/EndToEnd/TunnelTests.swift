// Both families in every kind of tunnel, between a home agent whose endpoint is its own and a node whose care-of address
// is shared with its host: what the kernels at either end need to be told, they were told by mooringd.

import Testing

/// How a binding's tunnel is asked for, and what it looks like in the access network.
enum Tunnel: String, CaseIterable, CustomTestStringConvertible {
    case ipInIP = "ip-in-ip"
    case gre
    case minimal
    case udp

    var testDescription: String { rawValue }

    /// Of `mooring binding put`.
    var options: [String] {
        let options = ["--encapsulation", rawValue]
        switch self {
        case .ipInIP, .minimal: return options
        case .gre: return options + ["--gre-key", "7", "--gre-checksum"]
        // No address is translated on the way, so the node's port is the one that its forwarder sends from.
        case .udp: return options + ["--udp-port", "434"]
        }
    }

    /// Protocol numbers of its outer headers, with IPv4 and IPv6 inside.
    var numbers: Set<String> {
        switch self {
        case .ipInIP: ["4", "41"]
        case .gre: ["47"]
        case .minimal: ["55"]
        case .udp: ["17"]
        }
    }
}

extension EndToEnd {
    @Suite("Tunnels", .serialized)
    struct TunnelTests {
        @Test("T10 H9 H10 N1 ping and TCP of both families pass both ways", arguments: Tunnel.allCases)
        func bothFamilies(tunnel: Tunnel) async throws {
            try await Topology.run { topology in
                let capture = try await topology.startCapture(
                    at: .networkA, interface: "node", filter: "ip host \(Topology.careOfAddressA)")
                try await topology.startBoth(tunnel)
                for (node, correspondent) in [
                    (Topology.nodeIPv4Address, Topology.correspondentIPv4Address),
                    (Topology.nodeAddress, Topology.correspondentAddress),
                ] {
                    try await topology.ping(from: .correspondent, to: node)
                    try await topology.ping(from: .node, to: correspondent)
                    // In packets that are too large for the tunnel until its ends have told so.
                    try await topology.transfer(from: .correspondent, to: .node, node, bytes: 300_000)
                    try await topology.transfer(from: .node, to: .correspondent, correspondent, bytes: 300_000)
                }
                for role in [Role.homeAgent, .node] {
                    let counters = try await topology.counters(role)
                    // Of each family at least.
                    #expect(counters.dropped("packet-too-big")! >= 2, "\(role.rawValue)")
                    // That all of it passed, and not only what was sent once more.
                    for reason in [
                        "tunnel-mismatch", "outer-source-mismatch", "inner-source-unregistered", "not-for-endpoint",
                        "unsupported-protocol", "gre-key", "gre-checksum", "udp-port-mismatch", "no-binding",
                    ] {
                        #expect(counters.dropped(reason) == 0, "\(role.rawValue): \(reason)")
                    }
                }
                // Whatever else was on the wire is told by its number.
                let numbers = try await poll(for: "packets of the tunnel") {
                    let numbers = try await capture.decoded("ip", fields: ["ip.proto"])
                        .map { $0[0].prefix { $0 != "," } }
                    return numbers.count > 1000 ? Set(numbers.map(String.init)) : nil
                }
                #expect(numbers == tunnel.numbers)
            }
        }
    }
}

extension Topology {
    /// Starts both daemons and puts bindings by which both families go, the node in network A.
    func startBoth(_ tunnel: Tunnel) async throws {
        try await startMooringd(.homeAgent)
        try await startMooringd(.node)
        try await mooring(
            .homeAgent,
            [
                "binding", "put", "mn1", "--care-of", Self.careOfAddressA, "--home-address", Self.nodeIPv4Address,
                "--prefix", Self.nodePrefix + (tunnel == .minimal ? ",home-address" : ""),
            ] + tunnel.options)
        // A forwarder finds IPv4 bindings by one address each: at the node, by that of whom it speaks to.
        let byHomeAgent = ["--care-of", Self.endpoint, "--endpoint", Self.careOfAddressA]
        let correspondent = ["binding", "put", "home-agent", "--home-address", Self.correspondentIPv4Address]
        if tunnel != .minimal {
            try await mooring(.node, correspondent + byHomeAgent + ["--prefix", "::/0"] + tunnel.options)
        } else {
            try await mooring(.node, correspondent + byHomeAgent + tunnel.options)
            try await goByHomeAddress(byHomeAgent + tunnel.options)
        }
    }

    /// The node's IPv6 by way of its home address (RFC 5454, 3.3.2): what bears the home address goes into the home device
    /// once more, and from there to the home agent as other IPv4 does.
    private func goByHomeAddress(_ byHomeAgent: [String]) async throws {
        try await mooring(
            .node, ["binding", "put", "home-agent-ipv4", "--home-address", Self.endpoint] + byHomeAgent)
        try await mooring(
            .node,
            [
                "binding", "put", "home-agent-ipv6", "--care-of", Self.endpoint, "--endpoint", Self.nodeIPv4Address,
                "--prefix", "::/0",
            ])
        try await ip(.node, "route add default dev mooring-home table 100")
        try await ip(.node, "rule add from \(Self.nodeIPv4Address) lookup 100 priority 1000")
    }
}

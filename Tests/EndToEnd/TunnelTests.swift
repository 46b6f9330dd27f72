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
    func options(at role: Role) -> [String] {
        let options = ["--encapsulation", rawValue]
        switch self {
        case .ipInIP, .minimal: return options
        case .gre: return options + ["--gre-key", "7", "--gre-checksum"]
        // No address is translated on the way, so the home agent sees the port that the node has unless it is told another.
        case .udp: return role == .node ? options : options + ["--udp-port", "434"]
        }
    }

    /// Protocol numbers of its outer headers, with IPv4 and IPv6 inside.
    func numbers(byHomeAddress: Bool) -> Set<String> {
        switch self {
        case .ipInIP: byHomeAddress ? ["4"] : ["4", "41"]
        case .gre: ["47"]
        case .minimal: ["55"]
        case .udp: ["17"]
        }
    }
}

extension EndToEnd {
    @Suite("Tunnels", .serialized)
    struct TunnelTests {
        @Test(
            "T10 H9 H10 M3 N1 ping and TCP of both families pass both ways", arguments: Tunnel.allCases, [false, true])
        func bothFamilies(tunnel: Tunnel, byHomeAddress: Bool) async throws {
            // Minimal encapsulation carries IPv6 by way of the home address alone (RFC 5454, 3.3.2).
            if tunnel == .minimal, !byHomeAddress { return }
            try await Topology.run { topology in
                let capture = try await topology.startCapture(
                    at: .networkA, interface: "node", filter: "ip host \(Topology.careOfAddressA)")
                try await topology.startBoth(tunnel, byHomeAddress: byHomeAddress)
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
                // Whatever else was on the wire is told by its number. Super-frames are one packet there.
                let numbers = try await poll(for: "packets of the tunnel") {
                    let numbers = try await capture.decoded("ip", fields: ["ip.proto"])
                        .map { $0[0].prefix { $0 != "," } }
                    return numbers.count > 100 ? Set(numbers.map(String.init)) : nil
                }
                #expect(numbers == tunnel.numbers(byHomeAddress: byHomeAddress))
            }
        }

        @Test("T1 the whole way through the tunnel takes one off the hop limit, in both directions, of both families")
        func oneHop() async throws {
            try await Topology.run { topology in
                try await topology.startBoth(.ipInIP, byHomeAddress: true)
                let captures = [
                    try await topology.startCapture(at: .node, interface: "mooring-home", filter: "icmp or icmp6"),
                    try await topology.startCapture(
                        at: .correspondent, interface: "home-agent", filter: "icmp or icmp6"),
                ]
                // A limit that nobody has by default: with it sent, and with one less seen at the other end.
                let limit = ["-t", "37"]
                for (node, correspondent) in [
                    (Topology.nodeIPv4Address, Topology.correspondentIPv4Address),
                    (Topology.nodeAddress, Topology.correspondentAddress),
                ] {
                    try await topology.ping(from: .correspondent, to: node, limit)
                    try await topology.ping(from: .node, to: correspondent, limit + ["-I", node])
                }
                // Each end sees what it sends as it is, and what the other has sent behind the home agent's host.
                for capture in captures {
                    for (filter, field) in [("icmp.type == 8", "ip.ttl"), ("icmpv6.type == 128", "ipv6.hlim")] {
                        let limits = try await poll(for: "requests of both directions") {
                            let limits = Set(try await capture.decoded(filter, fields: [field]).map { $0[0] })
                            return limits.count > 1 ? limits : nil
                        }
                        #expect(limits == ["37", "36"], "\(filter)")
                    }
                }
            }
        }

        @Test(
            "P1 H16 T2 a node's kernel and the home agent's reach each other on the link, and a prefix is delegated by it"
        )
        func link() async throws {
            try await Topology.run { topology in
                let (own, peer) = ("fe80::c000:247", "fe80::c000:201")
                #expect((Topology.nodeIPv4Address, Topology.endpoint) == ("192.0.2.71", "192.0.2.1"))
                try await topology.startMooringd(.homeAgent)
                try await topology.startMooringd(.node, ["--home-address", "\(own)/64"])
                try await topology.putBoth(.ipInIP, byHomeAddress: false)
                // Neither has said yet that the link may be used.
                let device = "mooring-home"
                let refused = try await topology.start(
                    in: .node, ["ping", "-n", "-c", "1", "-W", "1", "\(peer)%\(device)"]
                ).wait()
                #expect(refused != 0)
                try await topology.mooring(
                    .node,
                    [
                        "binding", "put", "home-agent", "--update", "--prefix", "::/0", "--prefix",
                        "fe80::/10,home-address",
                    ])
                try await topology.mooring(
                    .homeAgent,
                    [
                        "binding", "put", "mn1", "--update", "--prefix", Topology.nodePrefix, "--prefix",
                        "\(own)/128,home-address",
                    ])
                try await topology.ping(from: .node, to: "\(peer)%\(device)")
                try await topology.ping(from: .homeAgent, to: "\(own)%\(device)")

                let script = Topology.script("delegation.py")
                let server = try topology.start(
                    in: .homeAgent, ["/usr/bin/python3", script, "serve", device, "2001:db8:1:100::/56"])
                try await poll(for: "DHCPv6 server; \(server.errorOutput)") { server.output.contains("listening") }
                let client = try await topology.run(in: .node, ["/usr/bin/python3", script, "ask", device, own])
                #expect(client == "delegated 2001:db8:1:100::/56 by \(peer)\n")
                #expect(server.output.contains("solicit from \(own)\n"))
                await server.end()

                // Who watches is told to which groups the node's kernel listens.
                let watch = try topology.start(
                    in: .homeAgent, topology.mooringCommand(.homeAgent, ["watch", "--punts", "--json"]))
                let member = try topology.start(
                    in: .node,
                    [
                        "/usr/bin/python3", "-c",
                        """
                        import socket, time
                        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
                        group = socket.inet_pton(socket.AF_INET6, "ff3e::1234")
                        while True:
                            i = group + socket.if_nametoindex("\(device)").to_bytes(4, "little")
                            s.setsockopt(41, socket.IPV6_JOIN_GROUP, i)
                            time.sleep(0.5)
                            s.setsockopt(41, socket.IPV6_LEAVE_GROUP, i)
                        """,
                    ])
                try await poll(for: "a listener's report; \(watch.output)\(watch.errorOutput)") {
                    watch.output.contains("multicast-listener") && watch.output.contains("\"mn1\"")
                }
                await member.end()
                await watch.end()
                for role in [Role.homeAgent, .node] {
                    let counters = try await topology.counters(role)
                    for reason in ["tunnel-mismatch", "outer-source-mismatch"] {
                        #expect(counters.dropped(reason) == 0, "\(role.rawValue): \(reason)")
                    }
                }
            }
        }
    }
}

extension Topology {
    /// Starts both daemons and puts bindings by which both families go, the node in network A.
    func startBoth(_ tunnel: Tunnel, byHomeAddress: Bool, _ options: [String] = []) async throws {
        try await startMooringd(.homeAgent, options)
        try await startMooringd(.node, options)
        try await putBoth(tunnel, byHomeAddress: byHomeAddress)
    }

    /// Puts a binding at either end: the node's leads everything to the home agent.
    func putBoth(_ tunnel: Tunnel, byHomeAddress: Bool) async throws {
        let way = byHomeAddress ? ",home-address" : ""
        try await mooring(
            .homeAgent,
            [
                "binding", "put", "mn1", "--care-of", Self.careOfAddressA, "--home-address", Self.nodeIPv4Address,
                "--prefix", Self.nodePrefix + way,
            ] + tunnel.options(at: .homeAgent))
        try await mooring(
            .node,
            [
                "binding", "put", "home-agent", "--role", "mobile-node", "--care-of", Self.endpoint, "--endpoint",
                Self.careOfAddressA, "--home-address", Self.nodeIPv4Address, "--network", "0.0.0.0/0", "--prefix",
                "::/0" + way,
            ] + tunnel.options(at: .node))
    }
}

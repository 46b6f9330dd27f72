// RFC 5454, 3.1 to 3.3 and 3.7 to 3.8: which prefixes a binding has, and what the reply says of them.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Home agent: prefixes")
struct HomeAgentPrefixTests {
    private static let second = IPv4Address("198.51.100.8")!

    /// Two nodes of 2001:db8:1::/48, each of which may have any prefix in it.
    private static func pair() -> TestHomeAgent {
        TestHomeAgent(nodes: [TestHomeAgent.node(), TestHomeAgent.node(second)])
    }

    /// What is asked for, and what the reply says of it.
    static let asked: [([String], [String])] = [
        (["2001:db8:1:1::/64"], ["2001:db8:1:1::/64 1"]),
        (
            ["2001:db8:1:3::/64", "2001:db8:1:1::/64", "2001:db8:1:2::/63"],
            ["2001:db8:1:3::/64 1", "2001:db8:1:1::/64 1", "2001:db8:1:2::/63 1"]
        ),
        (
            ["2001:db8:1:1::/64", "2001:db8:1:2::/64", "2001:db8:1:1::/64"],
            ["2001:db8:1:1::/64 1", "2001:db8:1:2::/64 1"]
        ),
        // The same by the bits that count, and the same address with another length.
        (
            ["2001:db8:1:1::5/64", "2001:db8:1:1::6/64", "2001:db8:1::/48"],
            ["2001:db8:1:1::/64 1", "2001:db8:1::/48 1"]
        ),
        (["2001:db8:2::/48", "2001:db8:1:1::/64"], ["2001:db8:2::/48 9", "2001:db8:1:1::/64 1"]),
        (["2001:db8:1:1::/65"], ["2001:db8:1:1::/65 9"]),
        (["2001:db8::/47"], ["2001:db8::/47 9"]),
        (["::/0"], ["::/0 9"]),
        (["ff02::/16"], ["ff02::/16 9"]),
        (["fe80::1/128"], ["fe80::1/128 9"]),
        (["2001:db8:1::/129", "2001:db8:1::/254"], ["2001:db8:1::/129 8", "2001:db8:1::/254 8"]),
        (["fe80::c633:6407/255"], ["fe80::c633:6407/255 0"]),
        (["2001:db8:1::1/255"], ["2001:db8:1::1/255 8"]),
        // The home agent's own end of the tunnel.
        (["fe80::c000:201/255"], ["fe80::c000:201/255 8"]),
    ]

    @Test(
        "R1 R5 H1 H2 H3 H4 F2 each distinct prefix gets one reply, with its prefix and a code of its own",
        arguments: asked)
    func replies(_ asked: [String], _ replies: [String]) throws {
        let agent = TestHomeAgent()
        #expect(
            try agent.reply(to: .prefixes(asked)) == (["reply 0, 600 s"] + replies).joined(separator: ", "))
        let accepted = replies.filter { !["8", "9"].contains($0.split(separator: " ").last) }
        let bound = try #require(agent.bindings().bindings.first).prefixes
        #expect(bound.count == accepted.count)
    }

    @Test("P1 T2 the link-local address that is made of another node's home address is not this node's")
    func linkLocalOfOther() throws {
        // fe80::c633:6408 is that of 198.51.100.8 (RFC 4213, 3.7).
        let own = IPv4Address("198.51.100.8")!
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node(), TestHomeAgent.node(own)])
        #expect(
            try agent.reply(to: .prefixes(["fe80::c633:6408/255"])) == "reply 0, 600 s, fe80::c633:6408/255 8")
        #expect(
            try agent.reply(to: .prefixes(["fe80::c633:6408/255"]) { $0.home = own })
                == "reply 0, 600 s, fe80::c633:6408/255 0")
    }

    @Test("H8 H10 P1 link-local traffic goes by way of the home address, and has no route")
    func linkLocal() throws {
        let agent = TestHomeAgent()
        #expect(
            try agent.register(.prefixes(["fe80::c633:6407/255"])) == [
                "store", "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, fe80::c633:6407/128 home, 600 s",
                "+ 198.51.100.7", "reply 0, 600 s, fe80::c633:6407/255 0", "count replied 0", "count prefix 0",
            ])
        let refused = TestHomeAgent(nodes: [TestHomeAgent.node { $0.policy.mayUseLinkLocal = false }])
        #expect(
            try refused.reply(to: .prefixes(["fe80::c633:6407/255"])) == "reply 0, 600 s, fe80::c633:6407/255 9")
    }

    @Test("what can be no source of packets is never registered, whatever is configured")
    func unregistrable() throws {
        let all = PrefixPermission(within: IPv6Prefix("::/0")!, lengths: 0...128)
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node { $0.prefixes = [all] }])
        #expect(
            try agent.reply(to: .prefixes(["fe80::1/128", "ff02::/16", "::1/128", "::ffff:1.2.3.0/120", "::/0"]))
                == "reply 0, 600 s, fe80::1/128 9, ff02::/16 9, ::1/128 9, ::ffff:1.2.3.0/120 9, ::/0 1")
    }

    @Test("P2 what was delegated, and parts of it, may be registered until the delegation ends")
    func delegation() throws {
        let agent = TestHomeAgent()
        let request = TestRequest.prefixes(["2001:db8:7:1::/64", "2001:db8:7::/48", "2001:db8::/32"])
        #expect(
            try agent.reply(to: request)
                == "reply 0, 600 s, 2001:db8:7:1::/64 9, 2001:db8:7::/48 9, 2001:db8::/32 9")
        let node = NodeIdentity.homeAddress(TestHomeAgent.home)
        #expect(agent.handle(.delegated(IPv6Prefix("2001:db8:7::/48")!, to: node)) == ["store"])
        #expect(
            try agent.reply(to: request)
                == "reply 0, 600 s, 2001:db8:7:1::/64 1, 2001:db8:7::/48 1, 2001:db8::/32 9")
        #expect(
            agent.handle(.delegationEnded(IPv6Prefix("2001:db8:7::/48")!, to: node)) == [
                "store", "store", "- 2001:db8:7:1::/64", "- 2001:db8:7::/48",
                "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 600 s",
            ])
    }

    /// Flags, whether there is the extension, what the policy allows, and the code.
    static let modes: [(RegistrationRequest.Flags, Bool, NodePolicy.TunnelingModes, UInt8)] = [
        (.decapsulationByMobileNode, true, [.careOfAddress, .homeAddress], 1),
        (.decapsulationByMobileNode, false, [.careOfAddress, .homeAddress], 0),
        (.decapsulationByMobileNode, true, .homeAddress, 0),
        (.decapsulationByMobileNode, true, .careOfAddress, 1),
        (.decapsulationByMobileNode, false, .careOfAddress, 9),
        ([], true, [.careOfAddress, .homeAddress], 0),
        ([], false, [.careOfAddress, .homeAddress], 0),
        ([], true, .careOfAddress, 9),
        ([.decapsulationByMobileNode, .minimalEncapsulation], true, .careOfAddress, 9),
    ]

    @Test("H4 H11 H12 R2 the tunneling mode is as asked for, agreed to and possible", arguments: modes)
    func mode(
        _ flags: RegistrationRequest.Flags, _ hasExtension: Bool, _ allowed: NodePolicy.TunnelingModes, _ code: UInt8
    ) throws {
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node { $0.policy.tunnelingModes = allowed }])
        let request = TestRequest {
            $0.flags = flags
            $0.ask(for: ["2001:db8:1::/48"])
            if hasExtension { $0.extensions.append(.ipv6TunnelingMode) }
        }
        #expect(try agent.reply(to: request) == "reply 0, 600 s, 2001:db8:1::/48 \(code)")
        let bound = agent.bindings().bindings.first?.prefixes.map(\.usesCareOfAddress)
        #expect(bound == (code == 9 ? [] : [code == 1]))
    }

    @Test("R3 what stands behind the node's authentication does not count")
    func behindAuthentication() throws {
        let agent = TestHomeAgent()
        var request = TestRequest.prefixes(["2001:db8:1:1::/64"])
        request.foreignExtensions = request.extensions
        request.extensions = []
        #expect(try agent.reply(to: request) == "reply 0, 600 s")
        // Nor does a tunneling mode there change what stands before.
        var mode = TestRequest { $0.ask(for: ["2001:db8:1:1::/64"]) }
        mode.foreignExtensions = [.ipv6TunnelingMode]
        #expect(try agent.reply(to: mode) == "reply 0, 600 s, 2001:db8:1:1::/64 0")
    }

    @Test("R4 a request that is rejected registers no prefix, and leaves the binding that there is")
    func rejected() throws {
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node { $0.policy.reverseTunnel = .refused }])
        try agent.register(.prefixes(["2001:db8:1:1::/64"]))
        let rejected = TestRequest.prefixes(["2001:db8:1:2::/64"]) { $0.flags.insert(.reverseTunneling) }
        #expect(try agent.register(rejected) == ["reply 137, 600 s", "count replied 137"])
        #expect(agent.bindings().bindings.map { $0.prefixes.map(\.prefix) } == [[IPv6Prefix("2001:db8:1:1::/64")!]])
    }

    /// What one node holds, what another asks for, and the code.
    static let overlaps: [(String, String, UInt8)] = [
        ("2001:db8:1:1::/64", "2001:db8:1:1::/64", 8), ("2001:db8:1:1::/64", "2001:db8:1::/48", 8),
        ("2001:db8:1::/48", "2001:db8:1:1::/64", 8), ("2001:db8:1:1::/64", "2001:db8:1:2::/64", 1),
        ("2001:db8:1:2::/64", "2001:db8:1:2::/63", 8), ("2001:db8:1:2::/63", "2001:db8:1:4::/63", 1),
        ("fe80::5/255", "fe80::5/255", 8), ("fe80::5/255", "fe80::6/255", 0),
    ]

    @Test(
        "H6 what overlaps another node's prefix is refused, whichever is the longer, until it is free",
        arguments: overlaps)
    func overlap(_ held: String, _ asked: String, _ code: UInt8) throws {
        let agent = Self.pair()
        try agent.register(.prefixes([held]))
        let request = TestRequest.prefixes([asked]) { $0.home = Self.second }
        let prefix = asked
        #expect(try agent.reply(to: request) == "reply 0, 600 s, \(prefix) \(code)")
        try agent.register(TestRequest { $0.lifetime = 0 })
        let free = asked.hasPrefix("fe80") ? 0 : 1
        #expect(try agent.reply(to: request) == "reply 0, 600 s, \(prefix) \(free)")
        // The node that held it is refused now.
        let again = try agent.reply(to: .prefixes([held]))
        #expect(again.hasSuffix(" 8") == (code == 8))
    }

    @Test("H6 the same node's own prefixes are not in its way")
    func ownOverlap() throws {
        let agent = Self.pair()
        let own = ["2001:db8:1::/48", "2001:db8:1:1::/64", "2001:db8:1::/56"]
        for _ in 0..<2 {
            #expect(
                try agent.reply(to: .prefixes(own))
                    == "reply 0, 600 s, 2001:db8:1::/48 1, 2001:db8:1:1::/64 1, 2001:db8:1::/56 1")
        }
        // The shorter ones go, the longer stays and is still in others' way.
        #expect(try agent.reply(to: .prefixes([own[1]])) == "reply 0, 600 s, 2001:db8:1:1::/64 1")
        #expect(
            try agent.reply(to: .prefixes(["2001:db8:1::/48", "2001:db8:1:2::/64"]) { $0.home = Self.second })
                == "reply 0, 600 s, 2001:db8:1::/48 8, 2001:db8:1:2::/64 1")
    }

    @Test("D2 H8 a prefix that a request leaves out goes alone, with its route; what stays has its own")
    func leftOut() throws {
        let agent = Self.pair()
        try agent.register(.prefixes(["2001:db8:1:1::/64", "2001:db8:1:2::/64"]))
        #expect(
            try agent.register(.prefixes(["2001:db8:1:2::/64", "2001:db8:1:3::/64"])) == [
                "store", "- 2001:db8:1:1::/64",
                "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 2001:db8:1:2::/64 care-of, 2001:db8:1:3::/64 care-of, 600 s",
                "+ 2001:db8:1:3::/64", "reply 0, 600 s, 2001:db8:1:2::/64 1, 2001:db8:1:3::/64 1", "count replied 0",
                "count prefix 1", "count prefix 1",
            ])
        #expect(
            try agent.reply(to: .prefixes(["2001:db8:1:1::/64"]) { $0.home = Self.second })
                == "reply 0, 600 s, 2001:db8:1:1::/64 1")
    }

    @Test("H17 configured prefixes are bound to the home address without being asked for, and stay")
    func implicit() throws {
        let agent = TestHomeAgent(
            nodes: [TestHomeAgent.node { $0.implicitPrefixes = [IPv6Prefix("2001:db8:f::/48")!] }])
        #expect(
            try agent.register() == [
                "store", "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 2001:db8:f::/48 home, 600 s",
                "+ 198.51.100.7", "+ 2001:db8:f::/48", "reply 0, 600 s", "count replied 0",
            ])
        #expect(
            try agent.register(.prefixes(["2001:db8:1:1::/64"])).contains(
                "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 2001:db8:f::/48 home, 2001:db8:1:1::/64 care-of, 600 s"))
        // What is configured may be asked for, by the care-of tunnel; and is not bound twice.
        #expect(
            try agent.reply(to: .prefixes(["2001:db8:f::/48", "2001:db8:f::/49"]))
                == "reply 0, 600 s, 2001:db8:f::/48 1, 2001:db8:f::/49 9")
        let both = TestHomeAgent(
            nodes: [
                TestHomeAgent.node {
                    $0.implicitPrefixes = [IPv6Prefix("2001:db8:1:1::/64")!]
                }
            ])
        #expect(
            try both.register(.prefixes(["2001:db8:1:1::/64"])).contains(
                "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 2001:db8:1:1::/64 care-of, 600 s"))
    }

    @Test("a configured prefix that another node holds is left out, and counted")
    func implicitTaken() throws {
        let agent = TestHomeAgent(nodes: [
            TestHomeAgent.node(),
            TestHomeAgent.node(Self.second) { $0.implicitPrefixes = [IPv6Prefix("2001:db8:1::/48")!] },
        ])
        try agent.register(.prefixes(["2001:db8:1:1::/64"]))
        #expect(
            try agent.register(TestRequest { $0.home = Self.second }) == [
                "count configured prefix taken", "store", "put 198.51.100.8 at 203.0.113.9 by ip-in-ip, 600 s",
                "+ 198.51.100.8", "reply 0, 600 s", "count replied 0",
            ])
    }

    @Test("a node that may have any prefix of the pools gets what is free of them")
    func pools() throws {
        let node = TestHomeAgent.node { $0.policy.mayUsePrefixPools = true }
        let agent = TestHomeAgent(nodes: [node, TestHomeAgent.node(Self.second)]) {
            $0.prefixPools = [PrefixPermission(within: IPv6Prefix("2001:db8:8000::/33")!, lengths: 56...56)]
        }
        let asked = ["2001:db8:8000::/56", "2001:db8:8001::/48", "2001:db8:7000::/56"]
        #expect(
            try agent.reply(to: .prefixes(asked))
                == "reply 0, 600 s, 2001:db8:8000::/56 1, 2001:db8:8001::/48 9, 2001:db8:7000::/56 9")
        #expect(
            try agent.reply(to: .prefixes(asked) { $0.home = Self.second })
                == "reply 0, 600 s, 2001:db8:8000::/56 9, 2001:db8:8001::/48 9, 2001:db8:7000::/56 9")
    }

    @Test("R5 beyond what the node, or the home agent, may hold, each prefix is rejected by itself")
    func limits() throws {
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node { $0.policy.maximumPrefixes = 2 }])
        let asked = ["2001:db8:1:1::/64", "2001:db8:1:2::/64", "2001:db8:1:3::/64"]
        let expected = "reply 0, 600 s, 2001:db8:1:1::/64 1, 2001:db8:1:2::/64 1, 2001:db8:1:3::/64 8"
        #expect(try agent.reply(to: .prefixes(asked)) == expected)
        #expect(try TestHomeAgent { $0.limits.prefixes = 2 }.reply(to: .prefixes(asked)) == expected)
    }

    @Test("R1 R6 H1 H2 a thousand prefixes, half of them twice, get a reply each")
    func thousand() throws {
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node { $0.policy.maximumPrefixes = 1024 }])
        let prefixes = (0..<1000).map { "2001:db8:1:\(String($0, radix: 16))::/64" }
        try agent.register(.prefixes(prefixes + prefixes.prefix(500)))
        let reply = try #require(agent.replies.first)
        let said = reply.extensions.compactMap { element -> String? in
            guard case .ipv6PrefixReply(let reply) = element else { return nil }
            return reply.code == .acceptedCareOfAddress ? reply.prefix.description : nil
        }
        #expect(said == prefixes.map { IPv6Prefix($0)!.description })
        #expect(agent.bindings().bindings.first?.prefixes.count == 1000)
        // All but one go again.
        #expect(try agent.register(.prefixes([prefixes[0]])).filter { $0.hasPrefix("-") }.count == 999)
    }

    @Test("R6 prefixes whose replies do not fit into the message are rejected without one")
    func noRoom() throws {
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node { $0.policy.maximumPrefixes = .max }])
        let prefixes = (0..<3200).map { "2001:db8:1:\(String($0, radix: 16))::/64" }
        try agent.register(.prefixes(prefixes))
        let datagram = try #require(agent.sent.first)
        #expect(datagram.payload.count <= RegistrationReply.maximumLength)
        let replies = try #require(agent.replies.first).extensions.filter { element in
            if case .ipv6PrefixReply = element { true } else { false }
        }
        #expect((2900..<3200).contains(replies.count))
        #expect(agent.bindings().bindings.first?.prefixes.count == replies.count)
    }
}

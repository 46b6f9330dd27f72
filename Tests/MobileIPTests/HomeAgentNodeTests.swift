// Nodes that come, change and go; home addresses of pools (RFC 2794) and any home agent (RFC 4433); a restart, and a
// forwarder that is away.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Home agent: nodes")
struct HomeAgentNodeTests {
    private static let second = IPv4Address("198.51.100.8")!
    private static func name(_ number: Int) -> NetworkAccessIdentifier {
        NetworkAccessIdentifier("mn\(number)@example.net")!
    }
    private static func named(_ number: Int) -> ServedNode {
        ServedNode(accessIdentifier: name(number), associations: [TestHomeAgent.nodeKey])
    }
    private static func request(
        _ number: Int, home: IPv4Address = .unspecified, _ change: (inout TestRequest) -> Void = { _ in }
    ) -> TestRequest {
        TestRequest {
            $0.home = home
            $0.extensions = [.mobileNodeNAI(name(number))]
            change(&$0)
        }
    }

    /// Two addresses for nodes: .65 and .66.
    private static func pooled(_ count: Int = 3) -> TestHomeAgent {
        TestHomeAgent(nodes: (1...count).map(named)) { $0.homeAddressPools = [IPv4Prefix("198.51.100.64/30")!] }
    }

    // MARK: - Home addresses

    @Test("a node that names itself gets a home address for as long as it has a binding")
    func pool() throws {
        let agent = Self.pooled()
        #expect(
            try agent.register(Self.request(1)) == [
                "store", "put 198.51.100.65 at 203.0.113.9 by ip-in-ip, 600 s", "+ 198.51.100.65",
                "reply 0, 600 s, mn1@example.net", "count replied 0",
            ])
        #expect(agent.replies.first?.homeAddress == IPv4Address("198.51.100.65"))
        try agent.register(Self.request(2))
        #expect(agent.replies.first?.homeAddress == IPv4Address("198.51.100.66"))
        #expect(try agent.reply(to: Self.request(3)) == "reply 130, 600 s, mn3@example.net")
        // Again, by name or by address.
        try agent.register(Self.request(1))
        #expect(agent.replies.first?.homeAddress == IPv4Address("198.51.100.65"))
        try agent.register(TestRequest { $0.home = IPv4Address("198.51.100.65")! })
        #expect(agent.replies.first?.code == .accepted)
        // What one gives back another gets.
        try agent.register(Self.request(1) { $0.lifetime = 0 })
        #expect(agent.actions.map(\.line).contains("remove 198.51.100.65"))
        try agent.register(Self.request(3))
        #expect(agent.replies.first?.homeAddress == IPv4Address("198.51.100.65"))
    }

    @Test("a home address that a node names is its own, a free one of a pool, or prohibited")
    func namedAddress() throws {
        let agent = Self.pooled()
        let cases: [(Int, String, String)] = [
            (1, "198.51.100.66", "reply 0, 600 s, mn1@example.net"),
            (2, "198.51.100.66", "reply 129, 600 s, mn2@example.net"),
            (2, "198.51.100.64", "reply 129, 600 s, mn2@example.net"),
            (2, "198.51.100.67", "reply 129, 600 s, mn2@example.net"),
            (2, "198.51.100.80", "reply 129, 600 s, mn2@example.net"),
            (2, "0.0.0.0", "reply 0, 600 s, mn2@example.net"),
        ]
        for (number, home, expected) in cases {
            #expect(
                try agent.reply(to: Self.request(number, home: IPv4Address(home)!)) == expected, "\(number) \(home)")
        }
        #expect(agent.replies.first?.homeAddress == IPv4Address("198.51.100.65"))
        // Another than it has: the one it had is free.
        try agent.register(Self.request(2, home: .unspecified) { $0.lifetime = 0 })
        #expect(
            try agent.register(Self.request(1, home: IPv4Address("198.51.100.65")!)).filter { !$0.hasPrefix("count") }
                == [
                    "store", "- 198.51.100.66", "remove 198.51.100.66",
                    "put 198.51.100.65 at 203.0.113.9 by ip-in-ip, 600 s", "+ 198.51.100.65",
                    "reply 0, 600 s, mn1@example.net",
                ])
        #expect(agent.bindingCount == 1)
        try agent.register(Self.request(2))
        #expect(agent.replies.first?.homeAddress == IPv4Address("198.51.100.66"))
    }

    @Test("a node with a home address and a name is known by both, and has that address alone")
    func both() throws {
        let node = ServedNode(
            homeAddress: TestHomeAgent.home, accessIdentifier: Self.name(1), associations: [TestHomeAgent.nodeKey])
        let agent = TestHomeAgent(nodes: [node])
        #expect(try agent.reply(to: Self.request(1)) == "reply 0, 600 s, mn1@example.net")
        #expect(agent.replies.first?.homeAddress == TestHomeAgent.home)
        #expect(try agent.reply(to: TestRequest()) == "reply 0, 600 s")
        #expect(try agent.reply(to: Self.request(1, home: Self.second)) == "reply 129, 600 s, mn1@example.net")
        #expect(try agent.register(Self.request(2)) == ["count node-unknown"])
        #expect(agent.bindingCount == 1)
    }

    @Test("a request for any home agent is served, redirected or refused, and one that names another is refused")
    func dynamicHomeAgent() throws {
        let other = IPv4Address("192.0.2.77")!
        let policies: [(DynamicHomeAgentPolicy, String)] = [
            (.refused, "reply 136, 600 s, mn1@example.net"), (.accepted, "reply 0, 600 s, mn1@example.net"),
            (.redirected(other), "reply 143, 600 s, mn1@example.net, redirected 192.0.2.77"),
        ]
        for (policy, expected) in policies {
            for any in [IPv4Address.unspecified, IPv4Address(rawValue: .max)] {
                let agent = TestHomeAgent(nodes: [Self.named(1)]) {
                    $0.homeAddressPools = [IPv4Prefix("198.51.100.64/30")!]
                    $0.dynamicHomeAgent = policy
                }
                #expect(try agent.reply(to: Self.request(1) { $0.agent = any }) == expected)
                #expect(agent.replies.first?.homeAgent == TestHomeAgent.address)
                let asks = Self.request(1) {
                    $0.agent = any
                    $0.extensions.append(.dynamicHomeAgent(DynamicHomeAgent(role: .requested, address: other)))
                }
                #expect(try agent.reply(to: asks) == "reply 136, 600 s, mn1@example.net")
            }
        }
    }

    // MARK: - Changes

    @Test("a node that is no longer served loses its binding and its record, and one that comes again has neither")
    func removal() throws {
        let agent = TestHomeAgent()
        try agent.register(.prefixes(["2001:db8:1::/48"]))
        let identity = NodeIdentity.homeAddress(TestHomeAgent.home)
        #expect(
            agent.handle(.nodesChanged(put: [], removed: [identity, .accessIdentifier(Self.name(1))])) == [
                "store without binding", "- 198.51.100.7", "- 2001:db8:1::/48", "remove 198.51.100.7",
                "count nodeRemoved", "forget 198.51.100.7",
            ])
        #expect(try agent.register() == ["count node-unknown"])
        agent.handle(.nodesChanged(put: [TestHomeAgent.node()], removed: []))
        #expect(try agent.reply(to: .prefixes(["2001:db8:1::/48"])) == "reply 0, 600 s, 2001:db8:1::/48 1")
        #expect(agent.nextDeadline != nil)
    }

    @Test("a node that changes keeps its binding, without what it may not have any more")
    func change() throws {
        let agent = TestHomeAgent()
        try agent.register(.prefixes(["2001:db8:1:1::/64", "2001:db8:1:2::/64", "fe80::9/255"]))
        #expect(agent.handle(.nodesChanged(put: [TestHomeAgent.node()], removed: [])) == [])
        let changed = TestHomeAgent.node {
            $0.prefixes = [PrefixPermission(IPv6Prefix("2001:db8:1:2::/64")!)]
            $0.implicitPrefixes = [IPv6Prefix("2001:db8:f::/64")!]
            $0.policy.mayUseLinkLocal = false
        }
        agent.wait(100)
        #expect(
            agent.handle(.nodesChanged(put: [changed], removed: [])) == [
                "store", "- 2001:db8:1:1::/64",
                "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 2001:db8:f::/64 home, 2001:db8:1:2::/64 care-of, 500 s",
                "+ 2001:db8:f::/64",
            ])
        #expect(agent.nextDeadline == 605_000_000_000)
    }

    @Test("a node with another home address begins anew; one whose address is another's is not taken")
    func addressChange() throws {
        let agent = TestHomeAgent(nodes: [
            ServedNode(
                homeAddress: TestHomeAgent.home, accessIdentifier: Self.name(1), associations: [TestHomeAgent.nodeKey])
        ])
        try agent.register()
        let moved = ServedNode(
            homeAddress: Self.second, accessIdentifier: Self.name(1), associations: [TestHomeAgent.nodeKey])
        #expect(
            agent.handle(.nodesChanged(put: [moved], removed: [])) == [
                "store without binding", "- 198.51.100.7", "remove 198.51.100.7", "count nodeRemoved",
            ])
        #expect(try agent.register() == ["count node-unknown"])
        #expect(try agent.reply(to: TestRequest { $0.home = Self.second }) == "reply 0, 600 s")
        #expect(
            agent.handle(.nodesChanged(put: [TestHomeAgent.node(Self.second)], removed: [])) == ["count node refused"])
        let onto = TestHomeAgent(nodes: [moved, TestHomeAgent.node()])
        try onto.register()
        let taking = ServedNode(
            homeAddress: TestHomeAgent.home, accessIdentifier: Self.name(1), associations: [TestHomeAgent.nodeKey])
        #expect(onto.handle(.nodesChanged(put: [taking], removed: [])) == ["count node refused"])
        #expect(try onto.reply(to: TestRequest { $0.home = Self.second }) == "reply 0, 600 s")
        #expect(onto.bindingCount == 2)
        let limited = TestHomeAgent { $0.limits.nodes = 1 }
        #expect(
            limited.handle(.nodesChanged(put: [TestHomeAgent.node(Self.second)], removed: [])) == ["count node refused"]
        )
    }

    @Test("a configuration with other pools keeps what is taken of them")
    func configuration() throws {
        let agent = Self.pooled()
        try agent.register(Self.request(1))
        var changed = HomeAgentConfiguration(addresses: [TestHomeAgent.address])
        changed.homeAddressPools = [IPv4Prefix("198.51.100.64/30")!, IPv4Prefix("198.51.100.80/32")!]
        #expect(agent.handle(.configurationChanged(changed)) == [])
        for (number, expected) in [(2, "198.51.100.66"), (3, "198.51.100.80")] {
            try agent.register(Self.request(number))
            #expect(agent.replies.first?.homeAddress == IPv4Address(expected))
        }
    }

    @Test("an address of two pools is given to one node; the home agent's own, and a node's, to none")
    func overlappingPools() throws {
        let agent = TestHomeAgent(nodes: [TestHomeAgent.node(IPv4Address("192.0.2.2")!)] + (1...5).map(Self.named)) {
            $0.homeAddressPools = [IPv4Prefix("192.0.2.0/29")!, IPv4Prefix("192.0.2.0/30")!]
        }
        var given: [String] = []
        for number in 1...4 {
            try agent.register(Self.request(number))
            given.append(try #require(agent.replies.first).homeAddress.description)
        }
        #expect(given == ["192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"])
        #expect(try agent.reply(to: Self.request(5)) == "reply 130, 600 s, mn5@example.net")
    }

    // MARK: - Restarts

    private static func records(_ agent: TestHomeAgent) -> [StoredRegistration] {
        agent.actions.compactMap { if case .store(let record) = $0 { record } else { nil } }
    }

    @Test("S2 H5 a binding comes back with the rest of its lifetime, and what was sent before is still a replay")
    func restart() throws {
        let before = TestHomeAgent()
        let request = TestRequest.prefixes(["2001:db8:1::/48"]) { $0.identification = before.nextIdentification() }
        try before.register(request)
        let records = Self.records(before)
        let after = TestHomeAgent(time: before.now.timeOfDay.advanced(byUnits: 5 << 32))
        #expect(
            after.handle(.restored(records)) == [
                "store", "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 2001:db8:1::/48 care-of, 595 s",
                "+ 198.51.100.7", "+ 2001:db8:1::/48",
            ])
        #expect(Self.records(after) == records)
        #expect(try after.reply(to: request) == "reply 133, 600 s")
        #expect(after.wait(594) == [] && after.bindingCount == 1)
        #expect(after.wait(1).last == "count expired")
    }

    @Test("H5 what was left of a lifetime is left after a restart, to a part of a second")
    func restartWithinSecond() throws {
        let before = TestHomeAgent()
        try before.register(.prefixes([]))
        let after = TestHomeAgent(time: before.now.timeOfDay.advanced(byUnits: 1 << 30))
        _ = after.handle(.restored(Self.records(before)))
        #expect(after.wait(599.5) == [] && after.bindingCount == 1)
        #expect(after.wait(0.25).last == "count expired")
    }

    @Test("what has ended, is nobody's, or is taken, does not come back")
    func restartWithout() throws {
        let before = TestHomeAgent()
        try before.register(.prefixes(["2001:db8:1::/48"]))
        let records = Self.records(before)
        let late = TestHomeAgent(time: before.now.timeOfDay.advanced(byUnits: 601 << 32))
        #expect(late.handle(.restored(records)) == ["store without binding", "count expired"])
        let stranger = TestHomeAgent(nodes: [TestHomeAgent.node(Self.second)])
        #expect(stranger.handle(.restored(records)) == ["forget 198.51.100.7"])
        let taken = TestHomeAgent(nodes: [TestHomeAgent.node(), TestHomeAgent.node(Self.second)])
        try taken.register(.prefixes(["2001:db8:1:1::/64"]) { $0.home = Self.second })
        #expect(taken.handle(.restored(records)).first == "count configured prefix taken")
        #expect(taken.bindings().bindings.map(\.prefixes.count) == [0, 1])
        // Who has registered meanwhile is not set back.
        let newer = TestHomeAgent()
        try newer.register(TestRequest { $0.careOf = IPv4Address("203.0.113.66")! })
        #expect(newer.handle(.restored(records)) == [])
        let full = TestHomeAgent { $0.limits.bindings = 0 }
        #expect(full.handle(.restored(records)) == ["store without binding", "count nodeRemoved"])
    }

    @Test("a pool's address comes back to whom it was given")
    func restartOfPool() throws {
        let before = Self.pooled()
        try before.register(Self.request(2))
        let records = Self.records(before)
        let after = Self.pooled()
        after.handle(.restored(records))
        try after.register(Self.request(1))
        #expect(after.replies.first?.homeAddress == IPv4Address("198.51.100.66"))
        try after.register(Self.request(2))
        #expect(after.replies.first?.homeAddress == IPv4Address("198.51.100.65"))
    }

    // MARK: - The forwarder

    @Test("while the forwarder is away it is told nothing; then it gets all bindings, some at a time")
    func dataplane() throws {
        let nodes = (0..<5).map { TestHomeAgent.node(IPv4Address(rawValue: TestHomeAgent.home.rawValue + $0)) }
        let agent = TestHomeAgent(nodes: nodes)
        agent.handle(.dataplaneLost)
        #expect(try agent.register() == ["store", "+ 198.51.100.7", "reply 0, 600 s", "count replied 0"])
        for node in nodes.dropFirst() { try agent.register(TestRequest { $0.home = node.homeAddress! }) }
        let end = TestRequest {
            $0.home = nodes[1].homeAddress!
            $0.lifetime = 0
        }
        #expect(try !agent.register(end).contains("remove 198.51.100.8"))
        #expect(agent.handle(.dataplaneReturned) == [])
        var found: [IPv4Address] = []
        var position: Int? = 0
        while let from = position {
            let part = agent.bindings(from: from, limit: 2)
            #expect(part.bindings.count <= 2)
            found += part.bindings.map(\.homeAddress)
            position = part.next
        }
        #expect(found == [0, 2, 3, 4].map { nodes[$0].homeAddress })
        // Its record is kept for what replay protection knows; the node that has not been heard of has none.
        #expect(agent.records().records.map { $0.binding != nil } == [true, false, true, true, true])
        #expect(TestHomeAgent().records().records.isEmpty)
        #expect(agent.records(from: 3, limit: 1).next == 4 && agent.records(from: 9, limit: 1).next == nil)
        #expect(try agent.register().contains { $0.hasPrefix("put") })
    }

    @Test("a binding names what is to be reachable, and itself")
    func routes() throws {
        let agent = TestHomeAgent()
        try agent.register(.prefixes(["2001:db8:1::/48", "fe80::9/255"]))
        let binding = try #require(agent.bindings().bindings.first)
        #expect(binding.routes == [.address(TestHomeAgent.home), .prefix(IPv6Prefix("2001:db8:1::/48")!)])
        #expect(binding.id == "198.51.100.7")
    }
}

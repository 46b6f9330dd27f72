// RFC 5177: IPv4 networks behind a mobile router.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Home agent: mobile networks")
struct HomeAgentNetworkTests {
    private static func network(_ text: String) -> IPv4Prefix { IPv4Prefix(text)! }

    private static func router(
        _ networks: [String] = ["192.168.1.0/24", "192.168.2.0/24"], implicit: [String] = [],
        _ home: IPv4Address = TestHomeAgent.home
    ) -> ServedNode {
        TestHomeAgent.node(home) {
            $0.networks = networks.map(network)
            $0.implicitNetworks = implicit.map(network)
        }
    }

    private static func request(_ networks: [String], _ home: IPv4Address = TestHomeAgent.home) -> TestRequest {
        TestRequest {
            $0.home = home
            $0.extensions = networks.map { text in
                let parts = text.split(separator: "/")
                return .mobileNetworkRequest(
                    MobileNetworkRequest(
                        prefix: MobileNetworkPrefix(
                            length: UInt8(parts[1])!, address: IPv4Address(String(parts[0]))!)))
            }
        }
    }

    /// What is asked for, and the reply.
    static let asked: [([String], String)] = [
        (["192.168.1.0/24"], "reply 0, 600 s, 192.168.1.0/24 explicit 0"),
        (
            ["192.168.1.0/24", "192.168.3.0/24", "192.168.2.0/24"],
            "reply 0, 600 s, 192.168.1.0/24 explicit 0, 192.168.3.0/24 explicit 2, 192.168.2.0/24 explicit 0"
        ),
        (["192.168.1.0/24", "192.168.1.9/24"], "reply 0, 600 s, 192.168.1.0/24 explicit 0"),
        (["192.168.3.0/24"], "reply 147, 600 s, 192.168.3.0/24 explicit 2"),
        (["192.168.0.0/16"], "reply 147, 600 s, 192.168.0.0/16 explicit 2"),
        (
            ["0.0.0.0/0", "192.168.1.0/33", "192.168.1.0/24"],
            "reply 0, 600 s, 0.0.0.0/0 explicit 1, 192.168.1.0/33 explicit 1, 192.168.1.0/24 explicit 0"
        ),
        (["192.168.1.0/255"], "reply 147, 600 s, 192.168.1.0/255 explicit 1"),
    ]

    @Test("each network gets an acknowledgment; where none can be had, the registration is rejected", arguments: asked)
    func explicit(_ asked: [String], _ expected: String) throws {
        let agent = TestHomeAgent(nodes: [Self.router()])
        #expect(try agent.reply(to: Self.request(asked)) == expected)
        let accepted = expected.components(of: "explicit 0")
        #expect((agent.bindings().bindings.first?.networks.count ?? 0) == accepted)
    }

    @Test("a network has a route for as long as it is asked for")
    func routes() throws {
        let agent = TestHomeAgent(nodes: [Self.router()])
        #expect(
            try agent.register(Self.request(["192.168.1.0/24"])) == [
                "store", "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 192.168.1.0/24, 600 s", "+ 198.51.100.7",
                "+ 192.168.1.0/24", "reply 0, 600 s, 192.168.1.0/24 explicit 0", "count replied 0",
            ])
        #expect(
            try agent.register(Self.request(["192.168.2.0/24"])) == [
                "store", "- 192.168.1.0/24", "put 198.51.100.7 at 203.0.113.9 by ip-in-ip, 192.168.2.0/24, 600 s",
                "+ 192.168.2.0/24", "reply 0, 600 s, 192.168.2.0/24 explicit 0", "count replied 0",
            ])
        // Networks in a request that ends the binding are ignored (RFC 5177, 6.7).
        var end = Self.request(["192.168.1.0/24"])
        end.lifetime = 0
        #expect(try agent.register(end).contains("- 192.168.2.0/24"))
        #expect(agent.actions.map(\.line).contains("reply 0, 0 s"))
    }

    @Test("configured networks are those of a request that names none, and the reply says so")
    func implicit() throws {
        let agent = TestHomeAgent(nodes: [Self.router([], implicit: ["192.168.9.0/24"])])
        #expect(try agent.reply(to: TestRequest()) == "reply 0, 600 s, 192.168.9.0/24 implicit 0")
        #expect(agent.actions.map(\.line).contains("+ 192.168.9.0/24"))
        #expect(
            try agent.reply(to: Self.request(["192.168.9.0/24"])) == "reply 0, 600 s, 192.168.9.0/24 explicit 0")
    }

    @Test("a node without networks is no mobile router")
    func disallowed() throws {
        let agent = TestHomeAgent()
        #expect(try agent.reply(to: Self.request(["192.168.1.0/24"])) == "reply 148, 600 s")
    }

    @Test("a network that another holds a part of can't be set up")
    func overlap() throws {
        let second = IPv4Address("198.51.100.8")!
        let agent = TestHomeAgent(nodes: [Self.router(), Self.router(["192.168.0.0/16"], second)])
        try agent.register(Self.request(["192.168.1.0/24"]))
        let other = Self.request(["192.168.0.0/16"], second)
        #expect(try agent.reply(to: other) == "reply 147, 600 s, 192.168.0.0/16 explicit 3")
        try agent.register(TestRequest { $0.lifetime = 0 })
        #expect(try agent.reply(to: other) == "reply 0, 600 s, 192.168.0.0/16 explicit 0")
    }

    @Test("a pool's address that a rejected router would have had is free again")
    func addressGivenBack() throws {
        var node = ServedNode(accessIdentifier: TestHomeAgent.name, associations: [TestHomeAgent.nodeKey])
        node.networks = [Self.network("192.168.1.0/24")]
        let agent = TestHomeAgent(nodes: [node]) { $0.homeAddressPools = [Self.network("198.51.100.64/32")] }
        var request = Self.request(["192.168.2.0/24"], .unspecified)
        request.extensions.append(.mobileNodeNAI(TestHomeAgent.name))
        let rejected = "reply 147, 600 s, \(TestHomeAgent.name), 192.168.2.0/24 explicit 2"
        for _ in 0..<2 { #expect(try agent.reply(to: request) == rejected) }
        #expect(agent.bindingCount == 0)
    }
}

extension String {
    /// How often it has that part.
    fileprivate func components(of part: String) -> Int {
        split(separator: part, omittingEmptySubsequences: false).count - 1
    }
}

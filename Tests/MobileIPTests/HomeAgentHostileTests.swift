// What hostile input does: nothing that lasts. Messages that are cut off and changed everywhere, floods, and many events in
// any order, after each of which what the home agent has told the forwarder is what it holds.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Home agent: hostile input")
struct HomeAgentHostileTests {
    private static let request = TestRequest.throughForeignAgent {
        $0.ask(for: ["2001:db8:1:1::/64", "fe80::1/255"])
        $0.extensions += [.ipv6TunnelingMode, .mobileNodeNAI(TestHomeAgent.name)]
        $0.foreignExtensions = [
            .greKey(7), .revocationSupport(RevocationSupport(inform: true, timestamp: 1)),
            .udpTunnelRequest(UDPTunnelRequest()),
        ]
    }

    @Test("S2 a request that is cut off anywhere changes nothing, and each time one thing is counted")
    func truncated() throws {
        let agent = TestHomeAgent()
        let whole = try Self.request.datagram(identification: agent.nextIdentification())
        for length in whole.payload.indices {
            var datagram = whole
            datagram.payload.removeLast(whole.payload.count - length)
            let lines = agent.handle(.datagram(datagram))
            #expect(lines.filter { $0.hasPrefix("count") }.count == 1, "\(length): \(lines)")
            #expect(agent.bindingCount == 0, "\(length) of \(whole.payload.count) bytes")
        }
        #expect(agent.handle(.datagram(whole)).contains { $0.hasPrefix("reply 0") })
    }

    @Test("S2 a request with any bit changed is not accepted")
    func changed() throws {
        let agent = TestHomeAgent()
        let whole = try Self.request.datagram(identification: agent.nextIdentification())
        for bit in 0..<whole.payload.count * 8 {
            var datagram = whole
            datagram.payload[bit / 8] ^= 1 << UInt8(bit % 8)
            agent.handle(.datagram(datagram))
            #expect(agent.bindingCount == 0, "bit \(bit)")
        }
        #expect(agent.handle(.datagram(whole)).contains { $0.hasPrefix("reply 0") })
    }

    @Test("a flood from unknown nodes leaves nothing behind")
    func flood() throws {
        let agent = TestHomeAgent()
        for number in UInt32(0)..<20000 {
            let request = TestRequest {
                $0.home = IPv4Address(rawValue: 0x0A00_0000 + number)
                $0.key = nil
                $0.extensions = [
                    .authentication(
                        AuthenticationExtension(
                            kind: .mobileHome, securityParameterIndex: 256,
                            authenticator: Array(repeating: 0, count: 16)))
                ]
            }
            #expect(try agent.register(request) == ["count node-unknown"])
        }
        #expect(agent.bindingCount == 0 && agent.nextDeadline == nil && agent.bindings().bindings.isEmpty)
    }

    @Test("many bindings that end at once do so in parts")
    func manyDeadlines() throws {
        let count = 600
        let nodes = (0..<count).map {
            TestHomeAgent.node(IPv4Address(rawValue: TestHomeAgent.home.rawValue + UInt32($0)))
        }
        let agent = TestHomeAgent(nodes: nodes)
        for node in nodes { try agent.register(TestRequest { $0.home = node.homeAddress! }) }
        var ended: [Int] = []
        var lines = agent.wait(601)
        while !lines.isEmpty {
            ended.append(lines.filter { $0 == "count expired" }.count)
            lines = agent.handle(.deadline)
        }
        #expect(ended == [256, 256, 88] && agent.bindingCount == 0)
    }

    /// What the forwarder was told, and which routes there are.
    private struct Told {
        var bindings: [IPv4Address: MobilityBinding] = [:]
        var routes: Set<HomeRoute> = []

        mutating func take(_ actions: [HomeAgentAction]) {
            for action in actions {
                switch action {
                case .putBinding(let binding, _): bindings[binding.homeAddress] = binding
                case .removeBinding(let homeAddress):
                    #expect(bindings.removeValue(forKey: homeAddress) != nil, "\(homeAddress) is not there")
                case .addRoute(let route): #expect(routes.insert(route).inserted, "\(route) is there")
                case .removeRoute(let route): #expect(routes.remove(route) != nil, "\(route) is not there")
                default: break
                }
            }
        }
    }

    @Test(
        "D2 H6 H8 after any events the forwarder has what the home agent holds, each with its routes, and none overlap")
    func anyEvents() throws {
        let seed = RandomTest.seed(for: "home agent events")
        var random = SeededGenerator(seed: seed)
        let homes = (0..<4).map { IPv4Address(rawValue: TestHomeAgent.home.rawValue + $0) }
        let prefixes =
            ["2001:db8:1::/48"] + (1...6).map { "2001:db8:1:\($0)::/64" } + ["2001:db8:1:2::/63", "fe80::1/255"]
        func node(_ home: IPv4Address) -> ServedNode {
            TestHomeAgent.node(home) {
                $0.networks = [IPv4Prefix("192.168.0.0/16")!, IPv4Prefix("192.168.1.0/24")!]
                $0.implicitPrefixes = [IPv6Prefix("2001:db8:f:1::/64")!]
            }
        }
        let agent = TestHomeAgent(nodes: homes.map { node($0) })
        var told = Told()
        for _ in 0..<RandomTest.count(3000) {
            let home = homes.randomElement(using: &random)!
            switch Int.random(in: 0..<20, using: &random) {
            case 0: agent.handle(.revoked(.homeAddress(home)))
            case 1: agent.handle(.nodesChanged(put: [], removed: [.homeAddress(home)]))
            case 2: agent.handle(.nodesChanged(put: [node(home)], removed: []))
            case 3: agent.wait(Double(Int.random(in: 0..<200, using: &random)))
            case 4:
                var changed = node(home)
                changed.prefixes = [PrefixPermission(IPv6Prefix(prefixes[1])!)]
                agent.handle(.nodesChanged(put: [changed], removed: []))
            default:
                try agent.register(
                    .prefixes(prefixes.filter { _ in Int.random(in: 0..<3, using: &random) == 0 }) {
                        $0.home = home
                        $0.lifetime = [0, 60, 600].randomElement(using: &random)!
                        $0.careOf = IPv4Address(
                            rawValue: TestHomeAgent.careOf.rawValue + UInt32.random(in: 0..<2, using: &random))
                        if Int.random(in: 0..<4, using: &random) == 0 {
                            let network = IPv4Prefix(Bool.random(using: &random) ? "192.168.0.0/16" : "192.168.1.0/24")!
                            $0.extensions.append(
                                .mobileNetworkRequest(MobileNetworkRequest(prefix: MobileNetworkPrefix(network))))
                        }
                    })
            }
            told.take(agent.actions)
            let held = agent.bindings().bindings
            #expect(held.count == agent.bindingCount && held.count == told.bindings.count)
            #expect(Set(held.flatMap(\.routes)) == told.routes)
            for binding in held {
                #expect(told.bindings[binding.homeAddress]?.prefixes == binding.prefixes)
                for other in held where other.homeAddress != binding.homeAddress {
                    let isOverlap = binding.prefixes.contains { one in
                        other.prefixes.contains { $0.prefix.overlaps(one.prefix) }
                    }
                    #expect(!isOverlap, "\(binding.homeAddress), \(other.homeAddress), seed \(seed)")
                }
            }
        }
    }
}

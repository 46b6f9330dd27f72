// mooring-ha, mooring-fa and mooring-mn together, each as it is built, and mooringd at both ends of the tunnel. The node has
// no address in network A, where the foreign agent is, and one of its own in network B.
//
//   correspondent ───── home agent ──────┬── network A: mooring-fa ──┬── node
//                     mooringd           │   192.0.2.130 203.0.113.1 │   mooringd, mooring-mn
//                     mooring-ha         │                           │   192.0.2.71, 2001:db8:1:1::1
//                                        └── network B ──────────────┘   198.51.100.9

import Foundation
import Glibc
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Roaming", .serialized)
    struct RoamingTests {
        static let key = "0102030405060708090a0b0c0d0e0f10"
        static let careOf = "192.0.2.130"
        static let foreignAgent = "203.0.113.1"

        @Test(
            "M2 M3 M4 H10 D1 a node goes from a foreign agent to an address of its own and back, and leaves nothing",
            .timeLimit(.minutes(5)), arguments: ["required", "off"])
        func roams(reverseTunneling: String) async throws {
            try await Topology.run { topology in
                try await topology.startHome()
                try await topology.takeAddress()
                var agent = try await topology.startAgent()
                try await topology.startNodeForwarder()
                let before = try await topology.nodeState()
                let capture = try await topology.startCapture(at: .networkA, interface: "node")
                let node = try topology.startNode("reverseTunneling = \"\(reverseTunneling)\"")

                let status = try await topology.waitForNode(node, careOf: Self.careOf, agent: Self.foreignAgent)
                let prefixes = status["prefixes"] as? [[String: Any]]
                #expect(prefixes?.first?["tunnel"] as? String == "home-address")
                let heard = (status["agents"] as? [[String: Any]])?.first
                #expect(heard?["isInUse"] as? Bool == true && heard?["interface"] as? String == "network-a")
                #expect(heard?["registrationLifetime"] as? Int == 300)
                #expect(status["lifetime"] as? Int == 300, "no more than the agent grants")
                try await topology.exchange()

                // It has an address of its own in network B, which it prefers.
                try await topology.enterNetworkB()
                try await topology.waitForNode(node, careOf: Topology.careOfAddressB, agent: nil)
                try await topology.exchange()

                try await topology.ip(.node, "link set network-b down")
                try await topology.waitForNode(node, careOf: Self.careOf, agent: Self.foreignAgent)
                try await topology.exchange()

                // An agent that has forgotten its visitors tells so by its sequence number (RFC 5944, 2.4.4).
                agent.send(SIGKILL)
                try await agent.wait()
                agent = try await topology.startAgent()
                try await poll(for: "registration after the agent's restart; \(node.errorOutput)") {
                    agent.output.contains("\"event\":\"visitor\"")
                }
                try await topology.exchange()

                node.send(SIGTERM)
                #expect(try await node.wait() == 0, "\(node.errorOutput)")
                try await poll(for: "visitor that has left; \(agent.output)") {
                    agent.output.contains("\"event\":\"visitor-gone\"")
                }
                #expect(try await topology.registered() == [])
                #expect(try await topology.nodeState() == before)
                agent.send(SIGTERM)
                #expect(try await agent.wait() == 0)
                // What the home agent sends whole comes to the agent whole, and is cut there.
                if try await topology.status(.homeAgent)["offload"] as? String == "push" {
                    #expect(agent.output.contains("\"delivered-joined\""), "\(agent.output)")
                }

                await capture.end()
                // RFC 5944, 4.6: nobody is asked for a link-layer address, and nobody told.
                let home = Topology.nodeIPv4Address
                #expect(try await capture.decoded("arp.src.proto_ipv4 == \(home)") == [])
                // IPv6 is in IPv4 of the home address on the visited link, and in no other tunnel (RFC 5454, 3.3.2).
                let ways = try await capture.decoded("ipv6", fields: ["ip.src", "ip.dst", "ip.proto"])
                #expect(
                    Set(ways) == [[home, Topology.endpoint, "41"], [Topology.endpoint, home, "41"]])
                #expect(try await capture.decoded("_ws.malformed") == [])
            }
        }

        @Test("a node with an address of its own registers by way of an agent that requires it")
        func registrationRequired() async throws {
            try await Topology.run { topology in
                try await topology.startHome()
                let agent = try await topology.startAgent(["--registration-required"])
                try await topology.startNodeForwarder()
                let node = try topology.startNode()
                try await topology.waitForNode(node, careOf: Topology.careOfAddressA, agent: Self.foreignAgent)
                try await topology.exchange()
                // The agent is not asked for a tunnel.
                #expect(!agent.output.contains("\"event\":\"visitor\""))
                node.send(SIGTERM)
                #expect(try await node.wait() == 0, "\(node.errorOutput)")
                #expect(try await topology.registered() == [])
                agent.send(SIGTERM)
                #expect(try await agent.wait() == 0)
                #expect(agent.output.contains("\"reply-relayed-0\""), "\(agent.output)")
            }
        }

        @Test("a node that prefers foreign agents leaves its own address for one, and takes it again without")
        func prefersAgents() async throws {
            try await Topology.run { topology in
                try await topology.startHome()
                try await topology.startNodeForwarder()
                let node = try topology.startNode("foreignAgents = \"preferred\"")
                try await topology.waitForNode(node, careOf: Topology.careOfAddressA, agent: nil)
                // It asks up to a second after it has begun to look; an agent that comes says so without being asked.
                try await poll(for: "solicitation") {
                    let status = try await topology.waitForNode(node, careOf: Topology.careOfAddressA, agent: nil)
                    return (status["discovery"] as? [String: Int])?["solicited", default: 0] ?? 0 > 0
                }
                let agent = try await topology.startAgent()
                let status = try await topology.waitForNode(node, careOf: Self.careOf, agent: Self.foreignAgent)
                #expect((status["discovery"] as? [String: Int])?["heard", default: 0] ?? 0 > 0)
                try await topology.exchange()
                // An advertisement is believed for its lifetime, three times the interval.
                await agent.end()
                try await topology.waitForNode(node, careOf: Topology.careOfAddressA, agent: nil)
                try await topology.exchange()
                await node.end()
            }
        }
    }
}

extension Topology {
    private typealias Tests = EndToEnd.RoamingTests

    private var nodeSocket: String { "\(directory.path)/mooring-mn.socket" }
    private var homeAgentSocket: String { "\(directory.path)/mooring-ha.socket" }
    private var keyFile: String { "\(directory.path)/key" }

    private func writeKey() throws {
        try Data("\(Tests.key)\n".utf8).write(to: URL(fileURLWithPath: keyFile))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: keyFile)
    }

    /// Starts mooringd and mooring-ha, and waits until they know each other.
    fileprivate func startHome() async throws {
        try await startMooringd(.homeAgent)
        try writeKey()
        let file = directory.appendingPathComponent("mooring-ha.toml")
        try Data(
            """
            addresses = ["\(Self.endpoint)"]
            forwarder-socket = "\(socket(of: .homeAgent))"
            socket = "\(homeAgentSocket)"
            database = "registrations.db"
            [[node]]
            home-address = "\(Self.nodeIPv4Address)"
            spi = 1000
            key-file = "\(keyFile)"
            prefixes = ["\(Self.nodePrefix)"]
            """.utf8
        ).write(to: file)
        let agent = try start(in: .homeAgent, [Repository.path(of: "mooring-ha"), "--config", file.path])
        try await poll(for: "bindings told by mooring-ha, which wrote: \(agent.errorOutput)") {
            guard agent.isRunning else { throw EndToEndFailure("mooring-ha has ended: \(agent.errorOutput)") }
            return agent.errorOutput.contains("bindings resynchronized")
        }
    }

    /// Home addresses of the nodes that are registered.
    fileprivate func registered() async throws -> [String] {
        struct List: Decodable {
            struct Registration: Decodable { let homeAddress: String }
            let registrations: [Registration]
        }
        let command = [Repository.path(of: "mooring"), "registration", "list", "--json"]
        let json = try await run(in: .homeAgent, command + ["--home-agent-socket", homeAgentSocket])
        return try JSONDecoder().decode(List.self, from: Data(json.utf8)).registrations.map(\.homeAddress)
    }

    /// Leaves the node without an address in network A, and without a carrier in network B.
    fileprivate func takeAddress() async throws {
        try await ip(.node, "route del default")
        try await ip(.node, "address del \(Self.careOfAddressA)/24 dev network-a")
        try await ip(.node, "link set network-b down")
    }

    fileprivate func enterNetworkB() async throws {
        try await ip(.node, "link set network-b up")
        try await ip(.node, "route add default via 198.51.100.1 table 102")
        try await ip(.node, "route add default via 198.51.100.1")
    }

    fileprivate func startAgent(_ options: [String] = []) async throws -> ChildProcess {
        let agent = try start(
            in: .networkA,
            [
                Repository.path(of: "mooring-fa"), "--visited", "node", "--care-of", Tests.careOf, "--lifetime", "300",
                "--interval", "4", "--json",
            ] + options)
        try await poll(for: "foreign agent") {
            guard agent.isRunning else { throw EndToEndFailure("mooring-fa ended: \(agent.errorOutput)") }
            return agent.output.contains("ready")
        }
        return agent
    }

    fileprivate func startNodeForwarder() async throws {
        let daemon = try start(
            in: .node,
            [
                Repository.path(of: "mooringd"), "--socket", socket(of: .node), "--shared-endpoint", "--no-forwarding",
            ])
        daemons[.node] = daemon
        try await poll(for: "ready mooringd; \(daemon.errorOutput)") { daemon.errorOutput.contains("ready") }
    }

    fileprivate func startNode(_ more: String = "") throws -> ChildProcess {
        let path = "\(directory.path)/mooring-mn.toml"
        try Data(
            """
            \(more)
            homeAddress = "\(Self.nodeIPv4Address)"
            homeAgents = ["\(Self.endpoint)"]
            lifetime = 600
            forwarder = "\(socket(of: .node))"
            socket = "\(nodeSocket)"
            logLevel = "debug"

            [securityAssociation]
            securityParameterIndex = 1000
            keyFile = "\(keyFile)"

            [[prefixes]]
            prefix = "\(Self.nodePrefix)"
            address = "\(Self.nodeAddress)"
            """.utf8
        ).write(to: URL(fileURLWithPath: path))
        return try start(in: .node, [Repository.path(of: "mooring-mn"), "--config", path])
    }

    /// Waits until the node is registered at that care-of address, by way of that agent.
    @discardableResult
    fileprivate func waitForNode(
        _ node: ChildProcess, careOf: String, agent: String?
    ) async throws -> [String: Any] {
        do {
            return try await poll(for: "registration of \(careOf)", within: .seconds(60)) {
                guard node.isRunning else { throw EndToEndFailure("mooring-mn ended: \(node.errorOutput)") }
                let asked = try await Program.run([
                    Repository.path(of: "mooring-mn"), "status", "--json", "--socket", nodeSocket,
                ])
                guard
                    let status = try? JSONSerialization.jsonObject(with: Data(asked.output.utf8)) as? [String: Any],
                    status["state"] as? String == "registered", status["careOfAddress"] as? String == careOf,
                    status["agent"] as? String == agent,
                    node.errorOutput.contains("Registered \(careOf) with \(Self.endpoint)")
                else { return nil }
                return status
            }
        } catch {
            throw EndToEndFailure("\(error); mooring-mn wrote:\n\(node.errorOutput)")
        }
    }

    /// Both families, both ways, by ping and by TCP.
    fileprivate func exchange() async throws {
        for (role, other, address) in [
            (Role.correspondent, Role.node, Self.nodeAddress), (.node, .correspondent, Self.correspondentAddress),
            (.correspondent, .node, Self.nodeIPv4Address), (.node, .correspondent, Self.correspondentIPv4Address),
        ] {
            try await ping(from: role, to: address)
            try await transfer(from: role, to: other, address, bytes: 200_000)
        }
    }

    /// What mooring-mn changes where it runs.
    fileprivate func nodeState() async throws -> [String] {
        var state: [String] = []
        for command in ["rule show", "-6 rule show", "-4 route show table all", "neigh show nud permanent"] {
            state.append(try await ip(.node, command))
        }
        let settings = ["arp_ignore", "arp_announce", "forwarding"].map { "net.ipv4.conf.network-a.\($0)" }
        state.append(try await run(in: .node, ["sysctl"] + settings))
        return state
    }
}

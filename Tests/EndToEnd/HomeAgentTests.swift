// mooring-ha and mooringd as they are built, in the networks of `Topology`, and a node whose registrations a script makes
// and checks with code of its own (registrant.py). The node's end of the tunnel is a second mooringd.

import Foundation
import Glibc
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Home agent", .serialized)
    struct HomeAgentTests {
        private static let key = "0102030405060708090a0b0c0d0e0f10"
        private static let wrongKey = "ff02030405060708090a0b0c0d0e0f10"

        @Test(
            "S2 R1 H1 H3 H4 H8 a registration that others' code made opens the tunnel, and outlives what each program does",
            .timeLimit(.minutes(5)))
        func registers() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                try await topology.startMooringd(.node)
                let capture = try await topology.startCapture(
                    at: .networkA, interface: "node", filter: "udp port 434")
                var agent = try await topology.startHomeAgent()

                #expect(
                    try await topology.register(Self.key, [Topology.nodePrefix + ",care-of", "2001:db8:2::/64"])
                        == "0 600 \(Topology.nodeIPv4Address) \(Topology.endpoint) authenticated "
                        + "1:\(Topology.nodePrefix) 9:2001:db8:2::/64\n")
                #expect(
                    try await topology.register(Self.wrongKey, [])
                        == "131 600 \(Topology.nodeIPv4Address) \(Topology.endpoint) wrong-authentication\n")
                let counters = try await topology.homeAgentCounters()
                #expect(counters["reply-0"] == 1)
                #expect(counters["reply-131"] == 1)
                try await topology.putNodeBinding()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                // The routes that a routing daemon tells others of.
                #expect(try await topology.routes("-4").contains(Topology.nodeIPv4Address))
                #expect(try await topology.routes("-6").contains(Topology.nodePrefix))

                // Another one finds all as it was, and changes nothing of it.
                agent.send(SIGKILL)
                try await agent.wait()
                agent = try await topology.startHomeAgent()
                #expect(try await topology.registrations() == [Topology.nodeIPv4Address])
                #expect(agent.errorOutput.contains("added=0 kept=1 removed=0 replaced=0"), "\(agent.errorOutput)")
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                // A forwarder that has lost all is told again.
                let daemon = try #require(topology.daemons[.homeAgent])
                daemon.send(SIGKILL)
                try await daemon.wait()
                topology.daemons[.homeAgent] = nil
                try await topology.startMooringd(.homeAgent)
                try await poll(for: "binding after mooringd was killed; \(agent.errorOutput)") {
                    try await topology.mooring(.homeAgent, ["binding", "list"]).contains(Topology.nodeIPv4Address)
                }
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                // The device is a new one, and its routes are there again.
                try await poll(for: "routes after mooringd was killed; \(agent.errorOutput)") {
                    let (four, six) = (try await topology.routes("-4"), try await topology.routes("-6"))
                    return four.contains(Topology.nodeIPv4Address) && six.contains(Topology.nodePrefix)
                }

                // D1, and what is revoked by an operator.
                #expect(
                    try await topology.register(Self.key, [], lifetime: 0)
                        == "0 0 \(Topology.nodeIPv4Address) \(Topology.endpoint) authenticated\n")
                #expect(try await topology.registrations() == [])
                #expect(try await topology.routes("-6") == "")
                // A route of somebody else's to the same stays as it is.
                let other = [Topology.nodePrefix, "via", Topology.correspondentAddress, "table", "100"]
                try await topology.run(in: .homeAgent, ["ip", "-6", "route", "add"] + other)
                _ = try await topology.register(Self.key, [Topology.nodePrefix])
                try await poll(for: "word of the other route; \(agent.errorOutput)") {
                    agent.errorOutput.contains("a route of somebody else's is in the way")
                }
                try await topology.run(
                    in: .homeAgent, topology.toolCommand(["registration", "revoke", Topology.nodeIPv4Address]))
                try await poll(for: "end of the routes; \(agent.errorOutput)") {
                    try await topology.routes("-4") == ""
                }
                #expect(
                    try await topology.run(
                        in: .homeAgent, ["ip", "-6", "route", "show", Topology.nodePrefix, "table", "100"]
                    )
                    .contains(Topology.correspondentAddress))
                try await topology.run(
                    in: .homeAgent, topology.toolCommand(["registration", "show", Topology.nodeIPv4Address]),
                    status: 1)
                #expect(
                    try await topology.mooring(.homeAgent, ["binding", "list", "--json"]) == "{\"bindings\":[\n]}\n")
                await agent.end()

                await capture.end()
                // Others' decoder finds in the replies what was meant, and nothing wrong.
                let replies = try await capture.decoded("mip.type == 3", fields: ["mip.code", "mip.haaddr"])
                #expect(Set(replies) == [["0", Topology.endpoint], ["131", Topology.endpoint]])
                // What the node's kernel sends has its checksum from a network card that is not there.
                let wrong = try await capture.decoded(
                    "_ws.malformed or (mip.type == 3 and udp.checksum.status == 0)")
                #expect(wrong == [])
            }
        }

        @Test(
            "R5 H6 a prefix that another control plane's binding has is rejected alone; a full forwarder is told by code 130"
        )
        func bindingRefused() async throws {
            try await Topology.run { topology in
                let contested = "2001:db8:7::/64"
                try await topology.startMooringd(.homeAgent, ["--max-bindings", "1"])
                try await topology.startMooringd(.node)
                var agent = try await topology.startHomeAgent(prefixes: [Topology.nodePrefix, contested])
                let reply = "\(Topology.nodeIPv4Address) \(Topology.endpoint) authenticated"
                let other = ["binding", "put", "other", "--care-of", "203.0.113.77"]
                try await topology.mooring(.homeAgent, other)
                #expect(try await topology.register(Self.key, [Topology.nodePrefix]) == "130 600 \(reply)\n")
                #expect(try await topology.registrations() == [])
                await agent.end()
                let daemon = try #require(topology.daemons[.homeAgent])
                daemon.send(SIGTERM)
                try await daemon.wait()
                topology.daemons[.homeAgent] = nil

                try await topology.startMooringd(.homeAgent)
                agent = try await topology.startHomeAgent(prefixes: [Topology.nodePrefix, contested])
                try await topology.mooring(.homeAgent, other + ["--prefix", contested])
                let wanted = [Topology.nodePrefix + ",care-of", contested]
                #expect(
                    try await topology.register(Self.key, wanted)
                        == "0 600 \(reply) 1:\(Topology.nodePrefix) 8:\(contested)\n")
                let counters = try await topology.homeAgentCounters()
                #expect(counters["binding-refused"] == 1 && counters["reply-withdrawn"] == 1, "\(counters)")
                try await topology.putNodeBinding()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                let routes = try await topology.routes("-6")
                #expect(routes.contains(Topology.nodePrefix) && !routes.contains(contested))
                // With nothing in the way it is accepted.
                try await topology.mooring(.homeAgent, ["binding", "remove", "other"])
                #expect(
                    try await topology.register(Self.key, wanted)
                        == "0 600 \(reply) 1:\(Topology.nodePrefix) 1:\(contested)\n")
                await agent.end()
            }
        }

        @Test(
            "S2 D1 a node that an operator adds is served at once and after a restart, and has no tunnel when it is removed"
        )
        func operatorsNode() async throws {
            try await Topology.run { topology in
                let (home, settings) = ("192.0.2.72", "nodes-directory = \"nodes\"")
                try FileManager.default.createDirectory(
                    at: topology.directory.appendingPathComponent("nodes"), withIntermediateDirectories: false,
                    attributes: [.posixPermissions: 0o700])
                try await topology.startMooringd(.homeAgent)
                try await topology.startMooringd(.node)
                var agent = try await topology.startHomeAgent(settings, prefixes: [])
                let key = topology.directory.appendingPathComponent("key").path
                try await topology.run(
                    in: .homeAgent,
                    topology.toolCommand([
                        "node", "add", home, "--spi", "1000", "--key-file", key, "--prefix", Topology.nodePrefix,
                    ]))
                #expect(
                    try await topology.register(Self.key, [Topology.nodePrefix + ",care-of"], home: home)
                        == "0 600 \(home) \(Topology.endpoint) authenticated 1:\(Topology.nodePrefix)\n")
                try await topology.putNodeBinding()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                agent.send(SIGKILL)
                try await agent.wait()
                agent = try await topology.startHomeAgent(settings, prefixes: [])
                #expect(try await topology.registrations() == [home])
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                try await topology.run(in: .homeAgent, topology.toolCommand(["node", "remove", home]))
                #expect(try await topology.registrations() == [])
                try await topology.run(
                    in: .correspondent, ["ping", "-n", "-c", "1", "-W", "1", Topology.nodeAddress], status: 1)
                try await topology.run(in: .homeAgent, topology.toolCommand(["node", "show", home]), status: 1)
                await agent.end()
            }
        }

        @Test("listening by itself, it answers others when the host has refused to send an answer to one")
        func answerRefused() async throws {
            try await Topology.run { topology in
                let address = "192.0.2.129"
                let agent = try await topology.startHomeAgentAlone(at: address)
                let rule = "from \(address) to \(Topology.careOfAddressA) prohibit priority 100"
                try await topology.ip(.homeAgent, "rule add \(rule)")
                let refused = try topology.startRegistration(Self.key, [], agent: address)
                try await poll(for: "answer that is refused; \(agent.errorOutput)") {
                    try await topology.homeAgentCounters()["reply-not-sent", default: 0] > 0
                }
                await refused.end()
                let answer = try await topology.register(
                    Self.key, [], careOf: Topology.careOfAddressB, agent: address)
                #expect(answer == "0 600 \(Topology.nodeIPv4Address) \(address) authenticated\n")
                await agent.end()
            }
        }
    }
}

extension Topology {
    private var homeAgentSocket: String { "\(directory.path)/ha.sock" }

    func toolCommand(_ arguments: [String]) -> [String] {
        [Repository.path(of: "mooring")] + arguments + ["--home-agent-socket", homeAgentSocket]
    }

    /// Starts mooring-ha, and waits until the forwarder has all bindings.
    /// - Parameters:
    ///   - settings: behind those that it always has.
    ///   - prefixes: those that the first node may have, whose home address is the topology's.
    ///   - nodes: behind it.
    func startHomeAgent(
        _ settings: String = "", prefixes: [String] = [Topology.nodePrefix], nodes: String = ""
    ) async throws -> ChildProcess {
        let agent = try startHomeAgent(
            at: Self.endpoint, "routes = { device = \"mooring-home\", table = 100 }\n\(settings)", prefixes: prefixes,
            nodes: nodes)
        try await poll(for: "bindings told by mooring-ha, which wrote: \(agent.errorOutput)") {
            guard agent.isRunning else { throw EndToEndFailure("mooring-ha has ended: \(agent.errorOutput)") }
            return agent.errorOutput.contains("bindings resynchronized")
        }
        return agent
    }

    /// Starts mooring-ha that listens by itself, without a forwarder.
    func startHomeAgentAlone(at address: String) async throws -> ChildProcess {
        let agent = try startHomeAgent(at: address, "listen = \"udp\"")
        try await poll(for: "mooring-ha that is ready, which wrote: \(agent.errorOutput)") {
            guard agent.isRunning else { throw EndToEndFailure("mooring-ha has ended: \(agent.errorOutput)") }
            return agent.errorOutput.contains("ready")
        }
        return agent
    }

    private func startHomeAgent(
        at address: String, _ settings: String, prefixes: [String] = [Topology.nodePrefix], nodes: String = ""
    ) throws -> ChildProcess {
        let (file, key) = (directory.appendingPathComponent("ha.toml"), directory.appendingPathComponent("key"))
        try "0102030405060708090a0b0c0d0e0f10\n".write(to: key, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key.path)
        try """
        addresses = ["\(address)"]
        forwarder-socket = "\(socket(of: .homeAgent))"
        socket = "\(homeAgentSocket)"
        database = "registrations.db"
        \(settings)
        [[node]]
        home-address = "\(Self.nodeIPv4Address)"
        spi = 1000
        key-file = "key"
        prefixes = \(prefixes)
        \(nodes)
        """.write(to: file, atomically: false, encoding: .utf8)
        return try start(in: .homeAgent, [Repository.path(of: "mooring-ha"), "--config", file.path])
    }

    /// What the script prints of the reply to a registration of the node.
    @discardableResult
    func register(
        _ key: String, _ prefixes: [String], lifetime: Int = 600, home: String = Topology.nodeIPv4Address,
        careOf: String = Topology.careOfAddressA, agent: String = Topology.endpoint
    ) async throws -> String {
        let registration = try startRegistration(
            key, prefixes, lifetime: lifetime, home: home, careOf: careOf, agent: agent)
        guard try await registration.wait() == 0 else {
            throw EndToEndFailure("registrant.py: \(registration.errorOutput)")
        }
        return registration.output
    }

    /// The script, which sends requests until there is a reply.
    func startRegistration(
        _ key: String, _ prefixes: [String], lifetime: Int = 600, home: String = Topology.nodeIPv4Address,
        careOf: String = Topology.careOfAddressA, agent: String = Topology.endpoint
    ) throws -> ChildProcess {
        let script = Repository.root.appendingPathComponent("Tests/EndToEnd/registrant.py").path
        return try start(
            in: .node,
            ["/usr/bin/python3", script, "register", careOf, agent, home, "1000", key, "\(lifetime)"] + prefixes)
    }

    func homeAgentCounters() async throws -> [String: Int] {
        let json = try await run(in: .homeAgent, toolCommand(["registration", "counters", "--json"]))
        return try JSONDecoder().decode([String: Int].self, from: Data(json.utf8))
    }

    /// Home addresses of the nodes that are registered.
    fileprivate func registrations() async throws -> [String] {
        struct List: Decodable {
            struct Registration: Decodable { let homeAddress: String }
            let registrations: [Registration]
        }
        let json = try await run(in: .homeAgent, toolCommand(["registration", "list", "--json"]))
        return try JSONDecoder().decode(List.self, from: Data(json.utf8)).registrations.map(\.homeAddress)
    }

    func routes(_ family: String) async throws -> String {
        try await run(in: .homeAgent, ["ip", family, "route", "show", "table", "all", "proto", "55"])
    }
}

// mooring-ha and mooring-mn, each with its mooringd, in the networks of `Topology`.

import Foundation
import TestSupport
import Testing

final class RegistrationPair: @unchecked Sendable {
    private static let key = "0102030405060708090a0b0c0d0e0f10"

    let topology: Topology
    // Used by one test at a time.
    private(set) var agent: ChildProcess
    private(set) var node: ChildProcess
    private let nodeConfiguration: String

    /// Starts all four programs.
    /// - Parameters:
    ///   - more: lines of the node's configuration.
    ///   - nodeKey: the node's, where that is another one than the home agent's.
    static func start(
        in topology: Topology, _ more: String = "", nodeKey: String = key
    ) async throws -> RegistrationPair {
        try await topology.startMooringd(.homeAgent)
        try await startNodeForwarder(in: topology)
        try write("\(key)\n", to: "home-agent.key", in: topology, permissions: 0o600)
        try write("\(nodeKey)\n", to: "node.key", in: topology, permissions: 0o600)
        try write(
            """
            addresses = ["\(Topology.endpoint)"]
            forwarder-socket = "\(topology.socket(of: .homeAgent))"
            socket = "ha.socket"
            database = "registrations.db"
            routes = { device = "mooring-home" }
            udp-tunnel = { keepalive-interval = 10, may-be-forced = true }
            prefix-pool = [{ within = "\(PrefixDelegation.pool)", lengths = [60, 60] }]
            [[policy]]
            name = "delegated"
            prefix-pools = true
            [[node]]
            home-address = "\(Topology.nodeIPv4Address)"
            spi = 1000
            key-file = "home-agent.key"
            policy = "delegated"
            prefixes = ["\(Topology.nodePrefix)"]
            """, to: "ha.toml", in: topology)
        let nodeConfiguration = try write(
            """
            \(more)
            homeAddress = "\(Topology.nodeIPv4Address)"
            homeAgents = ["\(Topology.endpoint)"]
            forwarder = "\(topology.socket(of: .node))"
            socket = "\(topology.directory.path)/mn.socket"
            [securityAssociation]
            securityParameterIndex = 1000
            keyFile = "\(topology.directory.path)/node.key"
            [[prefixes]]
            prefix = "\(Topology.nodePrefix)"
            """, to: "mn.toml", in: topology)
        let agent = try await startHomeAgent(in: topology)
        let node = try startNode(in: topology, nodeConfiguration)
        return RegistrationPair(topology, agent, node, nodeConfiguration)
    }

    private init(
        _ topology: Topology, _ agent: ChildProcess, _ node: ChildProcess, _ nodeConfiguration: String
    ) {
        (self.topology, self.agent, self.node) = (topology, agent, node)
        self.nodeConfiguration = nodeConfiguration
    }

    @discardableResult
    private static func write(
        _ text: String, to name: String, in topology: Topology, permissions: Int = 0o644
    ) throws -> String {
        let file = topology.directory.appendingPathComponent(name)
        try text.write(to: file, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: file.path)
        return file.path
    }

    private static func startHomeAgent(in topology: Topology) async throws -> ChildProcess {
        let agent = try topology.start(
            in: .homeAgent,
            [Repository.path(of: "mooring-ha"), "--config", "\(topology.directory.path)/ha.toml"])
        try await poll(for: "bindings told by mooring-ha, which wrote: \(agent.errorOutput)") {
            guard agent.isRunning else { throw EndToEndFailure("mooring-ha has ended: \(agent.errorOutput)") }
            return agent.errorOutput.contains("bindings resynchronized")
        }
        return agent
    }

    private static func startNode(in topology: Topology, _ configuration: String) throws -> ChildProcess {
        try topology.start(in: .node, [Repository.path(of: "mooring-mn"), "--config", configuration])
    }

    /// A mooringd without addresses of its own: mooring-mn gives it some.
    private static func startNodeForwarder(in topology: Topology) async throws {
        let daemon = try topology.start(
            in: .node,
            [
                Repository.path(of: "mooringd"), "--socket", topology.socket(of: .node), "--shared-endpoint",
                "--no-forwarding",
            ])
        topology.daemons[.node] = daemon
        try await poll(for: "ready mooringd; \(daemon.errorOutput)") { daemon.errorOutput.contains("ready") }
    }

    /// Another one in place of one that has ended.
    func startHomeAgent() async throws { agent = try await Self.startHomeAgent(in: topology) }

    /// The same of the node's.
    func startNode() async throws { node = try Self.startNode(in: topology, nodeConfiguration) }

    /// The same of a mooringd.
    func startForwarder(_ role: Role) async throws {
        if role == .homeAgent {
            try await topology.startMooringd(role)
        } else {
            try await Self.startNodeForwarder(in: topology)
        }
    }

    /// What `mooring-mn status` prints.
    func status() async throws -> [String: Any] {
        let program = try await Program.run([
            Repository.path(of: "mooring-mn"), "status", "--json", "--socket", "\(topology.directory.path)/mn.socket",
        ])
        return try JSONSerialization.jsonObject(with: Data(program.output.utf8)) as? [String: Any] ?? [:]
    }

    /// Waits until both ends know that the node is registered from there.
    func waitForCareOf(_ address: String) async throws {
        try await poll(for: "registration from \(address); \(node.errorOutput)\(agent.errorOutput)") {
            guard node.isRunning else { throw EndToEndFailure("mooring-mn ended: \(node.errorOutput)") }
            let status = (try? await status()) ?? [:]
            return status["state"] as? String == "registered" && status["careOfAddress"] as? String == address
        }
        #expect(try await registeredCareOfAddresses() == [address])
    }

    /// Each prefix of the node, what became of it, and its tunnel.
    func prefixes() async throws -> [String] {
        let prefixes = try await status()["prefixes"] as? [[String: Any]] ?? []
        return prefixes.map { prefix in
            ["prefix", "state", "tunnel"].compactMap { prefix[$0] as? String }.joined(separator: " ")
        }
    }

    /// Waits until these are the node's prefixes, and all accepted.
    func waitForPrefixes(_ expected: [String], within limit: Duration = .seconds(30)) async throws {
        try await poll(for: "\(expected); \(node.errorOutput)\(agent.errorOutput)", within: limit) {
            let prefixes = try await prefixes().map { $0.split(separator: " ") }
            return Set(prefixes.map { String($0[0]) }) == Set(expected) && prefixes.allSatisfy { $0[1] == "accepted" }
        }
    }

    /// Where nodes are, as the home agent has it.
    func registeredCareOfAddresses() async throws -> [String] {
        struct List: Decodable {
            struct Registration: Decodable { let careOfAddress: String }
            let registrations: [Registration]
        }
        let json = try await topology.run(
            in: .homeAgent,
            [
                Repository.path(of: "mooring"), "registration", "list", "--json", "--home-agent-socket",
                "\(topology.directory.path)/ha.socket",
            ])
        return try JSONDecoder().decode(List.self, from: Data(json.utf8)).registrations.map(\.careOfAddress)
    }

    /// The kernel routes that mooring-ha has made.
    func homeRoutes() async throws -> String {
        let (four, six) = (["ip", "-4", "route", "show", "proto", "55"], ["ip", "-6", "route", "show", "proto", "55"])
        return try await topology.run(in: .homeAgent, four) + topology.run(in: .homeAgent, six)
    }

    /// Both families, begun from either end; and TCP.
    func expectTraffic() async throws {
        try await expectPings()
        try await topology.transfer(from: .correspondent, to: .node, Topology.nodeAddress, bytes: 200_000)
        try await topology.transfer(from: .node, to: .correspondent, Topology.correspondentIPv4Address, bytes: 200_000)
    }

    /// Both families, begun from either end.
    func expectPings() async throws {
        try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
        try await topology.ping(from: .correspondent, to: Topology.nodeIPv4Address)
        try await topology.ping(from: .node, to: Topology.correspondentAddress)
        try await topology.ping(from: .node, to: Topology.correspondentIPv4Address)
    }
}

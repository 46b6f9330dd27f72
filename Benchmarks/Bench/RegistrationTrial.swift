// One trial of `Bench registration`: mooringd and mooring-ha started anew, over a database of its own.

import Foundation

final class RegistrationTrial {
    private let network: Network
    private let nodes: RegistrationNodes
    private let directory: URL
    private let daemon: Process
    private var agent: Process?

    private static let startLimit = Duration.seconds(600)
    private static let restored = " registrations restored"
    private static let resynchronized = " bindings resynchronized"

    init(_ network: Network, _ nodes: RegistrationNodes, durability: Registration.Durability) throws {
        self.network = network
        self.nodes = nodes
        directory = network.directory.appendingPathComponent("registration-\(UInt32.random(in: .min ... .max))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        let socket = directory.appendingPathComponent("mooringd.sock").path
        try nodes.write(to: directory.appendingPathComponent("nodes.toml"))
        try """
        addresses = ["\(Network.endpoint)"]
        forwarder-socket = "\(socket)"
        socket = "mooring-ha.sock"
        database = "registrations.db"
        durability = "\(durability.rawValue)"
        nodes-file = "nodes.toml"
        """.write(to: directory.appendingPathComponent("ha.toml"), atomically: false, encoding: .utf8)
        // Room for twice as many prefixes: those that go count until they have gone.
        daemon = try network.start(
            in: "agent",
            [
                OptimisedBuild.path(of: "mooringd"), "--socket", socket, "--endpoint", Network.endpoint,
                "--home-address", "2001:db8:ffff::1/64", "--home-route", "2001:db8:1::/48",
                "--max-bindings", "\(nodes.count + 100)", "--max-prefixes", "\(2 * nodes.count + 100)",
            ], until: " ready")
    }

    /// Ends both programs, and removes what they wrote.
    func end() {
        if let agent { network.end(agent) }
        network.end(daemon)
        try? FileManager.default.removeItem(at: directory)
    }

    // MARK: Registrations

    func register(seconds: Int, window: Int) throws -> RegistrationFigures {
        try startAgent()
        guard let agent else { preconditionFailure("it has been started") }
        // All care-of addresses are the node namespace's own.
        try network.run(in: "node", ["ip", "route", "replace", "local", RegistrationNodes.careOfNetwork, "dev", "lo"])
        try network.run(
            in: "agent", ["ip", "route", "replace", RegistrationNodes.careOfNetwork, "via", Network.careOfAddress])
        let (input, output) = (Pipe(), Pipe())
        let registrants = try network.start(
            in: "node",
            [
                OptimisedBuild.path(of: "Bench"), "registrants", "\(nodes.count)", "\(seconds)",
                "\(nodes.prefixesEach)", "\(window)",
            ], input: input, output: output)
        defer { network.end(registrants) }
        let lines = LineReader(output.fileHandleForReading)
        guard try lines.next() == "ready" else { throw failure() }
        let before = (try agent.processorTime().total, try daemon.processorTime().total)
        input.fileHandleForWriting.write(Data("\n".utf8))
        guard let line = try lines.next() else { throw failure() }
        let after = (try agent.processorTime().total, try daemon.processorTime().total)
        let result = try JSONDecoder().decode(Registrants.Figures.self, from: Data(line.utf8))
        guard result.registrations > 0 else { throw BenchError("no registration was answered") }
        let count = Double(result.registrations)
        return RegistrationFigures(
            perSecond: count / result.elapsedSeconds, medianMilliseconds: result.medianMilliseconds,
            hundredthMilliseconds: result.hundredthMilliseconds, lost: result.lost,
            agentMicroseconds: (after.0 - before.0) * 1e6 / count,
            forwarderMicroseconds: (after.1 - before.1) * 1e6 / count)
    }

    private func failure() -> BenchError {
        BenchError(
            "nodes do not register: \(network.log("node", "Bench")) mooring-ha: \(network.log("agent", "mooring-ha"))")
    }

    // MARK: Restart

    func restore() throws -> RestoreFigures {
        var figures = RestoreFigures()
        try nodes.store(in: directory.appendingPathComponent("registrations.db").path)
        var begin = ContinuousClock.now
        try network.run([OptimisedBuild.path(of: "mooring-ha"), "--check-configuration", configuration])
        figures.configurationSeconds = begin.duration(to: .now) / .seconds(1)
        begin = .now
        try startAgent()
        figures.freshSeconds = begin.duration(to: .now) / .seconds(1)
        guard let first = agent else { preconditionFailure("it has been started") }
        network.end(first, by: SIGKILL)
        begin = .now
        let second = try network.start(in: "agent", agentCommand, until: Self.restored, within: Self.startLimit)
        agent = second
        figures.storeSeconds = begin.duration(to: .now) / .seconds(1)
        try network.wait(for: Self.resynchronized, inLogOf: second, "agent", "mooring-ha", within: Self.startLimit)
        figures.keptSeconds = begin.duration(to: .now) / .seconds(1)
        let log = network.log("agent", "mooring-ha")
        figures.memoryMebibytes = try second.largestResidentMebibytes()
        guard log.contains("kept=\(nodes.count) ") else { throw BenchError("not all were there again: \(log)") }
        return figures
    }

    // MARK: Programs

    private var configuration: String { directory.appendingPathComponent("ha.toml").path }
    private var agentCommand: [String] { [OptimisedBuild.path(of: "mooring-ha"), "--config", configuration] }

    private func startAgent() throws {
        agent = try network.start(in: "agent", agentCommand, until: Self.resynchronized, within: Self.startLimit)
    }
}

// mooringd at the home agent, and what is wanted at the node.

import Foundation

struct MooringTunnel: TunnelSetup {
    let way: TunSubject.Way
    let tunnel: TunSubject.Tunnel
    let end: TunSubject.End
    /// Of the node's kernel, where that is the end.
    let program: KernelProgram?

    static let homeAgentOptions = [
        "--endpoint", Network.endpoint, "--home-address", "2001:db8:ffff::1/64", "--home-route", "2001:db8:1::/48",
    ]
    static let nodeOptions = [
        "--endpoint", Network.careOfAddress, "--shared-endpoint", "--no-forwarding", "--home-address",
        "\(Network.nodeAddress)/64", "--home-route", "::/0",
    ]
    /// The node's and the sink's, where the tunnel needs one.
    private static let (nodeHomeAddress, sinkHomeAddress) = ("198.51.100.7", "198.51.100.8")

    func start(in network: Network) throws -> StartedTunnel {
        let agent = try startDaemon(network, "agent", Self.homeAgentOptions)
        // What can't be had here is not to be measured under its name.
        let status = try String(decoding: mooring(network, "agent", ["status"]), as: UTF8.self)
        let (home, access) = way.offload.settings
        guard status.contains("super-frames: \(home)\n"), status.contains("super-frames in tunnels: \(access)\n") else {
            throw TunUnavailable("super-frames can't be sent by \(way.offload.rawValue) here: see `mooring status`")
        }
        for (id, careOf, home, prefix) in [
            ("mn1", Network.careOfAddress, Self.nodeHomeAddress, Network.nodePrefix),
            ("sink", Network.sinkAddress, Self.sinkHomeAddress, Network.sinkPrefix),
        ] {
            // No address is translated on the way, so the home agent sees the port that the node has.
            let port = tunnel == .udp ? ["--udp-port", "434"] : []
            try bind(network, "agent", id, ["--care-of", careOf] + port, home: home, prefix: prefix)
        }
        switch end {
        case .mooringd:
            _ = try startDaemon(network, "node", Self.nodeOptions)
            try bind(
                network, "node", "home-agent",
                ["--role", "mobile-node", "--care-of", Network.endpoint, "--endpoint", Network.careOfAddress],
                home: Self.nodeHomeAddress, prefix: "::/0")
        case .kernel: try program?.startNode(in: network)
        case .own, .sink: break
        }
        return StartedTunnel(forwarder: agent)
    }

    private func startDaemon(_ network: Network, _ role: String, _ options: [String]) throws -> Process {
        let process = try network.start(
            in: role,
            [
                OptimisedBuild.path(of: "mooringd"), "--socket", socket(network, role), "--io", way.io.rawValue,
                "--workers", "\(way.workers)", "--offload", way.offload.settings.home,
                "--access-offload", way.offload.settings.access,
                "--home-mtu", "\(tunnel.mtu)", "--tunnel-mtu", "\(tunnel.mtu)",
            ] + options)
        try network.waitUntil("mooringd of the \(role) is ready") {
            guard process.isRunning else {
                throw BenchError("mooringd of the \(role) ended: \(network.log(role, "mooringd"))")
            }
            guard FileManager.default.fileExists(atPath: socket(network, role)) else { return false }
            return (try? mooring(network, role, ["status"])) != nil
        }
        return process
    }

    private func socket(_ network: Network, _ role: String) -> String {
        network.directory.appendingPathComponent("\(role).sock").path
    }

    private func mooring(_ network: Network, _ role: String, _ arguments: [String]) throws -> Data {
        try network.run([OptimisedBuild.path(of: "mooring")] + arguments + ["--socket", socket(network, role)])
    }

    private func bind(
        _ network: Network, _ role: String, _ id: String, _ options: [String], home: String, prefix: String
    ) throws {
        let byHomeAddress = tunnel == .minimal
        _ = try mooring(
            network, role,
            ["binding", "put", id, "--encapsulation", tunnel.rawValue] + options
                + (byHomeAddress ? ["--home-address", home] : [])
                + ["--prefix", prefix + (byHomeAddress ? ",home-address" : "")])
    }
}

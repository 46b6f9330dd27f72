// wireguard-go at both ends, with keys of its own, as `wg` sets it up. The node's end takes packets to the sink out of
// their tunnel too: there is no tunnel that nobody answers in.

import Foundation

struct WireGuardTunnel: TunnelSetup {
    /// Both have their socket in one directory, which is named after the device.
    private static func device(_ role: String) -> String { "wg-\(getpid())-\(role.prefix(1))" }
    private static let port = 51820

    func start(in network: Network) throws -> StartedTunnel {
        for role in ["agent", "node"] {
            let keys = "umask 077; wg genkey >\"$1.key\"; wg pubkey <\"$1.key\" >\"$1.public\""
            try network.run(["sh", "-ec", keys, "sh", path(network, role)])
        }
        let agent = try start(network, "agent", peer: "node", at: Network.careOfAddress, allowed: "2001:db8:1::/48")
        _ = try start(network, "node", peer: "agent", at: "203.0.113.1", allowed: "::/0")
        try network.switchOnForwarding(in: "agent")
        try network.ip("agent", "route add 2001:db8:1::/48 dev \(Self.device("agent"))")
        try network.ip("node", "address add \(Network.nodeAddress)/128 dev \(Self.device("node")) nodad")
        try network.ip("node", "route add ::/0 dev \(Self.device("node"))")
        // Keys are agreed on with the first packet.
        try network.waitUntilReached(Network.nodeAddress)
        return StartedTunnel(forwarder: agent, arrival: (Self.device("node"), 6))
    }

    private func path(_ network: Network, _ role: String) -> String {
        network.directory.appendingPathComponent("wireguard-\(role)").path
    }

    private func start(
        _ network: Network, _ role: String, peer: String, at address: String, allowed: String
    ) throws -> Process {
        let process = try network.start(in: role, ["wireguard-go", "--foreground", Self.device(role)])
        try network.waitUntil("wireguard-go of the \(role) is there") {
            guard process.isRunning else {
                throw BenchError("wireguard-go of the \(role) ended: \(network.log(role, "wireguard-go"))")
            }
            return FileManager.default.fileExists(atPath: "/var/run/wireguard/\(Self.device(role)).sock")
        }
        let key = try String(contentsOfFile: path(network, peer) + ".public", encoding: .utf8)
        try network.run(
            in: role,
            [
                "wg", "set", Self.device(role), "private-key", path(network, role) + ".key", "listen-port",
                "\(Self.port)",
                "peer", key.trimmingCharacters(in: .whitespacesAndNewlines), "endpoint", "\(address):\(Self.port)",
                "allowed-ips", allowed,
            ])
        try network.ip(role, "link set \(Self.device(role)) up")
        return process
    }
}

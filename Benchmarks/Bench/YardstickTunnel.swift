// The yardstick at both ends, or at the home agent alone. It knows one care-of address at a time, and does not set up
// its devices.

import Foundation

struct YardstickTunnel: TunnelSetup {
    let io: TunSubject.IO
    let hasNode: Bool

    func start(in network: Network) throws -> StartedTunnel {
        if hasNode {
            _ = try start(
                network, "node", MooringTunnel.nodeOptions, from: Network.careOfAddress, to: Network.endpoint)
        }
        let agent = try start(
            network, "agent", MooringTunnel.homeAgentOptions, from: Network.endpoint,
            to: hasNode ? Network.careOfAddress : Network.sinkAddress)
        return StartedTunnel(forwarder: agent)
    }

    private func start(
        _ network: Network, _ role: String, _ options: [String], from source: String, to destination: String
    ) throws -> Process {
        for device in Network.devices { try network.run(in: role, ["ip", "tuntap", "add", device, "mode", "tun"]) }
        // It sends no Packet Too Big: with the tunnel's MTU on the home device, the kernel does. Whatever else is
        // missing is printed as commands, with status 1.
        let daemon = [OptimisedBuild.path(of: "mooringd"), "--check", "--home-mtu", "\(KernelProgram.mtu)"]
        try network.run(in: role, ["sh", "-ec", "eval \"$(\"$@\")\"", "sh"] + daemon + options)
        let process = try network.start(
            in: role,
            [OptimisedBuild.path(of: "yardstick")] + Network.devices + [source, destination, io.rawValue])
        try network.waitUntilAttached(process, role, "yardstick", to: Network.devices)
        return process
    }
}

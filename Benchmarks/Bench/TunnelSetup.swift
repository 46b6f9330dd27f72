// How what `Bench tun` measures is set up.

import Foundation

/// Sets a forwarder up in the home agent's namespace, and at the node what it needs there.
protocol TunnelSetup {
    /// Sets up and starts, in a network that has nothing of its kind yet. All of it goes with the network's namespaces.
    func start(in network: Network) throws -> StartedTunnel
}

/// What has been set up.
struct StartedTunnel {
    /// The home agent's forwarder, where that is a process.
    var forwarder: Process?
    /// What the correspondent reaches the node by.
    var nodeAddress = Network.nodeAddress
    var sinkDestination = Network.sinkDestination
    /// Where packets to the sink are seen in the node's namespace, and as what version of IP.
    var arrival = (device: "agent", ipVersion: 4)
}

/// What is wanted can't be had on this host, now or later.
struct TunUnavailable: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension TunSubject {
    /// How it is set up.
    /// - Parameter program: what is attached where the kernel is at one end or both.
    func setup(_ program: KernelProgram?) throws -> any TunnelSetup {
        func needed() throws -> KernelProgram {
            guard let program else { throw TunUnavailable("the program for the kernel is not there") }
            return program
        }
        switch forwarder {
        case .mooringd(let way):
            return MooringTunnel(
                way: way, tunnel: tunnel, end: end, program: end == .kernel ? try needed() : nil)
        case .yardstick(let io): return YardstickTunnel(io: io, hasNode: end != .sink)
        case .peer(.kernelForwarding): return KernelTunnel(program: nil, hasNode: end != .sink)
        case .peer(.tcProgram): return KernelTunnel(program: try needed(), hasNode: end != .sink)
        case .peer(.wireguardGo): return WireGuardTunnel()
        case .peer(.tayga): return TaygaTranslator()
        }
    }
}

extension Network {
    /// Waits until something holds, 20 seconds at the most.
    func waitUntil(_ what: String, _ holds: () throws -> Bool) throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while try !holds() {
            guard .now < deadline else { throw BenchError("gave up waiting until \(what)") }
            usleep(50_000)
        }
    }

    /// Waits until a program that was started has attached itself to devices: then they have a carrier.
    func waitUntilAttached(_ process: Process, _ role: String, _ program: String, to devices: [String]) throws {
        try waitUntil("\(program) of the \(role) is attached") {
            guard process.isRunning else {
                throw BenchError("\(program) of the \(role) ended: \(log(role, program))")
            }
            return try devices.allSatisfy { device in
                try String(decoding: run(in: role, ["ip", "link", "show", device]), as: UTF8.self)
                    .contains("LOWER_UP")
            }
        }
    }
}

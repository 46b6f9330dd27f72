// One trial of `Bench tun`: both ends started anew, TCP from the correspondent to the node, then small packets.

import Foundation

struct TunTrial {
    private let network: Network
    private let way: Tun.Way
    private let seconds: Int

    private static let homeAgentOptions = [
        "--endpoint", Network.endpoint, "--home-address", "2001:db8:ffff::1/64", "--home-route", "2001:db8:1::/48",
    ]
    private static let nodeOptions = [
        "--endpoint", Network.careOfAddress, "--shared-endpoint", "--no-forwarding", "--home-address",
        "\(Network.nodeAddress)/64", "--home-route", "::/0",
    ]

    init(_ network: Network, _ way: Tun.Way, seconds: Int) {
        self.network = network
        self.way = way
        self.seconds = seconds
    }

    func run() throws -> TunFigures {
        switch way.program {
        case .mooringd: try runMooringd()
        case .yardstick: try runYardstick()
        }
    }

    private func runMooringd() throws -> TunFigures {
        let agent = try startDaemon("agent", Self.homeAgentOptions)
        defer { network.end(agent) }
        let node = try startDaemon("node", Self.nodeOptions)
        defer { network.end(node) }
        try bind("agent", "mn1", careOf: Network.careOfAddress, prefix: Network.nodePrefix)
        try bind("agent", "sink", careOf: Network.sinkAddress, prefix: Network.sinkPrefix)
        try bind("node", "home-agent", careOf: Network.endpoint, prefix: "::/0")
        // What can't be had here is not to be measured under its name.
        guard
            try String(decoding: mooring("agent", ["status"]), as: UTF8.self).contains("super-frames: \(way.offload)\n")
        else { throw BenchError("super-frames can't be sent by \(way.offload) here: see `mooring status`") }
        var figures = TunFigures()
        try measureTCP(agent, &figures)
        try measureSmallPackets(agent, &figures)
        return figures
    }

    /// The yardstick knows one care-of address at a time, and does not set up its devices.
    private func runYardstick() throws -> TunFigures {
        // It sends no Packet Too Big either: with the tunnel's MTU on the home device, the kernel does.
        let tunnelMTU = ["--home-mtu", "1280"]
        for (role, options) in [("agent", Self.homeAgentOptions), ("node", Self.nodeOptions)] {
            for device in Network.devices { try network.run(in: role, ["ip", "tuntap", "add", device, "mode", "tun"]) }
            // Whatever is missing is printed as commands, with status 1.
            try network.run(
                in: role,
                ["sh", "-ec", "eval \"$(\"$@\")\"", "sh", program("mooringd"), "--check"] + options + tunnelMTU)
        }
        defer {
            for role in ["agent", "node"] {
                for device in Network.devices { _ = try? network.run(in: role, ["ip", "link", "delete", device]) }
            }
        }
        let node = try startYardstick("node", source: Network.careOfAddress, destination: Network.endpoint)
        defer { network.end(node) }
        var figures = TunFigures()
        let toNode = try startYardstick("agent", source: Network.endpoint, destination: Network.careOfAddress)
        do {
            defer { network.end(toNode) }
            try measureTCP(toNode, &figures)
        }
        let toSink = try startYardstick("agent", source: Network.endpoint, destination: Network.sinkAddress)
        defer { network.end(toSink) }
        try measureSmallPackets(toSink, &figures)
        return figures
    }

    // MARK: Measuring

    private func measureTCP(_ agent: Process, _ figures: inout TunFigures) throws {
        let server = try network.start(in: "node", ["iperf3", "-6", "-s"])
        defer { network.end(server) }
        try waitUntil("iperf3 listens") { try !network.run(in: "node", ["ss", "-Hltn", "sport = :5201"]).isEmpty }
        (figures.gigabitsPerSecond, figures.tcpCPUPercent) = try measuringCPU(of: agent) {
            let result = try network.run(
                in: "correspondent", ["iperf3", "-6", "-c", Network.nodeAddress, "-t", "\(seconds)", "-O", "1", "-J"])
            return try IperfResult(result).bitsPerSecond / 1e9
        }
    }

    private func measureSmallPackets(_ agent: Process, _ figures: inout TunFigures) throws {
        (figures.kilopacketsPerSecond, figures.floodCPUPercent) = try measuringCPU(of: agent) {
            let before = try tunnelled()
            let begin = ContinuousClock.now
            try network.run(in: "correspondent", [program("Bench"), "flood", Network.sinkDestination, "\(seconds)"])
            let elapsed = begin.duration(to: .now) / .seconds(1)
            return Double(try tunnelled() - before) / elapsed / 1_000
        }
    }

    /// Packets that arrived at the node's interface: each of them was tunnelled.
    private func tunnelled() throws -> Int {
        struct Link: Decodable {
            struct Statistics: Decodable {
                struct Received: Decodable { var packets: Int }
                var rx: Received
            }
            var stats64: Statistics
        }
        let json = try network.run(in: "node", ["ip", "-j", "-s", "link", "show", "agent"])
        guard let link = try JSONDecoder().decode([Link].self, from: json).first else {
            throw BenchError("the node's interface is gone")
        }
        return link.stats64.rx.packets
    }

    /// The result, and the CPU time that the process took meanwhile, in percent of one core.
    private func measuringCPU(of process: Process, _ body: () throws -> Double) throws -> (Double, Double) {
        let (before, begin) = (try process.processorSeconds(), ContinuousClock.now)
        let result = try body()
        return (result, (try process.processorSeconds() - before) / (begin.duration(to: .now) / .seconds(1)) * 100)
    }

    // MARK: Programs

    private func startDaemon(_ role: String, _ arguments: [String]) throws -> Process {
        let process = try network.start(
            in: role,
            [
                program("mooringd"), "--socket", socket(role), "--io", way.io.rawValue, "--workers", "\(way.workers)",
                "--offload", way.offload.rawValue,
            ] + arguments)
        try waitUntil("mooringd of the \(role) is ready") {
            guard process.isRunning else {
                throw BenchError("mooringd of the \(role) ended: \(network.log(role, "mooringd"))")
            }
            guard FileManager.default.fileExists(atPath: socket(role)) else { return false }
            return (try? mooring(role, ["status"])) != nil
        }
        return process
    }

    private func startYardstick(_ role: String, source: String, destination: String) throws -> Process {
        let process = try network.start(
            in: role, [program("yardstick")] + Network.devices + [source, destination, way.io.rawValue])
        // A device has a carrier when a program is attached to it.
        try waitUntil("the yardstick of the \(role) is attached") {
            guard process.isRunning else {
                throw BenchError("the yardstick of the \(role) ended: \(network.log(role, "yardstick"))")
            }
            return try Network.devices.allSatisfy { device in
                try String(decoding: network.run(in: role, ["ip", "link", "show", device]), as: UTF8.self)
                    .contains("LOWER_UP")
            }
        }
        return process
    }

    private func program(_ name: String) -> String { OptimisedBuild.path(of: name) }

    private func socket(_ role: String) -> String { network.directory.appendingPathComponent("\(role).sock").path }

    private func mooring(_ role: String, _ arguments: [String]) throws -> Data {
        try network.run([program("mooring")] + arguments + ["--socket", socket(role)])
    }

    private func bind(_ role: String, _ id: String, careOf: String, prefix: String) throws {
        _ = try mooring(role, ["binding", "put", id, "--care-of", careOf, "--prefix", prefix])
    }

    private func waitUntil(_ what: String, _ holds: () throws -> Bool) throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while try !holds() {
            guard .now < deadline else { throw BenchError("gave up waiting until \(what)") }
            usleep(50_000)
        }
    }
}

/// What `iperf3 -J` prints, as far as it is wanted.
private struct IperfResult {
    let bitsPerSecond: Double

    init(_ data: Data) throws {
        struct Report: Decodable {
            struct End: Decodable {
                struct Sum: Decodable { var bits_per_second: Double }
                var sum_received: Sum
            }
            var end: End
        }
        bitsPerSecond = try JSONDecoder().decode(Report.self, from: data).end.sum_received.bits_per_second
    }
}

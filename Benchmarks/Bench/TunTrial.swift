// One trial of `Bench tun`: a subject set up anew, and its work done.

import Foundation

struct TunTrial {
    private let network: Network
    private let subject: TunSubject
    private let seconds: Int

    /// - Parameter seconds: of each measurement.
    init(_ network: Network, _ subject: TunSubject, seconds: Int) {
        self.network = network
        self.subject = subject
        self.seconds = seconds
    }

    /// What it takes about, in seconds.
    static func duration(_ works: [TunWork], seconds: Int) -> Double {
        works.reduce(2) { $0 + Double(seconds) + ($1 == .latency ? warmUp : $1.isTCP ? 1.5 : 0.2) }
    }

    private static let warmUp = 0.5

    /// Does the work.
    /// - Parameter program: of the kernel, where it is at an end.
    /// - Returns: a figure for each. What failed is told and left out.
    /// - Throws: `TunUnavailable` or `BenchError` where the subject can't be set up.
    func run(_ works: [TunWork], _ program: KernelProgram?) throws -> [TunWork: TunFigure] {
        try network.renew()
        let tunnel = try subject.setup(program).start(in: network)
        if subject.end == .sink {
            try network.cutFramesToNode()
        } else {
            try network.waitUntilReached(tunnel.nodeAddress)
            _ = try network.start(in: "node", ["iperf3", "-s"])
            try network.waitUntil("iperf3 listens") {
                try !network.run(in: "node", ["ss", "-Hltn", "sport = :5201"]).isEmpty
            }
        }
        var figures: [TunWork: TunFigure] = [:]
        for work in works {
            let small = figures[.udp18]?.kilopacketsPerSecond
            do { figures[work] = try measure(work, tunnel, smallKilopackets: small) } catch {
                TunProgress.say("\(subject.name), \(work.title): \(error)")
            }
        }
        return figures
    }

    private func measure(
        _ work: TunWork, _ tunnel: StartedTunnel, smallKilopackets: Double?
    ) throws -> TunFigure {
        if let options = work.iperfOptions { return try measureTCP(tunnel, options) }
        if let size = work.payload { return try measureFlood(tunnel, size, isSegmented: work.isSegmented) }
        guard let smallKilopackets else { throw BenchError("half of an unknown rate") }
        return try measureLatency(tunnel, packetsPerSecond: Int(smallKilopackets * 500))
    }

    private func measureTCP(_ tunnel: StartedTunnel, _ options: [String]) throws -> TunFigure {
        try measuringProcessor(tunnel.forwarder) { figure in
            // What hangs must not keep the others from their turns.
            let output = try network.run(
                in: "correspondent",
                ["timeout", "\(seconds + 30)", "iperf3", "-6", "-c", tunnel.nodeAddress] + options
                    + ["-t", "\(seconds)", "-O", "1", "-J"])
            let report = try IperfReport(output)
            figure.gigabitsPerSecond = report.forward + report.backward
            if report.isBoth { (figure.downloadGigabits, figure.uploadGigabits) = (report.forward, report.backward) }
        }
    }

    private func measureFlood(
        _ tunnel: StartedTunnel, _ size: Int, isSegmented: Bool
    ) throws -> TunFigure {
        try measuringProcessor(tunnel.forwarder) { figure in
            let before = try arrived()
            let begin = ContinuousClock.now
            try network.run(
                in: "correspondent",
                [OptimisedBuild.path(of: "Bench"), "flood", tunnel.sinkDestination, "\(seconds)", "\(size)"]
                    + (isSegmented ? ["--segments"] : []))
            let rate = Double(try arrived() - before) / (begin.duration(to: .now) / .seconds(1))
            figure.kilopacketsPerSecond = rate / 1_000
            figure.gigabitsPerSecond = rate * Double(size) * 8 / 1e9
        }
    }

    private func measureLatency(_ tunnel: StartedTunnel, packetsPerSecond: Int) throws -> TunFigure {
        let probe = try RunningProbe(
            from: network.namespacePath("correspondent"), to: network.namespacePath("node"), tunnel.sinkDestination,
            packetsPerSecond: max(1, packetsPerSecond),
            options: [
                // Few at a time, so that packets seldom wait for others of their burst.
                "--interval", "50", "--device", tunnel.arrival.device, "--ip-version", "\(tunnel.arrival.ipVersion)",
            ])
        defer { probe.end() }
        // The first packets learn the way.
        usleep(UInt32(Self.warmUp * 1e6))
        _ = try probe.stretch()
        return try measuringProcessor(tunnel.forwarder) { figure in
            let begin = ContinuousClock.now
            sleep(UInt32(seconds))
            let stretch = try probe.stretch()
            guard stretch.seen > 0 else { throw BenchError("no probe was seen") }
            figure.kilopacketsPerSecond = Double(stretch.sent) / (begin.duration(to: .now) / .seconds(1)) / 1_000
            figure.latency = TunFigure.Latency(stretch)
        }
    }

    /// Packets that arrived at the node's interface: each of them was forwarded, and was cut before where it was more than one.
    private func arrived() throws -> Int {
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

    /// A figure, with the time that the process took of the processors meanwhile.
    private func measuringProcessor(
        _ process: Process?, _ body: (inout TunFigure) throws -> Void
    ) throws -> TunFigure {
        var figure = TunFigure()
        let (before, begin) = (try process?.processorTime(), ContinuousClock.now)
        try body(&figure)
        if let process, let before { figure.processor = try process.processorTime() - before }
        figure.seconds = begin.duration(to: .now) / .seconds(1)
        return figure
    }
}

/// What `iperf3 -J` prints, as far as it is wanted: bits a second that were received, in 10⁹.
private struct IperfReport {
    /// Without `--bidir` all that there is, whichever way it went.
    let forward: Double
    let backward: Double
    let isBoth: Bool

    init(_ data: Data) throws {
        struct Report: Decodable {
            struct End: Decodable {
                struct Sum: Decodable { var bits_per_second: Double }
                var sum_received: Sum
                var sum_received_bidir_reverse: Sum?
            }
            var end: End
        }
        let end = try JSONDecoder().decode(Report.self, from: data).end
        forward = end.sum_received.bits_per_second / 1e9
        backward = (end.sum_received_bidir_reverse?.bits_per_second ?? 0) / 1e9
        isBoth = end.sum_received_bidir_reverse != nil
    }
}

// `Bench tun`: the real thing. Two daemons, TUN devices, the kernel between them, TCP by iperf3 and a flood of small
// packets. Ways of moving packets take turns, so that a machine whose speed drifts is the same for all; what is printed
// is the median. TCP passes both daemons; small packets pass the home agent and end in a sink.

import ArgumentParser
import Foundation

struct Tun: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Gbit/s and packets a second through real TUN devices, in network namespaces.",
        discussion: """
            Needs iperf3, iproute2, and root or `unshare -rnm sh -c 'mount -t tmpfs tmpfs /run; …'`.

            Examples:
              swift run Bench tun
              swift run Bench tun --rounds 5 --seconds 10 --json
              swift run Bench tun --io plain
            """)

    enum IO: String, CaseIterable, ExpressibleByArgument { case ioUring = "io_uring", plain }

    @Option(help: "io_uring or plain; both in turn where absent.") var io: IO?
    @Option(help: "Rounds; the median is printed.") var rounds = 5
    @Option(help: "Seconds of each measurement.") var seconds = 5
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...100).contains(rounds), (1...600).contains(seconds) else {
            throw ValidationError("--rounds is 1 to 100, --seconds 1 to 600")
        }
    }

    func run() throws {
        try TunTrial.checkPrograms()
        let network = try Network()
        defer { network.remove() }
        let ways = io.map { [$0] } ?? IO.allCases
        var figures: [IO: [TunFigures]] = [:]
        for round in 1...rounds {
            for way in ways {
                FileHandle.standardError.write(Data("round \(round) of \(rounds): \(way.rawValue)\n".utf8))
                figures[way, default: []].append(try TunTrial(network, way, seconds: seconds).run())
            }
        }
        if !output.json { print("io          TCP Gbit/s      kpps   home agent CPU % (TCP, small packets)") }
        for way in ways {
            guard let all = figures[way] else { continue }
            let gigabits = median(all.map(\.gigabitsPerSecond))
            let kilopackets = median(all.map(\.kilopacketsPerSecond))
            let (tcpCPU, floodCPU) = (median(all.map(\.tcpCPUPercent)), median(all.map(\.floodCPUPercent)))
            if output.json {
                print(
                    String(
                        format:
                            #"{"bench":"tun","io":"%@","offload":false,"gbit_per_s":%.3f,"kpps":%.1f,"#
                            + #""cpu_percent":%.1f,"cpu_percent_small":%.1f,"rounds":%d}"#,
                        way.rawValue, gigabits, kilopackets, tcpCPU, floodCPU, rounds))
            } else {
                print(
                    way.rawValue.padding(toLength: 10, withPad: " ", startingAt: 0)
                        + String(format: "%12.2f %9.1f   %.0f, %.0f", gigabits, kilopackets, tcpCPU, floodCPU))
            }
        }
    }

    private func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

/// What one trial showed.
struct TunFigures {
    var gigabitsPerSecond = 0.0
    var kilopacketsPerSecond = 0.0
    var tcpCPUPercent = 0.0
    var floodCPUPercent = 0.0
}

/// One trial: both daemons started anew.
struct TunTrial {
    private let network: Network
    private let way: Tun.IO
    private let seconds: Int
    private let programs = Self.programs
    /// Where Bench lies, the other programs lie too.
    private static let programs = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()

    /// - Throws: where a program that is measured is not there.
    static func checkPrograms() throws {
        for name in ["mooringd", "mooring"] {
            let path = programs.appendingPathComponent(name).path
            guard FileManager.default.isExecutableFile(atPath: path) else {
                throw BenchError("\(path) is missing: swift build -c release")
            }
        }
    }

    init(_ network: Network, _ way: Tun.IO, seconds: Int) {
        self.network = network
        self.way = way
        self.seconds = seconds
    }

    func run() throws -> TunFigures {
        let agent = try startDaemon(
            "agent",
            [
                "--endpoint", Network.endpoint, "--home-address", "2001:db8:ffff::1/64", "--home-route",
                "2001:db8:1::/48",
            ])
        defer { network.end(agent) }
        let node = try startDaemon(
            "node",
            [
                "--endpoint", Network.careOfAddress, "--shared-endpoint", "--no-forwarding", "--home-address",
                "\(Network.nodeAddress)/64", "--home-route", "::/0",
            ])
        defer { network.end(node) }
        try bind("agent", "mn1", careOf: Network.careOfAddress, prefix: Network.nodePrefix)
        try bind("agent", "sink", careOf: Network.sinkAddress, prefix: Network.sinkPrefix)
        try bind("node", "home-agent", careOf: Network.endpoint, prefix: "::/0")

        var figures = TunFigures()
        let server = try network.start(in: "node", ["iperf3", "-6", "-s"])
        defer { network.end(server) }
        try waitUntil("iperf3 listens") { try !network.run(in: "node", ["ss", "-Hltn", "sport = :5201"]).isEmpty }
        (figures.gigabitsPerSecond, figures.tcpCPUPercent) = try measuringCPU(of: agent) {
            let result = try network.run(
                in: "correspondent", ["iperf3", "-6", "-c", Network.nodeAddress, "-t", "\(seconds)", "-O", "1", "-J"])
            return try IperfResult(result).bitsPerSecond / 1e9
        }
        (figures.kilopacketsPerSecond, figures.floodCPUPercent) = try measuringCPU(of: agent) {
            let before = try tunnelled()
            let begin = ContinuousClock.now
            try network.run(
                in: "correspondent",
                [programs.appendingPathComponent("Bench").path, "flood", Network.sinkDestination, "\(seconds)"])
            let elapsed = begin.duration(to: .now) / .seconds(1)
            return Double(try tunnelled() - before) / elapsed / 1_000
        }
        return figures
    }

    private func startDaemon(_ role: String, _ arguments: [String]) throws -> Process {
        let process = try network.start(
            in: role,
            [programs.appendingPathComponent("mooringd").path, "--socket", socket(role), "--io", way.rawValue]
                + arguments)
        try waitUntil("mooringd of the \(role) is ready") {
            guard process.isRunning else {
                let log = try? String(
                    contentsOf: network.directory.appendingPathComponent("\(role)-mooringd.log"), encoding: .utf8)
                throw BenchError("mooringd of the \(role) ended: \(log ?? "")")
            }
            guard FileManager.default.fileExists(atPath: socket(role)) else { return false }
            return (try? mooring(role, ["status"])) != nil
        }
        return process
    }

    private func socket(_ role: String) -> String { network.directory.appendingPathComponent("\(role).sock").path }

    private func mooring(_ role: String, _ arguments: [String]) throws -> Data {
        try network.run([programs.appendingPathComponent("mooring").path] + arguments + ["--socket", socket(role)])
    }

    private func bind(_ role: String, _ id: String, careOf: String, prefix: String) throws {
        _ = try mooring(role, ["binding", "put", id, "--care-of", careOf, "--prefix", prefix])
    }

    /// Packets that the home agent has put into tunnels.
    private func tunnelled() throws -> Int {
        struct Counters: Decodable {
            struct Sides: Decodable { var access: Int }
            var transmitted: Sides
        }
        return try JSONDecoder().decode(Counters.self, from: mooring("agent", ["counters", "--json"])).transmitted
            .access
    }

    /// The result, and the CPU time that the process took meanwhile, in percent of one core.
    private func measuringCPU(of process: Process, _ body: () throws -> Double) throws -> (Double, Double) {
        let (before, begin) = (try cpuSeconds(of: process), ContinuousClock.now)
        let result = try body()
        return (result, (try cpuSeconds(of: process) - before) / (begin.duration(to: .now) / .seconds(1)) * 100)
    }

    /// User and system time of a process so far (proc_pid_stat(5), fields 14 and 15). `ip netns exec` becomes what it
    /// runs, so the process is the daemon itself.
    private func cpuSeconds(of process: Process) throws -> Double {
        let stat = try String(contentsOfFile: "/proc/\(process.processIdentifier)/stat", encoding: .utf8)
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
            throw BenchError("/proc tells no times of mooringd")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
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

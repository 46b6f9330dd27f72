// `Bench tun`: the real thing. Two ends, TUN devices, the kernel between them, TCP by iperf3 and a flood of small
// packets. Ways of moving packets take turns, so that a machine whose speed drifts is the same for all; what is printed
// is the median. TCP passes both ends; small packets pass the home agent and end in a sink.

import ArgumentParser
import Foundation

struct Tun: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Gbit/s and packets a second through real TUN devices, in network namespaces.",
        discussion: """
            Needs iperf3, iproute2, and root or `unshare -rnm sh -c 'mount -t tmpfs tmpfs /run; …'`.

            Examples:
              swift run Bench tun
              swift run Bench tun --yardstick --rounds 9
              swift run Bench tun --io plain --seconds 10 --json
              swift run Bench tun --workers 1 --workers 2
              swift run Bench tun --offload push --offload off
            """)

    /// A program that forwards, and how it moves packets.
    struct Way: Hashable {
        let program: Program
        let io: IO
        /// Of mooringd.
        var workers = 1
        /// Of mooringd; the yardstick has none.
        var offload = Offload.off

        enum Program: String { case mooringd, yardstick }
    }

    enum IO: String, CaseIterable, ExpressibleByArgument { case ioUring = "io_uring", plain }

    /// What is done with super-frames.
    enum Offload: String, CaseIterable, ExpressibleByArgument { case off, split, push }

    @Option(help: "io_uring or plain; both in turn where absent.") var io: IO?
    @Flag(help: "Measure the least that a forwarder can do in turn with mooringd (Benchmarks/Yardstick).")
    var yardstick = false
    @Option(help: "Forwarding threads of mooringd; several numbers take turns.") var workers: [Int] = [1]
    @Option(help: "What mooringd does with super-frames: off, split or push; all take turns where absent.")
    var offload: [Offload] = []
    @Option(help: "Rounds; the median is printed.") var rounds = 5
    @Option(help: "Seconds of each measurement.") var seconds = 5
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...100).contains(rounds), (1...600).contains(seconds) else {
            throw ValidationError("--rounds is 1 to 100, --seconds 1 to 600")
        }
        guard workers.allSatisfy((1...16).contains) else { throw ValidationError("--workers is 1 to 16") }
    }

    func run() throws {
        try OptimisedBuild.build(["mooringd", "mooring"] + (yardstick ? ["yardstick"] : []))
        let network = try Network()
        defer { network.remove() }
        let programs: [Way.Program] = yardstick ? [.mooringd, .yardstick] : [.mooringd]
        let ways = (io.map { [$0] } ?? IO.allCases).flatMap { io in
            programs.flatMap { program in
                (program == .mooringd ? workers : [1]).flatMap { workers in
                    (program == .yardstick ? [.off] : offload.isEmpty ? Offload.allCases : offload).map {
                        Way(program: program, io: io, workers: workers, offload: $0)
                    }
                }
            }
        }
        var figures: [Way: [TunFigures]] = [:]
        for round in 1...rounds {
            for way in ways {
                let line =
                    "round \(round) of \(rounds): \(way.program.rawValue), \(way.io.rawValue), \(way.workers), "
                    + "\(way.offload.rawValue)\n"
                FileHandle.standardError.write(Data(line.utf8))
                figures[way, default: []].append(try TunTrial(network, way, seconds: seconds).run())
            }
        }
        if !output.json {
            print("program    io        offload workers  TCP Gbit/s      kpps   home agent CPU % (TCP, small packets)")
        }
        for way in ways { report(way, figures[way] ?? []) }
    }

    private func report(_ way: Way, _ figures: [TunFigures]) {
        func median(_ path: KeyPath<TunFigures, Double>) -> Double {
            let sorted = figures.map { $0[keyPath: path] }.sorted()
            let middle = sorted.count / 2
            return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        }
        let (gigabits, kilopackets) = (median(\.gigabitsPerSecond), median(\.kilopacketsPerSecond))
        let (tcpCPU, floodCPU) = (median(\.tcpCPUPercent), median(\.floodCPUPercent))
        guard output.json else {
            print(
                way.program.rawValue.padding(toLength: 11, withPad: " ", startingAt: 0)
                    + way.io.rawValue.padding(toLength: 10, withPad: " ", startingAt: 0)
                    + way.offload.rawValue.padding(toLength: 8, withPad: " ", startingAt: 0)
                    + String(
                        format: "%7d %11.2f %9.1f   %.0f, %.0f", way.workers, gigabits, kilopackets, tcpCPU, floodCPU))
            return
        }
        // The yardstick's lines bear a name of their own: who reads `tun` expects mooringd.
        print(
            String(
                format:
                    #"{"bench":"%@","io":"%@","workers":%d,"offload":%@,"super_frames":"%@","gbit_per_s":%.3f,"kpps":%.1f,"#
                    + #""cpu_percent":%.1f,"cpu_percent_small":%.1f,"rounds":%d}"#,
                way.program == .mooringd ? "tun" : "tun-yardstick", way.io.rawValue, way.workers,
                way.offload == .off ? "false" : "true", way.offload.rawValue, gigabits, kilopackets, tcpCPU, floodCPU,
                rounds))
    }
}

/// What one trial showed.
struct TunFigures {
    var gigabitsPerSecond = 0.0
    var kilopacketsPerSecond = 0.0
    /// Of the home agent's forwarder.
    var tcpCPUPercent = 0.0
    var floodCPUPercent = 0.0
}

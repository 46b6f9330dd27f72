// `Bench control`: how fast bindings are put and named anew through the daemon's socket, what that costs packets that
// pass meanwhile, and what a binding takes in memory. The daemon is the real one, in namespaces of its own.

import ArgumentParser
import Bindings
import ControlProtocol
import Foundation
import Wire

struct Control: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bindings a second through the daemon's socket, and what packets notice of it.",
        discussion: """
            Puts bindings, puts them all anew with another care-of address, and resynchronises them where one in a
            hundred has changed, one is gone and one is new, while a stream of packets passes. Needs iproute2, and root
            or `unshare -rnm sh -c 'ip link set lo up; mount -t tmpfs tmpfs /run; …'`.

            Examples:
              swift run Bench control
              swift run Bench control --bindings 100000 --rounds 5 --json
              swift run Bench control --bindings 1000 --bindings 30000 --bindings 1000000 --plot control.svg
            """)

    @Option(help: "Bindings, each with a home address and a prefix; may be given several times.")
    var bindings = [1_000_000]
    @Option(help: "Rounds, each with a new daemon; medians are printed, of stalls the longest.") var rounds = 3
    @Option(help: "Thousands of packets a second that pass, 0 to 300.") var load = 40
    @Option(help: "Bindings of a batch.") var batch = 1000
    @Option(help: "Batches that are under way at a time.") var window = ControlClient.usualWindow
    @Option(help: ArgumentHelp("Draw the figures over the number of bindings.", valueName: "file.svg")) var plot:
        String?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard bindings.allSatisfy({ (100...4_000_000).contains($0) }), (1...100).contains(rounds),
            (1...300).contains(load),
            (1...10_000).contains(batch), (1...1000).contains(window)
        else {
            throw ValidationError(
                "--bindings is 100 to 4000000, --rounds 1 to 100, --load 1 to 300, --batch 1 to 10000, --window 1 to 1000"
            )
        }
    }

    func run() throws {
        try OptimisedBuild.build(["mooringd"])
        let network = try Network()
        defer { network.remove() }
        var all: [(bindings: Int, figures: [ControlFigures])] = []
        for bindings in bindings {
            var figures: [ControlFigures] = []
            for round in 1...rounds {
                FileHandle.standardError.write(Data("\(bindings) bindings, round \(round) of \(rounds)\n".utf8))
                figures.append(try ControlTrial(network, self, bindings: bindings).run())
            }
            report(bindings, figures)
            all.append((bindings, figures))
        }
        if let plot { try Self.plot(all).write(to: plot) }
    }

    private static func plot(_ all: [(bindings: Int, figures: [ControlFigures])]) -> Plot {
        func series(_ name: String, _ value: KeyPath<ControlFigures, Double>, highest: Bool = false) -> Plot.Series {
            Plot.Series(
                name: name,
                points: all.map { bindings, figures in
                    let values = figures.map { $0[keyPath: value] }.sorted()
                    return (Double(bindings), highest ? values[values.count - 1] : values[values.count / 2])
                })
        }
        return Plot(
            title: "Bindings through the control socket", number: "bindings",
            charts: [
                Plot.Chart(
                    title: "Puts", unit: "a second",
                    series: [series("new", \.addsPerSecond), series("put anew", \.updatesPerSecond)]),
                Plot.Chart(
                    title: "A resynchronisation", unit: "s",
                    series: [
                        series("until it is done", \.resyncSeconds),
                        series("the daemon's processor", \.resyncCPUSeconds),
                    ]),
                Plot.Chart(
                    title: "Longest stall of a packet", unit: "us",
                    series: [
                        series("while they change", \.longestStall, highest: true),
                        series("in quiet time", \.baselineStall, highest: true),
                        series("one in a thousand", \.stallThousandth),
                    ]),
                Plot.Chart(
                    title: "Memory", unit: "bytes a binding", series: [series("of the daemon", \.bytesPerBinding)]),
            ])
    }

    private func report(_ bindings: Int, _ figures: [ControlFigures]) {
        func median(_ path: KeyPath<ControlFigures, Double>) -> Double {
            figures.map { $0[keyPath: path] }.sorted()[figures.count / 2]
        }
        func highest(_ path: KeyPath<ControlFigures, Double>) -> Double { figures.map { $0[keyPath: path] }.max() ?? 0 }
        let lost = figures.reduce(0) { $0 + $1.lost }
        if output.json {
            print(
                String(
                    format: #"{"bench":"control","bindings":%d,"updates_per_s":%.0f,"adds_per_s":%.0f,"resync_s":%.3f,"#
                        + #""cpu_us_per_update":%.2f,"resync_cpu_s":%.2f,"#
                        + #""longest_stall_us":%.0f,"stall_p999_us":%.0f,"baseline_stall_us":%.0f,"#
                        + #""baseline_p999_us":%.0f,"lost_packets":%d,"bytes_per_binding":%.0f,"load_kpps":%d,"#
                        + #""batch":%d,"window":%d,"rounds":%d}"#,
                    bindings, median(\.updatesPerSecond), median(\.addsPerSecond), median(\.resyncSeconds),
                    median(\.updateCPUMicroseconds), median(\.resyncCPUSeconds), highest(\.longestStall),
                    median(\.stallThousandth), highest(\.baselineStall),
                    median(\.baselineThousandth), lost, median(\.bytesPerBinding), load, batch, window, rounds))
            return
        }
        print(
            """
            \(bindings) bindings, batches of \(batch), \(window) under way, \(load) thousand packets a second
            added            \(String(format: "%9.0f", median(\.addsPerSecond))) a second
            put anew         \(String(format: "%9.0f", median(\.updatesPerSecond))) a second \
            (\(String(format: "%.2f", median(\.updateCPUMicroseconds))) us of the daemon's processor time each)
            resynchronised   \(String(format: "%9.3f", median(\.resyncSeconds))) s \
            (\(String(format: "%.2f", median(\.resyncCPUSeconds))) s of it)
            longest stall    \(String(format: "%9.0f", highest(\.longestStall))) us \
            (one in a thousand \(String(format: "%.0f", median(\.stallThousandth))) us)
            without changes  \(String(format: "%9.0f", highest(\.baselineStall))) us \
            (one in a thousand \(String(format: "%.0f", median(\.baselineThousandth))) us)
            packets lost     \(String(format: "%9d", lost))
            memory           \(String(format: "%9.0f", median(\.bytesPerBinding))) bytes a binding
            """)
    }
}

/// What one trial showed. Stalls are what a packet took beyond the median of quiet time, in microseconds.
struct ControlFigures {
    var addsPerSecond = 0.0
    var updatesPerSecond = 0.0
    var resyncSeconds = 0.0
    /// Of the daemon's processor time, without forwarding: per binding that is put anew, and for the resynchronisation.
    var updateCPUMicroseconds = 0.0
    var resyncCPUSeconds = 0.0
    var longestStall = 0.0
    var stallThousandth = 0.0
    var baselineStall = 0.0
    var baselineThousandth = 0.0
    var bytesPerBinding = 0.0
    var lost = 0
}

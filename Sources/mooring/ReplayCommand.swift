import ArgumentParser
import Bindings
import Replay
import Wire

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Run the forwarder over captures, without a mooringd.",
        discussion: """
            Reads pcap and pcapng of link types raw IP, IPv4, IPv6, Ethernet (with VLAN tags), Linux cooked and null. \
            Packets are taken in the order of their times, those of the home side first where times are equal, and \
            time is the capture's. Outputs are pcap of link type raw IP. The same inputs give the same outputs: \
            identifications of outer headers count from 1.

            With --check, each directory holds bindings.json, home-in.pcap or access-in.pcap or both, and what is to \
            come out: home-out.pcap, access-out.pcap and counters.json. One line a case says whether it does, with the \
            first difference. With --regenerate, what comes out is written there instead. A directory without \
            bindings.json stands for the cases in it.

            EXAMPLES:
              mooring replay --bindings bindings.json --home-in home.pcap --access-out access.pcap
              mooring replay --bindings bindings.json --access-in access.pcap --counters counters.json
              mooring replay --check Tests/Golden
              mooring replay --regenerate cases/my-case

            EXIT STATUS:
              0 done, or all cases are the same; 1 a case differs; 2 arguments or input that can't be used.
            """)

    @Option(
        help: ArgumentHelp("The bindings (JSON).", valueName: "file"), completion: .file(extensions: ["json"]))
    var bindings: String?

    @Option(help: ArgumentHelp("What came from the home side.", valueName: "pcap"), completion: .file())
    var homeIn: String?

    @Option(help: ArgumentHelp("What came from the access side.", valueName: "pcap"), completion: .file())
    var accessIn: String?

    @Option(help: ArgumentHelp("Where to write what leaves by the home side.", valueName: "pcap"), completion: .file())
    var homeOut: String?

    @Option(
        help: ArgumentHelp("Where to write what leaves by the access side.", valueName: "pcap"), completion: .file())
    var accessOut: String?

    @Option(help: ArgumentHelp("Where to write the counters (JSON).", valueName: "file"), completion: .file())
    var counters: String?

    @Option(
        help: ArgumentHelp(
            "The source of ICMPv6 errors.", discussion: "Without it, \(Replay.errorSource).", valueName: "ipv6-address")
    )
    var errorSource: String?

    @Flag(help: "Compare what comes out of each directory's inputs with what stands there.")
    var check = false

    @Flag(help: "Write what comes out of each directory's inputs there.")
    var regenerate = false

    @Flag(help: "Print JSON.")
    var json = false

    @Argument(
        help: ArgumentHelp("For --check or --regenerate: directories of cases.", valueName: "dir"),
        completion: .directory)
    var directories: [String] = []

    func validate() throws {
        let ofReplay = [bindings, homeIn, accessIn, homeOut, accessOut, counters, errorSource]
        if check || regenerate {
            guard !directories.isEmpty else { throw ValidationError("name at least one directory") }
            guard ofReplay.allSatisfy({ $0 == nil }) else {
                throw ValidationError("--check and --regenerate take directories, and no files beside them")
            }
        } else {
            guard directories.isEmpty else { throw ValidationError("directories go with --check or --regenerate") }
            guard bindings != nil else { throw ValidationError("--bindings is missing") }
            guard homeIn != nil || accessIn != nil else {
                throw ValidationError("there is nothing to replay: give --home-in, --access-in or both")
            }
        }
        if let errorSource, IPv6Address(errorSource) == nil {
            throw ValidationError("--error-source: \(StrictJSON.quoted(errorSource)) is no IPv6 address")
        }
    }

    func run() throws {
        if regenerate || check {
            let cases = directories.flatMap { ReplayCase.all(in: $0) }
            return try finish(cases.map(regenerate ? regenerate : check))
        }
        do {
            var replay = Replay(
                bindings: try BindingFile(contentsOf: bindings ?? ""), homeInput: homeIn, accessInput: accessIn)
            replay.errorSource = errorSource.flatMap { IPv6Address($0) } ?? replay.errorSource
            var reporter = ProgressReporter()
            let outputs = Replay.Outputs(home: homeOut, access: accessOut, counters: counters)
            let result = try replay.write(to: outputs) { if !json { reporter.report($0) } }
            if json {
                Output.standard.line(result.counters.json.filter { !$0.isNewline })
            } else {
                describe(result)
            }
        } catch let error as BindingError {
            throw CommandFailure(.unusable, "\(error)")
        } catch let error as ReplayError {
            throw CommandFailure(.unusable, "\(error)")
        }
    }

    private func describe(_ result: Replay.Result) {
        let counters = result.counters
        var sides = Table([.left, .right, .right])
        sides.add(["", "HOME", "ACCESS"])
        sides.add(["received", "\(counters.received.home)", "\(counters.received.access)"])
        sides.add(["generated", "\(counters.generated.home)", "\(counters.generated.access)"])
        sides.add(["transmitted", "\(counters.transmitted.home)", "\(counters.transmitted.access)"])
        sides.print(to: .standard)
        var others = Table([.left, .right, .left])
        others.add(["punted", "\(counters.punted)", ""])
        others.add(["absorbed", "\(counters.absorbed)", ""])
        others.add(["dropped", "\(counters.dropped.reduce(0, +))", ""])
        for reason in DropReason.allCases where counters[reason] > 0 {
            others.add(["  \(reason.name)", "\(counters[reason])", reason.explanation])
        }
        others.print(to: .standard)
        if result.cutFrames > 0 {
            Output.error.line(
                "the capture has only the beginning of \(countText(result.cutFrames, "packet")): those are dropped whose "
                    + "headers say more than is there (capture with a larger snapshot length)")
        }
    }
}

// MARK: - Cases

extension ReplayCommand {
    /// What became of a case, as JSON and as an exit status.
    fileprivate struct Report: Encodable {
        let `case`: String
        /// "same", "differs", "unusable" or "regenerated".
        let result: String
        var detail: String?
    }

    private func check(_ replayCase: ReplayCase) -> Report {
        let directory = replayCase.directory
        let report =
            switch replayCase.check() {
            case .same: Report(case: directory, result: "same")
            case .differs(let detail): Report(case: directory, result: "differs", detail: detail)
            case .unusable(let detail): Report(case: directory, result: "unusable", detail: detail)
            }
        show(report)
        return report
    }

    private func regenerate(_ replayCase: ReplayCase) -> Report {
        let directory = replayCase.directory
        var report = Report(case: directory, result: "regenerated")
        do throws(ReplayError) {
            try replayCase.regenerate()
        } catch {
            report = Report(case: directory, result: "unusable", detail: "\(error)")
        }
        show(report)
        return report
    }

    private func show(_ report: Report) {
        if json {
            Output.standard.json(report)
        } else {
            Output.standard.line("\(report.case): \(report.result)\(report.detail.map { ": \($0)" } ?? "")")
        }
        // Seen while longer ones run.
        Output.standard.flush()
    }

    private func finish(_ reports: [Report]) throws {
        let unusable = reports.count { $0.result == "unusable" }
        let different = reports.count { $0.result == "differs" }
        if unusable > 0 {
            throw CommandFailure(.unusable, "\(unusable) of \(countText(reports.count, "case")) can't be used")
        }
        if different > 0 { throw CommandFailure(.no, "\(different) of \(countText(reports.count, "case")) differ") }
    }
}

/// Tells on standard error how far a long replay has come.
private struct ProgressReporter {
    private static let interval = Duration.seconds(2)
    private var last = ContinuousClock.now

    mutating func report(_ progress: Replay.Progress) {
        guard last.duration(to: .now) >= Self.interval else { return }
        last = .now
        let part = progress.fraction > 0 ? " (\(Int(progress.fraction * 100)) %)" : ""
        Output.error.line("\(countText(progress.frames, "packet"))\(part)")
    }
}

import ArgumentParser
import ControlProtocol
import Wire

struct CountersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "counters", abstract: "Show what became of the packets.",
        discussion: """
            received + generated = transmitted + punted + absorbed + dropped. Drop reasons that never occurred are left
            out, unless --all is given. With --workers, each thread of the daemon is shown by itself. With --watch, rates are printed every second, or as often as it says. With
            --explain, no daemon is asked: it tells of every counter where on the way of a packet it counts, on what
            grounds, and what to do about it.

            EXAMPLES:
              mooring counters
              mooring counters --workers
              mooring counters --watch
              mooring counters --watch 10
              mooring counters --explain | less
              mooring counters --json | jq '.dropped | map_values(select(. > 0))'
            """)

    @OptionGroup var common: ClientOptions

    @Flag(help: "Show drop reasons that never occurred, too.")
    var all = false

    @Flag(help: "Show the counters of each worker.")
    var workers = false

    @Flag(help: "Tell what each counter means and what to do about it.")
    var explain = false

    @Option(
        name: .customLong("watch"), defaultAsFlag: 1.0, parsing: .next,
        help: ArgumentHelp("Print rates, again and again.", valueName: "seconds"))
    var interval: Double?

    func validate() throws {
        if explain, all || workers || interval != nil {
            throw ValidationError("--explain goes with neither --all nor --watch nor --workers")
        }
        if workers, interval != nil { throw ValidationError("--workers does not go with --watch") }
        if let interval, !(0.05...86_400).contains(interval) {
            throw ValidationError("--watch takes 0.05 to 86400 seconds")
        }
    }

    func run() async throws {
        if explain {
            common.json
                ? Output.standard.json(CounterExplanation.report) : Output.standard.text(CounterExplanation.page)
            return
        }
        let client = try await common.connect()
        let counters = try await client.counters()
        if let interval {
            try await watch(client, every: .seconds(interval), from: counters)
        } else if common.json {
            Output.standard.json(CountersReport(counters))
        } else {
            workers ? describeWorkers(counters) : describe(counters)
        }
        await client.close()
    }

    /// A line for each worker, in packets.
    private func describeWorkers(_ counters: ControlCounters) {
        var table = Table(Array(repeating: .right, count: 10))
        let sides = ["RECEIVED", "GENERATED", "TRANSMITTED"].flatMap { ["\($0) HOME", "ACCESS"] }
        table.add(["WORKER"] + sides + ["PUNTED", "ABSORBED", "DROPPED"])
        for (index, worker) in counters.workers.enumerated() {
            let sides = [worker.received, worker.generated, worker.transmitted].flatMap { [$0.home, $0.access] }
            let rest = [worker.punted, worker.absorbed, worker.dropped.values.reduce(0, &+)]
            table.add(["\(index)"] + (sides + rest).map { "\($0)" })
        }
        table.print(to: .standard)
    }

    private func describe(_ counters: ControlCounters) {
        var sides = Table([.left, .right, .right, .right, .right])
        sides.add(["", "HOME PACKETS", "HOME BYTES", "ACCESS PACKETS", "ACCESS BYTES"])
        func add(_ name: String, _ packets: ControlSideCounters, _ bytes: ControlSideCounters?) {
            sides.add([
                name, "\(packets.home)", bytes.map { bytesText($0.home) } ?? "", "\(packets.access)",
                bytes.map { bytesText($0.access) } ?? "",
            ])
        }
        add("received", counters.received, counters.receivedBytes)
        add("generated", counters.generated, nil)
        add("transmitted", counters.transmitted, counters.transmittedBytes)
        sides.print(to: .standard)

        var others = Table([.left, .right, .left])
        others.add(["punted", "\(counters.punted)", ""])
        others.add(["absorbed", "\(counters.absorbed)", ""])
        others.add(["dropped", "\(counters.dropped.values.reduce(0, &+))", ""])
        for (name, count) in counters.dropped.sorted(by: { $0.key < $1.key }) where all || count > 0 {
            others.add(["  \(name)", "\(count)", Self.explanations[name] ?? ""])
        }
        if all || counters.suppressedErrors > 0 {
            others.add(["suppressed errors", "\(counters.suppressedErrors)", "ICMP errors that were not made."])
        }
        if all || counters.reassemblyFailures > 0 {
            others.add(["reassembly failures", "\(counters.reassemblyFailures)", "Datagrams that were never whole."])
        }
        if all || counters.puntsLost > 0 {
            others.add(["punts lost", "\(counters.puntsLost)", "Punted packets that no client got."])
        }
        others.print(to: .standard)
    }

    /// What the names mean that this version knows.
    private static let explanations = Dictionary(
        uniqueKeysWithValues: DropReason.allCases.map { ($0.name, $0.explanation) })

    private func watch(_ client: ControlClient, every interval: Duration, from first: ControlCounters) async throws {
        let clock = ContinuousClock()
        var (previous, time) = (first, clock.now)
        var lines = 0
        while true {
            try await clock.sleep(until: time.advanced(by: interval))
            let counters = try await client.counters()
            let now = clock.now
            let rates = CounterRates(from: previous, to: counters, in: time.duration(to: now))
            (previous, time) = (counters, now)
            if common.json {
                Output.standard.json(rates)
            } else {
                if lines % 20 == 0 { Output.standard.line(CounterRates.heading) }
                Output.standard.line(rates.row)
                lines += 1
            }
            Output.standard.flush()
        }
    }
}

/// Counters as JSON, in the words of a replay's counters file.
struct CountersReport: Encodable {
    struct Sides: Encodable {
        let home: UInt64
        let access: UInt64

        init(_ sides: ControlSideCounters) {
            home = sides.home
            access = sides.access
        }
    }

    let received: Sides
    let generated: Sides
    let transmitted: Sides
    let punted: UInt64
    let absorbed: UInt64
    let dropped: [String: UInt64]
    let receivedBytes: Sides
    let transmittedBytes: Sides
    let suppressedErrors: UInt64
    let reassemblyFailures: UInt64
    let puntsLost: UInt64
    /// Of each worker; nil in what is of one.
    let workers: [CountersReport]?

    init(_ counters: ControlCounters) {
        workers = counters.workers.isEmpty ? nil : counters.workers.map(CountersReport.init)
        received = Sides(counters.received)
        generated = Sides(counters.generated)
        transmitted = Sides(counters.transmitted)
        punted = counters.punted
        absorbed = counters.absorbed
        dropped = counters.dropped
        receivedBytes = Sides(counters.receivedBytes)
        transmittedBytes = Sides(counters.transmittedBytes)
        suppressedErrors = counters.suppressedErrors
        reassemblyFailures = counters.reassemblyFailures
        puntsLost = counters.puntsLost
    }
}

/// What happened between two readings of the counters, per second.
struct CounterRates: Encodable {
    struct Side: Encodable {
        let receivedPackets: Double
        let receivedBits: Double
        let transmittedPackets: Double
        let transmittedBits: Double
    }

    let seconds: Double
    let home: Side
    let access: Side
    let dropped: Double

    init(from old: ControlCounters, to new: ControlCounters, in duration: Duration) {
        let seconds = duration / .seconds(1)
        // A daemon that was started anew counts from zero; what it counts then all lies within this time.
        func rate(_ old: UInt64, _ new: UInt64) -> Double { Double(new >= old ? new - old : new) / seconds }
        self.seconds = seconds
        home = Side(
            receivedPackets: rate(old.received.home, new.received.home),
            receivedBits: 8 * rate(old.receivedBytes.home, new.receivedBytes.home),
            transmittedPackets: rate(old.transmitted.home, new.transmitted.home),
            transmittedBits: 8 * rate(old.transmittedBytes.home, new.transmittedBytes.home))
        access = Side(
            receivedPackets: rate(old.received.access, new.received.access),
            receivedBits: 8 * rate(old.receivedBytes.access, new.receivedBytes.access),
            transmittedPackets: rate(old.transmitted.access, new.transmitted.access),
            transmittedBits: 8 * rate(old.transmittedBytes.access, new.transmittedBytes.access))
        dropped = rate(old.dropped.values.reduce(0, &+), new.dropped.values.reduce(0, &+))
    }

    private static let width = 11

    static let heading = """
        -------- home received -- home transmitted ---- access received  access transmitted --- dropped
              pkt/s     Mbit/s      pkt/s     Mbit/s      pkt/s     Mbit/s      pkt/s     Mbit/s      pkt/s
        """

    var row: String {
        [
            decimalText(home.receivedPackets, digits: 0), decimalText(home.receivedBits / 1e6, digits: 2),
            decimalText(home.transmittedPackets, digits: 0), decimalText(home.transmittedBits / 1e6, digits: 2),
            decimalText(access.receivedPackets, digits: 0), decimalText(access.receivedBits / 1e6, digits: 2),
            decimalText(access.transmittedPackets, digits: 0), decimalText(access.transmittedBits / 1e6, digits: 2),
            decimalText(dropped, digits: 0),
        ].map { String(repeating: " ", count: max(0, Self.width - $0.count)) + $0 }.joined()
    }
}

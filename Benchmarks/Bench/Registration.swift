// `Bench registration`: how many registrations a home agent answers, each authenticated, stored and applied in the
// forwarder before; and how long after its end by SIGKILL another one has all bindings again. The programs are the real
// ones, in namespaces of their own.

import ArgumentParser
import Foundation

struct Registration: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Registrations a second through mooring-ha and mooringd, and how long they take to come back.",
        discussion: """
            Nodes register by way of the forwarder, and each time move to their other care-of address. With --restart, \
            mooring-ha is killed and started again over a database that has a registration of every node. Needs \
            iproute2, and root or `unshare -rnm sh -c 'ip link set lo up; mount -t tmpfs tmpfs /run; …'`.

            Examples:
              swift run Bench registration
              swift run Bench registration --nodes 50000 --durability full --json
              swift run Bench registration --restart --nodes 1000000 --rounds 1
            """)

    enum Durability: String, CaseIterable, ExpressibleByArgument { case normal, full }

    @Option(help: "Nodes; 10000, or with --restart 100000.") var nodes: Int?
    @Option(help: "Seconds of each measurement.") var seconds = 5
    @Option(help: "Requests that are under way at a time.") var window = 512
    @Option(help: "Whether a transaction waits for the disk: normal or full.") var durability = Durability.normal
    @Option(help: "Prefixes of each node: 0 or 1.") var prefixesEach = 1
    @Option(help: "Rounds, each with new programs; medians are printed, of what is lost the sum.") var rounds = 3
    @Flag(help: "Measure how long registrations take to come back instead.") var restart = false
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...RegistrationNodes.largestCount).contains(number), (1...60).contains(seconds),
            (1...4096).contains(window), (0...1).contains(prefixesEach), (1...100).contains(rounds)
        else {
            throw ValidationError(
                """
                --nodes is 1 to \(RegistrationNodes.largestCount), --seconds 1 to 60, --window 1 to 4096, \
                --prefixes-each 0 or 1, --rounds 1 to 100
                """)
        }
    }

    private var number: Int { nodes ?? (restart ? 100_000 : 10_000) }

    func run() throws {
        try OptimisedBuild.build(["mooringd", "mooring-ha"])
        let network = try Network()
        defer { network.remove() }
        let nodes = RegistrationNodes(count: number, prefixesEach: prefixesEach)
        var registered: [RegistrationFigures] = []
        var restored: [RestoreFigures] = []
        for round in 1...rounds {
            FileHandle.standardError.write(Data("\(number) nodes, round \(round) of \(rounds)\n".utf8))
            let trial = try RegistrationTrial(network, nodes, durability: durability)
            defer { trial.end() }
            if restart {
                restored.append(try trial.restore())
            } else {
                registered.append(try trial.register(seconds: seconds, window: window))
            }
        }
        if restart { report(restored) } else { report(registered) }
    }

    private func median<Figures>(_ figures: [Figures], _ path: KeyPath<Figures, Double>) -> Double {
        figures.map { $0[keyPath: path] }.sorted()[figures.count / 2]
    }

    private func report(_ figures: [RegistrationFigures]) {
        let rate = median(figures, \.perSecond)
        let (typical, slow) = (median(figures, \.medianMilliseconds), median(figures, \.hundredthMilliseconds))
        let (agent, forwarder) = (median(figures, \.agentMicroseconds), median(figures, \.forwarderMicroseconds))
        let lost = figures.reduce(0) { $0 + $1.lost }
        if output.json {
            print(
                String(
                    format: #"{"bench":"registration","nodes":%d,"durability":"%@","prefixes_each":%d,"#
                        + #""registrations_per_s":%.0f,"median_ms":%.2f,"p99_ms":%.2f,"lost":%d,"#
                        + #""agent_cpu_us":%.1f,"forwarder_cpu_us":%.1f,"window":%d,"rounds":%d}"#,
                    number, durability.rawValue, prefixesEach, rate, typical, slow, lost, agent, forwarder, window,
                    rounds))
            return
        }
        print(
            """
            \(number) nodes, \(prefixesEach) prefixes each, \(window) requests under way, durability \
            \(durability.rawValue)
            registered  \(String(format: "%8.0f", rate)) a second
            answered    \(String(format: "%8.2f", typical)) ms after the request, all but one in a hundred within \
            \(String(format: "%.2f", slow)) ms
            lost        \(String(format: "%8d", lost))
            processors  \(String(format: "%8.1f", agent)) us of mooring-ha for each, \
            \(String(format: "%.1f", forwarder)) us of mooringd
            """)
    }

    private func report(_ figures: [RestoreFigures]) {
        let (configuration, store) = (median(figures, \.configurationSeconds), median(figures, \.storeSeconds))
        let (kept, fresh) = (median(figures, \.keptSeconds), median(figures, \.freshSeconds))
        let memory = median(figures, \.memoryMebibytes)
        if output.json {
            print(
                String(
                    format: #"{"bench":"registration-restore","nodes":%d,"prefixes_each":%d,"restore_s":%.2f,"#
                        + #""configuration_s":%.2f,"store_s":%.2f,"fresh_forwarder_s":%.2f,"memory_mib":%.0f,"rounds":%d}"#,
                    number, prefixesEach, kept, configuration, store, fresh, memory, rounds))
            return
        }
        print(
            """
            \(number) nodes, \(prefixesEach) prefixes each
            after SIGKILL, until the forwarder has all again  \(String(format: "%8.2f", kept)) s
              of which its files are read in                  \(String(format: "%8.2f", configuration)) s
              and registrations, by then                      \(String(format: "%8.2f", store)) s
            with a forwarder that had none                    \(String(format: "%8.2f", fresh)) s
            memory of mooring-ha, at the most                 \(String(format: "%8.0f", memory)) MiB
            """)
    }
}

/// What one trial showed.
struct RegistrationFigures {
    var perSecond = 0.0
    var medianMilliseconds = 0.0
    var hundredthMilliseconds = 0.0
    var lost = 0
    /// Processor time of a registration.
    var agentMicroseconds = 0.0
    var forwarderMicroseconds = 0.0
}

/// What a restart took, each from the start of mooring-ha.
struct RestoreFigures {
    /// Of reading its files alone, by another process.
    var configurationSeconds = 0.0
    /// Until registrations are out of the database.
    var storeSeconds = 0.0
    /// Until the forwarder, which has kept them, has been told of all.
    var keptSeconds = 0.0
    /// The same with a forwarder that had no binding.
    var freshSeconds = 0.0
    /// Of mooring-ha, the most that was resident.
    var memoryMebibytes = 0.0
}

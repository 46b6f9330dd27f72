// `swift run -c release Fuzz packets`, or without that word: mutated packets through every view and the whole forwarder. CONTRIBUTING.md says how to go
// on from a finding.

import ArgumentParser
import Foundation
import PacketBuffer

struct FuzzPackets: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "packets",
        abstract: "Runs mutated packets through every view of Wire and through the whole forwarder.",
        discussion: """
            Seeds are the packets of Tests/Vectors, Tests/Golden and Tests/Fuzz/Corpus. After every batch it is checked
            that each packet has one end, that the counters say so, that nothing was written outside of a slot, and that
            what leaves is a whole packet. In the end it is told how many packets ended in each counter.

            Examples:
              swift run -c release Fuzz --seconds 20
              swift run -c release Fuzz --packets 100000000 --seed 1 --json
              swift run -c release Fuzz --seed 1 --batch 4711       one batch again, with what went before it
              swift run -c release Fuzz --input finding             where packets of files end, as they are

            Exit code: 0 where nothing was found, 1 where something was or a counter was never reached that packets can
            reach, 2 where the arguments can't be used.
            """)

    @Option(help: "How many packets; without this and --seconds, a million.")
    var packets: UInt64?

    @Option(help: "For how long.")
    var seconds: Double?

    @Option(help: "Of the random numbers; the same seed gives the same packets.")
    var seed: UInt64?

    @Option(help: "Only this batch of that seed, with those that its forwarders saw before it.")
    var batch: UInt64?

    @Option(help: "A directory with more seeds, one packet a file. May be given more than once.")
    var corpus: [String] = []

    @Option(help: "Where packets of findings are written.")
    var findings = ".build-fuzz/findings"

    @Option(help: "Number of packets from which every counter that can be must have been reached.")
    var reachAfter: UInt64 = 1_000_000

    @Option(help: "A directory into which the first packet for every drop reason is written.")
    var saveReasons: String?

    @Option(help: "Write all seeds to this directory, one packet a file, and end.")
    var writeCorpus: String?

    @Option(parsing: .upToNextOption, help: "Files of one packet each, which are run as they are, and nothing else.")
    var input: [String] = []

    @Flag(help: "The result as one JSON object.")
    var json = false

    mutating func validate() throws {
        if batch != nil, seed == nil { throw ValidationError("--batch is one of a --seed: give that too") }
        if let seconds, !(seconds > 0) { throw ValidationError("--seconds must be above 0") }
        if seconds == nil, packets == nil { packets = 1_000_000 }
    }

    func run() throws {
        do {
            if !input.isEmpty { return try runInputs() }
            let seeds = try SeedCorpus.load(directories: corpus)
            if let writeCorpus { return try write(seeds, to: writeCorpus) }
            try fuzz(seeds)
        } catch let error as FuzzError {
            FuzzFiles.say("Fuzz: \(error)\n")
            throw ExitCode(2)
        }
    }

    private func fuzz(_ seeds: SeedCorpus) throws {
        try FuzzFiles.makeDirectory(findings)
        if let saveReasons { try FuzzFiles.makeDirectory(saveReasons) }
        CrashReport.install(directory: findings)
        let seed = seed ?? .random(in: 0 ... .max)
        FuzzFiles.say("Fuzz: seed \(seed), \(seeds.count) seeds\n")
        var run = try FuzzRun(seed: seed, seeds: seeds)
        run.reasonDirectory = saveReasons
        var progress = FuzzProgress()
        var bounds = FuzzRun.Bounds(packets: packets, seconds: seconds, batch: batch)
        if batch != nil { (bounds.packets, bounds.seconds) = (nil, nil) }
        let result = try run.run(bounds, progress: &progress)
        progress.finish()
        try tell(result)
        if let finding = result.finding { try keep(finding, result, run) }
        try judge(result)
    }

    private func tell(_ result: FuzzResult) throws {
        guard json else { return print(result.description) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        print(String(decoding: try encoder.encode(result), as: UTF8.self))
    }

    /// Writes the packet, or all of the batch where it is not known which.
    private func keep(_ finding: Finding, _ result: FuzzResult, _ run: borrowing FuzzRun) throws {
        let batch = result.batches - 1
        for slot in finding.packet.map({ $0..<$0 + 1 }) ?? 0..<run.slotCount {
            let path = "\(findings)/finding-\(result.seed)-\(batch)-\(slot)"
            try FuzzFiles.write(run.withOriginal(slot) { Array($0) }, to: path)
        }
        FuzzFiles.say(
            """
            Fuzz: found: \(finding.what)
            Fuzz: packet \(finding.packet.map { "\($0)" } ?? "unknown") of batch \(batch), written to \
            \(findings)/finding-\(result.seed)-\(batch)-*; again: Fuzz --seed \(result.seed) --batch \(batch)

            """)
        throw ExitCode(1)
    }

    private func judge(_ result: FuzzResult) throws {
        guard batch == nil, result.packets >= reachAfter else { return }
        for name in result.reach.missing { FuzzFiles.say("Fuzz: no packet was \(name)\n") }
        for name in result.reach.unexpected {
            FuzzFiles.say("Fuzz: packets were \(name), which Tests/Fuzz/Reach.swift says they can't be\n")
        }
        guard result.reach.missing.isEmpty, result.reach.unexpected.isEmpty else { throw ExitCode(1) }
    }

    private func write(_ seeds: SeedCorpus, to directory: String) throws {
        try FuzzFiles.makeDirectory(directory)
        for index in 0..<seeds.count { try FuzzFiles.write(Array(seeds[index]), to: "\(directory)/seed-\(index)") }
    }

    private func runInputs() throws {
        for path in input {
            let bytes = try SeedCorpus.packet(at: path)
            print("\(path): \(bytes.count) bytes")
            do {
                for line in try SinglePacket.explain(bytes) { print("  \(line)") }
            } catch let finding as Finding {
                FuzzFiles.say("Fuzz: found: \(path): \(finding.what)\n")
                throw ExitCode(1)
            }
        }
    }
}

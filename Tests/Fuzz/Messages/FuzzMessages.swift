// `swift run -c release Fuzz messages`: mutated messages of Mobile IPv4 through every reader and state machine of
// MobileIP.

import ArgumentParser
import Foundation

struct FuzzMessages: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "messages",
        abstract: "Runs mutated messages through every reader and state machine of MobileIP.",
        discussion: """
            Seeds are the messages of Tests/Vectors, and what a home agent, a mobile node and a foreign agent say to one \
            another; many are signed again after they were changed. After every one it is checked that what was read is \
            written as the same, that forwarder, host and kernel were told what the programs hold, and that nothing is \
            beyond its limit; after every round, that memory did not grow.

            Examples:
              swift run -c release Fuzz messages --seconds 20
              swift run -c release Fuzz messages --messages 10000000 --seed 1 --json
              swift run -c release Fuzz messages --seed 1 --round 4711       one round again

            Exit code: 0 where nothing was found, 1 where something was, 2 where the arguments can't be used.
            """)

    @Option(help: "How many messages; without this and --seconds, a million.")
    var messages: UInt64?

    @Option(help: "For how long.")
    var seconds: Double?

    @Option(help: "Of the random numbers; the same seed gives the same messages.")
    var seed: UInt64?

    @Option(help: "Only this round of that seed.")
    var round: UInt64?

    @Option(help: "Where the last message is written where the process ends by a signal.")
    var findings = ".build-fuzz/findings"

    @Flag(help: "The result as one JSON object.")
    var json = false

    mutating func validate() throws {
        if round != nil, seed == nil { throw ValidationError("--round is one of a --seed: give that too") }
        if let seconds, !(seconds > 0) { throw ValidationError("--seconds must be above 0") }
        if seconds == nil, messages == nil { messages = 1_000_000 }
    }

    func run() throws {
        do {
            try FuzzFiles.makeDirectory(findings)
            CrashReport.install(directory: findings, command: "Fuzz messages", unit: "round")
            var run = try MessageRun(seed: seed ?? .random(in: 0 ... .max))
            FuzzFiles.say("Fuzz: seed \(run.seed)\n")
            var progress = FuzzProgress(of: "messages")
            run.run(MessageRun.Bounds(messages: messages, seconds: seconds, round: round), progress: &progress)
            progress.finish()
            try tell(run.result)
        } catch let error as FuzzError {
            FuzzFiles.say("Fuzz: \(error)\n")
            throw ExitCode(2)
        }
    }

    private func tell(_ result: MessageResult) throws {
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            print(String(decoding: try encoder.encode(result), as: UTF8.self))
        } else {
            print(result.description)
        }
        guard let finding = result.finding else { return }
        FuzzFiles.say(
            "Fuzz: found: \(finding); again: Fuzz messages --seed \(result.seed) --round \(result.lastRound)\n")
        throw ExitCode(1)
    }
}

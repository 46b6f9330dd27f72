// The loop. A round is a scene of its own, whose random numbers depend on the seed and the round's number alone: so a
// round is had again by itself. What the process holds is looked at after each: whatever came, it must not grow.

import Foundation
import MobileIP
import TestSupport

/// A run of many rounds.
struct MessageRun {
    /// In which something happens.
    static let stepsOfRound = 4096
    /// What the process may hold more than after the first rounds, in bytes.
    static let growthLimit = 64 << 20
    private static let warmUp: UInt64 = 16

    let seed: UInt64
    private let seeds: MessageSeeds
    private(set) var result: MessageResult

    init(seed: UInt64) throws(FuzzError) {
        self.seed = seed
        seeds = try MessageSeeds.load()
        result = MessageResult(seed: seed)
    }

    /// Where a run ends: each of them alone, or the first of them.
    struct Bounds {
        /// Messages at least; the last round may have more.
        var messages: UInt64?
        var seconds: Double?
        /// One round alone.
        var round: UInt64?
    }

    /// Runs to a bound or to the first finding.
    mutating func run(_ bounds: Bounds, progress: inout FuzzProgress) {
        let start = FuzzProgress.now()
        var round = bounds.round ?? 0
        var before: Int?
        while true {
            do throws(Finding) {
                try run(round)
                if round == Self.warmUp { before = Self.residentBytes() }
                if let before, Self.residentBytes() > before + Self.growthLimit {
                    throw Finding("the process grew from \(before) to \(Self.residentBytes()) bytes")
                }
            } catch { result.finding = error.what }
            result.rounds += 1
            result.lastRound = round
            result.seconds = FuzzProgress.now() - start
            progress.report(result.messages, seconds: result.seconds)
            if result.finding != nil || bounds.round != nil { break }
            if let limit = bounds.messages, result.messages >= limit { break }
            if let limit = bounds.seconds, result.seconds >= limit { break }
            round += 1
        }
    }

    private mutating func run(_ round: UInt64) throws(Finding) {
        CrashReport.begin(seed: seed, batch: round)
        let scene = try MessageScene(seed: seed &+ round &* 0xA24B_AED4_963E_E407, seeds)
        defer { result.add(scene) }
        for _ in 0..<Self.stepsOfRound { try scene.step() }
    }

    /// Of this process.
    private static func residentBytes() -> Int {
        let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
        return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * sysconf(Int32(_SC_PAGESIZE))
    }
}

/// What a run came to, for people and for programs.
struct MessageResult: Encodable {
    let seed: UInt64
    var rounds: UInt64 = 0
    var lastRound: UInt64 = 0
    var messages: UInt64 = 0
    /// Of them, those that a reader took.
    var accepted: UInt64 = 0
    var seconds = 0.0
    /// Of all messages: the same for the same seed and number of rounds.
    var digest: UInt64 = 0
    /// Tunnels that the mobile node installed.
    var registrations: UInt64 = 0
    /// How often each of the counters of the programs was counted, by party and name.
    var outcomes: [String: UInt64] = [:]
    var finding: String?

    init(seed: UInt64) { self.seed = seed }

    mutating func add(_ scene: MessageScene) {
        messages += scene.messages
        accepted += scene.readers.accepted
        digest = (digest ^ scene.digest) &* 0x100_0000_01B3
        registrations += scene.mobileNode.registrations
        scene.mobileNode.addOutcomes()
        add("reader", scene.readers.refused.map { ($0.key.name, $0.value) })
        add("home agent", scene.homeAgent.outcomes.map { (Self.name($0.key), $0.value) })
        add("foreign agent", scene.foreignAgent.outcomes.map { (Self.name($0.key), $0.value) })
        add("mobile node", scene.mobileNode.outcomes.map { ($0.key, $0.value) })
        add("multicast router", scene.listeners.outcomes.map { ($0.key.name, $0.value) })
    }

    private mutating func add(_ party: String, _ counts: [(String, UInt64)]) {
        for (name, count) in counts { outcomes["\(party): \(name)", default: 0] += count }
    }

    /// The case, with what it says of itself.
    private static func name(_ outcome: HomeAgentOutcome) -> String {
        switch outcome {
        case .prefix(let code): "prefix(\(code.rawValue))"
        case .malformed(let error): "malformed(\(error.name))"
        case .discarded(let discard): "discarded(\(discard.name))"
        case .bindingEnded(let end): "bindingEnded(\(end))"
        case .revocation(let outcome): "revocation(\(outcome))"
        default: "\(outcome)"
        }
    }

    private static func name(_ outcome: ForeignAgentOutcome) -> String {
        switch outcome {
        case .malformed(let error): "malformed(\(error.name))"
        case .discarded(let discard): "discarded(\(discard.name))"
        case .visitorEnded(let end): "visitorEnded(\(end))"
        default: "\(outcome)"
        }
    }

    /// For people.
    var description: String {
        let speed = "\((seconds * 10).rounded() / 10) s"
        var lines = [
            "\(messages) messages in \(rounds) rounds, \(accepted) of them readable, \(speed); seed \(seed)", "",
            "what became of them:",
        ]
        lines += outcomes.sorted { $0.key < $1.key }.map { name, count in
            let count = String(count)
            return String(repeating: " ", count: max(0, 14 - count.count)) + count + "  " + name
        }
        return lines.joined(separator: "\n")
    }
}

// That the fuzzer of messages finds what it is there to find, and a short run of it.

import Foundation
import MobileIP
import TestSupport
import Testing
import Wire

@testable import Fuzz

@Suite("Fuzz messages") struct MessageFuzzTests {
    struct Result: Decodable {
        let messages: UInt64
        let rounds: UInt64
        let accepted: UInt64
        let digest: UInt64
        let registrations: UInt64
        let outcomes: [String: UInt64]
    }

    /// Runs the program.
    private func fuzz(_ arguments: [String]) async throws -> Program {
        try await TemporaryDirectory.with { directory in
            try await Program.run(
                [Repository.path(of: "Fuzz"), "messages", "--findings", "\(directory)/findings", "--json"] + arguments,
                environment: ["SWIFT_BACKTRACE": "enable=no"])
        }
    }

    private func result(_ program: Program) throws -> Result {
        #expect(program.status == 0, "\(program.errorOutput)")
        return try JSONDecoder().decode(Result.self, from: Data(program.output.utf8))
    }

    /// Where a run comes that is worth something, in each of the state machines.
    private static let places = [
        "home agent: replied(0:", "home agent: replied(131:", "home agent: replied(133:",
        "home agent: bindingEnded(expired)", "home agent: bindingEnded(deregistered)", "home agent: revocation(sent)",
        "home agent: revocation(sentAgain)", "home agent: revocation(received)", "home agent: prefix(0)",
        "home agent: prefix(1)", "home agent: prefix(9)",
        "foreign agent: requestRelayed", "foreign agent: replyRelayed(0:", "foreign agent: denied(78:",
        "foreign agent: visitorEnded(expired)", "mobile node: identification-mismatch",
        "mobile node: home-agent-authentication", "multicast router: listener-joined",
        "multicast router: listener-expired", "reader: extension-truncated", "reader: message-truncated",
        "reader: router-addresses",
    ]

    @Test("a short run finds nothing, and comes deep into every state machine")
    func short() async throws {
        let seed = RandomTest.seed(for: "fuzz messages")
        let messages = RandomTest.count(15_000)
        let result = try result(try await fuzz(["--messages", "\(messages)", "--seed", "\(seed)"]))
        #expect(result.messages >= messages && result.registrations > 0)
        // Messages that no reader takes test little.
        #expect(result.accepted > result.messages / 4)
        let missing = Self.places.filter { place in !result.outcomes.keys.contains { $0.hasPrefix(place) } }
        // Some few are seldom.
        #expect(missing.count <= 3, "\(missing)")
    }

    @Test("the same seed gives the same messages, and a round of it again those of the round")
    func repeated() async throws {
        let first = try result(try await fuzz(["--seed", "1", "--messages", "3000"]))
        let second = try result(try await fuzz(["--seed", "1", "--messages", "3000"]))
        #expect(first.digest == second.digest && first.outcomes == second.outcomes)
        let zeroth = try result(try await fuzz(["--seed", "1", "--round", "0"]))
        let round = try result(try await fuzz(["--seed", "1", "--round", "1"]))
        #expect(first.rounds == 2 && zeroth.messages + round.messages == first.messages)
        #expect(round.digest != zeroth.digest)
    }

    @Test("a message that is not written as it was is found", arguments: ["padding", "skipped", "reserved", "cut"])
    func sent(_ damage: String) throws {
        let request = RegistrationRequest(
            flags: [], lifetime: .init(seconds: 600), homeAddress: Parties.home, homeAgent: Parties.homeAgent,
            careOfAddress: Parties.careOf, identification: 1, extensions: [.ipv6TunnelingMode])
        var bytes = try Parties.association(256, 1).sign(request, as: .mobileHome)
        try ReaderCheck.checkSent(bytes)
        switch damage {
        case "padding": bytes.append(0)
        case "skipped": bytes += [200, 1, 7]
        case "reserved": bytes[1] |= 1
        default: bytes.removeLast()
        }
        #expect(throws: Finding.self) { try ReaderCheck.checkSent(bytes) }
    }

    @Test("the seeds are messages of every kind")
    func seeds() throws {
        let seeds = try MessageSeeds.load()
        #expect(seeds.datagrams.count > 50 && seeds.discovery.count > 10 && seeds.listeners.count > 10)
        for type: UInt8 in [1, 3, 7, 15] { #expect(seeds.datagrams.contains { $0.first == type }, "type \(type)") }
        for type: UInt8 in [9, 10] { #expect(seeds.discovery.contains { $0.first == type }, "type \(type)") }
        #expect(seeds.listeners.allSatisfy { $0.first.map { $0 >> 4 == 6 } ?? true })
    }

    @Test("arguments that can't be used are refused", arguments: [["--round", "1"], ["--seconds", "0"]])
    func refused(_ arguments: [String]) async throws {
        let program = try await fuzz(arguments)
        #expect(program.status == 2 || program.status == 64, "\(program.errorOutput)")
        #expect(!program.errorOutput.isEmpty)
    }
}

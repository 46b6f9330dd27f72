// That the fuzzer finds what it is there to find, and a short run of it. It runs here and not in Scripts/test, since the
// program is built for tests anyway, and so a filter can choose it.

import Forwarding
import Foundation
import PacketBuffer
import TestSupport
import Testing
import Wire

@testable import Fuzz

@Suite("Fuzz") struct FuzzTests {
    struct Result: Decodable {
        let packets: UInt64
        let digest: UInt64
        let ends: [String: UInt64]
        let missing: [String]
        let unexpected: [String]
    }

    /// Runs the program.
    private func fuzz(_ arguments: [String]) async throws -> Program {
        try await TemporaryDirectory.with { directory in
            try await Program.run(
                [Repository.path(of: "Fuzz"), "--findings", "\(directory)/findings"] + arguments,
                environment: ["SWIFT_BACKTRACE": "enable=no"])
        }
    }

    private func result(_ program: Program) throws -> Result {
        try JSONDecoder().decode(Result.self, from: Data(program.output.utf8))
    }

    @Test("a short run finds nothing and comes nearly everywhere")
    func short() async throws {
        let seed = RandomTest.seed(for: "fuzz")
        let packets = RandomTest.count(150_000)
        let program = try await fuzz(["--packets", "\(packets)", "--seed", "\(seed)", "--json"])
        #expect(program.status == 0, "\(program.errorOutput)")
        let result = try result(program)
        #expect(result.packets >= packets)
        #expect(result.ends.values.reduce(0, +) >= packets)
        #expect(result.unexpected.isEmpty)
        // Some few are seldom; a run of a million packets must reach them all.
        #expect(result.missing.count <= 5, "\(result.missing)")
    }

    @Test("the same seed gives the same packets, and a batch of it again what was read of it")
    func repeated() async throws {
        let arguments = ["--seed", "1", "--packets", "5000", "--json"]
        let first = try result(try await fuzz(arguments))
        let second = try result(try await fuzz(arguments))
        #expect(first.digest == second.digest && first.ends == second.ends)
        let batches = try result(try await fuzz(["--seed", "1", "--batch", "20", "--json"]))
        #expect(batches.packets < first.packets && batches.packets > 20)
        let other = try result(try await fuzz(["--seed", "2", "--packets", "5000", "--json"]))
        #expect(other.digest != first.digest)
    }

    @Test("a run that leaves counters unreached fails, and says which")
    func unreached() async throws {
        let program = try await fuzz(["--packets", "1", "--seed", "1", "--reach-after", "1"])
        #expect(program.status == 1)
        #expect(program.errorOutput.contains("Fuzz: no packet was dropped as minimal-fragment"))
        #expect(!program.errorOutput.contains("transmit-failed"))
    }

    @Test(
        "arguments that can't be used are refused",
        arguments: [["--batch", "1"], ["--corpus", "/nowhere"], ["--seconds", "0"]])
    func refused(_ arguments: [String]) async throws {
        let program = try await fuzz(arguments)
        #expect(program.status == 2 || program.status == 64, "\(program.errorOutput)")
        #expect(!program.errorOutput.isEmpty)
    }

    @Test("a packet of the corpus ends where its name says")
    func reasons() throws {
        let directory = Repository.root.appendingPathComponent("Tests/Fuzz/Corpus/reasons").path
        let files = SeedCorpus.files(below: directory)
        // Some reasons need other packets before: fragments, sequence numbers, a queue that is full.
        #expect(files.count > 30)
        for file in files {
            let name = URL(fileURLWithPath: file).lastPathComponent
            let lines = try SinglePacket.explain(try SeedCorpus.packet(at: file))
            #expect(lines.contains { "\($0),".contains("dropped as \(name),") }, "\(name): \(lines)")
        }
    }
}

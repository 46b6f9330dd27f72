// mooringd is killed while its bindings change and packets flow, and comes back with what the last checkpoint has.

import Bindings
import Checkpoint
import ControlProtocol
import Foundation
import Glibc
import TestSupport
import Testing
import Wire

extension EndToEnd {
    @Suite("Checkpoints", .serialized)
    struct CheckpointTests {
        private static let limits = CheckpointContents.Limits(bindings: 65_536, prefixes: 262_144, members: 65_536)

        private struct Contents {
            var bindings: [(binding: Binding, revision: UInt64)] = []
            let lastRevision: UInt64
        }

        private func contents(_ path: String) throws -> Contents {
            let descriptor = open(path, O_RDONLY)
            guard descriptor >= 0 else { throw EndToEndFailure("no checkpoint at \(path)") }
            defer { close(descriptor) }
            var checkpoint = try CheckpointContents(descriptor: descriptor, limits: Self.limits)
            var contents = Contents(lastRevision: checkpoint.lastRevision)
            try checkpoint.read { contents.bindings.append(($0.binding, $0.revision)) }
            return contents
        }

        /// A checkpoint's bindings in the words of the control protocol.
        private func described(_ contents: Contents) -> Set<String> {
            Set(contents.bindings.map { described($0.binding, revision: $0.revision) })
        }

        private func described(_ binding: Binding, revision: UInt64) -> String {
            var binding = binding
            binding.lifetime = nil
            return "\(binding), revision \(revision)"
        }

        @Test("killed at random moments under load, mooringd comes back with all that its last checkpoint has")
        func killed() async throws {
            let seed = RandomTest.seed(for: "killed under load")
            var generator = SeededGenerator(seed: seed)
            try await Topology.run { topology in
                let file = topology.directory.appendingPathComponent("checkpoint").path
                let options = ["--checkpoint", file, "--checkpoint-interval", "1"]
                try await topology.startMooringd(.node)
                try await topology.putNodeBinding()
                try await topology.startMooringd(.homeAgent, options)
                try await topology.putHomeAgentBinding()
                let ping = try topology.startPing(from: .correspondent, to: Topology.nodeAddress)
                for round in 0..<RandomTest.count(4) {
                    let daemon = try #require(topology.daemons[.homeAgent])
                    try await poll(for: "a checkpoint in round \(round), seed \(seed)") {
                        let status = try await topology.status(.homeAgent)
                        return (status["checkpoint"] as? [String: Any])?["written"] as? Int ?? 0 > 0
                    }
                    let client = try await ControlClient.connect(to: topology.socket(of: .homeAgent), as: "test")
                    // Killed by a thread that nobody waits for, so that no request is the last before it.
                    let killer = Task.detached { [delay = Int.random(in: 0...1500, using: &generator)] in
                        try await Task.sleep(for: .milliseconds(delay))
                        daemon.send(SIGKILL)
                    }
                    do {
                        while true {
                            let number = Int.random(in: 0..<3000, using: &generator)
                            if Int.random(in: 0..<4, using: &generator) == 0 {
                                _ = try await client.remove(["n\(number)"])
                                continue
                            }
                            var binding = Binding(
                                id: "n\(number)",
                                careOfAddress: IPv4Address(rawValue: 0x0A00_0001 + UInt32(number)))
                            binding.prefixes = [
                                BoundPrefix(
                                    .host(IPv6Address(high: 0x2001_0db8_00ff_0000, low: UInt64(number))))
                            ]
                            if Bool.random(using: &generator) { binding.lifetime = 10_000 }
                            _ = try await client.put([binding])
                        }
                    } catch is ControlClientError {
                        // It is dead.
                    }
                    try await killer.value
                    #expect(try await daemon.wait() == 128 + SIGKILL)
                    await client.close()

                    let last = try contents(file)
                    try await topology.startMooringd(.homeAgent, options)
                    let again = try await ControlClient.connect(to: topology.socket(of: .homeAgent), as: "test")
                    var found: Set<String> = []
                    for try await state in again.bindings() {
                        found.insert(described(try Binding(state.binding, at: ""), revision: state.revision))
                    }
                    await again.close()
                    #expect(found == described(last), "round \(round), seed \(seed)")
                    #expect(found.contains { $0.contains("mn1") })
                    // Revisions that were given behind the checkpoint are not given again.
                    try await topology.mooring(
                        .homeAgent, ["binding", "put", "later", "--care-of", "203.0.113.200"])
                    let later = try await topology.mooring(.homeAgent, ["binding", "show", "later", "--json"])
                    let revision = try #require(try later.firstMatch(of: Regex(#""revision":(\d+)"#))?[1].substring)
                    #expect(try #require(UInt64(revision)) > last.lastRevision + 1 << 31)
                    try await topology.mooring(.homeAgent, ["binding", "remove", "later"])
                    let before = ping.output.count
                    try await poll(for: "answers after the restart") { ping.output.count > before + 1000 }
                }
                await ping.end()
            }
        }

        @Test(
            "an orderly stop saves what has changed since; a damaged checkpoint is told of, and the one before is used")
        func stopped() async throws {
            try await Topology.run { topology in
                let file = topology.directory.appendingPathComponent("state/checkpoint").path
                let options = ["--checkpoint", file, "--checkpoint-interval", "3600"]
                var daemon = try await topology.startMooringd(.homeAgent, options)
                try await topology.putHomeAgentBinding()
                await daemon.end()
                daemon = try await topology.startMooringd(.homeAgent, options)
                #expect(daemon.errorOutput.contains("bindings restored"))
                try await topology.mooring(.homeAgent, ["binding", "put", "mn2", "--care-of", "203.0.113.200"])
                await daemon.end()
                #expect(try contents(file).bindings.count == 2 && contents(file + ".previous").bindings.count == 1)

                let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
                try handle.seek(toOffset: 100)
                try handle.write(contentsOf: [0xFF, 0xFF, 0xFF])
                try handle.close()
                daemon = try await topology.startMooringd(.homeAgent, options)
                #expect(daemon.errorOutput.contains("is damaged at byte"))
                let list = try await topology.mooring(.homeAgent, ["binding", "list"])
                #expect(list.contains("mn1") && !list.contains("mn2"))

                // Two daemons would write over each other's.
                let second = try topology.start(
                    in: .node, topology.mooringd(.node, ["--checkpoint", file]))
                #expect(try await second.wait() == 2)
                #expect(second.errorOutput.contains("written by another process"))
            }
        }

        @Test("where a checkpoint can't be written that is told, forwarding goes on, and it is tried again")
        func unwritable() async throws {
            try await Topology.run { topology in
                let directory = topology.directory.appendingPathComponent("state").path
                let options = ["--checkpoint", directory + "/checkpoint", "--checkpoint-interval", "1"]
                try await topology.startBoth()
                let first = try #require(topology.daemons[.homeAgent])
                await first.end()
                let daemon = try await topology.startMooringd(.homeAgent, options)
                rename(directory, directory + ".away")
                try await topology.putHomeAgentBinding()
                func checkpoint() async throws -> [String: Any] {
                    try await topology.status(.homeAgent)["checkpoint"] as? [String: Any] ?? [:]
                }
                try await poll(for: "two failures") { try await checkpoint()["failures"] as? Int ?? 0 >= 2 }
                #expect(try await checkpoint()["isOutdated"] as? Bool == true)
                #expect(try await topology.mooring(.homeAgent, ["status"]).contains("checkpoint failed: making"))
                #expect(daemon.errorOutput.components(separatedBy: "checkpoint not written").count == 2, "told once")
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                rename(directory + ".away", directory)
                try await poll(for: "a checkpoint") { try await checkpoint()["isOutdated"] as? Bool == false }
                #expect(daemon.errorOutput.contains("checkpoints are written again"))
                #expect(try contents(directory + "/checkpoint").bindings.count == 1)
                // Nothing changes, so nothing is written.
                let written = try await checkpoint()["written"] as? Int
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                #expect(try await checkpoint()["written"] as? Int == written)

                // What is lost at the end is told, whatever was told of failures just before.
                rename(directory, directory + ".away")
                try await topology.mooring(.homeAgent, ["binding", "put", "lost", "--care-of", "203.0.113.200"])
                try await poll(for: "a failure") { try await checkpoint()["error"] as? String ?? "" != "" }
                daemon.send(SIGTERM)
                #expect(try await daemon.wait() == 0)
                #expect(daemon.errorOutput.contains("is lost"), "\(daemon.errorOutput)")
            }
        }

        @Test("a binding file that is unchanged does not undo what was put over it; one that has changed counts")
        func bindingFile() async throws {
            try await Topology.run { topology in
                let file = topology.directory.appendingPathComponent("checkpoint").path
                let bindings = try topology.writeBindings(of: .homeAgent, careOfAddress: Topology.careOfAddressA)
                let options = ["--checkpoint", file, "--bindings", bindings]
                var daemon = try await topology.startMooringd(.homeAgent, options)
                try await topology.mooring(
                    .homeAgent, ["binding", "put", "mn1", "--update", "--care-of", Topology.careOfAddressB])
                try await topology.mooring(
                    .homeAgent,
                    ["binding", "put", "other", "--care-of", "203.0.113.77", "--prefix", "2001:db8:1:7::/64"])
                await daemon.end()
                daemon = try await topology.startMooringd(.homeAgent, options)
                var list = try await topology.mooring(.homeAgent, ["binding", "list"])
                #expect(list.contains(Topology.careOfAddressB) && list.contains("other"))
                await daemon.end()

                // Now it names another node, with a prefix that somebody else has.
                let text =
                    #"{ "endpoint": "192.0.2.1", "bindings": [ { "id": "new", "careOfAddress": "203.0.113.9", "#
                    + #""prefixes": [ { "prefix": "2001:db8:1:7::/64" } ] } ] }"#
                try Data(text.utf8).write(to: URL(fileURLWithPath: bindings))
                daemon = try await topology.startMooringd(.homeAgent, options)
                list = try await topology.mooring(.homeAgent, ["binding", "list"])
                // Who put the file's binding anew has it now, and the file no longer takes it away.
                #expect(list.contains("new") && list.contains("mn1") && !list.contains("other"))
                #expect(daemon.errorOutput.contains("at odds"))
            }
        }
    }
}

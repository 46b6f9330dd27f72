// mooringd is taken over by another one while numbered packets flow both ways: none is lost, none overtakes another, and
// whoever asks is answered. A successor that goes away in the midst changes nothing.

import Bindings
import ControlProtocol
import Foundation
import Glibc
import Testing
import Wire

extension EndToEnd {
    @Suite("Succession", .serialized)
    struct SuccessionTests {
        private static let rounds = 3

        /// What `numbered.py receive` prints.
        private struct Received: Decodable {
            let received, last, missing, late, twice: Int
            let gap: Double
        }

        /// Packets both ways, one in so many microseconds.
        private final class Flows {
            private let topology: Topology
            private var receivers: [ChildProcess] = []
            private var senders: [ChildProcess] = []

            init(_ topology: Topology, interval: Int) async throws {
                self.topology = topology
                let script = Topology.script("numbered.py")
                for role in [Role.node, .correspondent] {
                    let receiver = try topology.start(in: role, ["python3", script, "receive", "4400"])
                    try await poll(for: "receiver") { receiver.errorOutput.contains("listening") }
                    receivers.append(receiver)
                }
                for (role, address) in [
                    (Role.correspondent, Topology.nodeAddress), (.node, Topology.correspondentAddress),
                ] {
                    senders.append(
                        try topology.start(in: role, ["python3", script, "send", address, "4400", "\(interval)"]))
                }
            }

            /// Ends them, and expects that all came in their order.
            func end(_ what: String) async throws {
                var sent: [Int] = []
                for sender in senders {
                    sender.send(SIGTERM)
                    try await sender.wait()
                    sent.append(try #require(Int(sender.output.trimmingCharacters(in: .whitespacesAndNewlines))))
                }
                for (receiver, sent) in zip(receivers, sent) {
                    receiver.send(SIGTERM)
                    try await receiver.wait()
                    let result = try JSONDecoder().decode(Received.self, from: Data(receiver.output.utf8))
                    #expect(result.received == sent, "\(what): \(result)")
                    #expect(
                        result.missing == 0 && result.twice == 0 && result.late == 0, "\(what): \(result)")
                    print("succession, \(what): \(sent) packets, longest gap \(result.gap) ms")
                }
            }
        }

        private func start(_ topology: Topology, _ options: [String]) async throws {
            do { try await topology.startMooringd(.homeAgent, options) } catch {
                guard "\(error)".contains("CAP_BPF") else { throw error }
                topology.daemons[.homeAgent] = nil
                throw Topology.CannotBeHere(reason: "\(error)")
            }
        }

        /// A daemon in the place of the one that runs, which ends.
        private func takeOver(_ topology: Topology, _ options: [String]) async throws {
            let old = try #require(topology.daemons[.homeAgent])
            try await topology.startMooringd(.homeAgent, options + ["--take-over"])
            #expect(try await old.wait() == 0, "\(old.errorOutput)")
        }

        /// Asks for the status again and again, until SIGTERM or until there is no answer.
        private func keepAsking(_ topology: Topology) throws -> ChildProcess {
            let loop =
                "trap 'echo $n; exit 0' TERM; n=0; while \"$@\" > /dev/null; do n=$((n + 1)); done; exit 1"
            return try topology.start(
                in: .homeAgent, ["sh", "-c", loop, "sh"] + topology.mooringCommand(.homeAgent, ["status"]))
        }

        private func binding(_ topology: Topology) async throws -> [String: Any] {
            let text = try await topology.mooring(.homeAgent, ["binding", "show", "mn1", "--json"])
            return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        }

        private func packets(_ binding: [String: Any], _ way: String) -> Int {
            ((binding[way] as? [String: Any])?["packets"] as? Int) ?? 0
        }

        @Test(
            "taken over again and again, no packet is lost or overtaken, and all that is kept goes on",
            arguments: IO.allCases, [1, 2])
        func inPlace(io: IO, workers: Int) async throws {
            try await Topology.run { topology in
                try await topology.requireIO(io)
                let before = try await topology.networkState(.homeAgent)
                let checkpoint = topology.directory.appendingPathComponent("checkpoint").path
                let options = [
                    "--io", io.rawValue, "--workers", "\(workers)", "--checkpoint", checkpoint,
                    "--checkpoint-interval", "1",
                ]
                try await start(topology, options)
                try await topology.startMooringd(.node)
                // Numbers that did not go on would be passed over at the other end.
                for (role, arguments) in [
                    (Role.homeAgent, ["mn1", "--care-of", Topology.careOfAddressA, "--prefix", Topology.nodePrefix]),
                    (
                        .node,
                        [
                            "home-agent", "--care-of", Topology.endpoint, "--prefix", "::/0", "--endpoint",
                            Topology.careOfAddressA,
                        ]
                    ),
                ] {
                    try await topology.mooring(
                        role, ["binding", "put"] + arguments + ["--encapsulation", "gre", "--gre-sequence"])
                }
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                let first = try #require(try await binding(topology)["revision"] as? Int)
                let flows = try await Flows(topology, interval: 500)
                let asking = try keepAsking(topology)
                for round in 0..<Self.rounds {
                    let before = packets(try await binding(topology), "toNode")
                    try await poll(for: "packets") { packets(try await binding(topology), "toNode") > before + 200 }
                    try await topology.mooring(
                        .homeAgent, ["binding", "put", "other", "--care-of", "203.0.113.\(100 + round)"])
                    try await takeOver(topology, options)
                    let now = try await binding(topology)
                    #expect(packets(now, "toNode") > before + 200, "\(now)")
                    #expect(now["revision"] as? Int == first)
                }
                asking.send(SIGTERM)
                #expect(try await asking.wait() == 0, "\(asking.errorOutput)")
                #expect(Int(asking.output.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0 > Self.rounds)
                try await flows.end("\(io.rawValue), \(workers) workers")
                let text = try await topology.mooring(.homeAgent, ["binding", "show", "other", "--json"])
                #expect(
                    text.contains("203.0.113.\(99 + Self.rounds)") && text.contains(":\(first + Self.rounds)"),
                    "\(text)")

                // The last one saves, takes back what the first has set up, and leaves no socket.
                let daemon = try #require(topology.daemons[.homeAgent])
                try await poll(for: "a checkpoint") { FileManager.default.fileExists(atPath: checkpoint) }
                daemon.send(SIGTERM)
                #expect(try await daemon.wait() == 0, "\(daemon.errorOutput)")
                #expect(try await topology.networkState(.homeAgent) == before)
                for path in ["", ".upgrade"] {
                    #expect(!FileManager.default.fileExists(atPath: topology.socket(of: .homeAgent) + path))
                }
            }
        }

        @Test("a successor that goes away at any step leaves the daemon forwarding", arguments: IO.allCases)
        func broken(io: IO) async throws {
            try await Topology.run { topology in
                try await topology.requireIO(io)
                let options = ["--io", io.rawValue]
                try await topology.startBoth(options)
                let daemon = try #require(topology.daemons[.homeAgent])
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                let flows = try await Flows(topology, interval: 1000)
                // Hello, offer, table, done, changes and done twice, last: behind that no packet flows until it is noticed.
                for (count, stalls) in (0...9).map({ ($0, false) }) + [(9, true)] {
                    let path = topology.directory.appendingPathComponent("between-\(count)-\(stalls)").path
                    let between = try topology.start(
                        in: .homeAgent,
                        [
                            "python3", Topology.script("between.py"), path + ".upgrade",
                            topology.socket(of: .homeAgent) + ".upgrade", "\(count)",
                        ] + (stalls ? ["stall"] : []))
                    try await poll(for: "listener") { between.errorOutput.contains("listening") }
                    let successor = try topology.start(
                        in: .homeAgent, topology.mooringd(.homeAgent, options + ["--take-over", "--socket", path]))
                    #expect(try await successor.wait() == 2, "\(count): \(successor.errorOutput)")
                    #expect(try await between.wait() == 0, "\(count): \(between.errorOutput)")
                    try await poll(for: "notice of \(count)") {
                        daemon.errorOutput.components(separatedBy: "not handed over").count == count + (stalls ? 3 : 2)
                    }
                    try await topology.mooring(.homeAgent, ["status"])
                    try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                }
                #expect(daemon.isRunning)
                try await flows.end("broken off, \(io.rawValue)")
                // And all of that is in nobody's way.
                try await takeOver(topology, options)
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
            }
        }

        @Test("a successor that is told to stop before it is ready leaves the daemon forwarding")
        func stopped() async throws {
            try await Topology.run { topology in
                try await topology.startBoth()
                let daemon = try #require(topology.daemons[.homeAgent])
                let flows = try await Flows(topology, interval: 1000)
                try await poll(for: "packets") { packets(try await binding(topology), "toNode") > 100 }
                // Hello, offer, table, done, changes and done twice, last: it waits for the next, or it could forward.
                for count in [2, 3, 5, 7, 9] {
                    let path = topology.directory.appendingPathComponent("between-\(count)").path
                    let between = try topology.start(
                        in: .homeAgent,
                        [
                            "python3", Topology.script("between.py"), path + ".upgrade",
                            topology.socket(of: .homeAgent) + ".upgrade", "\(count)", "wait",
                        ])
                    try await poll(for: "listener") { between.errorOutput.contains("listening") }
                    let successor = try topology.start(
                        in: .homeAgent, topology.mooringd(.homeAgent, ["--take-over", "--socket", path]))
                    try await poll(for: "messages") { between.errorOutput.contains("stalls") }
                    successor.send(SIGTERM)
                    // Of the last it may have told already that it has it. That it is to forward nobody tells it.
                    #expect(try await successor.wait() == 2, "\(count): \(successor.errorOutput)")
                    if count < 9 { #expect(successor.errorOutput.contains("SIGTERM"), "\(successor.errorOutput)") }
                    #expect(try await between.wait() == 0, "\(count): \(between.errorOutput)")
                    try await topology.mooring(.homeAgent, ["status"])
                }
                #expect(daemon.isRunning)
                try await flows.end("told to stop")
            }
        }

        /// Puts bindings again and again, as fast as they are taken, until it is cancelled.
        /// - Returns: how often they were put; each time to another care-of address.
        private func keepPutting(_ socket: String, _ name: String) async -> UInt32 {
            var done: UInt32 = 0
            while !Task.isCancelled {
                guard let client = try? await ControlClient.connect(to: socket, as: "test") else {
                    await Task.yield()
                    continue
                }
                // Where it is taken over, what was under way is put again.
                while !Task.isCancelled {
                    let bindings = (0..<500).map {
                        Binding(id: "\(name)-\($0)", careOfAddress: IPv4Address(rawValue: 0x0A00_0001 + done))
                    }
                    guard (try? await client.put(bindings)) != nil else { break }
                    done += 1
                }
                await client.close()
            }
            return done
        }

        @Test("while bindings are put as fast as they are taken, packets wait for next to nothing, and none is lost")
        func busy() async throws {
            try await Topology.run { topology in
                try await topology.startBoth()
                let socket = topology.socket(of: .homeAgent)
                let names = ["a", "b", "c"]
                let flows = try await Flows(topology, interval: 1000)
                let writers = names.map { name in Task.detached { await keepPutting(socket, name) } }
                try await poll(for: "bindings") {
                    try await topology.status(.homeAgent)["bindings"] as? Int ?? 0 > 500 * names.count
                }
                for _ in 0..<2 {
                    let old = try #require(topology.daemons[.homeAgent])
                    try await takeOver(topology, [])
                    let text = try #require(try old.errorOutput.firstMatch(of: Regex("changes=(\\d+)"))?[1].substring)
                    // Of 500 at a time there were far more, had they been served to the last moment.
                    #expect(try #require(Int(text)) < 500, "\(old.errorOutput)")
                }
                for (name, writer) in zip(names, writers) {
                    writer.cancel()
                    let done = await writer.value
                    let text = try await topology.mooring(.homeAgent, ["binding", "show", "\(name)-499", "--json"])
                    #expect(text.contains("\"\(IPv4Address(rawValue: 0x0A00_0000 + done))\""), "\(done): \(text)")
                }
                try await flows.end("bindings put meanwhile")
            }
        }

        @Test("where the control socket's file is gone the successor forwards, and makes it anew")
        func socketFile() async throws {
            try await Topology.run { topology in
                try await topology.startBoth()
                let flows = try await Flows(topology, interval: 1000)
                try await poll(for: "packets") { packets(try await binding(topology), "toNode") > 100 }
                try FileManager.default.removeItem(atPath: topology.socket(of: .homeAgent))
                try await takeOver(topology, [])
                try await topology.mooring(.homeAgent, ["binding", "show", "mn1"])
                #expect(topology.daemons[.homeAgent]?.errorOutput.contains("was made anew") == true)
                try await flows.end("without the socket's file")
                let daemon = try #require(topology.daemons[.homeAgent])
                daemon.send(SIGTERM)
                #expect(try await daemon.wait() == 0)
                #expect(!FileManager.default.fileExists(atPath: topology.socket(of: .homeAgent)))
            }
        }

        @Test("other settings, or nobody to take over from, are refused with what to do")
        func refused() async throws {
            try await Topology.run { topology in
                func refusal(_ options: [String]) async throws -> String {
                    let successor = try topology.start(
                        in: .homeAgent, topology.mooringd(.homeAgent, options + ["--take-over"]))
                    #expect(try await successor.wait() == 2)
                    return successor.errorOutput
                }
                #expect(try await refusal([]).contains("start without --take-over"))
                try await topology.startBoth()
                let text = try await refusal(["--home-mtu", "1400", "--workers", "2"])
                #expect(text.contains("(homeMTU, workers)"), "\(text)")
                #expect(try await refusal(["--max-bindings", "1", "--endpoint", "192.0.2.9"]).contains("endpoints"))
                try await topology.mooring(.homeAgent, ["binding", "put", "two", "--care-of", "203.0.113.7"])
                #expect(try await refusal(["--max-bindings", "1"]).contains("--max-bindings"))
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
            }
        }

        @Test("systemd is told which process the service is")
        func notification() async throws {
            try await Topology.run { topology in
                let path = topology.directory.appendingPathComponent("notify").path
                let listener = try topology.start(
                    in: .homeAgent,
                    [
                        "python3", "-c",
                        """
                        import socket, sys
                        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.settimeout(60)
                        print("listening", flush=True)
                        print(s.recv(999).decode(), s.recv(999).decode())
                        """, path,
                    ])
                try await poll(for: "listener") { listener.output.contains("listening") }
                var processes: [Int] = []
                for options in [[], ["--take-over"]] {
                    let daemon = try topology.start(
                        in: .homeAgent, ["env", "NOTIFY_SOCKET=\(path)"] + topology.mooringd(.homeAgent, options))
                    try await poll(for: "ready") { daemon.errorOutput.contains("ready") }
                    processes.append(try #require(try await topology.status(.homeAgent)["processID"] as? Int))
                }
                try await listener.wait()
                #expect(
                    listener.output
                        == "listening\n" + processes.map { "READY=1\nMAINPID=\($0)" }.joined(separator: " ") + "\n")
            }
        }
    }
}

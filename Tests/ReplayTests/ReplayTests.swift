import Bindings
import Capture
import Foundation
import PacketBuffer
import TestSupport
import Testing

@testable import Replay

/// Counts what comes out.
private final class Counted: CaptureSink {
    var packets = 0

    func write(_ packet: UnsafeRawBufferPointer, time: UInt64, to side: Side) throws(CaptureError) { packets += 1 }
}

@Suite("Replay") struct ReplayTests {
    private static let counters =
        "{\"received\":{\"home\":1,\"access\":0},\"generated\":{\"home\":0,\"access\":0},\"transmitted\":{\"home\":0,\"access\":1},\"punted\":0,\"absorbed\":0,\"dropped\":{}}"

    @Test("the counters file has the contract's keys and every drop reason, and is read again as it was")
    func countersFile() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/counters.json"
            let golden = "\(GoldenCases.root)/error-rate"
            let replay = Replay(
                bindings: try BindingFile(contentsOf: golden + "/bindings.json"), homeInput: golden + "/home-in.pcap",
                accessInput: nil)
            let result = try replay.write(to: Replay.Outputs(counters: path))
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            let object = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
            #expect(object.keys.sorted() == ["absorbed", "dropped", "generated", "punted", "received", "transmitted"])
            #expect(object["received"] as? [String: Int] == ["home": 153, "access": 0])
            #expect(object["generated"] as? [String: Int] == ["home": 121, "access": 0])
            #expect(object["transmitted"] as? [String: Int] == ["home": 121, "access": 0])
            let dropped = try #require(object["dropped"] as? [String: Int])
            #expect(Set(dropped.keys) == ReplayCounters.reasonNames)
            #expect(dropped.filter { $0.value != 0 } == ["no-binding": 153])
            #expect(try ReplayCounters(contentsOf: path) == result.counters)
            #expect(result.counters.isConserved)
        }
    }

    @Test("a counters file that means nothing is refused with its place")
    func badCounters() async throws {
        let cases = [
            ("\"punted\":0", "\"punted\":-1", "punted: -1 is no whole number"),
            ("\"punted\":0,", "", "lacks \"punted\""),
            ("\"absorbed\"", "\"absorb\"", "absorb: is no key that is known here"),
            ("\"dropped\":{}", "\"dropped\":{\"no-such\":1}", "dropped.no-such: is no key"),
            ("{\"home\":1,\"access\":0}", "{\"home\":1}", "received: lacks \"access\""),
        ]
        try await TemporaryDirectory.with { directory in
            let path = directory + "/counters.json"
            for (old, new, message) in cases {
                try Self.counters.replacing(old, with: new).write(toFile: path, atomically: false, encoding: .utf8)
                let error = #expect(throws: ReplayError.self) { try ReplayCounters(contentsOf: path) }
                #expect(
                    error?.description.hasPrefix(path) == true && error?.description.contains(message) == true,
                    "\(error as Any)")
            }
            try Self.counters.write(toFile: path, atomically: false, encoding: .utf8)
            #expect(try ReplayCounters(contentsOf: path).received.home == 1)
        }
    }

    @Test("whatever the captures hold, every packet is accounted for, and where batches end makes no difference")
    func mutated() async throws {
        var generator = SeededGenerator(seed: RandomTest.seed(for: "mutated replays"))
        let bindings = try BindingFile(contentsOf: "\(GoldenCases.root)/prefixes/bindings.json")
        let corpus = try GoldenCases.names.flatMap { name in
            try ["home-in.pcap", "access-in.pcap"].compactMap { file -> [UInt8]? in
                let path = "\(GoldenCases.root)/\(name)/\(file)"
                guard FileManager.default.fileExists(atPath: path) else { return nil }
                let bytes = try Array(Data(contentsOf: URL(fileURLWithPath: path)))
                return bytes.count <= 8192 ? bytes : nil
            }
        }
        try await TemporaryDirectory.with { directory in
            var (complete, refused) = (0, 0)
            for _ in 0..<RandomTest.count(300) {
                let paths = [directory + "/home", directory + "/access"]
                for path in paths {
                    try Data(PacketMutation.mutate(corpus, using: &generator)).write(to: URL(fileURLWithPath: path))
                }
                var results: [Replay.Result?] = []
                var outputs: [Int?] = []
                for capacity in [1, 5] {
                    var replay = Replay(bindings: bindings, homeInput: paths[0], accessInput: paths[1])
                    replay.batchCapacity = capacity
                    let run = try? replay.run { _ in Counted() }
                    results.append(run?.result)
                    outputs.append(run?.sink.packets)
                }
                #expect(results[0] == results[1])
                guard let counters = results[0]?.counters else { refused += 1; continue }
                complete += 1
                #expect(counters.isConserved)
                #expect(outputs.allSatisfy { $0.map(UInt64.init) == counters.transmitted.sum })
            }
            #expect(complete > 0 && refused > 0)
        }
    }

    @Test("an output that is an input, or another output, is refused before anything is overwritten")
    func overwriting() async throws {
        try await GoldenCases.withCopy(of: "hop-limit") { directory in
            let input = directory + "/home-in.pcap"
            let before = try Data(contentsOf: URL(fileURLWithPath: input))
            let link = directory + "/link.pcap"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: input)
            let replay = Replay(
                bindings: try BindingFile(contentsOf: directory + "/bindings.json"), homeInput: input, accessInput: nil)
            let new = directory + "/new"
            for outputs in [
                Replay.Outputs(home: input), Replay.Outputs(access: link), Replay.Outputs(counters: input),
                Replay.Outputs(home: new, access: new), Replay.Outputs(access: new, counters: new),
            ] {
                let error = #expect(throws: ReplayError.self) { try replay.write(to: outputs) }
                #expect(error?.description.hasSuffix("is used twice; an output is a file of its own") == true)
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: input)) == before)
            #expect(!FileManager.default.fileExists(atPath: new))
            _ = try replay.write(to: Replay.Outputs(home: "/dev/null", access: "/dev/null", counters: "/dev/null"))
        }
    }

    @Test("a long replay tells how far it has come, up to the end")
    func progress() async throws {
        let header = try Data(contentsOf: URL(fileURLWithPath: "\(GoldenCases.root)/no-packets/home-in.pcap"))
        try await TemporaryDirectory.with { directory in
            let path = directory + "/long.pcap"
            // Records of zeroes are packets without bytes.
            try (header + Data(count: 16 * 200_000)).write(to: URL(fileURLWithPath: path))
            let bindings = try BindingFile(contentsOf: "\(GoldenCases.root)/prefixes/bindings.json")
            var reports: [Replay.Progress] = []
            let replay = Replay(bindings: bindings, homeInput: path, accessInput: nil)
            let result = try replay.write(to: Replay.Outputs()) { reports.append($0) }
            #expect(result.counters[.empty] == 200_000)
            #expect(reports.count == 3)
            #expect(reports.map(\.frames) == reports.map(\.frames).sorted())
            #expect(reports.allSatisfy { abs($0.fraction - Double($0.frames) / 200_000) < 0.05 })
        }
    }
}

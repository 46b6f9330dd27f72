// The golden cases (Tests/Golden), and that whatever differs from them is found.

import Foundation
import TestSupport
import Testing

@testable import Replay

enum GoldenCases {
    static let root = Repository.root.appendingPathComponent("Tests/Golden").path

    /// The names of all.
    static let names: [String] = {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return entries.filter { FileManager.default.fileExists(atPath: "\(root)/\($0)/bindings.json") }.sorted()
    }()

    /// Runs the body with the path of a copy of a case, which it may change.
    static func withCopy<Result>(of name: String, _ body: (String) async throws -> Result) async throws -> Result {
        try await TemporaryDirectory.with { directory in
            try TemporaryDirectory.copyFiles(of: "\(root)/\(name)", to: "\(directory)/case")
            return try await body("\(directory)/case")
        }
    }
}

@Suite("Golden cases") struct GoldenTests {
    @Test("what comes out is what is expected, byte by byte", arguments: GoldenCases.names)
    func isAsExpected(_ name: String) {
        #expect(ReplayCase(directory: "\(GoldenCases.root)/\(name)").check() == .same)
    }

    @Test(
        "H9 H10 H12 H14 H16 M3 N1 P1 T2 T3 T6 T10 the mobile node's end of each kind of tunnel, byte by byte",
        arguments: GoldenCases.names.filter { $0.hasPrefix("node-") })
    func isMirrored(_ name: String) {
        #expect(ReplayCase(directory: "\(GoldenCases.root)/\(name)").check() == .same)
    }

    @Test("where batches end makes no difference", arguments: [1, 2, 3, 7, 64])
    func batches(_ capacity: Int) {
        for name in GoldenCases.names {
            var golden = ReplayCase(directory: "\(GoldenCases.root)/\(name)")
            golden.batchCapacity = capacity
            #expect(golden.check() == .same, "\(name)")
        }
    }

    @Test("each says in two lines what it shows and for which requirements")
    func readMe() throws {
        #expect(GoldenCases.names.count > 80)
        for name in GoldenCases.names {
            let text = try String(contentsOfFile: "\(GoldenCases.root)/\(name)/README", encoding: .utf8)
            #expect(text.split(separator: "\n").count == 2, "\(name)")
        }
    }

    @Test("there is one for every drop reason that a packet can have here")
    func reasons() throws {
        let shown = try GoldenCases.names.reduce(into: Set<String>()) { shown, name in
            let counters = try ReplayCounters(contentsOf: "\(GoldenCases.root)/\(name)/counters.json")
            shown.formUnion(counters.named.filter { $0.value > 0 }.map { $0.name.replacing("dropped.", with: "") })
        }
        let all = ReplayCounters.reasonNames
        // A replay has no device that refuses a packet, one worker, and takes at once what is for the control plane; no
        // capture has super-frames; the others are of views that the forwarder uses after it has looked.
        let impossible: Set = [
            "transmit-failed", "udp-truncated", "icmpv6-truncated", "punt-unattended", "punt-queue-full",
            "worker-queue-full", "super-frame-malformed",
        ]
        #expect(all.subtracting(shown) == impossible)
    }

    @Test("a changed byte is found, wherever it is, and its place is said")
    func changedByte() async throws {
        for (name, file) in [("ecn-in-uniform-normal", "home-out.pcap"), ("hop-limit", "access-out.pcap")] {
            try await GoldenCases.withCopy(of: name) { directory in
                let path = URL(fileURLWithPath: "\(directory)/\(file)")
                let original = try Data(contentsOf: path)
                // The first packet stands behind the file's header and its own.
                let length = Int(original[32]) + Int(original[33]) << 8
                for offset in 0..<length {
                    var changed = original
                    changed[40 + offset] ^= 0x10
                    try changed.write(to: path)
                    guard case .differs(let difference) = ReplayCase(directory: directory).check() else {
                        Issue.record("byte \(offset) of \(file) was changed, and nobody saw it")
                        continue
                    }
                    #expect(
                        difference.hasPrefix(
                            "\(file): packet 1, byte \(offset) (\(length) bytes expected, \(length) found)\n"))
                    let lines = difference.split(separator: "\n").map { $0.split(separator: " ") }
                    #expect(lines[1][2] == hexadecimal([changed[40 + offset]]) && lines[1][0] == "expected")
                    #expect(lines[2][2] == hexadecimal([original[40 + offset]]) && lines[2][0] == "found")
                }
            }
        }
    }

    @Test("a packet too many, a packet too few, another length, another time and another counter are found")
    func otherDifferences() async throws {
        func difference(_ file: String, _ change: (inout Data) -> Void) async throws -> String {
            try await GoldenCases.withCopy(of: "times-interleaved") { directory in
                let path = URL(fileURLWithPath: "\(directory)/\(file)")
                var data = try Data(contentsOf: path)
                change(&data)
                try data.write(to: path)
                guard case .differs(let difference) = ReplayCase(directory: directory).check() else { return "none" }
                return difference
            }
        }
        // Seven packets leave by the home side, each of 50 bytes and a header of 16.
        let size = 16 + 49
        #expect(
            try await difference("home-out.pcap") { $0 += $0.suffix(size) }.hasPrefix(
                "home-out.pcap: packet 8: is missing"))
        #expect(
            try await difference("home-out.pcap") { $0.removeLast(size) }.hasPrefix(
                "home-out.pcap: packet 7: none is expected here"))
        #expect(
            try await difference("home-out.pcap") { $0.removeLast(7 * size) }.hasPrefix(
                "home-out.pcap: packet 1: none is expected here"))
        #expect(
            try await difference("home-out.pcap") { $0[28] ^= 1 }.hasPrefix(
                "home-out.pcap: packet 1: time 1700000000.001001000 expected"))
        #expect(
            try await difference("home-out.pcap") {
                $0[32] -= 1
                $0[36] -= 1
                $0.remove(at: 40 + 48)
            }.hasPrefix(
                "home-out.pcap: packet 1, byte 48 (48 bytes expected, 49 found)\n    expected 0030: (its end)\n"))
        let counted = try await difference("counters.json") { data in
            data = Data(
                String(decoding: data, as: UTF8.self).replacing("\"absorbed\": 0", with: "\"absorbed\": 1").utf8)
        }
        #expect(counted == "counters.json: absorbed: 1 expected, 0 counted")
        let dropped = try await difference("counters.json") { data in
            data = Data(String(decoding: data, as: UTF8.self).replacing("{}", with: "{\"no-binding\": 3}").utf8)
        }
        #expect(dropped == "counters.json: dropped.no-binding: 3 expected, 0 counted")
    }

    @Test("an output that is not there expects no packets")
    func missingOutput() async throws {
        try await GoldenCases.withCopy(of: "hop-limit") { directory in
            try FileManager.default.removeItem(atPath: "\(directory)/access-out.pcap")
            guard case .differs(let difference) = ReplayCase(directory: directory).check() else {
                Issue.record("nobody saw that it is missing")
                return
            }
            #expect(difference.hasPrefix("access-out.pcap: packet 1: none is expected here"))
        }
        try await GoldenCases.withCopy(of: "drop-empty") { directory in
            for name in ["home-out.pcap", "access-out.pcap"] {
                try FileManager.default.removeItem(atPath: "\(directory)/\(name)")
            }
            #expect(ReplayCase(directory: directory).check() == .same)
        }
    }

    @Test(
        "what is written anew is the same again, and bytes that were changed are put right",
        arguments: ["hop-limit", "pcap-nanoseconds"])
    func regenerate(_ name: String) async throws {
        try await GoldenCases.withCopy(of: name) { directory in
            for file in ["home-out.pcap", "access-out.pcap", "counters.json"] {
                try FileManager.default.removeItem(atPath: "\(directory)/\(file)")
            }
            try ReplayCase(directory: directory).regenerate()
            #expect(ReplayCase(directory: directory).check() == .same)
            let files = try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
            #expect(Set(["access-out.pcap", "counters.json", "home-out.pcap"]).isSubset(of: files))
            #expect(!files.contains { $0.hasSuffix(".new") })
            // The same as scapy's, not only as its own.
            for file in ["home-out.pcap", "access-out.pcap", "counters.json"] {
                try FileManager.default.removeItem(atPath: "\(directory)/\(file)")
                try TemporaryDirectory.copyFile("\(GoldenCases.root)/\(name)/\(file)", to: "\(directory)/\(file)")
            }
            #expect(ReplayCase(directory: directory).check() == .same)
        }
    }

    @Test("where a case can't be run, nothing of it is replaced")
    func regenerateFails() async throws {
        try await GoldenCases.withCopy(of: "hop-limit") { directory in
            let input = URL(fileURLWithPath: "\(directory)/home-in.pcap")
            try Data(contentsOf: input).dropLast().write(to: input)
            let before = try Data(contentsOf: URL(fileURLWithPath: "\(directory)/access-out.pcap"))
            #expect(throws: ReplayError.self) { try ReplayCase(directory: directory).regenerate() }
            #expect(try Data(contentsOf: URL(fileURLWithPath: "\(directory)/access-out.pcap")) == before)
            let files = try FileManager.default.contentsOfDirectory(atPath: directory)
            #expect(!files.contains { $0.hasSuffix(".new") })
        }
    }
}

// What mooring-ha, as it is built and behind mooringd, does with registrations that nobody should send: hostile.py makes
// them and reads the replies, tshark reads them too. RFC 5944, 3.8.2.1, says what is rejected, 3.4 by which code, and 1.8
// what is discarded without an answer.

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Hostile registrations", .serialized)
    struct HostileRegistrationTests {
        private static let key = "0102030405060708090a0b0c0d0e0f10"

        /// A case of hostile.py: what comes back, and what counts each datagram.
        private struct Case {
            let name: String
            let codes: String
            let counter: String
        }

        private static let cases = [
            Case(name: "wrong-key", codes: "131", counter: "reply-131"),
            Case(name: "unknown-spi", codes: "131", counter: "reply-131"),
            Case(name: "other-data", codes: "silent", counter: "discarded-node-unknown"),
            Case(name: "short-authenticator", codes: "131", counter: "reply-131"),
            Case(name: "unsigned", codes: "silent", counter: "discarded-authentication-missing"),
            Case(name: "unknown-node", codes: "silent", counter: "discarded-node-unknown"),
            Case(name: "old", codes: "133", counter: "reply-133"),
            Case(name: "future", codes: "133", counter: "reply-133"),
            Case(name: "reused", codes: "0,133", counter: "reply-133"),
            Case(name: "replayed", codes: "133", counter: "reply-133"),
            Case(name: "cut-header", codes: "silent", counter: "malformed-message-truncated"),
            Case(name: "cut-extension", codes: "silent", counter: "malformed-extension-truncated"),
            Case(name: "cut-between", codes: "silent", counter: "discarded-authentication-missing"),
            Case(name: "not-skippable", codes: "silent", counter: "malformed-extension-unrecognized"),
            Case(name: "skippable", codes: "0", counter: "reply-0"),
            Case(name: "too-many", codes: "silent", counter: "malformed-too-many-extensions"),
            Case(name: "reply", codes: "silent", counter: "discarded-unexpected-type"),
            Case(name: "other-type", codes: "silent", counter: "malformed-message-type-unknown"),
        ]

        @Test("S2 R3 each hostile registration has its code or no answer, and its counter", .timeLimit(.minutes(3)))
        func cases() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                let agent = try await topology.startHomeAgent()
                let capture = try await topology.startCapture(
                    at: .networkA, interface: "node", filter: "udp port 434")
                let output = try await topology.hostile("cases", Self.key)
                let lines = output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
                #expect(lines.map { $0[0] } == Self.cases.map(\.name))
                var expected: [String: Int] = [:]
                for (line, one) in zip(lines, Self.cases) {
                    #expect(line[2] == one.codes, "\(one.name)")
                    // The first of two that are the same is right.
                    expected[one.counter, default: 0] += one.name == "reused" ? 1 : Int(line[1]) ?? 0
                }
                let counters = try await topology.homeAgentCounters()
                for (name, count) in expected where name != "reply-0" {
                    #expect(counters[name] == count, "\(name)")
                }
                // What was accepted is one node's binding, which bears no prefix of those that were cut off.
                let bindings = try await topology.mooring(.homeAgent, ["binding", "list", "--json"])
                #expect(bindings.contains(Topology.nodeIPv4Address) && !bindings.contains(Topology.nodePrefix))
                await agent.end()
                // tcpdump has what came when the kernel hands it over.
                try await poll(for: "replies") {
                    try await capture.decoded("mip.code == 133").count >= expected["reply-133", default: 0]
                }
                await capture.end()
                let replies = try await capture.decoded("mip.type == 3", fields: ["mip.code"])
                #expect(Set(replies) == [["0"], ["131"], ["133"]])
                #expect(replies.filter { $0 == ["131"] }.count == expected["reply-131"])
                #expect(replies.filter { $0 == ["133"] }.count == expected["reply-133"])
                let wrong = try await capture.decoded(
                    "ip.src == \(Topology.endpoint) and (_ws.malformed or udp.checksum.status == 0)")
                #expect(wrong == [])
            }
        }

        @Test("R1 H1 H2 H3 a thousand prefixes in one request have a reply each", .timeLimit(.minutes(3)))
        func thousandPrefixes() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                let agent = try await topology.startHomeAgent()
                let before = try Self.residentKibibytes(of: agent)
                // 2001:db8:1:1::/64 and those behind it, of which only the first may be the node's.
                let output = try await topology.hostile("prefixes", Self.key, [Topology.nodePrefix, "1000"])
                #expect(output == "0 0:1 9:999 distinct:1000 \(Topology.nodePrefix)\n")
                let counters = try await topology.homeAgentCounters()
                #expect(counters["prefix-0"] == 1 && counters["prefix-9"] == 999, "\(counters)")
                #expect(try Self.residentKibibytes(of: agent) < before + 64 << 10)
                await agent.end()
            }
        }

        @Test("S2 D2 a flood of registrations, wrong or right, takes no memory that lasts", .timeLimit(.minutes(5)))
        func flood() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                let agent = try await topology.startHomeAgent()
                #expect(try await topology.hostile("flood", Self.key, ["3000", "wrong"]) == "131\n")
                #expect(try await topology.hostile("flood", Self.key, ["3000", "right"]) == "0\n")
                let before = try Self.residentKibibytes(of: agent)
                #expect(try await topology.hostile("flood", Self.key, ["20000", "wrong"]) == "131\n")
                #expect(try await topology.hostile("flood", Self.key, ["10000", "right"]) == "0\n")
                let after = try Self.residentKibibytes(of: agent)
                #expect(after < before + 64 << 10, "\(before) KiB before, \(after) KiB after")

                let counters = try await topology.homeAgentCounters()
                let (right, wrong) = (counters["reply-0", default: 0], counters["reply-131", default: 0])
                #expect((1...23_000).contains(wrong) && right > 0, "\(counters)")
                // Each exception is counted, few are logged.
                let logged = agent.errorOutput.components(separatedBy: "security exception").count - 1
                #expect(logged + counters["exception-not-logged", default: 0] == wrong, "\(logged) of \(wrong)")
                #expect(logged < wrong / 4, "\(logged) of \(wrong)")
                let bindings = try await topology.mooring(.homeAgent, ["binding", "list", "--json"])
                #expect(bindings.components(separatedBy: "\"care").count <= 2, "\(bindings)")
                await agent.end()
            }
        }

        /// What a process has in memory (proc(5), VmRSS).
        private static func residentKibibytes(of process: ChildProcess) throws -> Int {
            let status = try String(contentsOfFile: "/proc/\(process.identifier)/status", encoding: .utf8)
            #expect(status.hasPrefix("Name:\tmooring-ha\n"))
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
            return try #require(line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) })
        }
    }
}

extension Topology {
    /// What hostile.py prints, at the node.
    fileprivate func hostile(_ command: String, _ key: String, _ more: [String] = []) async throws -> String {
        try await run(
            in: .node,
            [
                "/usr/bin/python3", "-B", Self.script("hostile.py"), command, Self.careOfAddressA, Self.endpoint,
                Self.nodeIPv4Address, "1000", key,
            ] + more)
    }
}

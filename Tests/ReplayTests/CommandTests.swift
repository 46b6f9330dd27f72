// `mooring replay` as scripts use it: arguments, what it prints, exit status.

import Foundation
import TestSupport
import Testing

@Suite("mooring replay") struct ReplayCommandTests {
    private func run(_ arguments: [String], status: Int32) async throws -> Program {
        let program = try await Program.run([Repository.path(of: "mooring"), "replay"] + arguments)
        #expect(program.status == status, "\(arguments): \(program.output)\(program.errorOutput)")
        return program
    }

    private static func golden(_ name: String) -> String { "\(GoldenCases.root)/\(name)" }

    @Test("captures go in, captures and counters come out, the same on every run")
    func files() async throws {
        let golden = Self.golden("times-equal")
        try await TemporaryDirectory.with { directory in
            var runs: [[Data]] = []
            for name in ["a", "b"] {
                let outputs = ["home", "access", "json"].map { "\(directory)/\(name).\($0)" }
                let program = try await run(
                    [
                        "--bindings", golden + "/bindings.json", "--home-in", golden + "/home-in.pcap", "--access-in",
                        golden + "/access-in.pcap", "--home-out", outputs[0], "--access-out", outputs[1], "--counters",
                        outputs[2],
                    ], status: 0)
                #expect(program.output.contains("received      200     200"), "\(program.output)")
                runs.append(try outputs.map { try Data(contentsOf: URL(fileURLWithPath: $0)) })
            }
            #expect(runs[0] == runs[1])
            #expect(
                try runs[0][0].dropFirst(24)
                    == Data(contentsOf: URL(fileURLWithPath: golden + "/home-out.pcap")).dropFirst(24))
            #expect(
                try runs[0][1].dropFirst(24)
                    == Data(contentsOf: URL(fileURLWithPath: golden + "/access-out.pcap")).dropFirst(24))
        }
    }

    @Test("with --json the counters are one line")
    func json() async throws {
        let golden = Self.golden("echo-request")
        let program = try await run(
            ["--bindings", golden + "/bindings.json", "--access-in", golden + "/access-in.pcap", "--json"], status: 0)
        #expect(program.output.split(separator: "\n").count == 1)
        #expect(program.output.hasPrefix("{\"received\":{\"home\":0,\"access\":"))
        #expect(program.errorOutput == "")
    }

    @Test("ICMPv6 errors come from the address that is given")
    func errorSource() async throws {
        let golden = Self.golden("no-route")
        try await TemporaryDirectory.with { directory in
            let output = directory + "/out.pcap"
            _ = try await run(
                [
                    "--bindings", golden + "/bindings.json", "--home-in", golden + "/home-in.pcap", "--home-out",
                    output,
                    "--error-source", "2001:db8:eeee::7",
                ], status: 0)
            let fields = ["-e", "ipv6.src", "-e", "ipv6.dst", "-e", "icmpv6.type"]
            let result = try await Program.run(["tshark", "-n", "-r", output, "-c", "1", "-T", "fields"] + fields)
            // What the error quotes has addresses too.
            #expect(result.output.hasPrefix("2001:db8:eeee::7,2001:db8:cccc::5\t2001:db8:cccc::5,"), "\(result.output)")
            #expect(result.output.hasSuffix("\t1\n"), "\(result.output)")
        }
    }

    @Test("--check prints a line a case and ends with 0, 1 where one differs, 2 where one can't be used")
    func check() async throws {
        let good = [Self.golden("hop-limit"), Self.golden("lifetime") + "/"]
        let all = try await run(["--check"] + good, status: 0)
        #expect(all.output == good.map { "\($0): same\n" }.joined())
        try await GoldenCases.withCopy(of: "hop-limit") { directory in
            let path = URL(fileURLWithPath: "\(directory)/access-out.pcap")
            var data = try Data(contentsOf: path)
            data[40] = 0x46
            try data.write(to: path)
            let different = try await run(["--check", good[0], directory, good[1]], status: 1)
            #expect(
                different.output.contains(
                    "\(directory): differs: access-out.pcap: packet 1, byte 0 (84 bytes expected, 84 found)\n    expected 0000: 46 00 00 54"
                ), "\(different.output)")
            #expect(different.output.hasSuffix("\(good[1]): same\n"))
            #expect(different.errorOutput == "mooring: 1 of 3 cases differ\n")
            let json = try await run(["--check", directory, "--json"], status: 1)
            #expect(json.output.hasPrefix("{\"case\":\"\(directory)\",\"detail\":\"access-out.pcap: packet 1, byte 0"))
            _ = try await run(["--regenerate", directory], status: 0)
            #expect(try await run(["--check", directory], status: 0).output == "\(directory): same\n")
            try FileManager.default.removeItem(atPath: "\(directory)/counters.json")
            let unusable = try await run(["--check", directory, good[0]], status: 2)
            #expect(
                unusable.output.hasPrefix("\(directory): unusable: \(directory)/counters.json: can't be read"),
                "\(unusable.output)")
            #expect(unusable.output.hasSuffix("\(good[0]): same\n"))
        }
    }

    @Test("a directory stands for the cases in it, in the order of their names; one without any can't be used")
    func directories() async throws {
        let all = try await run(["--check", GoldenCases.root], status: 0)
        #expect(all.output == GoldenCases.names.map { "\(GoldenCases.root)/\($0): same\n" }.joined())
        try await GoldenCases.withCopy(of: "hop-limit") { directory in
            let parent = URL(fileURLWithPath: directory).deletingLastPathComponent().path
            try FileManager.default.removeItem(atPath: directory + "/counters.json")
            let regenerated = try await run(["--check", "--regenerate", parent], status: 0)
            #expect(regenerated.output == "\(directory): regenerated\n")
            #expect(try await run(["--check", parent], status: 0).output == "\(directory): same\n")
            try FileManager.default.removeItem(atPath: directory + "/bindings.json")
            #expect(
                try await run(["--check", parent], status: 2).output.hasPrefix(
                    "\(parent): unusable: \(parent)/bindings.json"))
        }
    }

    @Test("2 where arguments or inputs can't be used, and it is said why")
    func unusable() async throws {
        let golden = Self.golden("hop-limit")
        let bindings = ["--bindings", golden + "/bindings.json"]
        let home = ["--home-in", golden + "/home-in.pcap"]
        for (arguments, message) in [
            (bindings, "there is nothing to replay"), (home, "--bindings is missing"),
            (["--check"], "name at least one directory"),
            (["--check", golden] + home, "take directories, and no files beside them"),
            (bindings + home + [golden], "directories go with --check or --regenerate"),
            (bindings + home + ["--error-source", "192.0.2.1"], "\"192.0.2.1\" is no IPv6 address"),
            (bindings + ["--home-in", "/nonexistent"], "/nonexistent: can't be read: No such file or directory"),
            (bindings + ["--home-in", golden + "/README"], "README: is neither pcap nor pcapng"),
            (["--bindings", golden + "/README"] + home, "README: line 1, column 1"),
            (bindings + home + ["--home-out", "/nonexistent/x"], "/nonexistent/x: can't be written"),
            (["--check", "/nonexistent"], "1 of 1 case can't be used"),
        ] {
            let program = try await run(arguments, status: 2)
            #expect(program.errorOutput.contains(message), "\(arguments): \(program.errorOutput)")
        }
    }

    @Test("a binding that can't be put ends it with 2 and the binding's name")
    func binding() async throws {
        try await GoldenCases.withCopy(of: "hop-limit") { directory in
            try "{\"bindings\":[{\"id\":\"mn1\",\"careOfAddress\":\"203.0.113.9\"}]}".write(
                toFile: directory + "/bindings.json", atomically: false, encoding: .utf8)
            let program = try await run(["--check", directory], status: 2)
            #expect(program.output.contains("unusable: binding mn1.endpoint"), "\(program.output)")
        }
    }

    @Test("packets that the capture cut are told")
    func cut() async throws {
        let golden = Self.golden("snapshot-length")
        let program = try await run(
            ["--bindings", golden + "/bindings.json", "--home-in", golden + "/home-in.pcap"], status: 0)
        #expect(
            program.errorOutput.contains("the capture has only the beginning of 8 packets"), "\(program.errorOutput)")
    }
}

// What mooringd ends with where it can't start: 2, so that scripts tell it from `--check` that finds something missing.

import Foundation
import TestSupport
import Testing

@Suite("Exit status of mooringd")
struct ExitStatusTests {
    @Test(
        "arguments, configuration and hosts that can't be used end with 2 and a sentence that names the cause",
        arguments: [
            (["--bogus"], "--bogus"),
            (["--io", "fast"], "fast"),
            (["--workers", "0"], "--workers"), (["--workers", "17"], "--workers"),
            (["--workers", "many"], "--workers"),
            (["--config", "/nonexistent.json"], "/nonexistent.json: can't be read"),
            (["--bindings", "/nonexistent.json"], "/nonexistent.json: can't be read"),
            (["--endpoint", "224.0.0.1"], "224.0.0.1 is no unicast address"),
            (["--endpoint", "192.0.2.1", "--home-device", "../x", "--no-setup"], "../x"),
            (["--endpoint", "192.0.2.1", "--socket-group", "no-such-group"], "no-such-group"),
            (["--endpoint", "192.0.2.1", "--check", "--home-device", "../x"], "../x"),
        ])
    func cannotStart(_ arguments: [String], _ cause: String) async throws {
        let program = try await Program.run(
            [Repository.path(of: "mooringd"), "--socket", "/tmp/mooringd-never.sock"] + arguments)
        #expect(program.status == 2, "\(program.errorOutput)")
        #expect(program.errorOutput.contains(cause), "\(program.errorOutput)")
        #expect(program.output == "")
        // Each thing is said once.
        #expect(program.errorOutput.components(separatedBy: "/nonexistent.json").count <= 2)
    }

    @Test("a socket whose file could not be removed at the end is not made")
    func directory() async throws {
        try await TemporaryDirectory.with { directory in
            // Not even its owner may write it, and root's way past that is given up by the end.
            let path = directory + "/closed"
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o555])
            let program = try await Program.run([
                Repository.path(of: "mooringd"), "--endpoint", "192.0.2.1", "--socket", path + "/d.sock",
                // So that it ends in any case.
                "--home-device", "lo", "--no-setup",
            ])
            #expect(program.status == 2)
            #expect(program.errorOutput.contains("\(path) can't be written"), "\(program.errorOutput)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: path) == [])
        }
    }

    @Test("help and version end with 0, on standard output", arguments: ["--help", "--version"])
    func information(_ argument: String) async throws {
        let program = try await Program.run([Repository.path(of: "mooringd"), argument])
        #expect(program.status == 0)
        #expect(program.output.contains("mooringd"))
        #expect(program.errorOutput == "")
    }
}

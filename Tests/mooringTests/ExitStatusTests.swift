// What scripts are told (the contract's exit codes): 0 done, 1 the answer is no, 2 unusable arguments or input, 3 the
// daemon can't be reached; and with --json the same as an object on standard error.

import ControlTestServer
import Foundation
import TestSupport
import Testing

@testable import ControlProtocol

@Suite("mooring's exit status") struct ExitStatusTests {
    /// Commands that ask the daemon.
    private static let commands = [
        ["status"], ["binding", "list"], ["binding", "show", "mn1"], ["binding", "remove", "mn1"],
        ["binding", "put", "mn1", "--care-of", "203.0.113.9"],
        ["binding", "put", "mn1", "--update", "--ecn", "normal"],
        ["binding", "load", "-"], ["group", "list"], ["group", "join", "ff3e::1", "mn1"],
        ["group", "leave", "ff3e::1", "mn1"], ["counters"], ["counters", "--watch"], ["watch"],
    ]

    /// Runs a command in both forms and looks at how it ends.
    private func expectFailure(
        _ arguments: [String], socket: String = "/nonexistent", input: String = "", status: Int32, saying part: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let plain = try await Tool.run(arguments, socket: socket, input: input)
        #expect(plain.status == status, "\(arguments): \(plain.errorOutput)", sourceLocation: sourceLocation)
        #expect(plain.errorOutput.contains(part), "\(arguments): \(plain.errorOutput)", sourceLocation: sourceLocation)
        let json = try await Tool.run(arguments + ["--json"], socket: socket, input: input)
        #expect(json.status == status, "\(arguments): \(json.errorOutput)", sourceLocation: sourceLocation)
        let report = try JSON(json.errorOutput)
        #expect(report.keys == ["error", "status"], sourceLocation: sourceLocation)
        #expect(report["status"].number == Int(status), sourceLocation: sourceLocation)
        #expect(report["error"].string?.contains(part) == true, "\(report)", sourceLocation: sourceLocation)
    }

    @Test("3 where no daemon listens, whatever is asked", arguments: commands)
    func reachesNobody(command: [String]) async throws {
        try await expectFailure(
            command, input: "{\"bindings\":[]}", status: 3,
            saying: "there is no socket at /nonexistent; is mooringd running?")
    }

    @Test("3 where the path leads to something else, and each time it says what")
    func reachesSomethingElse() async throws {
        try await TemporaryDirectory.with { directory in
            try Data().write(to: URL(fileURLWithPath: directory + "/file"))
            try await expectFailure(["status"], socket: directory + "/file", status: 3, saying: "/file is no socket")
            try await expectFailure(["status"], socket: directory, status: 3, saying: "\(directory) is no socket")
            try await expectFailure(
                ["status"], socket: directory + "/file/x", status: 3, saying: "there is no socket at")
            let long = directory + "/" + String(repeating: "x", count: 200)
            try await expectFailure(["status"], socket: long, status: 3, saying: "is too long for the path of a socket")
            let socket = try ControlSocket.listen(at: directory + "/stale", mode: 0o600, group: nil)
            socket.close()
            try await expectFailure(["status"], socket: directory + "/stale", status: 3, saying: "nobody listens at")
        }
    }

    @Test("3 where the daemon does not let this user in, or has too many connections")
    func isTurnedAway() async throws {
        try await TestServer.run({ $0.access = ControlAccess(users: [], groups: [], owners: []) }) { server in
            try await expectFailure(["status"], socket: server.path, status: 3, saying: "may not use this socket")
        }
        try await TestServer.run({ $0.connectionLimit = 1 }) { server in
            let other = try RawConnection.greeted(server.path)
            try await expectFailure(["status"], socket: server.path, status: 3, saying: "1 connections are open")
            withExtendedLifetime(other) {}
        }
    }

    @Test("3 where the daemon stops meanwhile")
    func losesDaemon() async throws {
        try await TestServer.run { server in
            async let watching = Tool.run(["watch", "--json"], socket: server.path)
            #expect(try await eventually { try await server.onLoop { $0.publisher.isWatched } })
            await server.server.close()
            let watch = try await watching
            #expect(watch.status == 3)
            #expect(try JSON(watch.errorOutput)["error"].string == "mooringd is stopping")
        }
    }

    @Test("3 where the daemon answers with what this version does not know")
    func meetsNewerDaemon() async throws {
        try await TestServer.run { server in
            _ = try await server.tool(["binding", "put", "mn1", "--care-of", "203.0.113.9"])
            try await server.onLoop { $0.makeUnknown("mn1") }
            for command in [["show", "mn1"], ["list"], ["put", "mn1", "--update", "--ecn", "normal"]] {
                try await expectFailure(
                    ["binding"] + command, socket: server.path, status: 3, saying: "too far apart?")
            }
        }
    }

    @Test(
        "1 where a binding is not there",
        arguments: [["show", "mn1"], ["remove", "mn1"], ["put", "mn1", "--update", "--care-of", "203.0.113.9"]])
    func findsNone(command: [String]) async throws {
        try await TestServer.run { server in
            try await expectFailure(["binding"] + command, socket: server.path, status: 1, saying: "bound")
        }
    }

    @Test("1 where another changes the binding again and again")
    func isOvertaken() async throws {
        try await TestServer.run { server in
            _ = try await server.tool(["binding", "put", "mn1", "--care-of", "203.0.113.9"])
            try await server.onLoop { $0.conflicts = 1000 }
            let update = ["binding", "put", "mn1", "--update", "--care-of", "203.0.113.10"]
            try await expectFailure(update, socket: server.path, status: 1, saying: "put by another")
            try await server.onLoop { $0.conflicts = 3 }
            _ = try await server.tool(update)
        }
    }

    @Test(
        "2 for arguments that can't be used, without asking the daemon",
        arguments: [
            ([], "--care-of is missing"), (["--care-of", "203.0.113"], "no IPv4 address"),
            (["--update"], "changes nothing"), (["--care-of", "224.0.0.1"], "no unicast address"),
            (["--care-of", "203.0.113.9", "--prefix", "2001:db8::1/64"], "all bits past its length zero"),
            (["--care-of", "203.0.113.9", "--prefix", "2001:db8::/64,gre"], "care-of, home-address"),
            (["--care-of", "203.0.113.9", "--lifetime", "0"], "leave it out for ever"),
            (["--care-of", "203.0.113.9", "--lifetime", "-1"], "lifetime"),
            (["--care-of", "203.0.113.9", "--tunnel-mtu", "1500"], "1280 and 1480"),
            (["--care-of", "203.0.113.9", "--udp-port", "7"], "encapsulation"),
            (["--care-of", "203.0.113.9", "--encapsulation", "ipip"], "ip-in-ip, gre, minimal, udp"),
            (["--care-of", "203.0.113.9", "--nonsense"], "--nonsense"),
        ])
    func refusesArguments(options: [String], part: String) async throws {
        try await expectFailure(["binding", "put", "mn1"] + options, status: 2, saying: part)
    }

    @Test("2 for commands that are none, and for ids that are none")
    func refusesCommands() async throws {
        let unknown = try await Tool.run(["frobnicate"])
        #expect(unknown.status == 2)
        #expect(unknown.errorOutput.contains("frobnicate"))
        try await expectFailure(["binding", "remove"], status: 2, saying: "ids")
        for group in ["ff01::1", "2001:db8::1", "224.0.0.1", "mn1"] {
            try await expectFailure(["group", "join", group, "mn1"], status: 2, saying: "no IPv6 multicast address")
        }
        try await expectFailure(["group", "join", "ff3e::1"], status: 2, saying: "ids")
        try await expectFailure(["counters", "--watch", "0"], status: 2, saying: "0.05 to 86400")
        try await expectFailure(["counters", "--explain", "--all"], status: 2, saying: "neither --all nor --watch")
        for id in ["", "a b", "a\u{1B}[2Jb", String(repeating: "x", count: 129), "é"] {
            try await expectFailure(
                ["binding", "put", id, "--care-of", "203.0.113.9"], status: 2, saying: "an id has 1 to 128")
            #expect(
                try await !Tool.run(["binding", "put", id, "--care-of", "203.0.113.9"]).errorOutput.contains("\u{1B}"))
        }
    }

    @Test(
        "2 for a file that can't be used, with the place, and nothing is put",
        arguments: [
            ("", "line 1, column 1"), ("{\"bindings\":[}", "line 1, column 14"),
            ("{\"bindings\":[{\"id\":\"a\",\"careOfAddress\":\"203.0.113.9\",\"key\":1}]}", "bindings[0].key"),
            (
                "{\"bindings\":[{\"id\":\"a\",\"careOfAddress\":\"203.0.113.9\",\"lifetime\":0}]}",
                "bindings[0].lifetime"
            ),
            (
                "{\"bindings\":[{\"id\":\"a\",\"careOfAddress\":\"203.0.113.9\",\"prefixes\":[{\"prefix\":\"2001:db8::1/64\"}]}]}",
                "bindings[0].prefixes[0].prefix"
            ),
        ])
    func refusesFiles(text: String, place: String) async throws {
        try await TestServer.run { server in
            try await expectFailure(
                ["binding", "load", "-"], socket: server.path, input: text, status: 2, saying: place)
            let file = server.directory + "/bindings"
            try Data(text.utf8).write(to: URL(fileURLWithPath: file))
            try await expectFailure(
                ["binding", "load", file, "--replace"], socket: server.path, status: 2, saying: "\(file): \(place)")
            // A path that begins like the place.
            let relative = try await Program.run(
                ["sh", "-c", "cd \"$1\" && exec \"$2\" binding load bindings", "sh", server.directory, Tool.path])
            #expect(relative.status == 2)
            #expect(relative.errorOutput.contains("bindings: \(place)"), "\(relative.errorOutput)")
            #expect(try await server.onLoop { $0.requests } == 0)
        }
    }

    @Test("2 for a binding that the daemon refuses")
    func isRefused() async throws {
        try await TestServer.run { server in
            let put = ["binding", "put", "mn1", "--care-of", "203.0.113.9", "--prefix", "2001:db8::/48"]
            _ = try await server.tool(put)
            let overlap = ["binding", "put", "mn2", "--care-of", "203.0.113.9", "--prefix", "2001:db8:0:1::/64"]
            try await expectFailure(overlap, socket: server.path, status: 2, saying: "overlaps another node's")
        }
    }

    @Test("A reader that goes away ends it quietly, a full device with 1 and a word")
    func meetsEndOfOutput() async throws {
        try await TestServer.run { server in
            let bindings = (0..<5000).map { "{\"id\":\"mn\($0)\",\"careOfAddress\":\"203.0.113.9\"}" }
            _ = try await server.tool(
                ["binding", "load", "-"], input: "{\"bindings\":[\(bindings.joined(separator: ","))]}")
            let environment = ["MOORING_SOCKET": server.path, "TOOL": Tool.path]
            let piped = try await Program.run(
                ["sh", "-c", "\"$TOOL\" binding list --json | head -n 2"], environment: environment)
            #expect(piped.output.split(separator: "\n").count == 2)
            #expect(piped.errorOutput == "")
            let full = try await Program.run(
                ["sh", "-c", "\"$TOOL\" binding list >/dev/full"], environment: environment)
            #expect(full.status == 1)
            #expect(full.errorOutput == "mooring: can't write: No space left on device\n")
        }
    }
}

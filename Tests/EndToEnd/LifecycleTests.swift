// mooringd comes and goes: killed, asked to end, told to read its files again.

import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("Lifecycle", .serialized)
    struct LifecycleTests {
        @Test(
            "killed and started again, mooringd goes on with the bindings of its file",
            arguments: [Role.homeAgent, .node])
        func killed(role: Role) async throws {
            try await Topology.run { topology in
                try await topology.startBoth()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                let daemon = try #require(topology.daemons[role])
                daemon.send(SIGKILL)
                #expect(try await daemon.wait() == 128 + SIGKILL)
                let answers = try topology.start(
                    in: .correspondent, ["ping", "-n", "-c", "2", "-i", "0.1", "-W", "1", Topology.nodeAddress])
                #expect(try await answers.wait() != 0, "without mooringd there is no way")

                try await topology.startMooringd(
                    role, ["--bindings", try topology.writeBindings(of: role, careOfAddress: Topology.careOfAddressA)])
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                try await topology.ping(from: .node, to: Topology.correspondentAddress)
            }
        }

        @Test(
            "SIGTERM ends mooringd with 0 and leaves no device, route, rule or socket",
            arguments: [Role.homeAgent, .node], IO.allCases)
        func terminated(role: Role, io: IO) async throws {
            try await Topology.run { topology in
                try await topology.requireIO(io)
                let before = try await topology.networkState(role)
                try await topology.startBoth(["--io", io.rawValue])
                #expect(try await !topology.networkState(role).subtracting(before).isEmpty)
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                // Under load, so that there is something to finish.
                let ping = try topology.startPing(from: .correspondent, to: Topology.nodeAddress)
                try await poll(for: "answers") { ping.output.contains("icmp_seq=20 ") }

                let daemon = try #require(topology.daemons[role])
                daemon.send(SIGTERM)
                #expect(try await daemon.wait() == 0, "\(daemon.errorOutput)")
                let after = try await topology.networkState(role)
                #expect(after == before, "left: \(after.subtracting(before)), gone: \(before.subtracting(after))")
                #expect(!FileManager.default.fileExists(atPath: topology.socket(of: role)))
                try await topology.mooring(role, ["status"], status: 3)
                await ping.end()
            }
        }

        @Test("a signal during the start is heeded when it has started", arguments: [SIGTERM, SIGHUP])
        func early(signal: Int32) async throws {
            try await Topology.run { topology in
                let before = try await topology.networkState(.node)
                for _ in 0..<10 {
                    let daemon = try topology.start(in: .node, topology.mooringd(.node))
                    // As soon as it says anything at all, long before it is ready.
                    try await poll(for: "first words") { !daemon.errorOutput.isEmpty }
                    daemon.send(signal)
                    if signal == SIGHUP {
                        try await poll(for: "ready") { daemon.errorOutput.contains("ready") }
                        #expect(daemon.isRunning)
                        daemon.send(SIGTERM)
                    }
                    #expect(try await daemon.wait() == 0, "\(daemon.errorOutput)")
                    #expect(try await topology.networkState(.node) == before)
                }
            }
        }

        @Test("a binding file that is named no more takes its bindings with it")
        func fileGone() async throws {
            try await Topology.run { topology in
                let bindings = try topology.writeBindings(of: .homeAgent, careOfAddress: Topology.careOfAddressA)
                let configuration = topology.directory.appendingPathComponent("mooringd.json")
                try Data(#"{ "bindings": "\#(bindings)" }"#.utf8).write(to: configuration)
                let daemon = try await topology.startMooringd(.homeAgent, ["--config", configuration.path])
                try await topology.mooring(
                    .homeAgent,
                    ["binding", "put", "other", "--care-of", "203.0.113.77", "--prefix", "2001:db8:1:7::/64"])
                try Data("{}".utf8).write(to: configuration)
                daemon.send(SIGHUP)
                try await poll(for: "the file's binding to go") {
                    try await !topology.mooring(.homeAgent, ["binding", "list"]).contains("mn1")
                }
                #expect(try await topology.mooring(.homeAgent, ["binding", "list"]).contains("other"))
            }
        }

        @Test("SIGHUP makes mooringd read its binding file again, and keep what it has where the file is bad")
        func hangup() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.node)
                try await topology.putNodeBinding()
                let file = try topology.writeBindings(of: .homeAgent, careOfAddress: Topology.careOfAddressA)
                let daemon = try await topology.startMooringd(.homeAgent, ["--bindings", file])
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                // The node moves, by the files of both.
                try await topology.mooring(
                    .node, ["binding", "put", "home-agent", "--update", "--endpoint", Topology.careOfAddressB])
                _ = try topology.writeBindings(of: .homeAgent, careOfAddress: Topology.careOfAddressB)
                daemon.send(SIGHUP)
                try await poll(for: "the new care-of address") {
                    try await topology.mooring(.homeAgent, ["binding", "show", "mn1", "--json"])
                        .contains(Topology.careOfAddressB)
                }
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)

                let logged = daemon.errorOutput.count
                try Data(#"{ "bindings": [ { "id": "mn1" } ] }"#.utf8).write(to: URL(fileURLWithPath: file))
                daemon.send(SIGHUP)
                try await poll(for: "complaint about the file") {
                    daemon.errorOutput.dropFirst(logged).contains("careOfAddress")
                }
                #expect(daemon.isRunning)
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
            }
        }
    }
}

extension Topology {
    /// Writes a role's binding file, replacing the one before at once.
    /// - Returns: its path.
    func writeBindings(of role: Role, careOfAddress: String) throws -> String {
        let file = directory.appendingPathComponent("\(role.rawValue)-bindings.json")
        let binding =
            role == .homeAgent
            ? #"{ "id": "mn1", "careOfAddress": "\#(careOfAddress)", "prefixes": [ { "prefix": "\#(Self.nodePrefix)" } ] }"#
            : #"{ "id": "home-agent", "careOfAddress": "\#(Self.endpoint)", "prefixes": [ { "prefix": "::/0" } ] }"#
        let endpoint = role == .homeAgent ? Self.endpoint : careOfAddress
        try Data(#"{ "endpoint": "\#(endpoint)", "bindings": [ \#(binding) ] }"#.utf8).write(to: file, options: .atomic)
        return file.path
    }

    /// Devices, addresses, routes and rules of a namespace, as `ip` lists them.
    func networkState(_ role: Role) async throws -> Set<Substring> {
        var state = ""
        for arguments in [
            "-o link show", "-4 rule show", "-6 rule show", "-4 route show table all", "-6 route show table all",
        ] {
            state += try await ip(role, arguments)
        }
        // What the kernel learnt from ping, and for how long it keeps it, is no one's set-up; nor are link-local
        // addresses, which it gives to the topology's own interfaces after a while, and the routers' anycast addresses,
        // which it takes where IPv6 forwarding is on (RFC 4291, 2.6.1). That stays on.
        return Set(
            state.split(separator: "\n").filter { line in
                !["expires", " cache ", "local fe80::", "anycast "].contains { line.contains($0) }
            })
    }
}

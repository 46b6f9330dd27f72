// Traffic as people make it: ping, iperf3, packets by hand; and captures of what was on the wire.

import Foundation
import Glibc

extension Topology {
    /// Sends echo requests until one is answered, then a few more, and expects that all of these are.
    func ping(from role: Role, to address: String, _ options: [String] = []) async throws {
        try await poll(for: "answer to ping from \(role.rawValue) to \(address)") {
            try await start(in: role, ["ping", "-n", "-c", "1", "-W", "1"] + options + [address]).wait() == 0
        }
        try await run(in: role, ["ping", "-n", "-c", "5", "-i", "0.05", "-W", "10"] + options + [address])
    }

    /// A ping that goes on until it is ended.
    func startPing(from role: Role, to address: String) throws -> ChildProcess {
        try start(in: role, ["ping", "-n", "-i", "0.01", address])
    }

    /// Sends `bytes` by TCP, there and back, and expects that they arrive as they were sent (transfer.py).
    func transfer(from client: Role, to server: Role, _ address: String, bytes: Int = 2_000_000) async throws {
        let script = Self.script("transfer.py")
        let listener = try start(in: server, ["python3", script, "serve"])
        try await poll(for: "listener") { listener.output.contains("listening") }
        try await run(in: client, ["python3", script, "run", address, "\(bytes)"])
        try await listener.wait()
    }

    /// An iperf3 server for one client.
    func startLoadServer(at role: Role) async throws -> ChildProcess {
        let listener = try start(in: role, ["iperf3", "-6", "-s", "-1"])
        try await poll(for: "listening iperf3") {
            try await run(in: role, ["ss", "-Hltn", "sport = :5201"]).isEmpty == false
        }
        return listener
    }

    /// The path of a script that lies beside the tests.
    static func script(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(name).path
    }

    /// Sends IPv6 in IPv4 made by hand (protocol41.py), which no kernel checked.
    /// - Parameters:
    ///   - outer: source, destination and the type of service octet.
    ///   - inner: source, destination and the traffic class octet.
    func sendProtocol41(
        from role: Role, outer: (source: String, destination: String, typeOfService: UInt8),
        inner: (source: String, destination: String, trafficClass: UInt8), count: Int
    ) async throws {
        try await run(
            in: role,
            [
                "python3", Self.script("protocol41.py"), outer.source, outer.destination, "\(outer.typeOfService)",
                inner.source, inner.destination, "\(inner.trafficClass)", "\(count)",
            ])
    }

    /// Captures what passes an interface, until it is ended.
    func startCapture(at role: Role, interface: String, filter: String = "") async throws -> Capture {
        let file = directory.appendingPathComponent("\(role.rawValue)-\(UInt32.random(in: .min ... .max)).pcap")
        // tcpdump wants to give up what groups it has, which the root of a user namespace may not.
        let (program, running) =
            Privilege.mayChangeGroups
            ? (["tcpdump", "-Z", "root", "-n", "-U", "-B", "8192"], "listening on")
            : (["dumpcap", "-q", "-P", "-B", "8"], "File:")
        let command = program + ["-i", interface, "-w", file.path] + (program[0] == "dumpcap" ? ["-f"] : []) + [filter]
        let process = try start(in: role, command)
        try await poll(for: "capture at \(role.rawValue)") {
            guard process.isRunning else { throw EndToEndFailure("\(command[0]): \(process.errorOutput)") }
            return process.errorOutput.contains(running)
        }
        return Capture(topology: self, role: role, file: file, process: process)
    }
}

/// A running or ended capture.
struct Capture {
    let topology: Topology
    let role: Role
    let file: URL
    let process: ChildProcess

    /// What tshark decodes of the packets that pass its display filter, so far: a line each, the fields parted by tabs.
    /// Checksums are verified.
    func decoded(_ filter: String, fields: [String] = ["frame.number"]) async throws -> [[String]] {
        var command = ["tshark", "-n", "-r", file.path, "-Y", filter, "-T", "fields"]
        for preference in ["ip", "tcp", "udp"] { command += ["-o", "\(preference).check_checksum:TRUE"] }
        for field in fields { command += ["-e", field] }
        let process = try topology.start(in: role, command)
        // A capture that is still written may end within a packet; what came before is decoded.
        let status = try await process.wait()
        guard status == 0 || process.errorOutput.contains("cut short") else {
            throw EndToEndFailure("tshark: \(process.errorOutput)")
        }
        return process.output.split(separator: "\n").map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        }
    }

    func end() async { await process.end() }
}

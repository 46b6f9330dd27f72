// The network of the tests, in namespaces without names: each is held by a process that sleeps, and goes with it.
//
//   correspondent ───────── home agent ───────┬─── network A ───┬─── node
//   2001:db8:c::2   2001:db8:c::1 (mooringd)  │  203.0.113.0/24 │ .9   (mooringd)
//   192.0.2.138     192.0.2.137               │                 │      2001:db8:1:1::1
//                           192.0.2.1         │                 │      192.0.2.71
//                                             └─── network B ───┘
//                                                198.51.100.0/24  .9
//
// Correspondent and home agent speak both; everything right of the home agent is IPv4 only, networks A and B are
// routers. The node is attached to both and has a care-of address in either; each leaves by its own network. Interfaces
// are named for what they lead to. The devices, routes and rules of the tunnel are mooringd's.

import Foundation
import Testing

/// A namespace of the topology.
enum Role: String, CaseIterable {
    case correspondent
    case homeAgent = "home-agent"
    case networkA = "network-a"
    case networkB = "network-b"
    case node
}

final class Topology: @unchecked Sendable {
    static let correspondentAddress = "2001:db8:c::2"
    static let correspondentIPv4Address = "192.0.2.138"
    static let correspondentIPv4Network = "192.0.2.136/30"
    static let homePrefix = "2001:db8:1::/48"
    static let nodePrefix = "2001:db8:1:1::/64"
    static let nodeAddress = "2001:db8:1:1::1"
    static let nodeIPv4Address = "192.0.2.71"
    static let endpoint = "192.0.2.1"
    static let careOfAddressA = "203.0.113.9"
    static let careOfAddressB = "198.51.100.9"

    /// Sockets, captures and what processes wrote.
    let directory: URL
    // Used by one test at a time, and by nothing else.
    private let guardian: Guardian
    private var holders: [Role: ChildProcess] = [:]
    private var userNamespace: ChildProcess?
    private var started: [ChildProcess] = []
    var daemons: [Role: ChildProcess] = [:]

    /// What a test needs, and this host does not have: it is skipped.
    struct CannotBeHere: Error {
        let reason: String
    }

    /// Runs `body` in a new topology that is taken away afterwards, and checks that each mooringd that still runs has
    /// accounted for every packet. Where it fails, the error tells what each logged and counted, and its bindings.
    static func run(_ body: (Topology) async throws -> Void) async throws {
        let topology = try Topology()
        do {
            try await topology.make()
            try await body(topology)
            for role in topology.daemons.keys { try await topology.expectConservation(at: role) }
        } catch let error as CannotBeHere {
            await topology.remove()
            try Test.cancel("\(error.reason)")
        } catch {
            var logs = topology.daemons.map { "\($0.key.rawValue) logged:\n\($0.value.errorOutput)" }
            for role in topology.daemons.keys {
                for command in ["counters", "binding list"] {
                    let told = try? await topology.mooring(role, command.split(separator: " ").map(String.init))
                    logs.append("\(role.rawValue) has \(command):\n\(told ?? "no mooringd that answers")")
                }
            }
            await topology.remove()
            throw EndToEndFailure("\(error)\n\(logs.joined(separator: "\n"))")
        }
        await topology.remove()
    }

    private init() throws {
        directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("mooring-test-\(getpid())-\(UInt32.random(in: .min ... .max))")
        try FileManager.default.createDirectory(
            at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        guardian = try Guardian()
    }

    private func make() async throws {
        if Privilege.needsUserNamespace {
            userNamespace = try await hold(["unshare", "--map-root-user", "--net"], "user-namespace")
        }
        for role in Role.allCases {
            holders[role] = try await hold(inUserNamespace() + ["unshare", "--net"], "holder-\(role.rawValue)")
            try await ip(role, "link set lo up")
            // What the host's administrator chose for reverse-path filtering is inherited; these start from nothing.
            try await sysctl(role, ["net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"])
        }
        for role in [Role.networkA, .networkB] {
            try await sysctl(
                role,
                [
                    "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv4.ip_forward=1",
                ])
        }
        try await link(.correspondent, .homeAgent)
        // What is joined to super-frames is cut before it gets there, by the kernel's rules and not by ours.
        try await run(in: .homeAgent, ["python3", Self.script("wire.py"), "correspondent"])
        try await ip(.correspondent, "address add \(Self.correspondentAddress)/64 dev home-agent nodad")
        try await ip(.homeAgent, "address add 2001:db8:c::1/64 dev correspondent nodad")
        try await ip(.correspondent, "route add default via 2001:db8:c::1")
        try await ip(.correspondent, "address add \(Self.correspondentIPv4Address)/30 dev home-agent")
        try await ip(.homeAgent, "address add 192.0.2.137/30 dev correspondent")
        try await ip(.correspondent, "route add default via 192.0.2.137")
        try await makeAccess(
            .networkA, core: ("192.0.2.129", "192.0.2.130"), subnet: "203.0.113", table: 101)
        try await makeAccess(
            .networkB, core: ("192.0.2.133", "192.0.2.134"), subnet: "198.51.100", table: 102)
        try await ip(.node, "route add default via 203.0.113.1")
    }

    private func makeAccess(_ network: Role, core: (homeAgent: String, router: String), subnet: String, table: Int)
        async throws
    {
        try await link(.homeAgent, network)
        try await ip(.homeAgent, "address add \(core.homeAgent)/30 dev \(network.rawValue)")
        try await ip(network, "address add \(core.router)/30 dev home-agent")
        try await ip(network, "route add default via \(core.homeAgent)")
        try await ip(.homeAgent, "route add \(subnet).0/24 via \(core.router)")
        try await link(network, .node)
        try await sysctl(.node, ["net.ipv6.conf.\(network.rawValue).disable_ipv6=1"])
        try await ip(network, "address add \(subnet).1/24 dev node")
        try await ip(.node, "address add \(subnet).9/24 dev \(network.rawValue)")
        try await ip(.node, "route add default via \(subnet).1 table \(table)")
        try await ip(.node, "rule add from \(subnet).9 lookup \(table) priority \(1000 + table)")
    }

    private func link(_ left: Role, _ right: Role) async throws {
        guard let process = holders[right] else { throw EndToEndFailure("no namespace \(right.rawValue)") }
        let peer = "type veth peer name \(left.rawValue) netns \(process.identifier)"
        try await ip(left, "link add \(right.rawValue) \(peer)")
        try await ip(left, "link set \(right.rawValue) up")
        try await ip(right, "link set \(left.rawValue) up")
    }

    private func sysctl(_ role: Role, _ settings: [String]) async throws {
        try await run(in: role, ["sysctl", "-qw"] + settings)
    }

    /// A process that holds the namespaces that `command` makes.
    private func hold(_ command: [String], _ name: String) async throws -> ChildProcess {
        let process = try ChildProcess(command + ["sleep", "infinity"], name: name, in: directory, guardian: guardian)
        started.append(process)
        // It sleeps once all namespaces are made.
        try await poll(for: "namespace (\(process.errorOutput))") {
            guard process.isRunning else { throw EndToEndFailure("\(command): \(process.errorOutput)") }
            let name = try? String(contentsOfFile: "/proc/\(process.identifier)/comm", encoding: .utf8)
            return name == "sleep\n"
        }
        return process
    }

    private func inUserNamespace() -> [String] {
        guard let userNamespace else { return [] }
        return ["nsenter", "--target", "\(userNamespace.identifier)", "--user", "--preserve-credentials", "--"]
    }

    /// Ends all processes, the last started first; namespaces go with those that hold them.
    private func remove() async {
        for process in started.reversed() where process.isRunning { await process.end() }
        guardian.dismiss()
        try? FileManager.default.removeItem(at: directory)
    }

    // MARK: Commands

    /// Starts a command in a namespace. It ends with the topology at the latest.
    func start(in role: Role, _ command: [String]) throws -> ChildProcess {
        guard let holder = holders[role] else { throw EndToEndFailure("no namespace \(role.rawValue)") }
        let enter = ["nsenter", "--net=/proc/\(holder.identifier)/ns/net", "--"]
        let program = command[0].split(separator: "/").last ?? ""
        let process = try ChildProcess(
            inUserNamespace() + enter + command, name: "\(started.count)-\(role.rawValue)-\(program)", in: directory,
            guardian: guardian)
        started.append(process)
        return process
    }

    /// Runs a command in a namespace to its end.
    /// - Returns: what it wrote to standard output.
    /// - Throws: where its exit status is not `status`.
    @discardableResult
    func run(in role: Role, _ command: [String], status expected: Int32 = 0) async throws -> String {
        let process = try start(in: role, command)
        let status = try await process.wait()
        guard status == expected else {
            throw EndToEndFailure(
                """
                at \(role.rawValue), `\(command.joined(separator: " "))` ended with \(status) instead of \(expected): \
                \(process.output)\(process.errorOutput)
                """)
        }
        return process.output
    }

    /// Runs `ip` with the words of `arguments`.
    @discardableResult
    func ip(_ role: Role, _ arguments: String) async throws -> String {
        try await run(in: role, ["ip"] + arguments.split(separator: " ").map(String.init))
    }
}

// mooringd at the home agent and at the node, and mooring to talk to them.

import Foundation
import TestSupport
import Testing

/// How mooringd moves packets.
enum IO: String, CaseIterable, CustomTestStringConvertible {
    case ioUring = "io_uring"
    case plain

    var testDescription: String { rawValue }
}

/// What mooringd does with super-frames.
enum Offload: String, CaseIterable, CustomTestStringConvertible {
    case push, split, off
    /// Push, and those that come in tunnels are taken whole.
    case whole

    /// What mooringd's settings are.
    var settings: (home: String, access: String) {
        switch self {
        case .push, .off: (rawValue, "off")
        // What no program in the kernel is needed for.
        case .split: (rawValue, "datagrams")
        case .whole: ("push", "whole")
        }
    }

    /// How mooringd is told.
    var options: [String] { ["--offload", settings.home, "--access-offload", settings.access] }

    var testDescription: String { rawValue }
}

/// What `mooring counters --json` prints.
struct Counters: Decodable {
    let received: [String: UInt64]
    let generated: [String: UInt64]
    let transmitted: [String: UInt64]
    let punted: UInt64
    let absorbed: UInt64
    let dropped: [String: UInt64]
    /// Of each worker; nil in what is one's.
    let workers: [Counters]?

    /// Packets that came in or were made.
    var entered: UInt64 { received.values.reduce(0, +) + generated.values.reduce(0, +) }
    /// Packets that went out, or of which there is an account otherwise.
    var left: UInt64 { transmitted.values.reduce(0, +) + punted + absorbed + dropped.values.reduce(0, +) }

    /// Of a drop reason; nil where there is none of this name.
    func dropped(_ reason: String) -> UInt64? { dropped[reason] }
}

extension Topology {
    /// What the home agent's mooringd is started with.
    static let homeAgentOptions = [
        "--endpoint", endpoint, "--home-address", "2001:db8:ffff::1/64", "--home-route", homePrefix,
        "--home-address", "192.0.2.65/26",
    ]
    /// What the node's mooringd is started with, in network A.
    static let nodeOptions = [
        "--shared-endpoint", "--endpoint", careOfAddressA, "--home-address", "\(nodeAddress)/64", "--home-route",
        "::/0", "--home-address", nodeIPv4Address, "--home-route", correspondentIPv4Network, "--no-forwarding",
    ]

    func socket(of role: Role) -> String { directory.appendingPathComponent("\(role.rawValue).socket").path }

    /// The command line of a role's mooringd.
    func mooringd(_ role: Role, _ options: [String] = []) -> [String] {
        [Repository.path(of: "mooringd"), "--socket", socket(of: role)]
            + (role == .homeAgent ? Self.homeAgentOptions : Self.nodeOptions) + options
    }

    /// Starts mooringd and waits until it forwards.
    @discardableResult
    func startMooringd(_ role: Role, _ options: [String] = []) async throws -> ChildProcess {
        let daemon = try start(in: role, mooringd(role, options))
        daemons[role] = daemon
        try await poll(for: "ready mooringd") {
            guard daemon.isRunning else { throw EndToEndFailure("mooringd ended by itself: \(daemon.errorOutput)") }
            return daemon.errorOutput.contains("ready")
        }
        return daemon
    }

    /// Starts both daemons and puts their bindings, the node in network A.
    func startBoth(_ options: [String] = []) async throws {
        try await startMooringd(.homeAgent, options)
        try await startMooringd(.node, options)
        try await putHomeAgentBinding()
        try await putNodeBinding()
    }

    /// At the home agent: the node's binding.
    func putHomeAgentBinding() async throws {
        try await mooring(
            .homeAgent, ["binding", "put", "mn1", "--care-of", Self.careOfAddressA, "--prefix", Self.nodePrefix])
    }

    /// At the node: everything by the home agent.
    func putNodeBinding() async throws {
        try await mooring(
            .node,
            [
                "binding", "put", "home-agent", "--care-of", Self.endpoint, "--prefix", "::/0", "--endpoint",
                Self.careOfAddressA,
            ])
    }

    /// Moves the node: both ends at the same time, as a registration would.
    func move(to careOfAddress: String) async throws {
        let moves = [
            try start(
                in: .node,
                mooringCommand(.node, ["binding", "put", "home-agent", "--update", "--endpoint", careOfAddress])),
            try start(
                in: .homeAgent,
                mooringCommand(.homeAgent, ["binding", "put", "mn1", "--update", "--care-of", careOfAddress])),
        ]
        for move in moves {
            let status = try await move.wait()
            guard status == 0 else { throw EndToEndFailure("move: status \(status): \(move.errorOutput)") }
        }
    }

    /// Runs mooring at a role's daemon.
    /// - Returns: what it printed.
    @discardableResult
    func mooring(_ role: Role, _ arguments: [String], status: Int32 = 0) async throws -> String {
        try await run(in: role, mooringCommand(role, arguments), status: status)
    }

    func mooringCommand(_ role: Role, _ arguments: [String]) -> [String] {
        [Repository.path(of: "mooring")] + arguments + ["--socket", socket(of: role)]
    }

    func counters(_ role: Role) async throws -> Counters {
        let json = try await mooring(role, ["counters", "--json"])
        return try JSONDecoder().decode(Counters.self, from: Data(json.utf8))
    }

    /// Expects that what came in or was made equals what went out or was dropped.
    func expectConservation(at role: Role) async throws {
        guard daemons[role]?.isRunning == true else { return }
        let counters = try await counters(role)
        for reading in [counters] + (counters.workers ?? []) {
            #expect(reading.entered == reading.left, "\(role.rawValue): \(counters)")
        }
        let sum = counters.workers?.reduce(0) { $0 + $1.entered }
        #expect(sum == counters.entered, "\(role.rawValue): \(counters)")
    }

    /// Skips the test's case where io_uring was asked for and can't be used here.
    func requireIO(_ io: IO) async throws {
        guard io == .ioUring else { return }
        let probe = try await startMooringd(.homeAgent, ["--io", "automatic"])
        let status = try await status(.homeAgent)
        await probe.end()
        daemons[.homeAgent] = nil
        guard status["io"] as? String == io.rawValue else {
            throw CannotBeHere(reason: "io_uring can't be used here: \(status)")
        }
    }

    /// Skips the test's case where headers are to be pushed, or frames to come whole, and that can't be done here.
    func requireOffload(_ offload: Offload) async throws {
        guard offload == .push || offload == .whole else { return }
        let probe = try await startMooringd(.homeAgent, offload.options)
        let status = try await status(.homeAgent)
        await probe.end()
        daemons[.homeAgent] = nil
        guard status["offload"] as? String == offload.settings.home,
            status["accessOffload"] as? String == offload.settings.access
        else { throw CannotBeHere(reason: "that can't be done here: \(status)") }
    }

    /// What `mooring status --json` prints.
    func status(_ role: Role) async throws -> [String: Any] {
        let json = try await mooring(role, ["status", "--json"])
        guard let status = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any] else {
            throw EndToEndFailure("no status: \(json)")
        }
        return status
    }
}

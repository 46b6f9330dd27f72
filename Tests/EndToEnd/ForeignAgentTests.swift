// mooring-fa between a node and a home agent that a script plays (foreign_agent.py), with nothing of Mooring's: network A
// of the topology is the visited network, and its router the foreign agent.
//
//   correspondent ───────── home agent ─────── foreign agent ─────── node
//     192.0.2.138            192.0.2.129   192.0.2.130  203.0.113.1   192.0.2.71, its home address
//                         (foreign_agent.py)      (mooring-fa)        answers no ARP (RFC 5944, 4.6)

import Foundation
import Glibc
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Foreign agent", .serialized)
    struct ForeignAgentTests {
        static let homeAgent = "192.0.2.129"
        static let careOf = "192.0.2.130"
        static let foreignAgent = "203.0.113.1"
        static let home = Topology.nodeIPv4Address

        @Test("H10 a node registers by way of a foreign agent, is reached in its tunnel, answers in it, and leaves")
        func registration() async throws {
            try await Topology.run { topology in
                try await topology.prepareVisit()
                let before = try await topology.kernelState()
                let agent = try await topology.startForeignAgent()
                let advertisement = try await topology.script(["solicit", "network-a"])
                #expect(advertisement["careOf"] as? [String] == [Self.careOf])
                #expect(advertisement["ttl"] as? Int == 1)
                #expect(advertisement["checksum"] as? Int == 0)
                #expect(advertisement["type"] as? Int == 16)
                // F and T.
                #expect(advertisement["flags"] as? Int == 0x1100)
                #expect(advertisement["source"] as? String == Self.foreignAgent)

                // Larger than a frame, so that it comes in fragments.
                #expect(
                    try await topology.register(lifetime: 600, extensions: 7)
                        == Answer(code: 0, lifetime: 600, isSigned: true))
                let visitor = try await topology.event("visitor", of: agent)
                #expect(visitor["homeAddress"] as? String == Self.home)
                #expect(visitor["homeAgent"] as? String == Self.homeAgent)
                #expect(visitor["reverseTunnel"] as? Bool == true)

                let capture = try await topology.startCapture(
                    at: .homeAgent, interface: "network-a", filter: "ip proto 4")
                try await topology.ping(from: .correspondent, to: Self.home)
                try await topology.ping(from: .node, to: Topology.correspondentIPv4Address, ["-I", Self.home])
                // IPv6 by way of the home address is IPv4 to the foreign agent (RFC 5454, 3.3.2).
                let atNode = try await topology.startCapture(
                    at: .node, interface: "network-a", filter: "ip proto 41")
                try await topology.sendProtocol41(
                    from: .correspondent, outer: (Topology.correspondentIPv4Address, Self.home, 0),
                    inner: (Topology.correspondentAddress, Topology.nodeAddress, 0), count: 3)
                _ = try await poll(for: "IPv6 at the node") {
                    let packets = try await atNode.decoded(
                        "ip.dst == \(Self.home) && ipv6.dst == \(Topology.nodeAddress)")
                    return packets.count == 3 ? packets : nil
                }
                // Larger than the tunnel: the home agent's outer packets come in fragments.
                try await topology.run(
                    in: .correspondent, ["ping", "-n", "-c", "2", "-W", "10", "-s", "1452", Self.home])
                for (source, inner) in [(Self.homeAgent, Self.home), (Self.careOf, Topology.correspondentIPv4Address)] {
                    _ = try await poll(for: "packets in the tunnel from \(source)") {
                        let packets = try await capture.decoded("ip.src == \(source) && ip.dst == \(inner) && icmp")
                        return packets.count >= 10 ? packets : nil
                    }
                }

                #expect(try await topology.register(lifetime: 0) == Answer(code: 0, lifetime: 0, isSigned: true))
                let gone = try await topology.event("visitor-gone", of: agent)
                #expect(gone["homeAddress"] as? String == Self.home)
                #expect(try await topology.ip(.networkA, "rule show").contains(Self.home) == false)
                #expect(try await topology.ip(.networkA, "route show table all").contains(Self.home) == false)
                #expect(try await topology.ip(.networkA, "neigh show nud permanent").isEmpty)

                #expect(try await topology.register(lifetime: 600).code == 0)
                agent.send(SIGTERM)
                #expect(try await agent.wait() == 0)
                #expect(try await topology.kernelState() == before)
                let counters = try await topology.event("counters", of: agent)["counters"] as? [String: Int] ?? [:]
                #expect(counters["unexpected-type"] == nil)
                #expect(counters["request-relayed"] == 3 && counters["reply-relayed-0"] == 3)
                #expect(counters["delivered", default: 0] >= 12 && counters["reverse-tunneled", default: 0] >= 12)
            }
        }

        @Test("a foreign agent denies what it can't relay, and what does not arrive")
        func denials() async throws {
            try await Topology.run { topology in
                try await topology.prepareVisit()
                _ = try await topology.startForeignAgent()
                #expect(try await topology.register(lifetime: 601) == Answer(code: 69, lifetime: 600, isSigned: false))
                #expect(try await topology.register(lifetime: 60, timeToLive: 64).code == 76)
                // Nothing listens there.
                #expect(
                    try await topology.register(lifetime: 60, homeAgent: Topology.correspondentIPv4Address).code == 82)
            }
        }

        @Test("mooring-fa that can't start says why, and ends with 2, and leaves nothing")
        func refusals() async throws {
            try await Topology.run { topology in
                let before = try await topology.kernelState()
                let program = Repository.path(of: "mooring-fa")
                let keys = topology.directory.appendingPathComponent("keys")
                try Self.write("# keys\nnode mn1@example.net 400 hmac-md5 00112233\n", to: keys)
                let open = topology.directory.appendingPathComponent("open")
                try Self.write("# none\n", to: open, mode: 0o640)
                for (arguments, words) in [
                    ([], "--visited"), (["--visited", "node"], "--care-of"),
                    (["--visited", "nothing", "--care-of", Self.careOf], "no device nothing"),
                    (["--visited", "node", "--care-of", "192.0.2.9"], "192.0.2.9"),
                    (["--visited", "node", "--care-of", Self.careOf, "--interval", "3"], "--interval is 4 to 1800"),
                    (["--visited", "node", "--care-of", Self.careOf, "--table", "254"], "--table"),
                    (["--visited", "node", "--care-of", Self.careOf, "--device", "lo"], "no TUN device"),
                    (
                        ["--visited", "node", "--care-of", Self.careOf, "--associations", keys.path],
                        "keys:2: a key of 4"
                    ),
                    (
                        ["--visited", "node", "--care-of", Self.careOf, "--associations", open.path],
                        "open: can be used by others (mode 640)"
                    ),
                    (
                        ["--visited", "node", "--care-of", Self.careOf, "--associations", "/nonexistent"],
                        "/nonexistent: can't be read"
                    ),
                ] {
                    let process = try topology.start(in: .networkA, [program] + arguments)
                    #expect(try await process.wait() == 2)
                    #expect(process.errorOutput.contains(words), "\(process.errorOutput)")
                    #expect(process.output.isEmpty)
                }
                #expect(try await topology.kernelState() == before)
            }
        }

        fileprivate static func write(_ keys: String, to url: URL, mode: mode_t = 0o600) throws {
            try Data(keys.utf8).write(to: url)
            guard chmod(url.path, mode) == 0 else { throw EndToEndFailure("chmod: \(errno)") }
        }

        struct Answer: Equatable {
            let code: Int
            let lifetime: Int
            /// By the home agent, for the node.
            let isSigned: Bool
        }
    }
}

extension Topology {
    fileprivate typealias Tests = EndToEnd.ForeignAgentTests

    /// Gives the node its home address, of which it tells nobody by ARP, and makes the visited link of the foreign agent
    /// one that its host would not forward from.
    fileprivate func prepareVisit() async throws {
        try await run(in: .homeAgent, ["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        try await run(
            in: .node, ["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=8", "net.ipv4.conf.all.arp_announce=2"])
        try await run(
            in: .networkA, ["sysctl", "-qw", "net.ipv4.conf.node.forwarding=0", "net.ipv4.conf.node.rp_filter=1"])
        try await ip(.node, "address add \(Tests.home)/32 dev lo")
    }

    /// Starts both agents.
    fileprivate func startForeignAgent() async throws -> ChildProcess {
        let homeAgent = try start(
            in: .homeAgent, ["python3", Self.script("foreign_agent.py"), "home-agent", Tests.homeAgent, Tests.home])
        try await poll(for: "home agent (\(homeAgent.errorOutput))") { homeAgent.output.contains("listening") }
        let keys = directory.appendingPathComponent("keys")
        try Tests.write("home-agent \(Tests.homeAgent) 300 hmac-md5 404142434445464748494a4b4c4d4e4f\n", to: keys)
        let agent = try start(
            in: .networkA,
            [
                Repository.path(of: "mooring-fa"), "--visited", "node", "--care-of", Tests.careOf, "--lifetime", "600",
                "--solicited-only", "--associations", keys.path, "--json",
            ])
        try await poll(for: "foreign agent") {
            guard agent.isRunning else { throw EndToEndFailure("mooring-fa ended: \(agent.errorOutput)") }
            return agent.output.contains("ready")
        }
        return agent
    }

    /// What the script prints at the node.
    fileprivate func script(_ arguments: [String]) async throws -> [String: Any] {
        let output = try await run(in: .node, ["python3", Self.script("foreign_agent.py")] + arguments)
        guard let object = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any] else {
            throw EndToEndFailure("no answer: \(output)")
        }
        return object
    }

    fileprivate func register(
        lifetime: Int, timeToLive: Int = 255, homeAgent: String = Tests.homeAgent, extensions: Int = 1
    ) async throws -> Tests.Answer {
        let answer = try await script([
            "register", Tests.home, homeAgent, Tests.careOf, Tests.foreignAgent, "\(lifetime)", "\(timeToLive)",
            "\(extensions)",
        ])
        guard answer["matches"] as? Bool == true, answer["source"] as? String == Tests.foreignAgent,
            answer["port"] as? Int == 434, let code = answer["code"] as? Int, let granted = answer["lifetime"] as? Int,
            let isSigned = answer["signed"] as? Bool
        else { throw EndToEndFailure("a wrong answer: \(answer)") }
        return Tests.Answer(code: code, lifetime: granted, isSigned: isSigned)
    }

    /// The last event of that name.
    fileprivate func event(_ name: String, of agent: ChildProcess) async throws -> [String: Any] {
        try await poll(for: "event \(name) of: \(agent.output)\(agent.errorOutput)") {
            try agent.output.split(separator: "\n")
                .compactMap { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
                .last { $0["event"] as? String == name }
        }
    }

    /// What mooring-fa changes where it runs.
    fileprivate func kernelState() async throws -> [String] {
        var state: [String] = []
        for command in ["rule show", "route show table all", "neigh show nud permanent", "-o link show"] {
            state.append(try await ip(.networkA, command))
        }
        let settings = ["node.forwarding", "node.rp_filter", "all.rp_filter"].map { "net.ipv4.conf.\($0)" }
        state.append(try await run(in: .networkA, ["sysctl"] + settings))
        return state
    }
}

// Multicast with kernels at both ends of a node's tunnel: the node's joins groups and leaves them as programs ask it to,
// and mooring-ha follows. A second node's reports are scapy's (control_plane.py).

import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("Multicast", .serialized)
    struct MulticastTests {
        private static let key = "0102030405060708090a0b0c0d0e0f10"
        private static let (group, otherGroup) = ("ff3e::1234", "ff3e::5678")
        private static let (otherHome, otherPrefix) = ("192.0.2.72", "2001:db8:1:2::/64")
        private static let device = "mooring-home"

        /// What the second node is, for mooring-ha.
        private static let otherNode = """
            [[node]]
            home-address = "\(otherHome)"
            spi = 1000
            key-file = "key"
            prefixes = ["\(otherPrefix)"]
            """

        @Test(
            "H15 H16 what a program at the node joins comes to it alone, by MLD in the home address's tunnel; what it leaves stops",
            .timeLimit(.minutes(5)), arguments: [1, 2])
        func joins(version: Int) async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                try await topology.startMooringd(.node, ["--home-address", "fe80::c000:247/64"])
                try await topology.run(
                    in: .node, ["sysctl", "-qw", "net.ipv6.conf.\(Self.device).force_mld_version=\(version)"])
                let settings = "multicast = { query-interval = 4, response-interval = 1 }"
                var agent = try await topology.startHomeAgent(settings, nodes: Self.otherNode)
                // IPv6 goes to the care-of address; what is said of groups does not.
                try await topology.register(Self.key, [Topology.nodePrefix + ",care-of"])
                try await topology.register(
                    Self.key, [Self.otherPrefix], home: Self.otherHome, careOf: Topology.careOfAddressB)
                try await Self.putNodeBinding(topology)
                let captures = [
                    try await topology.startCapture(at: .node, interface: "network-a", filter: "ip"),
                    try await topology.startCapture(at: .node, interface: "network-b", filter: "ip"),
                ]

                let member = try Self.startMember(topology)
                try await Self.expectMembers(topology, agent, of: Self.group, [Topology.nodeIPv4Address])
                try await topology.controlPlane(
                    .node,
                    ["report", Topology.careOfAddressB, Topology.endpoint, Self.otherHome, Self.otherGroup])
                try await Self.expectMembers(topology, agent, of: Self.otherGroup, [Self.otherHome])

                // Each gets its own group's and nothing else: what went to the other group was sent before it.
                try await Self.send(topology, [Self.otherGroup, Self.group])
                try await poll(for: "datagram at the node's program; \(member.errorOutput)") {
                    member.output.contains("got \(Self.group)")
                }
                try await Self.expectReceived(captures[1], count: 1, [Topology.careOfAddressB, Self.otherGroup])
                try await Self.expectReceived(captures[0], count: 1, [Topology.careOfAddressA, Self.group])

                // Another home agent takes over what is there, and another mooringd is told of it.
                agent.send(SIGKILL)
                try await agent.wait()
                agent = try await topology.startHomeAgent(settings, nodes: Self.otherNode)
                try await Self.expectMembers(topology, agent, of: Self.group, [Topology.nodeIPv4Address])
                let daemon = try #require(topology.daemons[.homeAgent])
                daemon.send(SIGKILL)
                try await daemon.wait()
                topology.daemons[.homeAgent] = nil
                try await topology.startMooringd(.homeAgent)
                try await Self.expectMembers(topology, agent, of: Self.group, [Topology.nodeIPv4Address])
                try await Self.expectAnswers(topology, agent, version: version)

                // The kernel says that the program was the last, does not answer when it is asked, and gets no more. The
                // other node, which says nothing again, is no member either once its time is over.
                await member.end()
                try await Self.expectMembers(topology, agent, of: Self.group, [])
                #expect(try await topology.homeAgentCounters()["listener-left"] == 1)
                try await Self.expectMembers(topology, agent, of: Self.otherGroup, [])
                #expect(try await topology.homeAgentCounters()["listener-expired"] == 1)
                try await topology.controlPlane(
                    .node,
                    ["report", Topology.careOfAddressB, Topology.endpoint, Self.otherHome, Self.otherGroup])
                try await Self.expectMembers(topology, agent, of: Self.otherGroup, [Self.otherHome])
                try await Self.send(topology, [Self.group, Self.otherGroup])
                try await Self.expectReceived(captures[1], count: 2, [Topology.careOfAddressB, Self.otherGroup])
                try await Self.expectReceived(captures[0], count: 1, [Topology.careOfAddressA, Self.group])

                // A binding takes its memberships along.
                try await topology.register(
                    Self.key, [], lifetime: 0, home: Self.otherHome, careOf: Topology.careOfAddressB)
                try await Self.expectMembers(topology, agent, of: Self.otherGroup, [])

                try await Self.expectMessages(captures[0], version: version)
                await agent.end()
            }
        }

        /// All of it went by way of the home address, within the tunnel to the care-of address.
        private static func expectMessages(_ capture: Capture, version: Int) async throws {
            await capture.end()
            let (careOf, home, endpoint) = (Topology.careOfAddressA, Topology.nodeIPv4Address, Topology.endpoint)
            let fields = ["ip.src", "ip.dst", "ip.proto", "icmpv6.type", "icmpv6.checksum.status", "_ws.malformed"]
            let messages = Set(
                try await capture.decoded(
                    "icmpv6.type in {130, 131, 132, 143} and ip.addr == \(home)", fields: fields
                ).map { $0.joined(separator: " ") })
            let queries = "\(endpoint),\(endpoint) \(careOf),\(home) 4,41 130 1 "
            let said = (version == 1 ? ["131", "132"] : ["143"]).map {
                "\(careOf),\(home) \(endpoint),\(endpoint) 4,41 \($0) 1 "
            }
            #expect(messages == Set([queries] + said))
        }

        private static func putNodeBinding(_ topology: Topology) async throws {
            try await topology.mooring(
                .node,
                [
                    "binding", "put", "home-agent", "--role", "mobile-node", "--care-of", Topology.endpoint,
                    "--endpoint", Topology.careOfAddressA, "--home-address", Topology.nodeIPv4Address, "--network",
                    "0.0.0.0/0", "--prefix", "::/0",
                ])
        }

        /// A program at the node that joins the group, and prints what it gets.
        private static func startMember(_ topology: Topology) throws -> ChildProcess {
            try topology.startControlPlane(.node, ["listen", device, group])
        }

        /// Expects that the node's kernel answers when it is asked. It tells of a group by itself, twice, but asked by nobody
        /// it would be no member any more when a report has been believed for its time, two queries and a second.
        private static func expectAnswers(_ topology: Topology, _ agent: ChildProcess, version: Int) async throws {
            let before = try await topology.homeAgentCounters()["listener-general-query", default: 0]
            // Two nodes are asked in turn.
            try await poll(for: "queries; \(agent.errorOutput)") {
                try await topology.homeAgentCounters()["listener-general-query", default: 0] >= before + 12
            }
            // Which version the node speaks is known again when it has answered.
            let shown = try await topology.run(
                in: .homeAgent, topology.toolCommand(["registration", "show", Topology.nodeIPv4Address]))
            guard shown.contains("  group: \(group) by MLD version \(version), ") else {
                let counters = try await topology.homeAgentCounters().filter { $0.value > 0 }
                throw EndToEndFailure("no answer of version \(version): \(shown)\(counters)\n\(agent.errorOutput)")
            }
        }

        /// Sends a datagram to each group, in this order, on the home side.
        private static func send(_ topology: Topology, _ groups: [String]) async throws {
            for group in groups { try await topology.controlPlane(.homeAgent, ["multicast", device, group]) }
        }

        private static func expectMembers(
            _ topology: Topology, _ agent: ChildProcess, of group: String, _ members: [String]
        ) async throws {
            try await poll(for: "members \(members) of \(group); \(agent.errorOutput)") {
                guard agent.isRunning else { throw EndToEndFailure("mooring-ha has ended: \(agent.errorOutput)") }
                let list = try await topology.mooring(.homeAgent, ["group", "list"])
                let found = list.split(separator: "\n").filter { $0.hasPrefix(group) }
                return found.map { String($0.split(separator: " ")[1]) } == members
            }
        }

        /// Expects so many datagrams, all alike, with right checksums.
        private static func expectReceived(_ capture: Capture, count: Int, _ addresses: [String]) async throws {
            let packets = try await poll(for: "\(count) datagrams to \(addresses[1])") {
                // Nobody opens the second node's tunnel, which its kernel says, quoting what came. The outer destinations
                // begin with the care-of address, whatever comes inside.
                let packets = try await capture.decoded(
                    "udp.port == 4300 and !icmp", fields: ["ip.dst", "ipv6.dst", "udp.checksum.status"])
                return packets.count >= count ? packets : nil
            }
            let seen = packets.map { [$0[0].split(separator: ",").first.map(String.init) ?? "", $0[1], $0[2]] }
            #expect(seen == Array(repeating: addresses + ["1"], count: count))
        }
    }
}

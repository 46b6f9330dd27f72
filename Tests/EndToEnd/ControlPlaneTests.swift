// What the control plane gets of the forwarder, and gives it: registrations and their answers, listeners' reports and the
// memberships that come of them. A node's packets and the home agent's are scapy's (control_plane.py).

import ControlProtocol
import Foundation
import Glibc
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Control plane", .serialized)
    struct ControlPlaneTests {
        private static let homeAddress = "192.0.2.77"
        private static let group = "ff3e::1234"
        private static let otherGroup = "ff3e::5678"

        @Test("a registration reaches the home agent at the control socket, and its answer the node that has sent it")
        func registers() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                let generated = try await Program.run([
                    "protoc", "--python_out=\(topology.directory.path)", "-I",
                    Repository.root.appendingPathComponent("Sources/ControlProtocol").path, "control.proto",
                ])
                try #require(generated.status == 0, "\(generated.errorOutput)")
                let node = try topology.startControlPlane(
                    .node, ["register", Topology.careOfAddressA, Topology.endpoint, Self.homeAddress])
                // Nobody watches yet.
                try await poll(for: "registration that nobody takes; \(node.errorOutput)") {
                    try await topology.counters(.homeAgent).dropped("punt-unattended")! > 0
                }
                #expect(try await topology.counters(.homeAgent).punted == 0)

                let agent = try topology.startControlPlane(
                    .homeAgent,
                    ["answer", topology.socket(of: .homeAgent), topology.directory.path, Topology.endpoint])
                try await poll(for: "reply; the agent wrote: \(agent.output)\(agent.errorOutput)") {
                    node.output.contains("reply")
                }
                #expect(try await node.wait() == 0, "\(node.errorOutput)")
                #expect(
                    node.output.contains("\nreply 0 600 \(Self.homeAddress) \(Topology.endpoint) 7\n"), "\(node.output)"
                )
                // Reason 1, without a home address or a binding.
                let (source, endpoint) = (Topology.careOfAddressA, Topology.endpoint)
                #expect(
                    agent.output.contains("\npunt 1 \(source) \(source) \(endpoint) False ''\n"), "\(agent.output)")
                #expect(agent.output.contains("\ninjected 1\n"), "\(agent.output)")
                let counters = try await topology.counters(.homeAgent)
                #expect(counters.punted > 0)
                #expect(counters.generated["access"]! > 0)
                #expect(counters.generated["access"] == counters.transmitted["access"])
                await agent.end()
                // Whoever asked is gone.
                let before = try await topology.counters(.homeAgent).dropped("punt-unattended")!
                let another = try topology.startControlPlane(
                    .node, ["register", Topology.careOfAddressA, Topology.endpoint, Self.homeAddress])
                try await poll(for: "registration that nobody takes any more") {
                    try await topology.counters(.homeAgent).dropped("punt-unattended")! > before
                }
                await another.end()
            }
        }

        @Test("P1 T2 T3 a node that has registered a link-local address reaches the home agent on the tunnel's link")
        func link() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                let (own, peer) = ("fe80::7", "fe80::c000:201")
                #expect(Topology.endpoint == "192.0.2.1")
                try await topology.mooring(
                    .homeAgent,
                    [
                        "binding", "put", "mn1", "--care-of", Topology.careOfAddressA, "--home-address",
                        Self.homeAddress, "--prefix", "\(own)/128,home-address",
                    ])
                let node = try topology.startControlPlane(
                    .node, ["link", Topology.careOfAddressA, Topology.endpoint, Self.homeAddress, own, peer])
                #expect(try await node.wait() == 0, "\(node.errorOutput)")
                // The forwarder says that the end of the tunnel is there; the kernel answers the ping.
                let ends = "\(Topology.endpoint) \(Self.homeAddress) \(peer) \(own)"
                #expect(node.output == "ICMPv6ND_NA \(ends) 255\nICMPv6EchoReply \(ends) 64\n")
                let counters = try await topology.counters(.homeAgent)
                #expect(counters.generated["access"]! > 0)
                #expect(counters.transmitted["home"]! > 0)
            }
        }

        @Test(
            "H15 H16 a node that says it listens gets what is sent to the group, by its tunnel, and another node does not"
        )
        func multicast() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                try await topology.mooring(
                    .homeAgent,
                    [
                        "binding", "put", "mn1", "--care-of", Topology.careOfAddressA, "--home-address",
                        Self.homeAddress, "--prefix", Topology.nodePrefix,
                    ])
                try await topology.mooring(
                    .homeAgent,
                    [
                        "binding", "put", "mn2", "--care-of", Topology.careOfAddressB, "--prefix", "2001:db8:1:2::/64",
                    ])

                // The report comes by the tunnel of the home address, and to whoever watches.
                let watch = try topology.start(
                    in: .homeAgent, topology.mooringCommand(.homeAgent, ["watch", "--punts", "--json"]))
                var sent = ""
                try await poll(for: "report; mooring watch wrote: \(watch.output)\(watch.errorOutput)") {
                    sent = try await topology.controlPlane(
                        .node,
                        ["report", Topology.careOfAddressA, Topology.endpoint, Self.homeAddress, Self.group])
                    return watch.output.contains("\n")
                }
                let line = try #require(watch.output.split(separator: "\n").first)
                let event = try #require(
                    try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                let punt = try #require(event["punt"] as? [String: Any])
                #expect(punt["reason"] as? String == "multicast-listener")
                #expect(punt["outerSource"] as? String == Topology.careOfAddressA)
                #expect(punt["homeAddress"] as? String == Self.homeAddress)
                let member = try #require(punt["binding"] as? String)
                #expect(member == "mn1")
                #expect(punt["packet"] as? String == sent.trimmingCharacters(in: .newlines))
                await watch.end()

                try await query(topology, member)
                try await topology.mooring(.homeAgent, ["group", "join", Self.group, member])
                try await topology.mooring(.homeAgent, ["group", "join", Self.otherGroup, "mn2"])
                var captures: [Capture] = []
                for network in [Role.networkA, .networkB] {
                    captures.append(
                        try await topology.startCapture(at: .node, interface: network.rawValue, filter: "ip proto 41"))
                }
                try await topology.controlPlane(.homeAgent, ["multicast", "mooring-home", Self.group])
                // One that the other node gets, behind it.
                try await topology.controlPlane(.homeAgent, ["multicast", "mooring-home", Self.otherGroup])
                let fields = ["ip.dst", "ipv6.dst", "udp.checksum.status"]
                for (capture, address, group) in [
                    (captures[0], Topology.careOfAddressA, Self.group),
                    (captures[1], Topology.careOfAddressB, Self.otherGroup),
                ] {
                    let packets = try await poll(for: "what was sent to \(group)") {
                        let packets = try await capture.decoded("udp.port == 4300", fields: fields)
                        return packets.isEmpty ? nil : packets
                    }
                    // No copy of it, and nothing for another group.
                    #expect(packets == [[address, group, "1"]])
                }
                // Who leaves gets nothing more.
                try await topology.mooring(.homeAgent, ["group", "leave", Self.group, member])
                for group in [Self.group, Self.otherGroup] {
                    try await topology.controlPlane(.homeAgent, ["multicast", "mooring-home", group])
                }
                try await poll(for: "second packet for the other node") {
                    try await captures[1].decoded("udp.port == 4300").count == 2
                }
                #expect(try await captures[0].decoded("udp.port == 4300").count == 1)
                #expect(try await topology.counters(.homeAgent).punted > 0)
            }
        }

        /// A query for listeners, by the tunnel of the home address in that to the care-of address (RFC 5454, 3.3.3).
        private func query(_ topology: Topology, _ id: String) async throws {
            let capture = try await topology.startCapture(at: .node, interface: "network-a", filter: "ip proto 4")
            // IPv6(src="fe80::c000:201", dst="ff02::1", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)])
            //   / ICMPv6MLQuery2(mladdr="::") of scapy.
            let query = """
                6000000000240001fe8000000000000000000000c0000201ff0200000000000000000000000000013a000502000001008200971227
                1000000000000000000000000000000000000000000000
                """
            let client = try await ControlClient.connect(to: topology.socket(of: .homeAgent), as: "test")
            let packet = ControlInjectedPacket.with {
                $0.packet = Data(Hex(query.filter { $0 != "\n" }).bytes)
                $0.tunnelOf = id
            }
            #expect(try await client.inject([packet]) == 1)
            await client.close()
            let fields = ["ip.src", "ip.dst", "ipv6.dst", "ipv6.hlim", "icmpv6.checksum.status"]
            let packets = try await poll(for: "query at the node") {
                let packets = try await capture.decoded("icmpv6.type == 130", fields: fields)
                return packets.isEmpty ? nil : packets
            }
            let (endpoint, careOf) = (Topology.endpoint, Topology.careOfAddressA)
            #expect(
                packets == [["\(endpoint),\(endpoint)", "\(careOf),\(Self.homeAddress)", "ff02::1", "1", "1"]])
            await capture.end()
        }

        @Test("what can't be injected or joined is refused with the reason, and what was taken before it is told")
        func refuses() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent, ["--max-members", "2", "--access-mtu", "9000"])
                let client = try await ControlClient.connect(to: topology.socket(of: .homeAgent), as: "test")
                // The IPv4 headers are scapy's: IP(src="192.0.2.1", dst="203.0.113.9", proto=253, ttl=64, id=0).
                let access = Self.packet("450000140000000040fd7be2c0000201cb007109", length: 20)
                let home = Self.packet("6000000000003b40" + String(repeating: "20", count: 32), length: 40)
                func refusal(_ packets: [ControlInjectedPacket]) async -> ControlError? {
                    let error = await #expect(throws: ControlClientError.self) { try await client.inject(packets) }
                    guard case .refused(let refusal) = error else { return nil }
                    return refusal
                }
                func to(_ side: ControlSide, _ bytes: Data) -> ControlInjectedPacket {
                    .with {
                        $0.packet = bytes
                        $0.side = side
                    }
                }
                let good = to(.access, access)
                #expect(try await client.inject([good, to(.home, home)]) == 2)
                #expect(try await client.inject([]) == 0)
                let large = Self.packet("450005dd0000000040fd7619c0000201cb007109", length: 1501)
                let cases: [(ControlInjectedPacket, ControlError.Code, String)] = [
                    (to(.access, home), .badPacket, "packets to the access side are IPv4"),
                    (to(.access, Data()), .badPacket, "malformed"),
                    (to(.access, access.dropLast()), .badPacket, "malformed"),
                    (to(.access, access + [0]), .badPacket, "1 bytes stand behind the end"),
                    (to(.home, large), .badPacket, "larger than 1500 bytes"),
                    (to(.unspecified, access), .badPacket, "nothing says where"),
                    (to(.UNRECOGNIZED(9), access), .badPacket, "nothing says where"),
                    (.with { $0.packet = access }, .badPacket, "nothing says where"),
                    (
                        .with {
                            $0.packet = access
                            $0.tunnelOf = "mn1"
                        }, .notBound, "there is no binding \"mn1\""
                    ),
                ]
                for (packet, code, part) in cases {
                    let error = await refusal([good, packet, good])
                    #expect(error?.code == code)
                    #expect(error?.taken == 1)
                    #expect(error?.message.hasPrefix("packets[1]: ") == true)
                    #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
                }
                #expect(await refusal([ControlInjectedPacket](repeating: good, count: 257))?.taken == 0)
                // More than the queue of 1 MiB holds; the worker is woken when the request has been carried out.
                let huge = to(.access, Self.packet("450023280000000040fd58cec0000201cb007109", length: 9000))
                let full = await refusal([ControlInjectedPacket](repeating: huge, count: 200))
                #expect(full?.code == .limit)
                #expect((100...116).contains(full?.taken ?? 0), "\(String(describing: full))")
                #expect(full?.message.contains("too many packets wait") == true)
                // Each was made once, and what was refused never was.
                let expected = 2 + UInt64(cases.count) + UInt64(full?.taken ?? 0)
                try await poll(for: "\(expected) generated packets") {
                    try await topology.counters(.homeAgent).generated.values.reduce(0, +) >= expected
                }
                #expect(try await topology.counters(.homeAgent).generated.values.reduce(0, +) == expected)

                // Groups: all of a request or nothing.
                func put(_ id: String, _ number: UInt8) async throws {
                    try await topology.mooring(
                        .homeAgent, ["binding", "put", id, "--care-of", "203.0.113.\(number)"])
                }
                try await put("mn1", 1)
                try await put("mn2", 2)
                let minimal = ["--encapsulation", "minimal"]
                try await topology.mooring(
                    .homeAgent, ["binding", "put", "mn3", "--care-of", "203.0.113.3"] + minimal)
                for (ids, status, part) in [
                    (["mn1", "mn9"], 1, "there is no binding \"mn9\""),
                    (["mn1", "mn3"], 2, "minimal encapsulation never carries IPv6"),
                ] as [([String], Int32, String)] {
                    let join = try topology.start(
                        in: .homeAgent, topology.mooringCommand(.homeAgent, ["group", "join", Self.group] + ids))
                    #expect(try await join.wait() == status)
                    #expect(join.errorOutput.contains(part), "\(join.errorOutput)")
                }
                try await topology.mooring(.homeAgent, ["group", "join", Self.group, "mn1"])
                try await topology.mooring(.homeAgent, ["group", "join", Self.otherGroup, "mn1", "mn2"], status: 1)
                #expect(try await topology.status(.homeAgent)["members"] as? Int == 1)
                try await topology.mooring(.homeAgent, ["group", "join", Self.group, "mn1", "mn2"])
                #expect(try await topology.status(.homeAgent)["members"] as? Int == 2)
                // A batch may put in place of what it ends, and changes nothing where it can't be done whole.
                var batch = ControlPutBindings()
                batch.removeIds = ["mn1"]
                batch.bindings = [
                    .with {
                        $0.id = "mn4"
                        $0.careOfAddress = 0xCB00_7104
                    }
                ]
                let group = Data([0xFF, 0x3E] + [UInt8](repeating: 0, count: 12) + [0x12, 0x34])
                batch.join = [
                    .with {
                        $0.group = group
                        $0.members = ["mn4", "mn1"]
                    }
                ]
                await #expect(throws: ControlClientError.self) { try await client.request(.putBindings(batch)) }
                #expect(try await topology.status(.homeAgent)["bindings"] as? Int == 3)
                batch.join[0].members = ["mn4", "mn2"]
                guard case .bindingsChanged(let changed) = try await client.request(.putBindings(batch)) else {
                    throw EndToEndFailure("no BindingsChanged")
                }
                #expect([changed.added, changed.removed, changed.joined, changed.left] == [1, 1, 1, 0])
                #expect(
                    try await topology.mooring(.homeAgent, ["group", "list"])
                        == "GROUP       MEMBER\n\(Self.group)  mn2\n\(Self.group)  mn4\n")
                await client.close()
            }
        }

        @Test("a binding file's groups are joined at the start and at SIGHUP, and what it no longer names is left")
        func files() async throws {
            try await Topology.run { topology in
                let file = topology.directory.appendingPathComponent("groups.json")
                func write(_ groups: String) throws {
                    let bindings = ["mn1", "mn2"].map { "{\"id\":\"\($0)\",\"careOfAddress\":\"203.0.113.9\"}" }
                    try Data("{\"bindings\":[\(bindings.joined(separator: ","))],\"groups\":[\(groups)]}".utf8)
                        .write(to: file, options: .atomic)
                }
                try write(#"{"group":"ff3e::1","members":["mn1","mn2"]},{"group":"ff3e::2","members":["mn2"]}"#)
                let daemon = try await topology.startMooringd(.homeAgent, ["--bindings", file.path])
                func list() async throws -> [Substring] {
                    try await topology.mooring(.homeAgent, ["group", "list"]).split(separator: "\n").dropFirst().map {
                        $0
                    }
                }
                #expect(try await list() == ["ff3e::1  mn1", "ff3e::1  mn2", "ff3e::2  mn2"])
                try await topology.mooring(.homeAgent, ["group", "join", "ff3e::3", "mn1"])
                try write(#"{"group":"ff3e::1","members":["mn2"]}"#)
                daemon.send(SIGHUP)
                try await poll(for: "the file's groups") { try await list() == ["ff3e::1  mn2", "ff3e::3  mn1"] }
                // A group that can't be joined leaves all as it is.
                let logged = daemon.errorOutput.count
                try write(#"{"group":"ff3e::4","members":["mn1","mn7"]}"#)
                daemon.send(SIGHUP)
                try await poll(for: "complaint about the file") {
                    daemon.errorOutput.dropFirst(logged).contains("groups[0].members[1]")
                }
                #expect(try await list() == ["ff3e::1  mn2", "ff3e::3  mn1"])
            }
        }

        /// A header, and zeroes up to the length.
        private static func packet(_ header: String, length: Int) -> Data {
            let bytes = Hex(header).bytes
            return Data(bytes + [UInt8](repeating: 0, count: length - bytes.count))
        }
    }
}

extension Topology {
    /// Starts control_plane.py, with the Python that has scapy.
    func startControlPlane(_ role: Role, _ arguments: [String]) throws -> ChildProcess {
        try start(in: role, ["/usr/bin/python3", "-B", Self.script("control_plane.py")] + arguments)
    }

    /// Runs it to its end.
    /// - Returns: what it wrote.
    @discardableResult
    func controlPlane(_ role: Role, _ arguments: [String]) async throws -> String {
        try await run(in: role, ["/usr/bin/python3", "-B", Self.script("control_plane.py")] + arguments)
    }
}

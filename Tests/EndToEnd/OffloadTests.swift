// Super-frames on real devices, in each way: that they come and go, that what a node gets is what was sent, and that
// counters can't tell the ways apart.

import Foundation
import Glibc
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Super-frames", .serialized)
    struct OffloadTests {
        @Test(
            "both families pass in each way, in each kind of tunnel", arguments: Offload.allCases,
            [Tunnel.ipInIP, .gre, .udp])
        func traffic(offload: Offload, tunnel: Tunnel) async throws {
            try await Topology.run { topology in
                try await topology.requireOffload(offload)
                try await topology.startBoth(tunnel, byHomeAddress: false, offload.options)
                #expect(try await topology.status(.homeAgent)["offload"] as? String == offload.settings.home)
                if tunnel == .gre {
                    // Without a checksum, which has to be another for each segment.
                    for (role, id) in [(Role.homeAgent, "mn1"), (.node, "home-agent")] {
                        try await topology.mooring(role, ["binding", "put", id, "--update", "--no-gre-checksum"])
                    }
                }
                for (node, correspondent) in [
                    (Topology.nodeIPv4Address, Topology.correspondentIPv4Address),
                    (Topology.nodeAddress, Topology.correspondentAddress),
                ] {
                    try await topology.transfer(from: .correspondent, to: .node, node, bytes: 1_000_000)
                    try await topology.transfer(from: .node, to: .correspondent, correspondent, bytes: 1_000_000)
                }
                for role in [Role.homeAgent, .node] {
                    let counters = try await topology.counters(role)
                    // Segments count, and not super-frames: 4 MB in packets of at most 1280 bytes.
                    #expect(counters.received["home"]! > 3200, "\(role)")
                    #expect(counters.transmitted["access"]! > 3200, "\(role)")
                    // The host itself reports to groups on its home device.
                    let dropped = counters.dropped.filter {
                        $0.value != 0 && !["packet-too-big", "no-group-member"].contains($0.key)
                    }
                    #expect(dropped.isEmpty, "\(role): \(dropped)")
                    // What the kernel has handed over and taken, by its own count.
                    let home = try await topology.deviceStatistics(role, "mooring-home")
                    let access = try await topology.deviceStatistics(role, "mooring-access")
                    #expect(
                        (home.sent < Int(counters.received["home"]!) / 2) == (offload != .off),
                        "\(role): \(home), \(counters)")
                    // What came out of the tunnel is joined again.
                    #expect(
                        (home.received < Int(counters.transmitted["home"]!) / 2) == (offload != .off),
                        "\(role): \(home), \(counters)")
                    // In UDP tunnels as trains, and no program is needed for that.
                    let pushes = offload == .push || offload == .whole || offload == .split && tunnel == .udp
                    #expect(
                        (access.received < Int(counters.transmitted["access"]!) / 2) == pushes,
                        "\(role): \(access), \(counters)")
                    // What is taken whole does not come by the device's queue, and trains come by it as one.
                    let takes = offload == .whole || offload == .split && tunnel == .udp
                    #expect(
                        (access.sent < Int(counters.received["access"]!) / 2) == takes,
                        "\(role): \(access), \(counters)")
                }
                let shown = try await topology.mooring(.homeAgent, ["status"])
                #expect(shown.contains("  super-frames: \(offload.settings.home)\n"))
                #expect(shown.contains("  super-frames in tunnels: \(offload.settings.access)\n"))
            }
        }

        /// What `burst.py receive` prints.
        private struct Burst: Decodable {
            let received, late, damaged: Int
        }

        @Test(
            "datagrams of a flow that wait together go into the tunnel in few writes, and come as they were sent",
            arguments: IO.allCases, [Tunnel.ipInIP, .gre])
        func datagrams(io: IO, tunnel: Tunnel) async throws {
            try await Topology.run { topology in
                try await topology.requireIO(io)
                try await topology.requireOffload(.push)
                try await topology.startBoth(
                    tunnel, byHomeAddress: false, Offload.push.options + ["--io", io.rawValue])
                if tunnel == .gre {
                    try await topology.mooring(
                        .homeAgent, ["binding", "put", "mn1", "--update", "--no-gre-checksum"])
                    try await topology.mooring(
                        .node, ["binding", "put", "home-agent", "--update", "--no-gre-checksum"])
                }
                let daemon = try #require(topology.daemons[.homeAgent])
                let (count, size) = (512, 200)
                for address in [Topology.nodeAddress, Topology.nodeIPv4Address] {
                    try await topology.ping(from: .correspondent, to: address)
                    let before = try await topology.deviceStatistics(.homeAgent, "mooring-access").received
                    let receiver = try topology.start(
                        in: .node, ["python3", Topology.script("burst.py"), "receive", "4400", "\(count)", "\(size)"])
                    try await poll(for: "receiver") { receiver.errorOutput.contains("listening") }
                    // So that it finds all together, however busy the machine is.
                    daemon.send(SIGSTOP)
                    defer { daemon.send(SIGCONT) }
                    try await topology.run(
                        in: .correspondent,
                        ["python3", Topology.script("burst.py"), "send", address, "4400", "\(count)", "\(size)"])
                    daemon.send(SIGCONT)
                    #expect(try await receiver.wait() == 0, "\(receiver.errorOutput)")
                    let burst = try JSONDecoder().decode(Burst.self, from: Data(receiver.output.utf8))
                    #expect(burst.received == count && burst.late == 0 && burst.damaged == 0, "\(address): \(burst)")
                    let writes = try await topology.deviceStatistics(.homeAgent, "mooring-access").received - before
                    #expect(writes < count / 4, "\(address): \(writes)")
                }
            }
        }

        @Test(
            "datagrams that are sent at once arrive in each way, such as are fragmented too",
            arguments: Offload.allCases)
        func datagramsAtOnce(offload: Offload) async throws {
            try await Topology.run { topology in
                try await topology.requireOffload(offload)
                try await topology.startBoth(.ipInIP, byHomeAddress: false, offload.options)
                let script = Topology.script("datagrams.py")
                let toNode = (Role.correspondent, Role.node)
                let toCorrespondent = (Role.node, Role.correspondent)
                for (ends, address, size) in [
                    (toNode, Topology.nodeIPv4Address, 1000), (toNode, Topology.nodeAddress, 1000),
                    (toCorrespondent, Topology.correspondentIPv4Address, 1000),
                    (toCorrespondent, Topology.correspondentAddress, 1000),
                    // Larger than the tunnel.
                    (toNode, Topology.nodeIPv4Address, 1400),
                ] {
                    let before = try await topology.counters(.homeAgent)
                    let receiver = try topology.start(
                        in: ends.1, ["/usr/bin/python3", script, "receive", address, "\(size)"])
                    try await poll(for: "receiver; \(receiver.errorOutput)") { receiver.output.contains("listening") }
                    try await topology.run(in: ends.0, ["/usr/bin/python3", script, "send", address, "\(size)"])
                    try await poll(for: "200 datagrams of \(size) bytes; \(receiver.output)") {
                        receiver.output.contains("all")
                    }
                    await receiver.end()
                    let after = try await topology.counters(.homeAgent)
                    let sides = ends.0 == .correspondent ? ("home", "access") : ("access", "home")
                    // Each in its tunnel, or in two fragments.
                    #expect(after.received[sides.0]! - before.received[sides.0]! >= 200)
                    let sent = after.transmitted[sides.1]! - before.transmitted[sides.1]!
                    #expect((sent >= 400) == (size == 1400), "\(sent) packets for 200 datagrams of \(size) bytes")
                }
            }
        }

        @Test("mooringd warns of a way that was named and can't be had, and goes on with the next best")
        func unfulfilled() async throws {
            try await Topology.run { topology in
                let daemon = try await topology.startMooringd(
                    .homeAgent, ["--offload", "off", "--access-offload", "whole"])
                #expect(try await topology.status(.homeAgent)["accessOffload"] as? String == "off")
                let told = "could be taken whole"
                let line = daemon.errorOutput.split(separator: "\n").first { $0.contains(told) }
                #expect(line?.contains(" warning ") == true && line?.contains("--offload off") == true)
                daemon.send(SIGTERM)
                #expect(try await daemon.wait() == 0)

                // Nothing was asked for: nothing to warn of.
                let other = try await topology.startMooringd(.homeAgent, ["--offload", "off"])
                #expect(!other.errorOutput.contains(told), "\(other.errorOutput)")
            }
        }

        @Test("in a user namespace of its own mooringd says which is missing")
        func userNamespace() async throws {
            try await Topology.run { topology in
                let socket = topology.directory.appendingPathComponent("unshared.sock").path
                let daemon = try topology.start(
                    in: .homeAgent,
                    [
                        "unshare", "--user", "--map-root-user", "--net", Repository.path(of: "mooringd"), "--endpoint",
                        "192.0.2.1", "--socket", socket, "--offload", "push", "--access-offload", "whole",
                    ])
                try await poll(for: "mooringd in a user namespace: \(daemon.errorOutput)") {
                    daemon.errorOutput.contains(" ready") || !daemon.isRunning
                }
                guard daemon.isRunning else { try Test.cancel("no user namespaces here: \(daemon.errorOutput)") }
                for told in ["could be sent better", "could be taken whole"] {
                    let line = daemon.errorOutput.split(separator: "\n").first { $0.contains(told) }
                    #expect(
                        line?.contains(" warning ") == true && line?.contains("initial user namespace") == true,
                        "\(daemon.errorOutput)")
                }
                daemon.send(SIGTERM)
                #expect(try await daemon.wait() == 0, "\(daemon.errorOutput)")
            }
        }
    }
}

extension Topology {
    /// Packets that a device had from the kernel to hand over, and that it had from its process, by the kernel's count.
    func deviceStatistics(_ role: Role, _ device: String) async throws -> (sent: Int, received: Int) {
        struct Link: Decodable {
            struct Statistics: Decodable {
                struct Direction: Decodable { let packets: Int }
                let tx: Direction
                let rx: Direction
            }
            let stats64: Statistics
        }
        let text = try await run(in: role, ["ip", "-json", "-statistics", "link", "show", "dev", device])
        guard let link = try JSONDecoder().decode([Link].self, from: Data(text.utf8)).first else {
            throw EndToEndFailure("no statistics: \(text)")
        }
        return (link.stats64.tx.packets, link.stats64.rx.packets)
    }
}

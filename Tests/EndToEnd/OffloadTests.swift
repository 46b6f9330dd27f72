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

// mooring-ha and mooring-mn with one another, each with its mooringd, in the networks of `Topology`: all that is between
// the correspondent and the node is the project's, so what is looked at is what others see of it: ping, TCP, routes, and
// what tshark decodes.

import Foundation
import Glibc
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Registration", .serialized)
    struct RegistrationTests {
        @Test(
            "M3 H4 H8 D1 a node registers with the home agent, moves, and deregisters; both families follow it",
            .timeLimit(.minutes(5)))
        func roams() async throws {
            try await Topology.run { topology in
                let pair = try await RegistrationPair.start(in: topology)
                try await pair.waitForCareOf(Topology.careOfAddressA)
                #expect(try await pair.prefixes() == ["\(Topology.nodePrefix) accepted care-of"])
                try await pair.expectTraffic()
                let routes = try await pair.homeRoutes()
                #expect(routes.contains(Topology.nodePrefix) && routes.contains(Topology.nodeIPv4Address))

                // A stream goes on while the node moves, told by the kernel alone.
                let stream = try topology.startPing(from: .correspondent, to: Topology.nodeAddress)
                try await poll(for: "answers") { stream.output.contains("icmp_seq=20 ") }
                try await topology.run(in: .node, ["ip", "route", "replace", "default", "via", "198.51.100.1"])
                try await pair.waitForCareOf(Topology.careOfAddressB)
                let answers = stream.output.split(separator: "\n").count
                try await poll(for: "answers after the move") {
                    stream.output.split(separator: "\n").count > answers + 20
                }
                await stream.end()
                try await pair.expectTraffic()
                #expect(try await pair.registeredCareOfAddresses() == [Topology.careOfAddressB])

                pair.node.send(SIGTERM)
                #expect(try await pair.node.wait() == 0, "\(pair.node.errorOutput)")
                #expect(try await pair.registeredCareOfAddresses() == [])
                #expect(try await pair.homeRoutes() == "")
                try await topology.run(
                    in: .correspondent, ["ping", "-n", "-c", "1", "-W", "1", Topology.nodeAddress], status: 1)
                try await topology.run(
                    in: .correspondent, ["ping", "-n", "-c", "1", "-W", "1", Topology.nodeIPv4Address], status: 1)
                let rules = try await topology.run(in: .node, ["ip", "rule"])
                #expect(!rules.contains("proto 55"), "\(rules)")
            }
        }

        @Test("S2 a node with another key is refused, and nothing is bound", .timeLimit(.minutes(3)))
        func wrongKey() async throws {
            try await Topology.run { topology in
                let pair = try await RegistrationPair.start(in: topology, nodeKey: "ff02030405060708090a0b0c0d0e0f10")
                try await poll(for: "refusal; \(pair.node.errorOutput)") {
                    pair.node.errorOutput.contains("code 131")
                }
                #expect(pair.agent.errorOutput.contains("security exception"), "\(pair.agent.errorOutput)")
                #expect(try await pair.registeredCareOfAddresses() == [])
                #expect(try await pair.status()["state"] as? String == "registering")
                await pair.node.end()
            }
        }

        @Test(
            "N1 the home agent answers the keepalives of a tunnel in UDP, so that the node registers once",
            .timeLimit(.minutes(3)))
        func keepalives() async throws {
            try await Topology.run { topology in
                let pair = try await RegistrationPair.start(in: topology, "udpTunneling = \"forced\"")
                try await pair.waitForCareOf(Topology.careOfAddressA)
                let capture = try await topology.startCapture(at: .node, interface: "mooring-home", filter: "icmp")
                try await pair.expectTraffic()
                try await poll(for: "answer to a keepalive; \(pair.node.errorOutput)") {
                    try await !capture.decoded(
                        "icmp.type == 0 and ip.src == \(Topology.endpoint) and ip.dst == \(Topology.nodeIPv4Address)"
                    ).isEmpty
                }
                await capture.end()
                #expect(!pair.node.errorOutput.contains("Keepalives were not answered"), "\(pair.node.errorOutput)")
                await pair.node.end()
            }
        }

        @Test(
            "both families come back after a device was down, long or short, at either end",
            .timeLimit(.minutes(5)))
        func devicesDownAndUp() async throws {
            try await Topology.run { topology in
                let pair = try await RegistrationPair.start(in: topology)
                try await pair.waitForCareOf(Topology.careOfAddressA)
                try await pair.expectTraffic()
                for role in [Role.homeAgent, .node] {
                    for device in ["mooring-home", "mooring-access"] {
                        let daemon = try #require(topology.daemons[role])
                        func told() -> Int { daemon.errorOutput.split(separator: "a device is down").count }
                        for isShort in [true, false] {
                            let before = told()
                            try await topology.ip(role, "link set \(device) down")
                            if !isShort { try await poll(for: "a word about it") { told() > before } }
                            try await topology.ip(role, "link set \(device) up")
                            try await pair.expectPings()
                        }
                    }
                }
                #expect(pair.agent.errorOutput.contains("its routes are put back"), "\(pair.agent.errorOutput)")
                #expect(
                    pair.node.errorOutput.contains("its addresses and routes are put back"),
                    "\(pair.node.errorOutput)")
                await pair.node.end()
            }
        }

        @Test("the tunnel outlives what becomes of each of the four programs", .timeLimit(.minutes(5)))
        func restarts() async throws {
            try await Topology.run { topology in
                let pair = try await RegistrationPair.start(in: topology)
                try await pair.waitForCareOf(Topology.careOfAddressA)

                pair.agent.send(SIGKILL)
                try await pair.agent.wait()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                try await pair.startHomeAgent()
                #expect(try await pair.registeredCareOfAddresses() == [Topology.careOfAddressA])
                try await pair.expectTraffic()

                for role in [Role.homeAgent, .node] {
                    let daemon = try #require(topology.daemons[role])
                    daemon.send(SIGKILL)
                    try await daemon.wait()
                    topology.daemons[role] = nil
                    try await pair.startForwarder(role)
                    try await pair.expectTraffic()
                }

                // What a node that was killed has left is taken up by the next, which is elsewhere.
                pair.node.send(SIGKILL)
                try await pair.node.wait()
                try await topology.run(in: .node, ["ip", "route", "replace", "default", "via", "198.51.100.1"])
                try await pair.startNode()
                try await pair.waitForCareOf(Topology.careOfAddressB)
                try await pair.expectTraffic()
                #expect(try await pair.registeredCareOfAddresses() == [Topology.careOfAddressB])
                await pair.node.end()
            }
        }
    }
}

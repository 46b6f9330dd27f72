// mooring-mn with a home agent that is not ours (home_agent.py, at the control socket of the home agent's mooringd): it
// registers, IPv6 goes both ways, it moves, and it leaves nothing behind.

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Mobile node", .serialized)
    struct MobileNodeTests {
        private static let key = "000102030405060708090a0b0c0d0e0f"

        private static func configuration(in topology: Topology, _ more: String) -> String {
            """
            \(more)
            homeAddress = "\(Topology.nodeIPv4Address)"
            homeAgents = ["\(Topology.endpoint)"]
            lifetime = 600
            forwarder = "\(topology.socket(of: .node))"
            socket = "\(socket(in: topology))"
            logLevel = "debug"

            [securityAssociation]
            securityParameterIndex = 256
            keyFile = "\(topology.directory.path)/home-agent.key"

            [[prefixes]]
            prefix = "\(Topology.nodePrefix)"
            address = "\(Topology.nodeAddress)"
            """
        }

        private static func socket(in topology: Topology) -> String { "\(topology.directory.path)/mooring-mn.socket" }

        private static func command(_ arguments: String...) -> [String] {
            [Repository.path(of: "mooring-mn")] + arguments
        }

        /// Writes the files that mooring-mn reads.
        private static func writeConfiguration(in topology: Topology, _ more: String = "") throws -> String {
            let (path, keyPath) = (
                "\(topology.directory.path)/mooring-mn.toml", "\(topology.directory.path)/home-agent.key"
            )
            try Data(configuration(in: topology, more).utf8).write(to: URL(fileURLWithPath: path))
            try Data("\(key)\n".utf8).write(to: URL(fileURLWithPath: keyPath))
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: keyPath)
            return path
        }

        private static func startHomeAgent(in topology: Topology) async throws -> ChildProcess {
            try await topology.startMooringd(.homeAgent)
            let generated = try await Program.run([
                "protoc", "--python_out=\(topology.directory.path)", "-I",
                Repository.root.appendingPathComponent("Sources/ControlProtocol").path, "control.proto",
            ])
            try #require(generated.status == 0, "\(generated.errorOutput)")
            let agent = try topology.start(
                in: .homeAgent,
                [
                    "/usr/bin/python3", "-B", Topology.script("home_agent.py"),
                    topology.socket(of: .homeAgent), topology.directory.path, Topology.endpoint, key,
                ])
            try await poll(for: "home agent; \(agent.errorOutput)") { agent.output.contains("watching") }
            return agent
        }

        /// A mooringd without addresses of its own, and mooring-mn that gives it some.
        private static func startNode(in topology: Topology, _ more: String = "") async throws -> ChildProcess {
            let path = try writeConfiguration(in: topology, more)
            try await startForwarder(in: topology)
            return try topology.start(in: .node, command("--config", path))
        }

        private static func startForwarder(in topology: Topology) async throws {
            let daemon = try topology.start(
                in: .node,
                [
                    Repository.path(of: "mooringd"), "--socket", topology.socket(of: .node), "--shared-endpoint",
                    "--no-forwarding",
                ])
            topology.daemons[.node] = daemon
            try await poll(for: "ready mooringd; \(daemon.errorOutput)") { daemon.errorOutput.contains("ready") }
        }

        private static func status(in topology: Topology) async throws -> [String: Any] {
            let program = try await Program.run(command("status", "--json", "--socket", socket(in: topology)))
            return try JSONSerialization.jsonObject(with: Data(program.output.utf8)) as? [String: Any] ?? [:]
        }

        private static func waitForCareOf(
            _ address: String, in topology: Topology, _ node: ChildProcess, _ agent: ChildProcess
        ) async throws {
            try await poll(for: "registration; \(node.errorOutput)\(agent.output)\(agent.errorOutput)") {
                guard node.isRunning else { throw EndToEndFailure("mooring-mn ended: \(node.errorOutput)") }
                guard agent.output.contains("registered \(Topology.nodeIPv4Address) \(address)") else { return false }
                let status = try? await status(in: topology)
                return status?["state"] as? String == "registered" && status?["careOfAddress"] as? String == address
            }
        }

        private static func expectPing(in topology: Topology) async throws {
            for (role, address) in [
                (Role.correspondent, Topology.nodeAddress), (.node, Topology.correspondentAddress),
                (.correspondent, Topology.nodeIPv4Address), (.node, Topology.correspondentIPv4Address),
            ] {
                try await topology.run(in: role, ["ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", address])
            }
        }

        /// What the configuration says, and by which tunnel IPv6 comes.
        static let tunnels = [
            ("", "care-of"), ("prefixTunnel = \"home-address\"", "home-address"),
            ("encapsulations = [\"gre\"]", "care-of"), ("encapsulations = [\"minimal\"]", "home-address"),
            ("udpTunneling = \"forced\"", "care-of"),
        ]

        @Test(
            "M3 M4 D1 N1 registers, is reached by both families, moves, deregisters, and leaves nothing behind",
            arguments: tunnels)
        func lives(more: String, tunnel: String) async throws {
            try await Topology.run { topology in
                let agent = try await Self.startHomeAgent(in: topology)
                let node = try await Self.startNode(in: topology, more)
                try await Self.waitForCareOf(Topology.careOfAddressA, in: topology, node, agent)
                let status = try await Self.status(in: topology)
                let prefixes = status["prefixes"] as? [[String: Any]]
                #expect(prefixes?.first?["state"] as? String == "accepted")
                #expect(prefixes?.first?["tunnel"] as? String == tunnel)
                #expect(status["isForwarderConnected"] as? Bool == true)
                try await Self.expectPing(in: topology)

                try await topology.run(in: .node, ["ip", "route", "replace", "default", "via", "198.51.100.1"])
                try await Self.waitForCareOf(Topology.careOfAddressB, in: topology, node, agent)
                try await Self.expectPing(in: topology)

                node.send(SIGTERM)
                #expect(try await node.wait() == 0, "\(node.errorOutput)")
                try await poll(for: "deregistration; \(agent.output)") { agent.output.contains("deregistered") }
                let bindings = try await topology.mooring(.homeAgent, ["binding", "list", "--json"])
                #expect(!bindings.contains(Topology.nodeIPv4Address), "\(bindings)")
                #expect(try await topology.run(in: .node, ["ip", "rule"]).contains("4341") == false)
                let addresses = try await topology.run(in: .node, ["ip", "-6", "addr", "show", "dev", "mooring-home"])
                #expect(!addresses.contains(Topology.nodeAddress), "\(addresses)")
            }
        }

        @Test("tells the tunnel again to a mooringd that was started anew")
        func forwarderRestarts() async throws {
            try await Topology.run { topology in
                let agent = try await Self.startHomeAgent(in: topology)
                let node = try await Self.startNode(in: topology)
                try await Self.waitForCareOf(Topology.careOfAddressA, in: topology, node, agent)
                let daemon = try #require(topology.daemons[.node])
                await daemon.end()
                try await Self.startForwarder(in: topology)
                try await poll(for: "connection; \(node.errorOutput)") {
                    node.errorOutput.contains("mooringd is connected again")
                }
                try await Self.expectPing(in: topology)
                await node.end()
            }
        }

        @Test("a request that the host refuses to send is sent when it does no longer")
        func requestRefused() async throws {
            try await Topology.run { topology in
                let agent = try await Self.startHomeAgent(in: topology)
                // As where no route leads there, but for the route by which the care-of address is chosen.
                let rule = "from \(Topology.careOfAddressA) to \(Topology.endpoint) prohibit priority 100"
                try await topology.ip(.node, "rule add \(rule)")
                let node = try await Self.startNode(in: topology)
                try await poll(for: "request that is refused; \(node.errorOutput)") {
                    node.errorOutput.contains("a request could not be sent")
                }
                try await topology.ip(.node, "rule del \(rule)")
                try await Self.waitForCareOf(Topology.careOfAddressA, in: topology, node, agent)
                await node.end()
            }
        }

        @Test("ends with 2 for a bad configuration, and with 3 where mooringd or mooring-mn is not there")
        func exitCodes() async throws {
            try await Topology.run { topology in
                let path = try Self.writeConfiguration(in: topology)
                let good = try await Program.run(Self.command("--check-configuration", path))
                #expect(good.status == 0, "\(good.errorOutput)")
                let unreachable = try await Program.run(
                    Self.command("status", "--socket", Self.socket(in: topology)))
                #expect(unreachable.status == 3 && unreachable.errorOutput.contains("does it run?"))
                let node = try topology.start(in: .node, Self.command("--config", path))
                #expect(try await node.wait() == 3, "\(node.errorOutput)")
                try Data("homeAdress = 1\n".utf8).write(to: URL(fileURLWithPath: path))
                let bad = try await Program.run(Self.command("--check-configuration", path))
                #expect(bad.status == 2 && bad.errorOutput.contains("homeAdress"), "\(bad.errorOutput)")
                #expect(try await Program.run(Self.command("--nonsense")).status == 2)
            }
        }
    }
}

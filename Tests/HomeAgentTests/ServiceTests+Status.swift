// What stands in the way of registrations, in the log and in what operators are told: addresses that the forwarder does not
// hand out datagrams of, and a store that fails.

import ControlTestServer
import Foundation
import GRDB
import NIOCore
import OperatorProtocol
import TestSupport
import Testing
import Wire

@testable import HomeAgent

extension ServiceTests {
    private static let other = IPv4Address("192.0.2.9")!

    /// What `mooring registration` prints of that service, both streams.
    private static func registration(_ arguments: [String], _ scene: Scene) async throws -> String {
        let (service, path) = (scene.service, scene.server.directory + "/operators.sock")
        let operators = try await service.eventLoop.flatSubmit {
            do {
                return try OperatorServer.start(
                    at: path, group: nil, on: service.eventLoop, logger: TestServer.quietLogger
                ) { service.value.answer($0, $1) }
            } catch {
                return service.eventLoop.makeFailedFuture(error)
            }
        }.get()
        let program = try await Program.run(
            [Repository.path(of: "mooring"), "registration"] + arguments, environment: ["MOORING_HA_SOCKET": path])
        try await service.eventLoop.submit { operators.value.close() }.get()
        #expect(program.status == 0, "\(program.errorOutput)")
        return program.output + program.errorOutput
    }

    @Test("an address that is no endpoint of the forwarder is warned of once a connection, and shown")
    func unheardAddresses() async throws {
        let log = RecordedLog()
        func warnings() -> [String] { log.entries(from: .warning).filter { $0.contains("no endpoints of mooringd") } }
        try await TestServer.run { server in
            try await Self.with(
                server, try Self.nodes(), addresses: [Self.agent, Self.other], logger: log.logger
            ) { scene in
                #expect(try await eventually { !warnings().isEmpty })
                #expect(warnings().count == 1)
                let warning = try #require(warnings().first)
                #expect(warning.contains("--endpoint 192.0.2.9") && warning.contains("addresses=192.0.2.9"))
                #expect(warning.contains("endpoints=192.0.2.1 ") && warning.contains(server.path))
                #expect(try await scene.ask(OperatorRequest(.status)).status?.unheardAddresses == ["192.0.2.9"])
                let text = try await Self.registration(["status"], scene)
                #expect(text.contains("  no endpoints of mooringd, so no registration comes to: 192.0.2.9\n"))
                // Another configuration is another matter.
                let change = { @Sendable (addresses: [IPv4Address]) in
                    try await scene.onLoop { service in
                        var settings = service.settings
                        settings.homeAgent.addresses = addresses
                        service.change(to: HomeAgentFiles(settings: settings, nodes: []))
                    }
                }
                try await change([Self.agent])
                #expect(try await scene.ask(OperatorRequest(.status)).status?.unheardAddresses == nil)
                #expect(warnings().count == 1)
                try await change([Self.other])
                #expect(warnings().count == 2)
            }
        }
    }

    @Test(
        "nothing is warned of where all addresses are endpoints, or sockets of its own listen",
        arguments: [(agent, ListenMode.forwarder), (other, .udp)])
    func heardAddresses(_ address: IPv4Address, _ listen: ListenMode) async throws {
        let log = RecordedLog()
        try await TestServer.run { server in
            try await Self.with(
                server, try Self.nodes(), addresses: [address], listen: listen, logger: log.logger
            ) { scene async throws in
                #expect(try await eventually { try await scene.onLoop { $0.dataplane.endpoints != nil } })
                #expect(log.entries(from: .warning) == [])
                #expect(try await scene.ask(OperatorRequest(.status)).status?.unheardAddresses == nil)
            }
        }
    }

    @Test("that registrations can't be stored is shown with the reason, as long as it is so")
    func storeFailureIsShown() async throws {
        try await Self.run { scene in
            #expect(try await scene.ask(OperatorRequest(.status)).status?.storeFailure == nil)
            try await scene.store.queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = ON") }
            try await scene.register()
            #expect(try await eventually { try await scene.counter("store-failed") > 0 })
            let reason = try #require(try await scene.ask(OperatorRequest(.status)).status?.storeFailure)
            #expect(reason.contains("registrations.db may not be written"), "\(reason)")
            for command in ["status", "list"] {
                let text = try await Self.registration([command], scene)
                #expect(text.contains("registrations can't be stored, so none is answered: \(reason)"), "\(text)")
            }
            try await scene.store.queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = OFF") }
            #expect(try await eventually { try await scene.server.onLoop { $0.injected.count } == 1 })
            #expect(try await scene.ask(OperatorRequest(.status)).status?.storeFailure == nil)
            #expect(!(try await Self.registration(["list"], scene)).contains("can't be stored"))
        }
    }
}

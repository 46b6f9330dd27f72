// The service between a forwarder that is made up and a store that is real: what is told whom, in which order, and what
// becomes of it where one of them fails. Requests are signed by the module's own code; Tests/EndToEnd has others'.

import Bindings
import ControlProtocol
import ControlTestServer
import Foundation
import GRDB
import Logging
import MobileIP
import NIOCore
import OperatorProtocol
import TestSupport
import Testing
import Wire

@testable import HomeAgent

@Suite("Service of the home agent") struct ServiceTests {
    static let agent = IPv4Address("192.0.2.1")!
    static let careOf = IPv4Address("203.0.113.9")!
    static let home = IPv4Address("198.51.100.7")!

    private static func association() throws -> SecurityAssociation {
        try SecurityAssociation(securityParameterIndex: 1000, key: Array(0..<16))
    }

    /// A service beside a forwarder.
    struct Scene: Sendable {
        let server: TestServer
        let service: NIOLoopBound<HomeAgentService>
        let store: RegistrationStore

        func onLoop<Value: Sendable>(_ body: @escaping @Sendable (HomeAgentService) -> Value) async throws -> Value {
            try await service.eventLoop.submit { [service] in body(service.value) }.get()
        }

        func counter(_ name: String) async throws -> UInt64 { try await onLoop { $0.counters.all[name] ?? 0 } }

        /// Sends a request by way of the forwarder.
        func register(_ home: IPv4Address = ServiceTests.home, lifetime: UInt16 = 600) async throws {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            let request = RegistrationRequest(
                flags: .decapsulationByMobileNode, lifetime: RegistrationLifetime(seconds: lifetime),
                homeAddress: home, homeAgent: ServiceTests.agent, careOfAddress: ServiceTests.careOf,
                identification: NetworkTime(
                    secondsSince1970: Int64(now.tv_sec), nanoseconds: UInt32(now.tv_nsec)
                ).rawValue)
            // As if the node sent it; the ports change places.
            let payload = try ServiceTests.association().sign(request, as: .mobileHome)
            var packet = OutgoingDatagram(
                payload: payload, source: ServiceTests.careOf, destination: ServiceTests.agent,
                destinationPort: mobileIPPort
            ).packets(identification: 1)[0]
            packet.replaceSubrange(26..<28, with: [0, 0])
            let punt = ControlPuntEvent.with {
                $0.reason = .mobileIp
                $0.packet = Data(packet)
            }
            try await server.onLoop { _ = $0.publisher.publish(.punt(punt)) }
        }

        /// A node says something of its groups.
        func hear(_ name: String, from home: IPv4Address = ServiceTests.home) async throws {
            let packet = try #require(ServiceTests.listenerMessages[name])
            let punt = ControlPuntEvent.with {
                $0.reason = .multicastListener
                $0.homeAddress = home.rawValue
                $0.packet = Data(packet.bytes)
            }
            try await server.onLoop { _ = $0.publisher.publish(.punt(punt)) }
        }

        func ask(_ request: OperatorRequest) async throws -> OperatorReply {
            let promise = service.eventLoop.makePromise(of: OperatorReply.self)
            try await onLoop { $0.answer(request) { promise.succeed($0) } }
            return try await promise.futureResult.get()
        }
    }

    static func nodes(_ count: UInt32 = 1) throws -> [ServedNode] {
        try (0..<count).map {
            ServedNode(homeAddress: IPv4Address(rawValue: home.rawValue + $0), associations: [try association()])
        }
    }

    static func run(
        nodes: UInt32 = 1, _ prepare: (TestServer) async throws -> Void = { _ in },
        _ body: (Scene) async throws -> Void
    ) async throws {
        try await TestServer.run { server in
            try await prepare(server)
            try await with(server, try self.nodes(nodes), body)
        }
    }

    static func with(
        _ server: TestServer, _ nodes: [ServedNode], multicast: MulticastConfiguration? = nil,
        directory: NodeDirectory? = nil, addresses: [IPv4Address] = [agent], listen: ListenMode = .forwarder,
        logger: Logger = TestServer.quietLogger, _ body: (Scene) async throws -> Void
    ) async throws {
        var settings = HomeAgentSettings(homeAgent: HomeAgentConfiguration(addresses: addresses))
        settings.listen = listen
        settings.forwarderSocket = server.path
        settings.multicast = multicast
        let store = try RegistrationStore(path: server.directory + "/registrations.db", durability: .normal)
        let eventLoop = server.eventLoop
        let service = try await eventLoop.submit { [settings] in
            let service = HomeAgentService(
                settings, store: store, routes: nil, eventLoop: eventLoop, logger: logger)
            var files = HomeAgentFiles(settings: settings, nodes: nodes)
            files.directory = directory
            try service.begin(with: files)
            service.dataplane.start()
            return NIOLoopBound(service, eventLoop: eventLoop)
        }.get()
        let scene = Scene(server: server, service: service, store: store)
        #expect(try await eventually { try await scene.onLoop { $0.dataplane.isSynchronized } })
        do { try await body(scene) } catch {
            try? await eventLoop.flatSubmit { service.value.stop() }.get()
            throw error
        }
        try await eventLoop.flatSubmit { service.value.stop() }.get()
    }

    @Test("S2 a registration is stored, bound and answered, and its end too")
    func registers() async throws {
        try await Self.run { scene in
            try await scene.register()
            #expect(try await eventually { try await scene.server.onLoop { $0.injected.count } == 1 })
            let binding = try await scene.server.onLoop { $0.bindings["198.51.100.7"]?.binding }
            #expect(try Binding(#require(binding)).careOfAddress == Self.careOf)
            let injected = try await scene.server.onLoop { $0.injected[0] }
            #expect(injected.side == .access)
            let packet = Array(injected.packet)
            #expect(packet.count > 48 && packet[28] == 3 && packet[29] == 0)
            #expect(Array(packet[12..<20]) == [192, 0, 2, 1, 203, 0, 113, 9])
            let reply = try await scene.ask(OperatorRequest(.registrations))
            #expect(reply.registrations?.map(\.homeAddress) == ["198.51.100.7"])
            #expect(try await scene.counter("reply-0") == 1)

            try await scene.register(lifetime: 0)
            #expect(try await eventually { try await scene.server.onLoop { $0.injected.count } == 2 })
            #expect(try await scene.server.onLoop { $0.bindings.isEmpty })
            #expect(try await scene.counter("binding-deregistered") == 1)
        }
    }

    @Test("a registration is there when the service comes back, and the forwarder is told again")
    func returns() async throws {
        try await TestServer.run { server in
            try await Self.with(server, try Self.nodes()) { scene in
                try await scene.register()
                #expect(try await eventually { try await server.onLoop { $0.injected.count } == 1 })
            }
            // The forwarder has another one that nobody knows, and lacks ours.
            try await server.onLoop { handler in
                handler.replaceBindings(by: [Binding(id: "stray", careOfAddress: Self.careOf)])
            }
            try await Self.with(server, try Self.nodes()) { scene in
                #expect(try await server.onLoop { $0.bindings.keys.sorted() } == ["198.51.100.7"])
                let reply = try await scene.ask(OperatorRequest(.registration, node: "198.51.100.7"))
                #expect(reply.registrations?.first?.careOfAddress == "203.0.113.9")
            }
        }
    }

    @Test("nothing is told that can't be stored, and all is when it can be again")
    func storeFails() async throws {
        try await Self.run { scene in
            try await scene.store.queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = ON") }
            try await scene.register()
            #expect(try await eventually { try await scene.counter("store-failed") > 1 })
            #expect(try await scene.server.onLoop { $0.bindings.isEmpty && $0.injected.isEmpty })
            try await scene.store.queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = OFF") }
            #expect(try await eventually { try await scene.server.onLoop { $0.injected.count } == 1 })
            #expect(try await scene.server.onLoop { $0.bindings.keys.sorted() } == ["198.51.100.7"])
        }
    }

    @Test("where the forwarder refuses a binding, the node gets a rejection and has none, and others have theirs")
    func refused() async throws {
        try await Self.run(nodes: 2) { scene in
            // Once for the batch, once for the binding by itself.
            try await scene.server.onLoop { $0.conflicts = 2 }
            try await scene.register()
            #expect(try await eventually { try await scene.counter("reply-withdrawn") == 1 })
            #expect(try await scene.counter("binding-refused") == 1)
            #expect(try await eventually { try await scene.counter("binding-refused-by-forwarder") == 1 })
            #expect(try await eventually { try await scene.server.onLoop { $0.injected.count } == 1 })
            try await scene.server.onLoop { $0.conflicts = 0 }
            try await scene.register(IPv4Address(rawValue: Self.home.rawValue + 1))
            #expect(try await eventually { try await scene.server.onLoop { $0.injected.count } == 2 })
            // Behind 20 bytes of IPv4 and 8 of UDP.
            #expect(
                try await scene.server.onLoop { $0.injected.map { Array($0.packet[28..<30]) } } == [[3, 128], [3, 0]])
            #expect(try await scene.server.onLoop { $0.bindings.keys.sorted() } == ["198.51.100.8"])
            let reply = try await scene.ask(OperatorRequest(.registration, node: "198.51.100.7"))
            #expect(reply.errorKind == .absent)
        }
    }

    @Test("more datagrams than may wait are counted and dropped, and the rest is answered")
    func flood() async throws {
        try await Self.run { scene in
            let extra = 100
            let total = HomeAgentService.intakeLimit + extra
            try await scene.onLoop { service in
                let datagram = ReceivedDatagram(
                    payload: [9], source: Self.careOf, sourcePort: 434, destination: Self.agent)
                for _ in 0..<total { service.receive(datagram) }
            }
            #expect(try await scene.counter("intake-full") == UInt64(extra))
            #expect(
                try await eventually {
                    try await scene.counter("malformed-message-type-unknown") == UInt64(HomeAgentService.intakeLimit)
                })
        }
    }

    @Test(
        "packets behind one that the forwarder refuses are sent; where it has no room for more the rest is counted",
        arguments: [
            (["1", "gone", "2", "gone", "gone", "3", "gone"], Int.max, ["1", "2", "3"]),
            (["1", "2", "gone", "3", "4"], 2, ["1", "2"]),
        ])
    func packetsRefused(tunnels: [String], room: Int, taken: [String]) async throws {
        try await Self.run { scene in
            try await scene.server.onLoop { handler in
                (handler.unboundTunnels, handler.injectionLimit) = (["gone"], room)
            }
            let failed = try await scene.onLoop { service in
                let failed = NIOLoopBoundBox(0, eventLoop: service.eventLoop)
                let packets = tunnels.map { name in ControlInjectedPacket.with { $0.tunnelOf = name } }
                service.dataplane.send(packets) { failed.value += $0 }
                return failed
            }
            let isDone = try await eventually {
                let injected = try await scene.server.onLoop { $0.injected.count }
                return try await injected + scene.onLoop { _ in failed.value } >= tunnels.count
            }
            #expect(isDone)
            #expect(try await scene.server.onLoop { $0.injected.map(\.tunnelOf) } == taken)
            #expect(try await scene.onLoop { _ in failed.value } == tunnels.count - taken.count)
        }
    }

    @Test("an operator's revocation is answered when it is done; a node that is not there is said to be absent")
    func revoked() async throws {
        try await Self.run { scene in
            #expect(try await scene.ask(OperatorRequest(.revoke, node: "198.51.100.7")).errorKind == .absent)
            try await scene.register()
            #expect(try await eventually { try await scene.server.onLoop { $0.injected.count } == 1 })
            let reply = try await scene.ask(OperatorRequest(.revoke, node: "198.51.100.7"))
            #expect(reply.registrations?.count == 1)
            #expect(try await scene.server.onLoop { $0.bindings.isEmpty })
        }
    }

    @Test("nodes that files no longer have lose their bindings, and new ones are served")
    func nodesChange() async throws {
        try await Self.run { scene in
            try await scene.register()
            #expect(try await eventually { try await scene.server.onLoop { $0.injected.count } == 1 })
            let another = IPv4Address("198.51.100.99")!
            let settings = try await scene.onLoop { $0.settings }
            let node = ServedNode(homeAddress: another, associations: [try Self.association()])
            try await scene.onLoop { $0.change(to: HomeAgentFiles(settings: settings, nodes: [node])) }
            #expect(try await eventually { try await scene.server.onLoop { $0.bindings.isEmpty } })
            try await scene.register(another)
            #expect(try await eventually { try await scene.server.onLoop { $0.injected.count } == 2 })
            let list = try await scene.ask(OperatorRequest(.nodes))
            #expect(list.nodes?.map(\.node) == ["198.51.100.99"])
            #expect(list.nodes?.first?.isRegistered == true)
        }
    }

    @Test("a node that an operator adds is served, and loses its binding when it is removed")
    func addedNode() async throws {
        try await TestServer.run { server in
            let directory = NodeDirectory(path: server.directory + "/nodes")
            try FileManager.default.createDirectory(
                atPath: directory.path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            try await Self.with(server, [], directory: directory) { scene in
                var definition = NodeDefinition(
                    securityParameterIndex: 1000, key: "000102030405060708090a0b0c0d0e0f")
                definition.homeAddress = "198.51.100.7"
                let added = try await scene.ask(OperatorRequest(.addNode, definition: definition))
                #expect(added.nodes?.first?.file == "198.51.100.7.toml" && added.error == nil)
                try await scene.register()
                #expect(try await eventually { try await server.onLoop { $0.bindings.count } == 1 })
                #expect(try await eventually { try await scene.counter("reply-0") == 1 })
                let shown = try await scene.ask(OperatorRequest(.node, node: "198.51.100.7"))
                #expect(shown.nodes?.first?.isRegistered == true)
                #expect(try await scene.ask(OperatorRequest(.removeNode, node: "198.51.100.7")).error == nil)
                #expect(try await server.onLoop { $0.bindings.isEmpty })
                #expect(try await scene.ask(OperatorRequest(.nodes)).nodes?.isEmpty == true)
                let another = try await scene.ask(OperatorRequest(.removeNode, node: "198.51.100.7"))
                #expect(another.errorKind == .absent)
            }
        }
    }

    @Test("of changes of nodes that wait there is a limit, beyond which operators are told so")
    func waitingChanges() async throws {
        try await Self.run { scene in
            try await scene.onLoop { service in
                // Work that is never done.
                service.files.inTurn { _ in }
                for _ in 0..<FileWork.limit { service.remove("nobody") { _ in } }
            }
            let reply = try await scene.onLoop { service in
                var reply: OperatorReply?
                service.remove("nobody") { reply = $0 }
                return reply
            }
            #expect(reply?.errorKind == .refused && reply?.error?.contains("try again") == true)
        }
    }
}

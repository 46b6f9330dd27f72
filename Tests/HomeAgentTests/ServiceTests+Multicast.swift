// The multicast router of the service: what nodes say comes by the forwarder, and what follows goes to it.

import ControlTestServer
import Foundation
import MobileIP
import OperatorProtocol
import TestSupport
import Testing
import Wire

@testable import HomeAgent

extension ServiceTests {
    private static let group = IPv6Address("ff3e::1234")!

    /// Packets of Tests/Vectors/listeners.py, by their names.
    static let listenerMessages: [String: Hex] = {
        struct Vectors: Decodable {
            struct Message: Decodable {
                let name: String
                let bytes: Hex
            }
            let messages: [Message]
        }
        let vectors: Vectors = TestSupport.Vectors.load("listeners")
        return Dictionary(uniqueKeysWithValues: vectors.messages.map { ($0.name, $0.bytes) })
    }()

    /// A node with a prefix of its own, and one without.
    private static func listeningNodes() throws -> [ServedNode] {
        var nodes = try nodes(2)
        nodes[0].implicitPrefixes = [IPv6Prefix("2001:db8:1::/64")!]
        return nodes
    }

    @Test("H15 H16 a node with IPv6 is asked for its groups, joins one and leaves it; its binding's end is theirs")
    func listens() async throws {
        try await TestServer.run { server in
            try await Self.with(server, try Self.listeningNodes(), multicast: MulticastConfiguration()) { scene in
                try await scene.register()
                try await scene.register(IPv4Address(rawValue: Self.home.rawValue + 1))
                // Two replies, and a query into the tunnel of the node that has a prefix.
                #expect(try await eventually { try await server.onLoop { $0.injected.count } == 3 })
                let queries = try await server.onLoop { $0.injected.filter { $0.tunnelOf != "" } }
                #expect(queries.map(\.tunnelOf) == ["198.51.100.7"])
                #expect(queries.first.map { Array($0.packet)[48] } == 130)

                try await scene.hear("change to exclude, without sources")
                #expect(
                    try await eventually { try await server.onLoop { $0.groups } == [Self.group: ["198.51.100.7"]] })
                let shown = try await scene.ask(OperatorRequest(.registration, node: "198.51.100.7"))
                #expect(shown.registrations?.first?.groups?.map(\.group) == ["ff3e::1234"])
                #expect(try await scene.ask(OperatorRequest(.status)).status?.memberships == 1)

                // The other has no link.
                try await scene.hear(
                    "change to exclude, without sources", from: IPv4Address(rawValue: Self.home.rawValue + 1))
                #expect(try await eventually { try await scene.counter("listener-not-on-link") == 1 })
                try await scene.hear("change to include, without sources")
                #expect(try await eventually { try await server.onLoop { $0.groups.isEmpty } })
                #expect(try await scene.counter("listener-left") == 1)

                try await scene.hear("version 1, report")
                #expect(try await eventually { try await server.onLoop { !$0.groups.isEmpty } })
                try await scene.register(lifetime: 0)
                #expect(try await eventually { try await scene.counter("binding-deregistered") == 1 })
                #expect(try await eventually { try await scene.onLoop { $0.multicast?.membershipCount } == 0 })
                #expect(try await server.onLoop { $0.groups.isEmpty })
            }
        }
    }

    @Test("H15 a service that comes back takes over the memberships of its nodes; what is refused is not kept")
    func listensAgain() async throws {
        try await TestServer.run { server in
            let nodes = try Self.listeningNodes()
            try await Self.with(server, nodes, multicast: MulticastConfiguration()) { scene in
                try await scene.register()
                #expect(try await eventually { try await server.onLoop { $0.injected.count } == 2 })
                // Once for the batch, once for the membership by itself.
                try await server.onLoop { $0.refusedJoins = 2 }
                try await scene.hear("change to exclude, without sources")
                #expect(try await eventually { try await scene.counter("listener-membership-refused") == 1 })
                #expect(try await scene.onLoop { $0.multicast?.membershipCount } == 0)
                try await scene.hear("change to exclude, without sources")
                #expect(try await eventually { try await server.onLoop { !$0.groups.isEmpty } })
            }
            try await Self.with(server, nodes, multicast: MulticastConfiguration()) { scene in
                let isTakenOver = try await eventually {
                    try await scene.onLoop { $0.multicast?.membershipCount } == 1
                }
                #expect(isTakenOver)
                #expect(try await server.onLoop { $0.groups } == [Self.group: ["198.51.100.7"]])
            }
        }
    }
}

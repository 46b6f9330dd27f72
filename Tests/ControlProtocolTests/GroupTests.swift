// Multicast groups and packets to be sent in messages, and the client's side of them.

import ControlTestServer
import FoundationEssentials
import TestSupport
import Testing
import Wire

@testable import ControlProtocol

@Suite("Groups and packets in messages") struct GroupTests {
    private static func connect(_ server: TestServer) async throws -> ControlClient {
        try await ControlClient.connect(to: server.path, as: "test", timeout: .hours(1))
    }

    private static func address(_ text: String) throws -> IPv6Address { try #require(IPv6Address(text)) }

    // The bytes are those of Python's protobuf 4.21.12, from modules that protoc 3.21.12 made of control.proto:
    //   Request(id=2, join_group=JoinGroup(group=Group(group=ip_address("ff3e::1234").packed, members=["mn1"])))
    //   Request(id=3, inject=Inject(packets=[InjectedPacket(packet=b"\1\2", side=SIDE_ACCESS),
    //     InjectedPacket(packet=b"", tunnel_of="mn1")]))
    //   Reply(id=9, event=Event(time=5, punt=PuntEvent(reason=REASON_MULTICAST_LISTENER, outer_source=0xCB007109,
    //     home_address=0xC6336407, binding="mn1", packet=b"`")))
    @Test("Another encoder's bytes are what they should be")
    func readsForeignBytes() throws {
        let join = try ControlRequest(
            serializedBytes: Hex("080252190a170a10ff3e000000000000000000000000123412036d6e31").bytes)
        #expect(join.joinGroup.group == ControlGroup(try Self.address("ff3e::1234"), members: ["mn1"]))
        let inject = try ControlRequest(serializedBytes: Hex("08034a0f0a060a02010210020a051a036d6e31").bytes).inject
            .packets
        #expect(inject.map(\.packet) == [Data([1, 2]), Data()])
        #expect(inject.map(\.to) == [.side(.access), .tunnelOf("mn1")])
        let reply = try ControlReply(
            serializedBytes: Hex("08094a1808052a14080215097100cb1d076433c622036d6e312a0160").bytes)
        #expect(reply.event.punt.reason == .multicastListener)
        #expect(reply.event.punt.outerSource == 0xCB00_7109)
        #expect(reply.event.punt.homeAddress == 0xC633_6407)
        #expect(reply.event.punt.binding == "mn1")
        #expect(reply.event.punt.packet == Data([0x60]))
    }

    @Test("A group's address is checked, and the error says which it was")
    func checksAddress() throws {
        var group = ControlGroup()
        for (bytes, part) in [
            (Data(), "has 0 bytes"), (Data(repeating: 0xFF, count: 17), "has 17 bytes"),
            (try Self.address("2001:db8::1").networkOrder, "2001:db8::1 is no IPv6 multicast address"),
            (try Self.address("ff01::1").networkOrder, "ff01::1 is no"),
        ] {
            group.group = bytes
            let error = #expect(throws: ControlError.self) { try group.checkedAddress(at: "join[3]") }
            #expect(error?.code == .badGroup)
            #expect(error?.message.hasPrefix("join[3].group") == true)
            #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
        }
        group.group = try Self.address("ff02::1").networkOrder
        #expect(try group.checkedAddress(at: "") == Self.address("ff02::1"))
    }

    @Test("However pages cut groups, the list has each once, with all its members", arguments: [1, 3, 1000])
    func lists(group size: Int) async throws {
        try await TestServer.run { server in
            let client = try await Self.connect(server)
            var expected: [ControlGroup] = []
            for number in 0..<max(3, 1100 / size) {
                let group = try Self.address("ff3e::1:\(String(number, radix: 16))")
                let ids = (0..<size).map { "mn\($0)" }
                #expect(try await client.join(group, ids).joined == UInt32(size))
                expected.append(ControlGroup(group, members: ids.sorted()))
            }
            let before = try await server.onLoop { $0.requests }
            var listed: [ControlGroup] = []
            for try await group in client.groups() { listed.append(group) }
            #expect(listed == expected)
            #expect(try await server.onLoop { $0.requests } - before <= 4)
            let one = try Self.address("ff3e::1:1")
            listed = []
            for try await group in client.groups(one) { listed.append(group) }
            #expect(listed == [expected[1]])
            listed = []
            for try await group in client.groups(try Self.address("ff3e::2")) { listed.append(group) }
            #expect(listed == [])
            await client.close()
        }
    }

    @Test(
        "A page has as many members as were asked for and says whether there are more",
        arguments: [
            (0, 7, false), (1, 1, true), (3, 3, true), (4, 4, true), (6, 6, true), (7, 7, false), (9, 7, false),
        ])
    func cutsPages(limit: UInt32, count: Int, more: Bool) throws {
        let groups = try [("ff3e::1", 3), ("ff3e::2", 1), ("ff3e::3", 3)].map { address, count in
            ControlGroup(try Self.address(address), members: (0..<count).map { "mn\($0)" })
        }
        let page = ControlGroupPage(answering: .with { $0.limit = limit }, from: groups)
        #expect(page.groups.reduce(0) { $0 + $1.members.count } == count)
        #expect(page.groups.allSatisfy { !$0.members.isEmpty })
        #expect(page.more == more)
    }

    @Test(
        "Memberships to change are split over requests, none is lost or comes twice, and none is longer than it may be")
    func splits() throws {
        let groups = try (0..<50).map { number in
            ControlGroup(
                try Self.address("ff3e::\(String(number + 1, radix: 16))"),
                members: (0..<40).map { "mobile-node-\($0)" })
        }
        let limit = 2000
        let batches = try ControlBatches([], removing: ["mn"], leaving: groups, joining: groups, limit: limit)
            .decoded()
        #expect(batches.count > 20)
        for batch in batches {
            let request = ControlRequest.with {
                $0.id = .max
                $0.putBindings = batch
            }
            #expect(try (request.serializedBytes() as [UInt8]).count <= limit)
        }
        for path in [\ControlPutBindings.leave, \ControlPutBindings.join] {
            var members: [Data: [String]] = [:]
            for group in batches.flatMap({ $0[keyPath: path] }) { members[group.group, default: []] += group.members }
            #expect(members == Dictionary(uniqueKeysWithValues: groups.map { ($0.group, $0.members) }))
        }
        // What ends comes before what begins.
        let lastLeaving = try #require(batches.lastIndex { !$0.leave.isEmpty })
        let firstJoining = try #require(batches.firstIndex { !$0.join.isEmpty })
        #expect(lastLeaving <= firstJoining)
    }

    @Test("Packets to inject reach the daemon as they are, and the reply says how many were taken")
    func injects() async throws {
        try await TestServer.run { server in
            let client = try await Self.connect(server)
            let packets: [ControlInjectedPacket] = [
                .with {
                    $0.packet = Data([1, 2, 3])
                    $0.side = .home
                },
                .with {
                    $0.packet = Data()
                    $0.tunnelOf = "mn1"
                },
            ]
            #expect(try await client.inject(packets) == 2)
            #expect(try await server.onLoop { $0.injected } == packets)
            await client.close()
        }
    }
}

// Punted packets at the control socket: who gets them, what waits for whom, and that a flood of them takes nothing from
// other events.

import ControlProtocol
import ControlTestServer
import FoundationEssentials
import Testing

@Suite("Punted packets at the control socket") struct PuntTests {
    private static func punt(_ number: Int, bytes: Int = 64) -> ControlPuntEvent {
        .with {
            $0.reason = .mobileIp
            $0.outerSource = UInt32(number)
            $0.packet = Data(repeating: UInt8(truncatingIfNeeded: number), count: bytes)
        }
    }

    private static func watcher(
        _ server: TestServer, _ fill: @escaping (inout ControlWatch) -> Void
    ) throws -> RawConnection {
        let connection = try RawConnection.greeted(server.path)
        try connection.send(frame(request(9) { fill(&$0.watch) }))
        #expect(try (connection.receive() as ControlReply).body == .watching(ControlWatching()))
        return connection
    }

    @Test("The daemon is told when the first watches for them and when the last no longer does")
    func attaches() async throws {
        try await TestServer.run { server in
            func state() async throws -> [Int] {
                try await server.onLoop { [$0.puntsAreWatched ? 1 : 0, $0.puntChanges] }
            }
            let others = try Self.watcher(server) { $0.bindings = true }
            #expect(try await state() == [0, 0])
            let first = try Self.watcher(server) { $0.punts = true }
            #expect(try await state() == [1, 1])
            var second: RawConnection? = try Self.watcher(server) {
                $0.punts = true
                $0.security = true
            }
            #expect(try await state() == [1, 1])
            // Watches go on for something else.
            try first.send(frame(request(10) { $0.watch.bindings = true }))
            #expect(try (first.receive() as ControlReply).id == 10)
            #expect(try await state() == [1, 1])
            // The last one closes, without a word.
            withExtendedLifetime(second) {}
            second = nil
            #expect(try await eventually { try await state() == [0, 2] })
            try others.send(frame(request(11) { $0.watch.punts = true }))
            #expect(try (others.receive() as ControlReply).id == 11)
            #expect(try await state() == [1, 3])
            try others.send(frame(request(12) { $0.watch = ControlWatch() }))
            #expect(try (others.receive() as ControlReply).id == 12)
            #expect(try await state() == [0, 4])
        }
    }

    @Test("Who watches for them gets each, and nobody else any; the daemon learns whether anybody did")
    func delivers() async throws {
        try await TestServer.run { server in
            let all = try (0..<2).map { _ in try Self.watcher(server) { $0.punts = true } }
            let other = try Self.watcher(server) { $0.security = true }
            let isTaken = try await server.onLoop { handler in
                let taken = (1...3).map { handler.publisher.publish(.punt(Self.punt($0))) }
                handler.publisher.publish(.security(.with { $0.reason = "last" }))
                return taken
            }
            #expect(isTaken == [true, true, true])
            for connection in all {
                for number in 1...3 {
                    let reply: ControlReply = try connection.receive()
                    #expect(reply.id == 9)
                    #expect(reply.event.punt == Self.punt(number))
                    #expect(reply.event.time > 1_700_000_000_000)
                }
            }
            #expect(try (other.receive() as ControlReply).event.security.reason == "last")
            for connection in all { try connection.send(frame(request(10) { $0.watch = ControlWatch() })) }
            for connection in all { _ = try connection.receive() as ControlReply }
            #expect(try await server.onLoop { $0.publisher.publish(.punt(Self.punt(4))) } == false)
        }
    }

    @Test("Of a flood, the one who reads gets all, and the one who does not is told how many he lost; requests go on")
    func holdsUpNobody() async throws {
        let change: (inout ControlServer.Configuration) -> Void = {
            $0.puntLimit = 64 << 10
            $0.outboundPuntLimit = 16 << 10
        }
        try await TestServer.run(change) { server in
            let silent = try Self.watcher(server) { $0.punts = true }
            let reader = try Self.watcher(server) { $0.punts = true }
            let asking = try RawConnection.greeted(server.path)
            // Far beyond what the sockets' own buffers hold, and each round no more than a queue does.
            let (rounds, perRound) = (100, 40)
            for round in 0..<rounds {
                let taken = try await server.onLoop { handler in
                    (0..<perRound).map { number in
                        handler.publisher.publish(.punt(Self.punt(round * perRound + number, bytes: 1400)))
                    }
                }
                #expect(taken.allSatisfy { $0 })
                for number in 0..<perRound {
                    let reply: ControlReply = try reader.receive()
                    try #require(reply.event.punt.outerSource == UInt32(round * perRound + number))
                }
                try asking.send(frame(request(UInt64(round)) { $0.getStatus = ControlGetStatus() }))
                #expect(try (asking.receive() as ControlReply).id == UInt64(round))
            }
            var (seen, lost, notices) = (0, 0, 0)
            while seen + lost < rounds * perRound {
                switch try (silent.receive() as ControlReply).event.body {
                case .punt(let punt):
                    // What comes is what comes next, but for what was lost.
                    try #require(punt.outerSource == UInt32(seen + lost))
                    seen += 1
                case .lostPunts(let count):
                    lost += Int(count)
                    notices += 1
                case let other: Issue.record("\(String(describing: other))")
                }
            }
            #expect(lost > 0)
            #expect(seen > 0)
            #expect(notices < 10)
        }
    }

    @Test("Nobody gets what fits no watcher's queue, and the daemon learns it")
    func tellsOfFullQueues() async throws {
        try await TestServer.run({ $0.puntLimit = 10_000 }) { server in
            let watcher = try Self.watcher(server) { $0.punts = true }
            let taken = try await server.onLoop { handler in
                [9000, 9936, 9937].map { handler.publisher.publish(.punt(Self.punt(1, bytes: $0))) }
            }
            // 64 bytes beside the packet.
            #expect(taken == [true, true, false])
            #expect(try (watcher.receive() as ControlReply).event.punt.packet.count == 9000)
            #expect(try (watcher.receive() as ControlReply).event.punt.packet.count == 9936)
            #expect(try (watcher.receive() as ControlReply).event.lostPunts == 1)
        }
    }

    @Test(
        "A watcher that reads nothing of a flood of them loses no event of bindings or security, and gets its replies")
    func leavesRoomForEvents() async throws {
        let change: (inout ControlServer.Configuration) -> Void = {
            $0.outboundLimit = 256 << 10
            $0.outboundPuntLimit = 64 << 10
            $0.puntLimit = 256 << 10
            $0.eventLimit = 64
        }
        try await TestServer.run(change) { server in
            let watcher = try Self.watcher(server) {
                $0.punts = true
                $0.security = true
            }
            // Some MiB, far more than sockets and queues hold, and events between.
            let events = 300
            for round in 0..<events {
                try await server.onLoop { handler in
                    for _ in 0..<20 { handler.publisher.publish(.punt(Self.punt(round, bytes: 1400))) }
                    handler.publisher.publish(.security(.with { $0.suppressed = UInt64(round) }))
                }
            }
            // Read only now: a reply that had to wait for room would be behind all that the sockets hold.
            try watcher.send(frame(request(10) { $0.getStatus = ControlGetStatus() }))
            var (security, punts, lostPunts, isAnswered) = (0, 0, 0, false)
            while security < events || punts + lostPunts < events * 20 || !isAnswered {
                let reply: ControlReply = try watcher.receive()
                switch reply.body {
                case .status: isAnswered = true
                case .event(let event):
                    switch event.body {
                    case .security(let event):
                        try #require(event.suppressed == UInt64(security))
                        security += 1
                    case .punt: punts += 1
                    case .lostPunts(let count): lostPunts += Int(count)
                    case let other:
                        Issue.record("\(String(describing: other))")
                        return
                    }
                case let other:
                    Issue.record("\(String(describing: other))")
                    return
                }
            }
            #expect(lostPunts > 0)
            #expect(punts > 0)
        }
    }

    @Test("Whoever no longer watches for them gets none that waited, and gets other events under his new watch")
    func forgets() async throws {
        let change: (inout ControlServer.Configuration) -> Void = { $0.outboundPuntLimit = 1 }
        try await TestServer.run(change) { server in
            let watcher = try Self.watcher(server) { $0.punts = true }
            // In one turn: one of them is written, the others wait.
            try await server.onLoop { handler in
                for number in 1...5 { handler.publisher.publish(.punt(Self.punt(number, bytes: 1400))) }
            }
            try watcher.send(frame(request(10) { $0.watch.security = true }))
            var last: ControlReply = try watcher.receive()
            while last.id == 9 { last = try watcher.receive() }
            #expect(last.body == .watching(ControlWatching()))
            try await server.onLoop { handler in
                handler.publisher.publish(.punt(Self.punt(6)))
                handler.publisher.publish(.security(.with { $0.reason = "next" }))
            }
            #expect(try (watcher.receive() as ControlReply).event.security.reason == "next")
        }
    }
}

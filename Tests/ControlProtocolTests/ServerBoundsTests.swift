// What bounds the server: connections, what waits for a client, and whatever a client may send.

import ControlProtocol
import ControlTestServer
import Foundation
import TestSupport
import Testing

@Suite("The bounds of the control server") struct ServerBoundsTests {
    @Test("One connection too many is told so; when one closes, there is room again")
    func boundsConnections() async throws {
        try await TestServer.run({ $0.connectionLimit = 2 }) { server in
            let first = try RawConnection.greeted(server.path)
            var second: RawConnection? = try RawConnection.greeted(server.path)
            let third = try RawConnection(server.path)
            let refusal: ControlReply = try third.receive()
            #expect(refusal.error.code == .limit)
            #expect(refusal.error.message.contains("2 connections"))
            #expect(try third.isAtEnd())
            withExtendedLifetime(second) {}
            second = nil
            #expect(try await eventually { (try? RawConnection.greeted(server.path)) != nil })
            try first.send(frame(request(2) { $0.getStatus = ControlGetStatus() }))
            let reply: ControlReply = try first.receive()
            #expect(reply.id == 2)
        }
    }

    @Test("A client that does not read is not served further, and others are")
    func holdsBackWhoDoesNotRead() async throws {
        try await TestServer.run({ $0.outboundLimit = 1 << 20 }) { server in
            // Replies of 64 KiB: 16 fill the limit, some fit the sockets' own buffers, and a turn may be begun.
            try await server.onLoop { $0.statusPadding = 64 << 10 }
            let silent = try RawConnection.greeted(server.path)
            let total: UInt64 = 200
            var stream: [UInt8] = []
            for id in 1...total { stream += try frame(request(id) { $0.getStatus = ControlGetStatus() }) }
            try silent.send(stream)
            let other = try RawConnection.greeted(server.path)
            for id in 1...300 as ClosedRange<UInt64> {
                try other.send(frame(request(id) { $0.getCounters = ControlGetCounters() }))
                let reply: ControlReply = try other.receive()
                #expect(reply.id == id)
            }
            let served = try await server.onLoop { $0.requests } - 300
            #expect((1...40).contains(served))
            for id in 1...total {
                let reply: ControlReply = try silent.receive()
                #expect(reply.id == id)
            }
            #expect(try await server.onLoop { $0.requests } == 500)
        }
    }

    @Test("A watcher that does not read holds up nobody, and learns how many events it lost")
    func dropsEventsOfWhoDoesNotRead() async throws {
        let change: (inout ControlServer.Configuration) -> Void = {
            $0.outboundLimit = 64 << 10
            $0.eventLimit = 16
        }
        try await TestServer.run(change) { server in
            let silent = try RawConnection.greeted(server.path)
            try silent.send(frame(request(9) { $0.watch.bindings = true }))
            let watching: ControlReply = try silent.receive()
            #expect(watching.id == 9)
            let writer = try RawConnection.greeted(server.path)
            // Beyond what the sockets' buffers hold, which is a few hundred KiB.
            let total = 40_000
            for start in stride(from: 0, to: total, by: 1000) {
                let put = request(UInt64(start)) {
                    $0.putBindings.bindings = (start..<start + 1000).map { index in
                        .with {
                            $0.id = "mobile-node-\(index)"
                            $0.careOfAddress = 0xCB00_7109
                        }
                    }
                }
                try writer.send(frame(put))
                let reply: ControlReply = try writer.receive()
                #expect(reply.bindingsChanged.added == 1000)
            }
            var seen = 0
            var lost = 0
            var notices = 0
            while seen + lost < total {
                let reply: ControlReply = try silent.receive()
                #expect(reply.id == 9)
                switch reply.event.body {
                case .binding(let event):
                    // What comes is what comes next, but for what was lost.
                    #expect(event.binding.id == "mobile-node-\(seen + lost)")
                    seen += 1
                case .lost(let count):
                    lost += Int(count)
                    notices += 1
                default: Issue.record("\(String(describing: reply.event.body))")
                }
            }
            #expect(lost > 0)
            #expect(seen > 0)
            #expect(notices < 100)
        }
    }

    @Test("Who sends a byte now and then is sent away like one who says nothing")
    func endsDripping() async throws {
        try await TestServer.run({ $0.helloTimeout = .milliseconds(100) }) { server in
            let connection = try RawConnection(server.path)
            for byte in try frame(request(1) { $0.hello.client = String(repeating: "x", count: 40) }).dropLast() {
                try connection.send([byte])
                try await Task.sleep(for: .milliseconds(3))
            }
            let reply: ControlReply = try connection.receive()
            #expect(reply.error.message.contains("no Hello came"))
            #expect(try connection.isAtEnd())
        }
    }

    @Test(
        "Of a flood of connections, as many as the limit are served and the rest told or closed; then all is as before")
    func survivesFlood() async throws {
        try await TestServer.run({ $0.connectionLimit = 8 }) { server in
            for _ in 0..<10 {
                var connections = try (0..<100).map { _ in try RawConnection(server.path) }
                var (served, told, closed) = (0, 0, 0)
                for connection in connections {
                    try connection.send(frame(request(1) { $0.hello.version = 1 }))
                    do {
                        switch try (connection.receive() as ControlReply).body {
                        case .hello: served += 1
                        case .error(let error):
                            #expect(error.code == .limit)
                            told += 1
                        case let other: Issue.record("\(String(describing: other))")
                        }
                    } catch is RawConnection.Ended { closed += 1 }
                }
                #expect(served == 8)
                #expect(told >= 8)
                #expect(served + told + closed == 100)
                connections = []
                // The last of them are gone when as many as the limit get in at once; these then see the server's end.
                var last: [RawConnection] = []
                #expect(
                    try await eventually {
                        last = (try? (0..<8).map { _ in try RawConnection.greeted(server.path) }) ?? []
                        return last.count == 8
                    })
                for connection in last {
                    connection.endSending()
                    #expect(try connection.isAtEnd())
                }
            }
        }
    }

    @Test("As many bindings as fit a frame, all empty, are refused by the first, and others are served on")
    func refusesHugeBatch() async throws {
        try await TestServer.run { server in
            let connection = try RawConnection.greeted(server.path)
            let other = try RawConnection.greeted(server.path)
            // PutBindings (field 3) of 300000 bindings (field 1) of no bytes.
            let batch = Hex("1a c0 cf 24").bytes + (0..<300_000).flatMap { _ in [0x0A, 0x00] as [UInt8] }
            for round in 2...4 as ClosedRange<UInt64> {
                try connection.send(frame(batch))
                let refusal: ControlReply = try connection.receive()
                #expect(refusal.error.code == .badBinding)
                #expect(refusal.error.message.hasPrefix("bindings[0].id: an id has 1 to 128"))
                try other.send(frame(request(round) { $0.getStatus = ControlGetStatus() }))
                let reply: ControlReply = try other.receive()
                #expect(reply.id == round)
            }
        }
    }

    @Test(
        "Ids that are none are refused or not found, and messages about them are short and have no control characters",
        arguments: [
            "", " ", "a b", "a\nb", "a\u{1B}[2J", "\u{7F}", "\u{9B}2J", "é", String(repeating: "A", count: 10_240),
        ])
    func refusesOddIDs(id: String) async throws {
        try await TestServer.run { server in
            let connection = try RawConnection.greeted(server.path)
            func ask(_ fill: (inout ControlRequest) -> Void) throws -> ControlReply {
                try connection.send(frame(request(2, fill)))
                return try connection.receive()
            }
            let refusals = [
                try ask { $0.putBindings.bindings = [.with { $0.id = id }] },
                try ask { $0.putBindings.expectedRevisions = [id: 1] },
                try ask { $0.putBindings.expectedRevisions = [id: 0] },
            ]
            for refusal in refusals {
                #expect(refusal.error.code == .badBinding)
                #expect(refusal.error.message.utf8.count < 300)
                #expect(refusal.error.message.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control })
                #expect(refusal.error.binding.unicodeScalars.count <= 128)
            }
            #expect(try ask { $0.removeBindings.ids = [id] }.bindingsChanged.notFound == 1)
            #expect(try ask { $0.putBindings.removeIds = [id] }.bindingsChanged.notFound == 1)
            #expect(try ask { $0.listBindings.id = id }.bindingPage == ControlBindingPage())
            #expect(try ask { $0.listBindings.after = id }.bindingPage == ControlBindingPage())
        }
    }

    @Test("Mutated frames never stop the server, and other connections go on")
    func survivesMutation() async throws {
        let seed = RandomTest.seed(for: "mutated control frames")
        var random = SeededGenerator(seed: seed)
        let valid = try [
            frame(request(1) { $0.hello.version = 1 }), frame(request(2) { $0.getStatus = ControlGetStatus() }),
            frame(
                request(3) {
                    $0.putBindings.bindings = [
                        .with {
                            $0.id = "mn1"
                            $0.homeAddress = 0xC633_6407
                            $0.careOfAddress = 0xCB00_7109
                            $0.encapsulation = .gre
                            $0.gre.key = 7
                            $0.prefixes = [
                                .with {
                                    $0.address = Data([0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 12))
                                    $0.length = 32
                                }
                            ]
                            $0.lifetime = 600
                        }
                    ]
                    $0.putBindings.removeIds = ["mn9"]
                }),
            frame(request(4) { $0.removeBindings.ids = ["mn1", "mn2"] }),
            frame(
                request(5) {
                    $0.listBindings.after = "mn"
                    $0.listBindings.limit = 10
                }), frame(request(6) { $0.watch.bindings = true }),
            frame(
                request(8) {
                    $0.joinGroup.group = .with { $0.group = Data([0xFF, 2] + [UInt8](repeating: 1, count: 14)) }
                }),
            frame(request(9) { $0.listGroups.afterMember = "mn" }),
            frame(request(10) { $0.inject.packets = [.with { $0.packet = Data([0x45, 0, 0, 20]) }] }),
            frame(request(7) { $0.getCounters = ControlGetCounters() }),
        ]
        try await TestServer.run { server in
            let other = try RawConnection.greeted(server.path)
            for round in 1...UInt64(RandomTest.count(600)) {
                var stream: [UInt8] = valid[0] + (0..<4).flatMap { _ in valid.randomElement(using: &random)! }
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    let position = Int.random(in: 0..<stream.count, using: &random)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: stream[position] = UInt8.random(in: 0...255, using: &random)
                    case 1: stream[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                    case 2: stream.remove(at: position)
                    default: stream.insert(UInt8.random(in: 0...255, using: &random), at: position)
                    }
                }
                let connection = try RawConnection(server.path)
                try connection.send(stream)
                // Neither does the end of what is sent end a watch, so only what has no watch is read to its end.
                if round % 2 == 0 {
                    connection.endSending()
                    do {
                        while true {
                            let reply: ControlReply = try connection.receive()
                            guard reply.body != .watching(ControlWatching()) else { break }
                        }
                    } catch is RawConnection.Ended {}
                }
                try other.send(frame(request(round) { $0.getStatus = ControlGetStatus() }))
                let reply: ControlReply = try other.receive()
                #expect(reply.id == round, "seed \(seed)")
                #expect(reply.status.processID == 42, "seed \(seed)")
            }
        }
    }
}

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

import ControlProtocol
import ControlTestServer
import Foundation
import TestSupport
import Testing

@Suite("The control server") struct ServerTests {
    // MARK: Requests

    @Test("Hello agrees on the lower version")
    func negotiates() async throws {
        try await TestServer.run { server in
            for version in [1, 2, UInt32.max] {
                let connection = try RawConnection(server.path)
                try connection.send(frame(request(7) { $0.hello.version = version }))
                let reply: ControlReply = try connection.receive()
                #expect(reply.id == 7)
                #expect(reply.hello.version == 1)
                #expect(reply.hello.server == "mooringd \(mooringVersion)")
                #expect(reply.hello.frameLimit == 4 << 20)
            }
        }
    }

    @Test("Pipelined requests are answered in their order, events of a watch among them")
    func pipelines() async throws {
        try await TestServer.run { server in
            let connection = try RawConnection.greeted(server.path)
            var stream = try frame(request(2) { $0.watch.bindings = true })
            for id in 3...200 as ClosedRange<UInt64> {
                stream += try frame(
                    request(id) {
                        switch id % 3 {
                        case 0:
                            $0.putBindings.bindings = [
                                .with {
                                    $0.id = "mn\(id)"
                                    $0.careOfAddress = 0xCB00_7109
                                }
                            ]
                        case 1: $0.getStatus = ControlGetStatus()
                        default: $0.listBindings = ControlListBindings()
                        }
                    })
            }
            try connection.send(stream)
            var expected: UInt64 = 2
            var events: [String] = []
            while expected <= 200 {
                let reply: ControlReply = try connection.receive()
                if case .event(let event) = reply.body {
                    #expect(reply.id == 2)
                    events.append(event.binding.binding.id)
                    continue
                }
                #expect(reply.id == expected)
                switch (expected == 2 ? 3 : expected % 3, reply.body) {
                case (3, .watching), (0, .bindingsChanged), (1, .status), (2, .bindingPage): break
                default: Issue.record("reply \(expected) is \(String(describing: reply.body))")
                }
                expected += 1
            }
            #expect(events == (3...200).filter { $0 % 3 == 0 }.map { "mn\($0)" })
        }
    }

    @Test("A request of a newer client is refused, and the connection stays")
    func refusesUnknownBody() async throws {
        try await TestServer.run { server in
            let connection = try RawConnection.greeted(server.path)
            // Field 1 (id) is 9; field 100, a message of two bytes, is none that there is.
            try connection.send(frame(Hex("08 09 a2 06 02 08 01").bytes))
            let reply: ControlReply = try connection.receive()
            #expect(reply.id == 9)
            #expect(reply.error.code == .badRequest)
            // Hello's field with the wrong wire type is a field that nobody knows.
            try connection.send(frame(Hex("08 0a 10 05").bytes))
            let second: ControlReply = try connection.receive()
            #expect(second.id == 10)
            #expect(second.error.code == .badRequest)
            // A field that nobody knows beside a body is passed over.
            try connection.send(frame(Hex("08 0b 32 00 a2 06 02 08 01").bytes))
            let third: ControlReply = try connection.receive()
            #expect(third.id == 11)
            #expect(third.status.processID == 42)
        }
    }

    @Test("A second Hello is refused, and the connection stays")
    func refusesSecondHello() async throws {
        try await TestServer.run { server in
            let connection = try RawConnection.greeted(server.path)
            try connection.send(frame(request(2) { $0.hello.version = 1 }))
            let refusal: ControlReply = try connection.receive()
            #expect(refusal.id == 2)
            #expect(refusal.error.code == .badRequest)
            try connection.send(frame(request(3) { $0.getStatus = ControlGetStatus() }))
            let reply: ControlReply = try connection.receive()
            #expect(reply.status.processID == 42)
        }
    }

    /// Bytes with which a greeted connection ends, and with what error.
    private static let fatal: [(String, [UInt8], ControlError.Code, String)] = [
        ("length 0", [0, 0, 0, 0], .badFrame, "a frame of length 0"),
        ("4 MiB and 1", [0, 64, 0, 1], .badFrame, "a frame of 4194305 bytes, where 4194304 is the limit"),
        ("4 GiB", [255, 255, 255, 255], .badFrame, "a frame of 4294967295 bytes"),
        ("text", Array("GET / HTTP/1.1\r\n\r\n".utf8), .badFrame, "a frame of 1195725856 bytes"),
        ("wire type 7", frame([0x0F, 1]), .badRequest, "no Request"),
        ("cut field", frame([0x12, 5, 1]), .badRequest, "no Request"),
        ("cut varint", frame([0x08, 0xFF]), .badRequest, "no Request"),
        ("varint of 11 bytes", frame([0x08] + Array(repeating: 0xFF, count: 11)), .badRequest, "no Request"),
        ("lone end of group", frame([0x14]), .badRequest, "no Request"),
        // PutBindings with a binding whose id is no UTF-8.
        ("no UTF-8", frame(Hex("1a 06 0a 04 0a 02 c3 28").bytes), .badRequest, "no Request"),
        // A Request in which groups are nested 200 deep.
        (
            "deep groups", frame(Array(repeating: 0x7B, count: 200) + Array(repeating: 0x7C, count: 200)), .badRequest,
            "no"
        ),
    ]

    @Test("What can't be read is answered with its cause and ends that connection alone", arguments: 0..<fatal.count)
    func endsOnNonsense(index: Int) async throws {
        let (name, bytes, code, cause) = Self.fatal[index]
        try await TestServer.run { server in
            let other = try RawConnection.greeted(server.path)
            let connection = try RawConnection.greeted(server.path)
            try connection.send(bytes)
            let reply: ControlReply = try connection.receive()
            #expect(reply.id == 0, "\(name)")
            #expect(reply.error.code == code, "\(name)")
            #expect(reply.error.message.contains(cause), "\(name): \(reply.error.message)")
            #expect(try connection.isAtEnd(), "\(name)")
            try other.send(frame(request(2) { $0.getStatus = ControlGetStatus() }))
            let answer: ControlReply = try other.receive()
            #expect(answer.status.processID == 42)
        }
    }

    @Test("A client that sends a frame too long can read why, even if it goes on to send all of it")
    func tellsWhoSendsTooMuch() async throws {
        try await TestServer.run({ $0.frameLimit = 1000 }) { server in
            let connection = try RawConnection.greeted(server.path)
            try connection.send(frame([UInt8](repeating: 0, count: 3 << 20)))
            let reply: ControlReply = try connection.receive()
            #expect(reply.error.code == .badFrame)
            #expect(try connection.isAtEnd())
        }
    }

    @Test("A stream that ends within a frame is told so", arguments: [1, 3, 4, 6])
    func endsOnCutFrame(length: Int) async throws {
        try await TestServer.run { server in
            let connection = try RawConnection.greeted(server.path)
            try connection.send(Array(frame(request(2) { $0.getStatus = ControlGetStatus() }).prefix(length)))
            connection.endSending()
            let reply: ControlReply = try connection.receive()
            #expect(reply.error.code == .badFrame)
            let expected = length < 4 ? "" : " of 8"
            #expect(reply.error.message.contains("after \(length)\(expected) bytes"), "\(reply.error.message)")
            #expect(try connection.isAtEnd())
        }
    }

    @Test("A client that has said all still gets its replies, then the end")
    func answersAfterEndOfInput() async throws {
        try await TestServer.run { server in
            let connection = try RawConnection.greeted(server.path)
            for id in 2...50 as ClosedRange<UInt64> {
                try connection.send(frame(request(id) { $0.getStatus = ControlGetStatus() }))
            }
            connection.endSending()
            for id in 2...50 as ClosedRange<UInt64> {
                let reply: ControlReply = try connection.receive()
                #expect(reply.id == id)
            }
            #expect(try connection.isAtEnd())
        }
    }

    @Test("Without Hello nothing is answered")
    func requiresHello() async throws {
        try await TestServer.run { server in
            let first = try RawConnection(server.path)
            try first.send(frame(request(5) { $0.getStatus = ControlGetStatus() }))
            let refusal: ControlReply = try first.receive()
            #expect(refusal.id == 5)
            #expect(refusal.error.code == .version)
            #expect(try first.isAtEnd())

            let zero = try RawConnection(server.path)
            try zero.send(frame(request(6) { $0.hello = ControlHello() }))
            let unserved: ControlReply = try zero.receive()
            #expect(unserved.error.code == .version)
            #expect(unserved.error.message.contains("version 0"))
            #expect(try zero.isAtEnd())

            let newer = try RawConnection(server.path)
            try newer.send(frame(Hex("08 09 a2 06 02 08 01").bytes))
            let unknown: ControlReply = try newer.receive()
            #expect(unknown.error.code == .version)
            #expect(try newer.isAtEnd())
            #expect(try await server.onLoop { $0.requests } == 0)
        }
    }

    @Test("Who says nothing is sent away")
    func timesOut() async throws {
        try await TestServer.run({ $0.helloTimeout = .milliseconds(20) }) { server in
            let connection = try RawConnection(server.path)
            let reply: ControlReply = try connection.receive()
            #expect(reply.error.code == .version)
            #expect(reply.error.message.contains("no Hello came"))
            #expect(try connection.isAtEnd())
            // Who has said it may then be silent: another's time, which began later, is up, and this one is served.
            var greeted: RawConnection?
            #expect(
                try await eventually {
                    greeted = try? RawConnection.greeted(server.path)
                    return greeted != nil
                })
            let later = try RawConnection(server.path)
            #expect(try (later.receive() as ControlReply).error.code == .version)
            try greeted?.send(frame(request(2) { $0.getStatus = ControlGetStatus() }))
            #expect(try (greeted?.receive() as ControlReply?)?.id == 2)
        }
    }

    // MARK: Watching

    @Test("A watcher gets what it asked for, and nothing after it asked for nothing")
    func watches() async throws {
        try await TestServer.run { server in
            let watcher = try RawConnection.greeted(server.path)
            func publishBoth(_ reason: String) async throws {
                try await server.onLoop { handler in
                    handler.publisher.publish(.binding(ControlBindingEvent()))
                    handler.publisher.publish(.security(.with { $0.reason = reason }))
                }
            }
            #expect(try await server.onLoop { !$0.publisher.isWatched })
            try watcher.send(frame(request(2) { $0.watch.security = true }))
            let watching: ControlReply = try watcher.receive()
            #expect(watching.body == .watching(ControlWatching()))
            let before = UInt64(Date().timeIntervalSince1970 * 1000)
            try await publishBoth("first")
            let event: ControlReply = try watcher.receive()
            #expect(event.id == 2)
            #expect(event.event.security.reason == "first")
            #expect(event.event.time >= before - 1)
            // The second Watch replaces the first, with its id.
            try watcher.send(frame(request(3) { $0.watch.bindings = true }))
            _ = try watcher.receive() as ControlReply
            try await publishBoth("second")
            let next: ControlReply = try watcher.receive()
            #expect(next.id == 3)
            #expect(next.event.binding == ControlBindingEvent())
            try watcher.send(frame(request(4) { $0.watch = ControlWatch() }))
            let last: ControlReply = try watcher.receive()
            #expect(last.id == 4)
            #expect(try await server.onLoop { !$0.publisher.isWatched })
            try await publishBoth("third")
            try watcher.send(frame(request(5) { $0.getStatus = ControlGetStatus() }))
            let reply: ControlReply = try watcher.receive()
            #expect(reply.id == 5)
        }
    }

    @Test("A watcher that sends nothing more goes on watching, and is forgotten when it closes")
    func watchesAfterEndOfInput() async throws {
        try await TestServer.run { server in
            var watcher: RawConnection? = try RawConnection.greeted(server.path)
            try watcher?.send(frame(request(2) { $0.watch.bindings = true }))
            watcher?.endSending()
            _ = try watcher?.receive() as ControlReply?
            for _ in 0..<3 {
                try await server.onLoop { $0.publisher.publish(.binding(ControlBindingEvent())) }
                let event = try watcher?.receive() as ControlReply?
                #expect(event?.event.binding == ControlBindingEvent())
            }
            watcher = nil
            #expect(try await eventually { try await server.onLoop { !$0.publisher.isWatched } })
        }
    }

    // MARK: The end

    @Test("When the daemon stops, each client is told, the socket goes, and a silent client does not hold it up")
    func stops() async throws {
        try await TestServer.run({ $0.closeTimeout = .milliseconds(200) }) { server in
            let client = try RawConnection.greeted(server.path)
            let newcomer = try RawConnection(server.path)
            await server.server.close()
            #expect(access(server.path, F_OK) != 0)
            for connection in [client, newcomer] {
                let reply: ControlReply = try connection.receive()
                #expect(reply.id == 0)
                #expect(reply.error.code == .stopping)
                #expect(try connection.isAtEnd())
            }
            #expect(throws: SystemError.self) { try RawConnection(server.path) }
        }
    }

    @Test("When the daemon stops, those whom it has not accepted yet are told too")
    func tellsThoseWhoWait() async throws {
        try await TestServer.run { server in
            // Nothing is accepted while the event loop is held up.
            let goOn = DispatchSemaphore(value: 0)
            server.eventLoop.execute { goOn.wait() }
            let waiting = try (0..<10).map { _ in try RawConnection(server.path) }
            async let closed: Void = server.server.close()
            #expect(try await eventually { access(server.path, F_OK) != 0 })
            goOn.signal()
            for connection in waiting {
                let reply: ControlReply = try connection.receive()
                #expect(reply.error.code == .stopping)
                #expect(try connection.isAtEnd())
            }
            await closed
        }
    }
}

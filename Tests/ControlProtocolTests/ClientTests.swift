// The client's end: replies find their requests, many bindings go in batches, and whatever the other end says, the
// caller gets an error that names it.

import Bindings
import ControlTestServer
import Glibc
import NIOCore
import NIOPosix
import TestSupport
import Testing
import Wire

@testable import ControlProtocol

@Suite("The control client") struct ClientTests {
    private static func connect(_ path: String) async throws -> ControlClient {
        try await ControlClient.connect(to: path, as: "test", timeout: .hours(1))
    }

    private static func bindings(_ count: Int, prefixes: Int = 1) -> [Binding] {
        (0..<count).map { index in
            Binding(
                id: "mn\(index)", careOfAddress: IPv4Address(rawValue: 0xCB00_7109),
                prefixes: (0..<prefixes).map { prefix in
                    let high = 0x2001_0DB8_0000_0000 + UInt64(index * prefixes + prefix)
                    return BoundPrefix(IPv6Prefix(address: IPv6Address(high: high, low: 0), length: 64)!)
                })
        }
    }

    // MARK: Requests

    @Test("Each of many tasks on one connection gets the reply to its own request")
    func multiplexes() async throws {
        try await TestServer.run { server in
            let client = try await Self.connect(server.path)
            #expect(client.version == 1)
            #expect(client.server == "mooringd \(mooringVersion)")
            #expect(client.frameLimit == 4 << 20)
            _ = try await client.put(Self.bindings(200))
            try await withThrowingTaskGroup(of: (String, String?).self) { group in
                for index in 0..<200 {
                    group.addTask { ("mn\(index)", try await client.binding("mn\(index)")?.binding.id) }
                }
                for try await (asked, answered) in group { #expect(asked == answered) }
            }
            #expect(try await client.binding("mn200") == nil)
            await client.close()
            await #expect(throws: ControlClientError.self) { try await client.status() }
        }
    }

    @Test("An update is tried again where another has put the binding meanwhile, but not for ever")
    func updates() async throws {
        try await TestServer.run { server in
            let client = try await Self.connect(server.path)
            _ = try await client.put(Self.bindings(1))
            try await server.onLoop { $0.conflicts = 15 }
            let updated = try await client.update("mn0") { $0.dscp = .pipe }
            #expect(updated?.dscp == .pipe)
            #expect(try await client.binding("mn0")?.binding.dscp == .pipe)
            try await server.onLoop { $0.conflicts = 16 }
            await #expect(throws: ControlClientError.self) {
                try await client.update("mn0") { $0.ecn = .compatibility }
            }
            #expect(try await client.update("mn1") { _ in } == nil)
            await client.close()
        }
    }

    @Test("What does not fit one frame is put in batches, ids to remove first, and progress is told")
    func loadsInBatches() async throws {
        try await TestServer.run({ $0.frameLimit = 4096 }) { server in
            let client = try await Self.connect(server.path)
            _ = try await client.load(Self.bindings(1000)) { _ in }
            // The same prefixes under other names: they are free only once the old bindings are gone.
            let renamed = Self.bindings(1000).map { binding in
                var binding = binding
                binding.id = "node-\(binding.id)"
                return binding
            }
            var steps: [Int] = []
            let changed = try await client.load(renamed, removing: (0..<1000).map { "mn\($0)" }) { progress in
                steps.append(progress.bindingsDone)
                #expect(progress.bindings == 1000)
                #expect(!progress.isOneRequest)
            }
            #expect(steps.count > 10)
            #expect(steps == steps.sorted())
            #expect(steps.last == 1000)
            #expect(changed.added == 1000)
            #expect(changed.removed == 1000)
            var ids: [String] = []
            for try await state in client.bindings() { ids.append(state.binding.id) }
            #expect(ids == renamed.map(\.id).sorted())
            await client.close()
        }
    }

    @Test("No batch is longer than the frame, none is empty but the only one, and together they are what was asked for")
    func splits() throws {
        for (count, prefixes, limit) in [(0, 0, 300), (1, 1, 300), (500, 1, 300), (500, 3, 1000), (50, 40, 2000)] {
            let bindings = Self.bindings(count, prefixes: prefixes)
            let removed = (0..<count / 2).map { "gone-\($0)" }
            let batches = try ControlBatches(bindings, removing: removed, limit: limit).decoded()
            #expect(batches.flatMap(\.removeIds) == removed)
            #expect(try batches.flatMap(\.bindings).map { try Binding($0) } == bindings)
            #expect((batches.count > 1) == (count > 1))
            for batch in batches {
                let bytes = try frame(request(.max) { $0.putBindings = batch })
                #expect(bytes.count - 4 <= limit)
                #expect(batches.count == 1 || batch != ControlPutBindings())
            }
        }
    }

    @Test("What fits one frame is one batch, so that it is put whole or not at all")
    func keepsWhole() {
        let ids = (0..<500).map { "gone-\($0)" }
        #expect(Array(ControlBatches(Self.bindings(1000), removing: ids, limit: 4 << 20)).count == 1)
    }

    // MARK: Events

    @Test("Who takes no events learns how many were lost, and when it has stopped, replies come again")
    func losesEvents() async throws {
        let change: (inout ControlServer.Configuration) -> Void = {
            $0.outboundLimit = 64 << 10
            $0.eventLimit = 16
        }
        try await TestServer.run(change) { server in
            let watcher = try await Self.connect(server.path)
            let writer = try await Self.connect(server.path)
            let events = try await watcher.events(security: false)
            let total: UInt64 = 20_000
            for start in stride(from: 0, to: Int(total), by: 1000) {
                let put = (start..<start + 1000).map {
                    Binding(id: "mobile-node-\($0)", careOfAddress: IPv4Address(rawValue: 0xCB00_7109))
                }
                _ = try await writer.put(put)
            }
            var (seen, lost) = (UInt64(0), UInt64(0))
            for try await event in events {
                switch event.body {
                case .binding: seen += 1
                case .lost(let count): lost += count
                default: Issue.record("\(event)")
                }
                if seen + lost == total { break }
            }
            #expect(seen > 0)
            #expect(lost > 0)
            #expect(try await watcher.status().processID == 42)
            await watcher.close()
            await writer.close()
        }
    }

    // MARK: What the other end may do

    /// Says what it was told to say to each piece that comes, then ends the connection.
    private final class Script: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private var answers: ArraySlice<[UInt8]>

        init(_ answers: [[UInt8]]) { self.answers = answers[...] }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard let answer = answers.popFirst() else { return context.close(promise: nil) }
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: answer)), promise: nil)
        }
    }

    private func withScript(_ answers: [[UInt8]], _ body: (String) async throws -> Void) async throws {
        try await TemporaryDirectory.with { directory in
            let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Script(answers))
                    }
                }
                .bind(unixDomainSocketPath: directory + "/socket").get()
            try await body(directory + "/socket")
            try await listener.close()
        }
    }

    private static func hello(version: UInt32 = 1) throws -> [UInt8] {
        var reply = ControlReply()
        reply.id = 1
        reply.hello.version = version
        reply.hello.frameLimit = 1000
        return frame(try reply.serializedBytes())
    }

    @Test("A greeting that is none is named")
    func refusesGreetings() async throws {
        let cases: [([UInt8], String)] = [
            (Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), "a frame of 1213486160 bytes"),
            ([0, 0, 0, 0], "a frame of length 0"),
            (frame([0x0F]), "1 bytes that are no Reply"),
            (frame([0x08, 0x01]), "a reply that this version does not know"),
            (frame([0x08, 0x01, 0x22, 0x00]), "something else than HelloReply"),
            (try Self.hello(version: 2), "version 2, which was not offered"),
            (try Self.hello(version: 0), "version 0, which was not offered"),
        ]
        for (answer, part) in cases {
            try await withScript([answer]) { path in
                let error = await #expect(throws: ControlClientError.self) { try await Self.connect(path) }
                guard case .unexpected = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
            }
        }
    }

    @Test("A request whose connection ends fails, and an error about the whole connection is its reason")
    func failsWhatWaits() async throws {
        try await withScript([Self.hello()]) { path in
            let client = try await Self.connect(path)
            await #expect(throws: ControlClientError.closed("mooringd closed it")) { try await client.status() }
            await #expect(throws: ControlClientError.closed("mooringd closed it")) { try await client.counters() }
        }
        var reply = ControlReply()
        reply.error = ControlError(.stopping, "it stops")
        try await withScript([Self.hello(), frame(reply.serializedBytes())]) { path in
            let client = try await Self.connect(path)
            let expected = ControlClientError.refused(ControlError(.stopping, "it stops"))
            await #expect(throws: expected) { try await client.status() }
        }
    }

    @Test("Who may not use the file is told which group may, unless none was named")
    func explainsDenial() async throws {
        try await TemporaryDirectory.with { directory in
            let socket = try ControlSocket.listen(at: directory + "/socket", mode: 0o600, group: nil)
            defer { socket.close() }
            let denial = IOError(errnoCode: EACCES, reason: "connect")
            func explanation() -> String { ControlClientError.explain(denial, path: directory + "/socket") }
            // Another group is to be had by root only.
            if FileOwnership.canGive(toGroup: 4711) {
                lchown(directory + "/socket", uid_t.max, 0)
                #expect(explanation().contains("--socket-group name a group of yours"))
                lchown(directory + "/socket", uid_t.max, 4711)
                #expect(explanation().contains("a member of group 4711 (usermod -aG 4711 USER"))
            }
            let gone = ControlClientError.explain(denial, path: directory + "/none")
            #expect(gone.contains("a member of the group of its directory"))
            let others: [(CInt, String)] = [
                (ENOENT, "is mooringd running?"), (EAGAIN, "too busy"), (EPROTOTYPE, "is no socket of mooringd"),
                (ECONNREFUSED, "nobody listens"), (ENOMEM, "can't connect to"),
            ]
            for (code, part) in others {
                let error = IOError(errnoCode: code, reason: "connect")
                #expect(ControlClientError.explain(error, path: directory + "/socket").contains(part))
            }
        }
    }

    @Test("A daemon that takes connections and says nothing is not waited for")
    func timesOut() async throws {
        try await TemporaryDirectory.with { directory in
            let socket = try ControlSocket.listen(at: directory + "/socket", mode: 0o600, group: nil)
            let error = await #expect(throws: ControlClientError.self) {
                try await ControlClient.connect(to: directory + "/socket", as: "test", timeout: .milliseconds(20))
            }
            #expect(error?.description.contains("does mooringd hang?") == true)
            socket.close()
        }
    }
}

extension ControlBatches {
    /// The messages, as swift-protobuf reads them.
    func decoded() throws -> [ControlPutBindings] {
        try map { batch in
            var bytes = batch.message
            let message = try ControlPutBindings(serializedBytes: bytes.readBytes(length: bytes.readableBytes) ?? [])
            #expect(message.bindings.count == batch.bindings)
            return message
        }
    }
}

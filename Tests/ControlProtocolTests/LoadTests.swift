// Loads: batches under way at a time, refusals in their midst, answers that take several turns.

import Bindings
import ControlTestServer
import Foundation
import NIOCore
import TestSupport
import Testing
import Wire

@testable import ControlProtocol

@Suite("Loads of many bindings") struct LoadTests {
    private static func bindings(_ numbers: Range<Int>) -> [Binding] {
        numbers.map { number in
            Binding(
                id: "mn\(number)", careOfAddress: IPv4Address(rawValue: 0xCB00_7109),
                prefixes: [
                    BoundPrefix(
                        IPv6Prefix(
                            address: IPv6Address(high: 0x2001_0DB8_0000_0000 + UInt64(number), low: 0), length: 64)!)
                ])
        }
    }

    private static func connect(_ path: String, owner: String = "") async throws -> ControlClient {
        try await ControlClient.connect(to: path, as: "test", owner: owner, timeout: .hours(1))
    }

    @Test("A binding's bytes are those that swift-protobuf makes of its message")
    func encodes() throws {
        let seed = RandomTest.seed(for: "encodes")
        var random = SeededGenerator(seed: seed)
        for _ in 0..<RandomTest.count(2000) {
            let binding = Binding.random(&random)
            var buffer = ByteBuffer()
            buffer.write(binding, encodedSize: binding.encodedSize)
            var batch = ControlPutBindings()
            batch.bindings = [ControlBinding(binding)]
            let expected: [UInt8] = try batch.serializedBytes()
            #expect(buffer.readBytes(length: buffer.readableBytes) == expected, "seed \(seed): \(binding)")
        }
    }

    @Test(
        "Batches are pipelined up to the window, and each tells what it has changed, in their order", arguments: [1, 7])
    func pipelines(_ window: Int) async throws {
        try await TestServer.run { server in
            let client = try await Self.connect(server.path)
            var added: [UInt32] = []
            var asked = 0
            let batches = (0..<50).lazy.map { number in
                asked += 1
                return Self.bindings(number * 100..<number * 100 + number)
            }
            try await client.put(pipelining: batches, window: window) { changed in
                added.append(changed.added)
                #expect(asked <= added.count + window)
            }
            #expect(added == Array(0..<50))
            #expect(try await server.onLoop { $0.bindings.count } == (0..<50).reduce(0, +))
            await client.close()
        }
    }

    @Test("A refusal in the midst ends a load: no more is sent, what was under way counts, and the binding is named")
    func isRefused() async throws {
        try await TestServer.run { server in
            let client = try await Self.connect(server.path)
            var batches = (0..<50).map { Self.bindings($0 * 10..<$0 * 10 + 10) }
            batches[5][3].lifetime = 0
            var done = 0
            do {
                try await client.put(pipelining: batches, window: 4) { _ in done += 1 }
                Issue.record("it was not refused")
            } catch {
                guard case ControlClientError.refused(let refusal) = error else { throw error }
                #expect(refusal.code == .badBinding)
                #expect(refusal.binding == "mn53")
            }
            #expect((5...8).contains(done))
            #expect(try await server.onLoop { $0.bindings.count } == done * 10)
            // The connection goes on.
            #expect(try await client.put(Self.bindings(900..<901)).added == 1)
            await client.close()
        }
    }

    @Test("A load that replaces removes what it does not name; where a batch is refused, nothing")
    func replaces() async throws {
        try await TestServer.run({ $0.frameLimit = 2000 }) { server in
            let client = try await Self.connect(server.path, owner: "test")
            _ = try await client.load(Self.bindings(0..<200)) { _ in }
            var bindings = Self.bindings(100..<400)
            bindings[150].lifetime = 0
            await #expect(throws: ControlClientError.self) {
                try await client.load(bindings, replacing: true) { #expect(!$0.isOneRequest) }
            }
            #expect(try await server.onLoop { $0.bindings["mn0"] != nil })
            bindings[150].lifetime = 600
            let changed = try await client.load(bindings, replacing: true) { _ in }
            #expect(changed.removed == 100)
            #expect(try await server.onLoop { $0.bindings.keys.sorted() } == bindings.map(\.id).sorted())
            await client.close()
            #expect(try await eventually { try await server.onLoop { $0.owners } == ["test"] })
        }
    }

    @Test("An answer that takes turns comes before those to later requests, and other clients are served in between")
    func takesTurns() async throws {
        try await TestServer.run { server in
            // More than would ever be through before the other's request comes.
            try await server.onLoop { $0.turnsToEnd = .max }
            let (slow, other) = (try RawConnection.greeted(server.path), try RawConnection.greeted(server.path))
            try slow.send(frame(request(2) { $0.beginResynchronization = ControlBeginResynchronization() }))
            let begun: ControlReply = try slow.receive()
            #expect(begun.resynchronizationBegun == ControlResynchronizationBegun())
            try slow.send(
                frame(request(3) { $0.endResynchronization = ControlEndResynchronization() })
                    + frame(request(4) { $0.getStatus = ControlGetStatus() }))
            for id in 2...50 as ClosedRange<UInt64> {
                try other.send(frame(request(id) { $0.getStatus = ControlGetStatus() }))
                let reply: ControlReply = try other.receive()
                #expect(reply.id == id)
            }
            #expect(try await server.onLoop { $0.requests } == 51)
            try await server.onLoop { $0.turnsToEnd = 3 }
            for id in [3, 4] as [UInt64] {
                let reply: ControlReply = try slow.receive()
                #expect(reply.id == id)
            }
        }
    }

    @Test("What a client has asked for is carried through when it has gone")
    func outlivesClient() async throws {
        try await TestServer.run { server in
            try await server.onLoop { $0.turnsToEnd = .max }
            do {
                let client = try RawConnection.greeted(server.path)
                let bindings = Self.bindings(0..<3).map(ControlBinding.init)
                var stream = try frame(request(2) { $0.putBindings.bindings = bindings })
                stream += try frame(request(3) { $0.beginResynchronization = ControlBeginResynchronization() })
                stream += try frame(request(4) { $0.endResynchronization = ControlEndResynchronization() })
                try client.send(stream)
                for _ in 2...3 { _ = try client.receive() as ControlReply }
                #expect(try await eventually { try await server.onLoop { $0.requests } == 3 })
            }
            #expect(try await eventually { try await server.onLoop { $0.gone } == 1 })
            #expect(try await server.onLoop { $0.bindings.count } == 3)
            try await server.onLoop { $0.turnsToEnd = 2 }
            #expect(try await eventually { try await server.onLoop { $0.bindings.isEmpty } })
        }
    }

    @Test(
        "An owner that is none is refused, and one that is one is taken",
        arguments: ["--bindings", "a b", ".x", "é", "\n"])
    func owners(_ owner: String) async throws {
        try await TestServer.run { server in
            do {
                _ = try await Self.connect(server.path, owner: owner)
                Issue.record("it was taken")
            } catch {
                guard case ControlClientError.refused(let refusal) = error else { throw error }
                #expect(refusal.code == .badRequest)
            }
            for owner in ["", "x", "mooring-ha", "0.a_B", String(repeating: "z", count: 64)] {
                await (try await Self.connect(server.path, owner: owner)).close()
            }
            await #expect(throws: ControlClientError.self) {
                try await Self.connect(server.path, owner: String(repeating: "z", count: 65))
            }
        }
    }
}

extension Binding {
    /// Any binding, as far as one can be encoded, whether or not it is valid.
    static func random(_ random: inout SeededGenerator) -> Binding {
        func maybe<Value>(_ value: (inout SeededGenerator) -> Value) -> Value? {
            Bool.random(using: &random) ? value(&random) : nil
        }
        func number<Number: FixedWidthInteger>(_ random: inout SeededGenerator) -> Number {
            // Of every length, the ends too.
            switch Int.random(in: 0..<8, using: &random) {
            case 0: 0
            case 1: .max
            default:
                Number(
                    truncatingIfNeeded: UInt64.random(in: 0 ... .max, using: &random)
                        >> UInt64.random(in: 0..<64, using: &random))
            }
        }
        var binding = Binding(
            id: String(repeating: "n", count: .random(in: 0...130, using: &random)),
            careOfAddress: IPv4Address(rawValue: number(&random)))
        binding.homeAddress = maybe { IPv4Address(rawValue: number(&$0)) }
        binding.endpoint = maybe { IPv4Address(rawValue: number(&$0)) }
        binding.encapsulation = Encapsulation.allCases.randomElement(using: &random)!
        binding.gre = maybe {
            GREOptions(
                key: Bool.random(using: &$0) ? number(&$0) : nil, sequence: .random(using: &$0),
                checksum: .random(using: &$0))
        }
        binding.udpPort = maybe { number(&$0) }
        binding.udpEncapsulation = UDPEncapsulation.allCases.randomElement(using: &random)!
        binding.prefixes = (0..<Int.random(in: 0...4, using: &random)).map { _ in
            BoundPrefix(
                IPv6Prefix(
                    containing: IPv6Address(high: number(&random), low: number(&random)),
                    length: .random(in: 0...128, using: &random)),
                tunnel: PrefixTunnel.allCases.randomElement(using: &random)!)
        }
        binding.dscp = DSCPModel.allCases.randomElement(using: &random)!
        binding.ecn = ECNMode.allCases.randomElement(using: &random)!
        binding.tunnelMTU = maybe { number(&$0) }
        binding.lifetime = maybe { number(&$0) }
        binding.mtuDiscovery = .random(using: &random)
        binding.networks = (0..<Int.random(in: 0...3, using: &random)).compactMap { _ in
            let length = Int.random(in: 0...32, using: &random)
            let bits: UInt32 = number(&random)
            return IPv4Prefix(
                address: IPv4Address(rawValue: bits & ~(UInt32.max >> UInt32(length))), length: length)
        }
        binding.role = Role.allCases.randomElement(using: &random)!
        return binding
    }
}

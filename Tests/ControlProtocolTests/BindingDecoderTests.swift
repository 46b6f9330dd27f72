// What is read straight from the bytes is what swift-protobuf and the checks make of them, or is left to them.

import Bindings
import NIOCore
import TestSupport
import Testing
import Wire

@testable import ControlProtocol

@Suite("Batches of plain bindings") struct BindingDecoderTests {
    /// What the other way makes of a request; nil where it refuses it, or it is more than bindings and ids to remove.
    private static func slowly(_ bytes: [UInt8]) -> (UInt64, [Binding], [String])? {
        guard let request = try? ControlRequest(serializedBytes: bytes), case .putBindings(let put) = request.body,
            put.leave.isEmpty, put.join.isEmpty, put.expectedRevisions.isEmpty
        else { return nil }
        var bindings: [Binding] = []
        for message in put.bindings {
            guard let binding = try? Binding(message) else { return nil }
            bindings.append(binding)
        }
        return (request.id, bindings, put.removeIds)
    }

    private static func request(_ bindings: [Binding], removing ids: [String], id: UInt64) throws -> [UInt8] {
        try ControlRequest.with {
            $0.id = id
            $0.putBindings.bindings = bindings.map(ControlBinding.init)
            $0.putBindings.removeIds = ids
        }.serializedBytes()
    }

    @Test("Valid bindings of every kind are read, as they were sent")
    func reads() throws {
        let seed = RandomTest.seed(for: "plain batches")
        var random = SeededGenerator(seed: seed)
        var read = 0
        // Few that are made at random are valid: until there are enough of them, however the numbers fall.
        let enough = RandomTest.count(300)
        var tries = 0
        while read < enough, tries < 100 * enough {
            tries += 1
            let bindings = (0..<3).map { _ in Binding.random(&random).withoutContradictions }
                .filter { (try? $0.validate()) != nil }
            read += bindings.count
            let id = UInt64.random(in: 0 ... .max >> 1, using: &random)
            let bytes = try Self.request(bindings, removing: ["mn1", "x"], id: id)
            let batch = try #require(PlainBatch(ByteBuffer(bytes: bytes)), "seed \(seed): \(bindings)")
            #expect(batch.id == id)
            #expect(batch.bindings == bindings)
            #expect(batch.removeIDs == ["mn1", "x"])
        }
        #expect(read >= enough)
    }

    @Test("Whatever bytes come, what is read is what the other way makes of them")
    func agrees() throws {
        let seed = RandomTest.seed(for: "plain batches, mutated")
        var random = SeededGenerator(seed: seed)
        var plain = 0
        for _ in 0..<RandomTest.count(30_000) {
            var binding = Binding.random(&random)
            binding.id = "mn\(Int.random(in: 0..<9, using: &random))"
            if Bool.random(using: &random) {
                // Made valid more often than chance does.
                binding = Binding(id: binding.id, careOfAddress: IPv4Address("203.0.113.9")!)
                binding.homeAddress = IPv4Address("198.51.100.7")
                binding.prefixes = [BoundPrefix(IPv6Prefix("2001:db8:1::/48")!, tunnel: .homeAddress)]
                binding.lifetime = .random(in: 1...99999, using: &random)
            }
            var bytes = try Self.request([binding], removing: ["gone"], id: 7)
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = .random(in: 0...255, using: &random)
                case 1: bytes.insert(.random(in: 0...255, using: &random), at: place)
                default: bytes.remove(at: place)
                }
            }
            guard let batch = PlainBatch(ByteBuffer(bytes: bytes)) else { continue }
            plain += 1
            let slow = Self.slowly(bytes)
            #expect(slow?.0 == batch.id, "seed \(seed): \(bytes)")
            #expect(slow?.1 == batch.bindings, "seed \(seed): \(bytes)")
            #expect(slow?.2 == batch.removeIDs, "seed \(seed): \(bytes)")
        }
        #expect(plain > 1000)
    }

    @Test(
        "What needs a word is left to those who have one",
        arguments: [
            "0801 1a08 0a06 0a00 1d097100cb", "0801 1a09 0a07 0a0141 1d097100", "0801 2a00", "0801", "",
            // A field twice that is joined, a body twice, a field that is not known, a length beyond the end.
            "1a10 0a0e 0a0141 1d097100cb 2802 3200 3200", "1a00 1a00", "1a03 720141", "1a05 0a7f 0a0141",
            // Numbers past what they may be.
            "1a0c 0a0a 0a0141 1d097100cb 2805", "1a0b 0a09 0a0141 1d097100cb 4803",
        ])
    func leaves(_ bytes: String) { #expect(PlainBatch(ByteBuffer(bytes: Hex(bytes).bytes)) == nil) }
}

@Suite("Events that are not made") struct UnmadeEventTests {
    @Test("Whether an event is counted as lost before or after it is made, a watcher is told the same")
    func agrees() {
        let seed = RandomTest.seed(for: "events that are lost")
        var random = SeededGenerator(seed: seed)
        var (always, onlyWithRoom) = (ControlEventQueue(limit: 16), ControlEventQueue(limit: 16))
        var made = 0
        for time in 1...UInt64(RandomTest.count(20_000)) {
            // Now comes more than goes, now less.
            let comes = time / 100 % 2 == 0 ? 0.8 : 0.3
            if Double.random(in: 0..<1, using: &random) < comes {
                let event = ControlEvent.with {
                    $0.time = time
                    $0.binding.binding.id = "mn\(time)"
                }
                always.append(event)
                if !onlyWithRoom.loses(at: time) {
                    made += 1
                    let isTaken = onlyWithRoom.append(event)
                    #expect(isTaken, "seed \(seed), event \(time)")
                }
            } else {
                let (first, second) = (always.popFirst(), onlyWithRoom.popFirst())
                #expect(first == second, "seed \(seed), event \(time)")
            }
        }
        while let event = always.popFirst() {
            let other = onlyWithRoom.popFirst()
            #expect(event == other)
        }
        let rest = onlyWithRoom.popFirst()
        #expect(rest == nil)
        #expect(made > 1000)
    }

    @Test("Of a million changes that a watcher does not read, no more are made than it has room for")
    func costsNothing() {
        var queue = ControlEventQueue(limit: 1024)
        var made = 0
        for time in 1...1_000_000 as ClosedRange<UInt64> where !queue.loses(at: time) {
            made += 1
            queue.append(ControlEvent.with { $0.time = time })
        }
        #expect(made == 1024)
        let kept = (0..<1024).compactMap { _ in queue.popFirst()?.time }
        #expect(kept == Array(1...1024))
        let (notice, end) = (queue.popFirst(), queue.popFirst())
        #expect(notice?.lost == 998_976)
        #expect(end == nil)
    }
}

extension Binding {
    /// The binding without what makes nearly all random ones invalid: what belongs to another encapsulation, and an MTU
    /// that no tunnel can have.
    fileprivate var withoutContradictions: Binding {
        var binding = self
        if encapsulation != .udp { (binding.udpPort, binding.udpEncapsulation) = (nil, .ipInIP) }
        if encapsulation == .udp, udpPort == nil { binding.udpPort = 434 }
        if encapsulation != .gre, binding.udpEncapsulation != .gre { binding.gre = nil }
        binding.tunnelMTU = tunnelMTU.map { 1280 + $0 % 201 }
        return binding
    }
}

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Batches")
struct BatchTests {
    static let vectors = ForwardingVectors.all

    /// A packet, and what becomes of it in a batch of its own.
    struct Known {
        let given: Given
        let outcome: Outcome
    }

    /// All packets of the vectors with what becomes of each alone.
    private func known() throws -> [Known] {
        try Self.vectors.packets.map { given in
            let forwarder = try TestForwarder(settings: unlimited, batchCapacity: 1)
            return Known(given: given, outcome: forwarder.process(given))
        }
    }

    private var unlimited: ForwarderSettings {
        var settings = TestForwarder.settings
        settings.errorBurst = 1_000_000
        return settings
    }

    /// With the identification, which depends on what came before, and the checksum over it taken away.
    private func normalised(_ outcome: Outcome) -> Outcome {
        switch outcome {
        case .access(var bytes):
            for index in [4, 5, 10, 11] { bytes[index] = 0 }
            return .access(bytes)
        case .home(var bytes) where bytes[0] >> 4 == 4:
            for index in [4, 5, 10, 11] { bytes[index] = 0 }
            return .home(bytes)
        default: return outcome
        }
    }

    @Test("in batches of 1 to the capacity, in both directions mixed, each packet fares as it does alone, in its place")
    func mixed() throws {
        let seed = RandomTest.seed(for: "batches")
        var generator = SeededGenerator(seed: seed)
        let known = try known()
        let forwarder = try TestForwarder(settings: unlimited, batchCapacity: 128)
        for size in 1...128 {
            let batch = (0..<size).map { _ in known.randomElement(using: &generator)! }
            let outcomes = forwarder.process(batch.map(\.given))
            #expect(
                outcomes.map(normalised) == batch.map { normalised($0.outcome) }, "a batch of \(size), seed \(seed)")
            #expect(forwarder.counters.isConserved)
        }
        let counters = forwarder.counters
        #expect(counters.received.sum == UInt64((1...128).reduce(0, +)))
    }

    @Test("an empty batch is nothing")
    func empty() throws {
        let forwarder = try TestForwarder()
        #expect(forwarder.process([]) == [])
        #expect(forwarder.counters == Counters())
    }

    @Test("a batch of one slot works")
    func capacityOne() throws {
        let forwarder = try TestForwarder(batchCapacity: 1)
        for vector in Self.vectors.decapsulation {
            #expect(forwarder.process(.access(vector.in.bytes)) == .home(vector.out.bytes))
        }
    }

    @Test("the verdicts of a batch before do not last")
    func verdicts() throws {
        let forwarder = try TestForwarder()
        let good = Given.access(Self.vectors.decapsulation[0].in.bytes)
        #expect(forwarder.process([good, good]).allSatisfy { $0 != .released })
        #expect(forwarder.process([.access([1]), good]).map { $0 == .released } == [true, false])
        #expect(forwarder.process([good, .access([1])]).map { $0 == .released } == [false, true])
    }

    @Test("packets of one flow leave in the order in which they came")
    func order() throws {
        let forwarder = try TestForwarder()
        let template = try #require(Self.vectors.encapsulation.first { $0.name == "UDP" }).in.bytes
        let packets = (0..<128).map { index in Given.home(template.dropLast() + [UInt8(index)]) }
        #expect(forwarder.process(packets).map { $0.bytes?.last } == (0..<128).map { UInt8($0) })
    }
}

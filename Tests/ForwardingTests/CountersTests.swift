import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Counters")
struct CountersTests {
    static let vectors = ForwardingVectors.all

    private func failures(home: UInt64 = 0, access: UInt64 = 0) -> PortFailures {
        var failures = PortFailures()
        (failures.home, failures.access) = (home, access)
        return failures
    }

    @Test("begin at zero")
    func zero() {
        let counters = PublishedCounters().read()
        #expect(counters == Counters())
        #expect(counters.isConserved)
        #expect(counters.dropped.count == DropReason.allCases.count)
    }

    @Test("a packet that is in one and in no other counter breaks conservation")
    func conservation() {
        for change in [
            { $0.received.home += 1 }, { $0.received.access += 1 }, { $0.generated.home += 1 },
            { $0.transmitted.access += 1 },
            { $0.punted += 1 }, { $0.absorbed += 1 }, { $0.dropped[0] += 1 },
            { $0.dropped[DropReason.allCases.count - 1] += 1 },
        ] as [(inout Counters) -> Void] {
            var counters = Counters()
            change(&counters)
            #expect(!counters.isConserved)
        }
    }

    @Test("what the kernel did not take was not transmitted: it is dropped, once")
    func transmitFailures() throws {
        let test = try TestForwarder()
        _ = test.process([
            .home(Self.vectors.encapsulation[0].in.bytes), .home(Self.vectors.encapsulation[1].in.bytes),
            .access(Self.vectors.decapsulation[0].in.bytes),
        ])
        #expect(test.counters.transmitted == BySide(home: 1, access: 2))
        test.forwarder.publishCounters(transmitFailures: failures(access: 1))
        #expect(test.counters.transmitted == BySide(home: 1, access: 1))
        #expect(test.dropped == [.transmitFailed: 1])
        #expect(test.counters.isConserved)
        // The port counts from when it was made, so the same number is no further failure.
        test.forwarder.publishCounters(transmitFailures: failures(access: 1))
        #expect(test.dropped == [.transmitFailed: 1])
        let bytes = test.counters.transmittedBytes
        test.forwarder.publishCounters(transmitFailures: failures(home: 1, access: 2))
        #expect(test.counters.transmittedBytes == bytes, "bytes count when they are given to the kernel")
        #expect(test.counters.transmitted == BySide())
        #expect(test.dropped == [.transmitFailed: 3])
        #expect(test.counters.isConserved)
    }

    @Test("what the port lost on the way in was received and dropped")
    func receiveFailures() throws {
        let test = try TestForwarder()
        test.forwarder.publishCounters(receiveFailures: failures(home: 2, access: 1))
        #expect(test.counters.received == BySide(home: 2, access: 1))
        #expect(test.dropped == [.receiveFailed: 3])
        test.forwarder.publishCounters(receiveFailures: failures(home: 2, access: 4))
        #expect(test.counters.received == BySide(home: 2, access: 4))
        #expect(test.dropped == [.receiveFailed: 6])
        #expect(test.counters.isConserved)
    }

    @Test("while the fate of a packet is not known, nothing new is published")
    func inFlight() throws {
        let test = try TestForwarder()
        _ = test.process(.home(Self.vectors.encapsulation[0].in.bytes))
        let before = test.counters
        test.forwarder.publishCounters(
            inFlight: 1, transmitFailures: failures(access: 1), receiveFailures: failures(home: 1))
        #expect(test.counters == before)
        test.forwarder.publishCounters(
            inFlight: 0, transmitFailures: failures(access: 1), receiveFailures: failures(home: 1))
        #expect(test.counters.received == BySide(home: 2))
        #expect(test.counters.transmitted == BySide())
        #expect(test.dropped == [.receiveFailed: 1, .transmitFailed: 1])
    }

    @Test("every reading is of one moment while a worker publishes, and none goes back")
    func snapshots() throws {
        let reader = try TestForwarder.makeTable().reader
        let settings = TestForwarder.settings
        let packets = Self.vectors.packets
        let published = PublishedCounters()
        let seed = RandomTest.seed(for: "snapshots of counters")
        let worker = BackgroundThread { isStopping in
            var generator = SeededGenerator(seed: seed)
            var worker = WorkerLoop(
                Forwarder(reading: reader, settings: settings, batchCapacity: 16, published: published))
            while !isStopping() {
                let count = Int.random(in: 1...16, using: &generator)
                _ = worker.process((0..<count).map { _ in packets.randomElement(using: &generator)! })
            }
            return []
        }
        var last = Counters()
        var changes = 0
        while changes < RandomTest.count(2_000) {
            let counters = published.read()
            guard counters != last else { continue }
            changes += 1
            #expect(counters.isConserved, "seed \(seed)")
            #expect(counters.received.sum > last.received.sum)
            #expect(zip(counters.dropped, last.dropped).allSatisfy { $0 >= $1 })
            last = counters
        }
        #expect(worker.stop() == [])
    }
}

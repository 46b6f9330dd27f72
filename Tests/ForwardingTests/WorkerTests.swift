// Several workers of one table: whose packets are numbered by whom, what they share, and that nothing of what they count is
// lost. Meant to be run under `--sanitize=thread` too.

import Bindings
import Forwarding
import Glibc
import PacketBuffer
import PrefixTable
import Synchronization
import TestSupport
import Testing
import Wire

@Suite("Several workers")
struct WorkerTests {
    private static let prefixes = (0..<8).map { "2001:db8:1:\($0)::/64" }

    /// One node with a GRE tunnel whose packets are numbered, and eight prefixes in it.
    private static func table(workers: Int = 2, checksum: Bool = true, node: UInt32 = 9) throws -> BindingTable {
        let table = try BindingTable.make(workers: workers)
        _ = try table.put([binding(checksum: checksum, node: node)], now: 0)
        return table
    }

    private static func binding(checksum: Bool = true, node: UInt32 = 9) -> Binding {
        var binding = Binding("mn1", at: node, prefixes)
        binding.encapsulation = .gre
        binding.gre = GREOptions(key: 7, sequence: true, checksum: checksum)
        return binding
    }

    private static func packet(to prefix: Int, length: Int = 64, number: UInt16 = 0) -> [UInt8] {
        var header = IPv6Header(
            nextHeader: 59, source: IPv6Address("2001:db8:c::2")!,
            destination: IPv6Address("2001:db8:1:\(prefix)::1")!)
        header.payloadLength = UInt16(length - 40)
        var bytes = [UInt8](repeating: 0, count: length)
        bytes.withUnsafeMutableBytes {
            header.write(to: $0.baseAddress!)
            $0.baseAddress!.storeNetwork(number, at: length - 2)
        }
        return bytes
    }

    private static func workers(_ table: BindingTable, _ count: Int = 2) throws -> [TestForwarder] {
        let handovers = Handovers(workers: count)
        return try (0..<count).map { try TestForwarder(table, place: WorkerPlace($0, of: handovers)) }
    }

    /// What leaves to the access side: what was made behind what came.
    private static func sent(_ worker: TestForwarder, _ packets: [[UInt8]]) -> [[UInt8]] {
        let outcomes = worker.process(packets.map { .home($0) })
        return (outcomes + worker.generated.map(\.outcome)).compactMap(\.bytes)
    }

    /// The sequence number of a tunnel packet that has a checksum and a key.
    private static func sequence(_ packet: [UInt8]) -> UInt32 {
        packet[32..<36].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// A packet without what differs from one to the next: identification, checksums and sequence number.
    private static func withoutNumbers(_ packet: [UInt8]) -> [UInt8] {
        var packet = packet
        for range in [4..<6, 10..<12, 24..<26, 32..<36] {
            packet.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
        }
        return packet
    }

    @Test("whichever worker gets the packets of a numbered tunnel, one sends them all, in one order of numbers")
    func owner() throws {
        let table = try Self.table()
        let workers = try Self.workers(table)
        let owner = table.worker(of: "mn1")
        let alone = try TestForwarder(try Self.table(workers: 1))
        let other = workers[1 - owner]
        var numbers: [UInt32] = []
        for round in 0..<20 {
            let packets = (0..<8).map { Self.packet(to: $0, number: UInt16(round * 8 + $0)) }
            #expect(Self.sent(other, Array(packets[..<5])) == [])
            #expect(other.forwarder.takeHandedOver() == 1 << UInt64(owner))
            // The owner's own first, then those of the other in the order in which it got them.
            let sent = Self.sent(workers[owner], Array(packets[5...]))
            let expected = Self.sent(alone, Array(packets[5...]) + Array(packets[..<5]))
            #expect(sent.map(Self.withoutNumbers) == expected.map(Self.withoutNumbers))
            for packet in sent {
                #expect(PacketMutation.onesComplementSum(packet[..<20]) == 0xFFFF)
                #expect(PacketMutation.onesComplementSum(packet[20...]) == 0xFFFF)
            }
            numbers += sent.map(Self.sequence)
        }
        #expect(numbers == Array(0..<160))
        #expect(other.counters.absorbed == 100)
        #expect(workers[owner].counters.generated.access == 100)
        for worker in workers { #expect(worker.counters.isConserved) }
        #expect(table.state(of: "mn1", now: 0)?.traffic.packetsToNode == 160)
    }

    @Test("copies for a group and fragments are handed over too")
    func made() throws {
        let table = try BindingTable.make(workers: 2)
        var binding = Self.binding()
        binding.homeAddress = IPv4Address("198.51.100.7")
        _ = try table.put([binding, Binding("plain", at: 10, ["2001:db8:2::/64"])], now: 0)
        let group = IPv6Address("ff3e::1234")!
        try table.join(group, ["mn1", "plain"])
        let workers = try Self.workers(table)
        let owner = table.worker(of: "mn1")
        let other = workers[1 - owner]
        var multicast = Self.packet(to: 0)
        multicast.withUnsafeMutableBytes { bytes in
            let text: [UInt8] = [0xFF, 0x3E] + [UInt8](repeating: 0, count: 12) + [0x12, 0x34]
            for (index, byte) in text.enumerated() { bytes[24 + index] = byte }
        }
        // The plain tunnel's copy is the other's own.
        #expect(Self.sent(other, [multicast]).map { Array($0[16..<20]) } == [[203, 0, 113, 10]])
        #expect(Self.sent(workers[owner], []).map(Self.sequence) == [0])
        var large = [UInt8](repeating: 0, count: 1400)
        large.withUnsafeMutableBytes {
            var header = IPv4Header(
                protocol: 17, source: IPv4Address("192.0.2.138")!, destination: IPv4Address("198.51.100.7")!)
            header.totalLength = 1400
            header.timeToLive = 64
            header.write(to: $0.baseAddress!)
        }
        #expect(Self.sent(other, [large]) == [])
        let fragments = Self.sent(workers[owner], [])
        #expect(fragments.map(Self.sequence) == [1, 2])
        #expect(fragments.map { $0.count - 36 - 20 }.reduce(0, +) == 1380)
        for worker in workers { #expect(worker.counters.isConserved) }
    }

    @Test("a worker that does not keep up loses what is handed to it, and counts it")
    func full() throws {
        let table = try Self.table()
        let workers = try Self.workers(table)
        let other = workers[1 - table.worker(of: "mn1")]
        let packets = (0..<100).map { Given.home(Self.packet(to: $0 % 8, length: 1280)) }
        for _ in 0..<12 { _ = other.process(packets) }
        let counters = other.counters
        #expect(counters[.workerQueueFull] > 0)
        #expect(counters.absorbed > 500)
        #expect(counters.absorbed + counters[.workerQueueFull] == 1200)
        #expect(counters.isConserved)
        // In as many turns as it takes.
        let owner = workers[table.worker(of: "mn1")]
        var numbers: [UInt32] = []
        while owner.forwarder.hasHandovers { numbers += Self.sent(owner, []).map(Self.sequence) }
        #expect(numbers == Array(0..<UInt32(counters.absorbed)))
        #expect(owner.counters.isConserved)
    }

    @Test("what waits while its tunnel becomes another is dropped, and takes none of its numbers")
    func gone() throws {
        let table = try Self.table()
        let workers = try Self.workers(table)
        let owner = table.worker(of: "mn1")
        #expect(Self.sent(workers[1 - owner], [Self.packet(to: 0)]) == [])
        _ = table.remove(["mn1"])
        // Until the slot has another tunnel.
        for node: UInt32 in 10..<5000 { _ = try table.put([Self.binding(node: node)], now: 0) }
        #expect(Self.sent(workers[owner], []) == [])
        #expect(workers[owner].counters[.noBinding] == 1)
        #expect(workers[owner].counters.isConserved)
        #expect(Self.sent(workers[table.worker(of: "mn1")], [Self.packet(to: 0)]).map(Self.sequence) == [0])
    }

    @Test("no two workers give outer headers the same identification", arguments: [1, 2, 3, 5, 16])
    func identifications(count: Int) throws {
        let table = try BindingTable.make(workers: count)
        _ = try table.put([Binding("a", Self.prefixes)], now: 0)
        var seen: Set<[UInt8]> = []
        for worker in try Self.workers(table, count) {
            for _ in 0..<20 {
                for packet in Self.sent(worker, (0..<8).map { Self.packet(to: $0) }) {
                    #expect(seen.insert(Array(packet[4..<6])).inserted)
                }
            }
        }
        #expect(seen.count == count * 160)
    }

    @Test(
        "nor does the kernel, which numbers the segments of a super-frame one behind the other",
        arguments: [1, 2, 3, 16])
    func identificationsOfSuperFrames(count: Int) throws {
        let table = try BindingTable.make(workers: count)
        _ = try table.put([Binding("a", Self.prefixes)], now: 0)
        var settings = TestForwarder.settings
        settings.sendsSuperFrames = true
        let handovers = Handovers(workers: count)
        let vector = SuperFrameVectors.named("TCP over IPv6, odd lengths")
        var frame = vector.frame.bytes
        frame[24..<40] = Self.packet(to: 0)[24..<40]
        let number = vector.segments.count
        let given = Given.superFrame(
            frame, kind: vector.kind, size: vector.segmentSize, transportOffset: vector.transportOffset,
            count: UInt16(number))
        var seen: Set<Int> = []
        for place in 0..<count {
            // Each begins close before the end of its numbers.
            let worker = try TestForwarder(
                table, settings: settings, place: WorkerPlace(place, of: handovers), firstIdentification: 0xFFFA)
            for _ in 0..<20 {
                for packet in worker.process([given, .home(Self.packet(to: 1))]).compactMap(\.bytes) {
                    let first = Int(packet[4]) << 8 | Int(packet[5])
                    let segments = packet.count > frame.count ? number : 1
                    for segment in 0..<segments { #expect(seen.insert((first + segment) & 0xFFFF).inserted) }
                }
            }
        }
        #expect(seen.count == count * 20 * (number + 1))
    }

    @Test("workers share the limit of errors")
    func errors() throws {
        let table = try BindingTable.make(workers: 4)
        var settings = TestForwarder.settings
        settings.errorsPerSecond = 40
        settings.errorBurst = 40
        let handovers = Handovers(workers: 4)
        for place in 0..<4 {
            let worker = try TestForwarder(table, settings: settings, place: WorkerPlace(place, of: handovers))
            _ = worker.process((0..<30).map { _ in .home(Self.packet(to: 1)) })
            #expect(worker.counters.generated.home == 10)
            #expect(worker.counters.suppressedErrors == 20)
        }
    }

    @Test("what one worker learns of a path holds for all, and the smaller of two words stays")
    func path() throws {
        let table = try BindingTable.make(workers: 2)
        var binding = Binding("a", ["2001:db8:1::/64"])
        binding.mtuDiscovery = true
        _ = try table.put([binding], now: 0)
        let workers = try Self.workers(table)
        let packet = Given.home(Self.packet(to: 0, length: 1450))
        let sent = try #require(workers[0].process(packet).bytes)
        for (worker, mtu) in [(workers[0], 1400), (workers[1], 1300), (workers[0], 1400)] {
            var message: [UInt8] = [3, 4, 0, 0, 0, 0, UInt8(mtu >> 8), UInt8(mtu & 0xFF)] + sent[..<548]
            let sum = ~PacketMutation.onesComplementSum(message[...])
            message.replaceSubrange(2..<4, with: [UInt8(sum >> 8), UInt8(sum & 0xFF)])
            var header = IPv4Header(
                protocol: 1, source: IPv4Address("203.0.113.254")!, destination: IPv4Address("192.0.2.1")!)
            header.totalLength = UInt16(20 + message.count)
            var bytes = [UInt8](repeating: 0, count: 20)
            bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
            _ = worker.process(.access(bytes + message))
        }
        for worker in workers {
            guard case .home(let answer) = worker.process(packet) else {
                Issue.record("a packet that is too big was sent")
                continue
            }
            // Packet Too Big: the MTU of the path without the tunnel's header.
            #expect(Array(answer[44..<48]) == [0, 0, UInt8(1280 >> 8), UInt8(1280 & 0xFF)])
        }
    }

    @Test("two threads lose no count and no number, while bindings change")
    func concurrent() throws {
        let table = try Self.table()
        _ = try table.put([Binding("plain", at: 200, ["2001:db8:2::/48"])], now: 0)
        let handovers = Handovers(workers: 2)
        let owner = table.worker(of: "mn1")
        let (settings, reader) = (TestForwarder.settings, table.reader)
        let batches = [Atomic64(), Atomic64()]
        let numbers = Collected()
        let threads = try (0..<2).map { index in
            let states = try #require(table.quiescentStates.register())
            return BackgroundThread { isStopping in
                var worker = WorkerLoop(
                    Forwarder(
                        reading: reader, settings: settings, batchCapacity: 16,
                        place: WorkerPlace(index, of: handovers)))
                var wrong: [String] = []
                var last: UInt32?
                states.goOnline()
                // The owner goes on until it has sent all that was handed to it.
                while !isStopping() || (index == owner && worker.forwarder.hasHandovers) {
                    let isPausing = index != owner && numbers.isFarAhead(of: batches[index].value * 8)
                    let packets = isStopping() || isPausing ? [] : (0..<8).map { Given.home(Self.packet(to: $0)) }
                    // What was handed over leaves behind the rest of a batch, but stands before it there.
                    for number in worker.processAll(packets).map(Self.sequence).sorted() {
                        if let last, number != last + 1 { wrong.append("\(number) behind \(last)") }
                        last = number
                        numbers.count.value.add(1, ordering: .relaxed)
                    }
                    states.quiesce()
                    if !packets.isEmpty { batches[index].increase() }
                    if wrong.count > 10 { break }
                }
                states.goOffline()
                let counters = worker.forwarder.published.read()
                if !counters.isConserved { wrong.append("not conserved") }
                if counters[.workerQueueFull] > 0 { wrong.append("a queue was full") }
                return wrong
            }
        }
        for step in 0..<RandomTest.count(3_000) {
            _ = try table.put([Binding("plain", at: UInt32(step % 100 + 100), ["2001:db8:2::/48"])], now: 0)
            // The same tunnel, put again.
            if step.isMultiple(of: 10) { _ = try table.put([Self.binding()], now: 0) }
        }
        // Enough that threads which do not add atomically would lose some.
        let deadline = ContinuousClock.now + .seconds(60)
        while batches.contains(where: { $0.value < RandomTest.count(3_000) }), ContinuousClock.now < deadline {
            sched_yield()
        }
        // The one that hands over ends first.
        var wrong = threads[1 - owner].stop()
        wrong += threads[owner].stop()
        #expect(wrong == [])
        let sent = UInt64(batches.reduce(0) { $0 + $1.value } * 8)
        #expect(table.state(of: "mn1", now: 0)?.traffic.packetsToNode == sent)
        #expect(table.state(of: "mn1", now: 0)?.traffic.bytesToNode == sent * 64)
        #expect(UInt64(numbers.count.value.load(ordering: .relaxed)) == sent)
    }
}

/// A number that threads share.
private final class Atomic64: Sendable {
    private let number = Atomic(0)
    var value: Int { number.load(ordering: .relaxed) }
    func increase() { number.add(1, ordering: .relaxed) }
}

/// How many packets were sent.
private final class Collected: Sendable {
    struct Count: ~Copyable { let value = Atomic(0) }
    let count = Count()

    /// Whether more were handed over than fit the queue with ease.
    func isFarAhead(of handed: Int) -> Bool { handed > count.value.load(ordering: .relaxed) + 4000 }
}

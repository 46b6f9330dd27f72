// Memberships change while forwarders copy. Meant to be run under `--sanitize=thread` too.

import Bindings
import Forwarding
import Glibc
import PacketBuffer
import PrefixTable
import Synchronization
import TestSupport
import Testing
import Wire

@Suite("Multicast groups with concurrent forwarders")
struct GroupConcurrencyTests {
    /// The one that is always a member, and those that come and go.
    private static let steady = "steady"
    private static let others = ["a", "b", "c", "d"]

    private static func binding(_ id: String, node: Int) -> Binding {
        let number = ([steady] + others).firstIndex(of: id)! + 1
        // The last byte of the care-of address is that of the endpoint, but for the top bit.
        return Binding(
            id, at: UInt32(0x80 | node & 0x7F), ["2001:db8:\(number)::/48"], endpoint: "192.0.2.\(node & 0x7F)")
    }

    @Test("H15 while members come, go and move, one that stays gets each packet once, and no copy has a header of two")
    func changes() throws {
        var configuration = BindingTable.Configuration()
        configuration.memberLimit = 8
        let table = try BindingTable(configuration)
        // The nodes of each id are its own, so that copies tell whose they are.
        func node(_ id: String, _ step: Int) -> Int {
            (Self.others.firstIndex(of: id).map { $0 + 1 } ?? 0) * 20 + step % 20 + 1
        }
        _ = try table.put(([Self.steady] + Self.others).map { Self.binding($0, node: node($0, 0)) }, now: 0)
        try table.join(GroupTests.group, [Self.steady])
        let batches = Atomic(0)
        let packet = GroupTests.packet()
        let workers = try (0..<2).map { _ in
            let states = try #require(table.quiescentStates.register())
            let reader = table.reader
            return BackgroundThread { isStopping in
                var worker = WorkerLoop(
                    Forwarder(reading: reader, settings: TestForwarder.settings, batchCapacity: 16))
                var wrong: [String] = []
                states.goOnline()
                while !isStopping(), wrong.count < 10 {
                    // By the twenties of the care-of address's last byte.
                    var copies: [UInt8: Int] = [:]
                    for sent in worker.processAll(Array(repeating: .home(packet), count: 8)) {
                        let isWhole =
                            PacketMutation.onesComplementSum(sent[..<20]) == 0xFFFF && sent[15] | 0x80 == sent[19]
                            && sent.suffix(60) == packet[...]
                        if !isWhole { wrong.append("sent \(hexadecimal(sent.prefix(20)))") }
                        copies[(sent[15] - 1) / 20, default: 0] += 1
                    }
                    if copies[0] != 8 { wrong.append("\(copies[0] ?? 0) copies of 8 for the one that stays") }
                    states.quiesce()
                    batches.add(1, ordering: .relaxed)
                }
                states.goOffline()
                return wrong
            }
        }
        let deadline = ContinuousClock.now + .seconds(60)
        func wait(for more: Int) {
            let start = batches.load(ordering: .relaxed)
            while batches.load(ordering: .relaxed) < start + more, ContinuousClock.now < deadline { sched_yield() }
        }
        wait(for: 4)
        var generator = SeededGenerator(seed: RandomTest.seed(for: "members that come and go"))
        for step in 0..<RandomTest.count(8_000) {
            let id = Self.others.randomElement(using: &generator)!
            switch Int.random(in: 0..<6, using: &generator) {
            case 0, 1: try table.join(GroupTests.group, [id])
            case 2: table.leave(GroupTests.group, [id])
            case 3: _ = try table.put([Self.binding(Self.steady, node: node(Self.steady, step))], now: 0)
            case 4: _ = try table.put([Self.binding(id, node: node(id, step))], now: 0)
            default:
                _ = table.remove([id])
                _ = try table.put([Self.binding(id, node: node(id, step))], now: 0)
            }
        }
        wait(for: 4)
        #expect(workers.flatMap { $0.stop() } == [])
    }
}

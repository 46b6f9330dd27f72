// Bindings change while forwarders look, each with its own quiescent state as a worker has it. Meant to be run under
// `--sanitize=thread` too.

import Bindings
import Forwarding
import Glibc
import PacketBuffer
import PrefixTable
import Synchronization
import TestSupport
import Testing
import Wire

@Suite("Binding table with concurrent forwarders")
struct BindingTableConcurrencyTests {
    /// Forwards one packet after another until told to stop, and says so when one is not sent as `isRight` wants it.
    private func forwarding(
        _ table: BindingTable, _ packet: [UInt8], counting batches: Batches,
        isRight: @escaping @Sendable ([UInt8]) -> Bool
    ) throws -> BackgroundThread {
        let states = try #require(table.quiescentStates.register())
        let reader = table.reader
        let settings = TestForwarder.settings
        return BackgroundThread { isStopping in
            var worker = WorkerLoop(Forwarder(reading: reader, settings: settings, batchCapacity: 16))
            var wrong: [String] = []
            var step = 0
            states.goOnline()
            while !isStopping() {
                for sent in worker.process(Array(repeating: .home(packet), count: 8)) {
                    guard let sent else {
                        wrong.append("not sent")
                        continue
                    }
                    if !isRight(sent) { wrong.append("sent as \(hexadecimal(sent.prefix(20)))") }
                }
                states.quiesce()
                batches.done.add(1, ordering: .relaxed)
                step += 1
                // Now and then a worker sleeps.
                if step.isMultiple(of: 50) {
                    states.goOffline()
                    states.goOnline()
                }
                if wrong.count > 10 { break }
            }
            states.goOffline()
            return wrong
        }
    }

    /// Batches that were processed.
    private final class Batches: Sendable {
        let done = Atomic(0)

        /// Waits until so many more are done, or a reader has ended.
        func wait(for more: Int) {
            let start = done.load(ordering: .relaxed)
            let deadline = ContinuousClock.now + .seconds(60)
            while done.load(ordering: .relaxed) < start + more, ContinuousClock.now < deadline { sched_yield() }
        }
    }

    /// The packet of the vectors, to 2001:db8:1::1.
    private var packet: [UInt8] {
        var packet = ForwardingVectors.all.encapsulation[0].in.bytes
        packet[24..<40] = Hex("20010db8 0001 0000 0000 0000 0000 0001").bytes[...]
        return packet
    }

    /// Whether the outer header is one of a binding that was made: source, destination and traffic class belong
    /// together, and the checksum is right.
    private static func isWhole(_ sent: [UInt8]) -> Bool {
        // The last byte of the care-of address is that of the endpoint, but for the top bit.
        return PacketMutation.onesComplementSum(sent[..<20]) == 0xFFFF && sent[15] | 0x80 == sent[19]
            && Array(sent[16..<19]) == [203, 0, 113]
    }

    private static func binding(_ id: String, node: Int, _ prefixes: [String]) -> Binding {
        Binding(id, at: UInt32(0x80 | node & 0x7F), prefixes, endpoint: "192.0.2.\(node & 0x7F)")
    }

    @Test("a node that moves is never without a binding, and no packet gets a header of two")
    func move() throws {
        let table = try BindingTable.make(bindingLimit: 2, prefixLimit: 2)
        _ = try table.put([Self.binding("a", node: 1, ["2001:db8:1::/48"])], now: 0)
        let batches = Batches()
        let workers = try (0..<2).map { _ in
            try forwarding(table, packet, counting: batches, isRight: Self.isWhole)
        }
        batches.wait(for: 4)
        for step in 0..<RandomTest.count(20_000) {
            _ = try table.put([Self.binding("a", node: step % 126 + 1, ["2001:db8:1::/48"])], now: 0)
        }
        batches.wait(for: 4)
        #expect(workers.flatMap { $0.stop() } == [])
    }

    @Test(
        "a prefix that changes hands is never without a holder: by one of its length, a longer or a shorter one",
        arguments: [
            [["2001:db8:1::/48"], ["2001:db8:1::/48"]], [["2001:db8:1::/48"], ["2001:db8:1::/64"]],
            [["2001:db8::/32"], ["2001:db8:1::1/128", "2001:db8:2::/48"], ["::/0"]],
            [["2001:db8:1::/48", "2001:db8:1::/64"], ["2001:db8:1::/64"], ["2001:db8:1::/56", "2001:db8:1::1/128"]],
        ])
    func changeHands(_ holdings: [[String]]) throws {
        let table = try BindingTable.make()
        _ = try table.put([Self.binding("0", node: 1, holdings[0])], now: 0)
        let batches = Batches()
        let workers = try (0..<2).map { _ in
            try forwarding(table, packet, counting: batches, isRight: Self.isWhole)
        }
        batches.wait(for: 4)
        for step in 1...RandomTest.count(6_000) {
            let binding = Self.binding("\(step % 3)", node: step % 126 + 1, holdings[step % holdings.count])
            // By superseding, and by a batch in which the old holder keeps nothing, in turn.
            let old = "\((step - 1) % 3)"
            if step.isMultiple(of: 2) {
                _ = try table.put([binding], superseding: [old], now: 0)
            } else {
                _ = try table.put([Self.binding(old, node: 5, []), binding], now: 0)
                _ = table.remove([old])
            }
        }
        batches.wait(for: 4)
        #expect(workers.flatMap { $0.stop() } == [])
        #expect(table.count == 1)
    }

    @Test(
        "a resynchronisation interrupts nobody: what is named as it is, what changes hands in it, what is beside it",
        arguments: ["kept", "new", "other owner's"])
    func resynchronize(_ case: String) throws {
        let table = try BindingTable.make()
        func others(_ step: Int) -> [Binding] {
            (0..<8).map { Self.binding("\(step % 3)-\($0)", node: $0 + 1, ["2001:db8:\($0 + 2)::/48"]) }
        }
        let node = Self.binding("a", node: 1, ["2001:db8:1::/48"])
        _ = try table.put([node], by: `case` == "other owner's" ? "y" : "x", now: 0)
        let batches = Batches()
        let workers = try (0..<2).map { _ in
            try forwarding(table, packet, counting: batches, isRight: Self.isWhole)
        }
        batches.wait(for: 4)
        for step in 1...RandomTest.count(2_000) {
            var resynchronization = table.beginResynchronization(of: "x")
            // All of the others have other names each time, and so take over what the last ones hold.
            _ = try table.put(others(step), by: "x", in: resynchronization, now: 0)
            switch `case` {
            case "kept": #expect(try table.put([node], by: "x", in: resynchronization, now: 0).kept == 1)
            case "new":
                let holder = Self.binding("a\(step % 2)", node: step % 100 + 1, ["2001:db8:1::/48"])
                _ = try table.put([holder], by: "x", in: resynchronization, now: 0)
            default: break
            }
            while table.sweep(&resynchronization, slots: 4, limit: 4) != nil {}
            #expect(table.count == 9)
        }
        batches.wait(for: 4)
        #expect(workers.flatMap { $0.stop() } == [])
    }

    @Test("defaults that change while packets flow leave no packet without a header")
    func defaults() throws {
        let table = try BindingTable.make()
        _ = try table.put([Binding("a", ["2001:db8:1::/48"])], now: 0)
        let batches = Batches()
        let worker = try forwarding(table, packet, counting: batches) { sent in
            [1, 2].contains(sent[15]) && Array(sent[16..<20]) == [203, 0, 113, 1]
        }
        batches.wait(for: 4)
        for step in 0..<RandomTest.count(5_000) {
            try table.setDefaults(
                endpoint: IPv4Address(step.isMultiple(of: 2) ? "192.0.2.2" : "192.0.2.1")!, tunnelMTU: 1280)
        }
        batches.wait(for: 4)
        #expect(worker.stop() == [])
    }

    @Test("traffic that a worker counts is what it sent, while the binding moves")
    func traffic() throws {
        let table = try BindingTable.make()
        _ = try table.put([Self.binding("a", node: 1, ["2001:db8:1::/48"])], now: 0)
        let batches = Batches()
        let worker = try forwarding(table, packet, counting: batches, isRight: Self.isWhole)
        for step in 0..<RandomTest.count(2_000) {
            _ = try table.put([Self.binding("a", node: step % 126 + 1, ["2001:db8:1::/48"])], now: 0)
        }
        batches.wait(for: 4)
        #expect(worker.stop() == [])
        let traffic = try #require(table.state(of: "a", now: 0)).traffic
        #expect(traffic.packetsToNode == UInt64(8 * batches.done.load(ordering: .relaxed)))
        #expect(traffic.bytesToNode == traffic.packetsToNode * UInt64(packet.count))
    }
}

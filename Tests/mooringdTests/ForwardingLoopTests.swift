// The worker's loop over a port that is made of lists: what it forwards, and what it publishes when.

import Bindings
import Forwarding
import PacketBuffer
import Synchronization
import Testing
import Wire

@testable import mooringd

/// A port that hands out prepared batches, then asks the loop to end.
private struct ListPort: PacketPort, ~Copyable {
    var batches: [[[UInt8]]]
    var pool: PacketPool
    let stopping: @Sendable () -> Void
    var sent: [[UInt8]] = []
    var inFlight = 0
    var transmitFailures = PortFailures()
    var receiveFailures = PortFailures()
    var waits = 0
    /// Writes that the kernel refuses.
    var refusals = 0

    init(batches: [[[UInt8]]], stopping: @escaping @Sendable () -> Void) throws {
        self.batches = batches
        self.stopping = stopping
        pool = try PacketPool(slotCount: 256, packetCapacity: 1500)
    }

    mutating func receive(into batch: inout PacketBatch, wait: Bool) throws(PortError) {
        inFlight = 0
        if wait { waits += 1 }
        guard !batches.isEmpty else { return stopping() }
        for bytes in batches.removeFirst() {
            let slot = pool.take()!
            let start = pool.packetStart(slot)
            start.copyMemory(from: bytes, byteCount: bytes.count)
            batch.append(Packet(start: start, length: bytes.count, slot: slot, ingress: .home))
        }
    }

    mutating func complete(_ batch: inout PacketBatch) {
        for index in 0..<batch.count {
            let packet = batch[index]
            if packet.verdict != .release {
                inFlight += 1
                if refusals > 0 {
                    refusals -= 1
                    transmitFailures.access += 1
                } else {
                    sent.append(Array(packet.bytes))
                }
            }
            pool.give(packet.slot)
        }
        batch.removeAll()
    }
}

@Suite struct ForwardingLoopTests {
    private func packet(to destination: String) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 48)
        bytes.withUnsafeMutableBytes {
            var header = IPv6Header(
                nextHeader: IPProtocol.udp, source: IPv6Address("2001:db8:c::2")!,
                destination: IPv6Address(destination)!)
            header.payloadLength = 8
            header.write(to: $0.baseAddress!)
        }
        return bytes
    }

    private func makeTable() throws -> BindingTable {
        var configuration = BindingTable.Configuration()
        configuration.endpoint = IPv4Address("192.0.2.1")
        let table = try BindingTable(configuration)
        _ = try table.put(
            [
                Binding(
                    id: "mn1", careOfAddress: IPv4Address("203.0.113.9")!,
                    prefixes: [BoundPrefix(IPv6Prefix("2001:db8:1:1::/64")!)])
            ], now: 0)
        return table
    }

    @Test("What was handed over before the stop is forwarded, and counted when its fate is known")
    func drains() throws {
        let table = try makeTable()
        let stopping = StopFlag()
        let batches = [
            [packet(to: "2001:db8:1:1::1"), packet(to: "2001:db8:9::1")], [packet(to: "2001:db8:1:1::2")],
        ]
        var port = try ListPort(batches: batches, stopping: { stopping.isSet.store(true, ordering: .relaxed) })
        port.refusals = 1
        var loop = ForwardingLoop(
            reader: try #require(table.quiescentStates.register()),
            forwarder: Forwarder(
                reading: table.reader, settings: ForwarderSettings(), batchCapacity: ForwardingLoop.batchCapacity))
        let published = loop.forwarder.published
        let result = loop.run(&port, until: stopping.isSet)
        #expect(result == nil)
        let counters = published.read()
        #expect(counters.isConserved)
        #expect(counters.received == BySide(home: 3))
        #expect(counters.transmitted == BySide(access: 1))
        #expect(counters[.transmitFailed] == 1)
        #expect(counters[.noBinding] == 1)
        let sent = port.sent
        #expect(sent.map { Array($0[16..<20]) } == [[203, 0, 113, 9]])
        let waits = port.waits
        #expect(waits >= 1)
        let free = port.pool.free
        #expect(free == 256)
    }
}

@Suite struct WorkerOrdersTests {
    @Test("Who is told to end or to leave is told nothing else, and who rests goes on")
    func orders() {
        let rest = WorkersRest(of: 1)
        let orders = WorkerOrders(rest)
        func isInterrupted() -> Bool { orders.isInterrupted.load(ordering: .relaxed) }
        #expect(isInterrupted())
        #expect(orders.give(.next(.goOn)) && !isInterrupted())
        #expect(orders.give(.rest(rest)) && orders.give(.next(.end)))
        #expect(!orders.give(.next(.goOn)) && !orders.give(.rest(rest)))
        #expect(isInterrupted())
        #expect(orders.give(.next(.leave)) && !orders.give(.next(.end)))
    }

    @Test("Workers are at rest when all have read no more and then come to it")
    func rest() {
        let rest = WorkersRest(of: 2)
        rest.readsNoMore()
        #expect(!rest.allReadNoMore)
        rest.readsNoMore()
        #expect(rest.allReadNoMore)
        rest.isThere()
        #expect(!rest.wait(until: .now()))
        rest.isThere()
        #expect(rest.wait(until: .now()))
    }
}

/// A flag that a sendable closure can set.
private final class StopFlag: Sendable {
    let isSet = Atomic(false)
}

// Packets to the control plane and from it.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// Gives a packet to the control plane.
    /// - Throws: why it is dropped instead.
    @inline(never)
    mutating func punt(
        _ packet: inout Packet, _ reason: PuntReason, from outerSource: IPv4Address, homeAddress: IPv4Address
    ) throws(DropReason) {
        guard punts.isAttached else { throw .puntUnattended }
        let note = PuntQueue.Note(reason: reason, outerSource: outerSource, homeAddress: homeAddress)
        guard punts.put(packet.bytes, note) else { throw .puntQueueFull }
        packet.verdict = .release
        count(CounterIndex.punted)
    }

    /// Takes packets of the control plane into a batch, behind all others. Some are taken at a time; the rest waits.
    @inline(never)
    public mutating func inject(into batch: inout PacketBatch) {
        guard !batch.isUnfinished else { return }
        while batch.generatedRoom > 0, memory.hasRoom(for: Int(UInt16.max) + IPv6.headerLength) {
            var packet: Packet?
            var record: BindingRecord?
            let isTaken = injections.queue.take { bytes, note in
                guard let start = memory.take(bytes.count), let source = bytes.baseAddress else { return }
                start.copyMemory(from: source, byteCount: bytes.count)
                packet = Packet(start: start, length: bytes.count, slot: 0, ingress: note.side.opposite)
                packet?.verdict = note.side == .home ? .transmitHome : .transmitAccess
                record = note.record
            }
            guard isTaken else { return }
            guard var packet else { continue }
            if let record {
                let isIPv4 = UnsafeRawPointer(packet.start).byte(0) >> 4 == 4
                withUnsafePointer(to: record) { enterTunnel(&packet, $0, isIPv4: isIPv4) }
            }
            transmit(&packet, to: packet.verdict == .transmitHome ? .home : .access)
            appendGenerated(packet, madeFrom: batch.count, to: &batch)
        }
    }
}

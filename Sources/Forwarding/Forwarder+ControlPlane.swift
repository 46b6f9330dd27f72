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
            var tunnel: TunnelOfInjected?
            let isTaken = injections.queue.take { bytes, note in
                guard let start = memory.take(bytes.count), let source = bytes.baseAddress else { return }
                start.copyMemory(from: source, byteCount: bytes.count)
                packet = Packet(start: start, length: bytes.count, slot: 0, ingress: note.side.opposite)
                packet?.verdict = note.side == .home ? .transmitHome : .transmitAccess
                tunnel = note.tunnel
            }
            guard isTaken else { return }
            guard var packet else { continue }
            if let tunnel {
                guard let record = record(of: tunnel, packet) else {
                    count(CounterIndex.generated, .access)
                    drop(&packet, .noBinding)
                    continue
                }
                guard enterTunnel(&packet, record, isIPv4: tunnel.isIPv4, usesHomeAddress: tunnel.usesHomeAddress)
                else {
                    count(CounterIndex.generated, .access)
                    continue
                }
            }
            transmit(&packet, to: packet.verdict == .transmitHome ? .home : .access)
            appendGenerated(packet, madeFrom: batch.count, to: &batch)
        }
    }

    /// The record of the binding that a packet was injected for; nil where it is gone, or can't carry it any more.
    private mutating func record(of tunnel: TunnelOfInjected, _ packet: Packet) -> UnsafePointer<BindingRecord>? {
        let found =
            switch tunnel.key {
            case .homeAddress: homeAddresses.lookup(IPv4Address(unmapping: tunnel.address))
            case .nodeAddress: nodeAddresses.lookup(IPv4Address(unmapping: tunnel.address))
            case .network: networks.lookup(tunnel.address)
            case .prefix: prefixes.lookup(tunnel.address)
            case .careOfAddress: careOfAddresses.lookup(IPv4Address(unmapping: tunnel.address))
            }
        guard found != PrefixTable.noValue else { return nil }
        let record = records + BindingReference(rawValue: found).record
        guard record.pointee.traffic == tunnel.traffic else { return nil }
        if record.pointee.form.isMinimal {
            guard tunnel.isIPv4 ? MinimalTunnel.refusal(of: packet.start) == nil : tunnel.usesHomeAddress else {
                return nil
            }
        }
        return record
    }
}

// What must hold after every batch: each packet has its slot and nothing was written outside of it, what leaves is a whole
// packet, the counters tell of exactly these packets, and every packet is in one counter.

import Forwarding
import PacketBuffer
import Wire

/// Looks at batches and at what was counted of them.
struct BatchCheck {
    /// After the last batch.
    private(set) var counters = Counters()
    private let outgoing: OutgoingPacketCheck
    /// How often the forwarder had to go on with a batch.
    private(set) var resumptions: UInt64 = 0
    private var transmitted = BySide()
    private var transmittedBytes = BySide()

    init(_ errorSource: IPv6Address?) { outgoing = OutgoingPacketCheck(errorSource: errorSource) }

    mutating func begin() {
        transmitted = BySide()
        transmittedBytes = BySide()
    }

    mutating func noteResumption() { resumptions += 1 }

    /// A packet that was received.
    func look(at packet: Packet, _ index: Int, _ slots: borrowing PacketSlots) throws(Finding) {
        guard packet.slot == UInt32(index) else { throw Finding("a packet changed its slot", packet: index) }
        guard slots.isUntouchedBeforeHeadroom(index) else {
            throw Finding("something was written before the headroom", packet: index)
        }
        // A datagram that was put together from fragments lies in the forwarder's memory.
        guard packet.verdict == .release || !slots.owns(packet.start) || slots.holds(packet, slot: index) else {
            throw Finding("a packet to transmit lies outside its slot", packet: index)
        }
    }

    /// A packet that leaves, whoever made it.
    /// - Parameter index: its place; nil for one that the forwarder made.
    mutating func look(atTransmitted packet: Packet, _ index: Int?, to side: Side) throws(Finding) {
        // Errors are made in the slots of what they are about; what comes of its own may be anybody's.
        let check = index == nil ? OutgoingPacketCheck(errorSource: nil) : outgoing
        if let wrong = check.wrong(packet.bytes, to: side) { throw Finding("\(wrong)", packet: index) }
        switch side {
        case .home:
            transmitted.home += 1
            transmittedBytes.home += UInt64(packet.length)
        case .access:
            transmitted.access += 1
            transmittedBytes.access += UInt64(packet.length)
        }
    }

    /// The counters after a batch of so many packets.
    mutating func end(received: Int, _ after: Counters) throws(Finding) {
        let before = counters
        counters = after
        guard after.isConserved else {
            throw Finding("received + generated is not transmitted + punted + absorbed + dropped")
        }
        guard after.received.sum == before.received.sum + UInt64(received) else {
            throw Finding("\(received) packets came, \(after.received.sum - before.received.sum) were counted")
        }
        guard after.transmitted.home == before.transmitted.home + transmitted.home,
            after.transmitted.access == before.transmitted.access + transmitted.access
        else { throw Finding("the counters of transmitted packets differ from the verdicts") }
        guard after.transmittedBytes.home == before.transmittedBytes.home + transmittedBytes.home,
            after.transmittedBytes.access == before.transmittedBytes.access + transmittedBytes.access
        else { throw Finding("the counters of transmitted bytes differ from the packets") }
    }
}

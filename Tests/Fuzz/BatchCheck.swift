// What must hold after every batch: each packet has its slot and nothing was written outside of it, what leaves is a whole
// packet, the counters tell of exactly these packets, and every packet is in one counter.

import Forwarding
import PacketBuffer
import TestSupport
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
        try look(at: packet.bytes, of: packet, index, to: side)
    }

    /// A super-frame that leaves in several parts.
    mutating func look(atJoined parts: [Packet], _ index: Int, to side: Side) throws(Finding) {
        guard parts.count == Int(parts[0].segmentCount), parts.count > 1 else {
            throw Finding("a super-frame has another number of parts than of segments", packet: index)
        }
        let bytes = parts.flatMap { Array($0.bytes) }
        do {
            try bytes.withUnsafeBytes { try look(at: $0, of: parts[0], index, to: side) }
        } catch {
            throw (error as? Finding) ?? Finding("\(error)", packet: index)
        }
    }

    /// Datagrams of a UDP tunnel that leave together: each is looked at as it is on a wire, without a checksum.
    mutating func look(atTrain parts: [Packet]) throws(Finding) {
        let bytes = parts.flatMap { Array($0.bytes) }
        let size = Int(parts[0].segmentSize)
        guard parts.count > 1, parts.count <= 64, parts[0].segmentKind == 5, parts[0].transportOffset == 20,
            bytes.count <= 65_535, parts[0].length == 28 + size, bytes[2..<4] == Self.word(bytes.count)[...],
            bytes[24..<26] == Self.word(bytes.count - 20)[...],
            parts.dropFirst().dropLast().allSatisfy({ $0.length == size }),
            (1...size).contains(parts[parts.count - 1].length)
        else { throw Finding("a train's lengths or headers are wrong") }
        for part in parts {
            var datagram =
                bytes[..<28] + (part.start == parts[0].start ? part.bytes.dropFirst(28)[...] : part.bytes[...])
            datagram[2..<4] = Self.word(datagram.count)[...]
            datagram[24..<26] = Self.word(datagram.count - 20)[...]
            datagram[26..<28] = [0, 0]
            datagram[10..<12] = [0, 0]
            let sum = datagram[..<20].withUnsafeBytes { ~PacketMutation.onesComplementSum($0) }
            datagram[10..<12] = Self.word(Int(sum))[...]
            let wrong = datagram.withUnsafeBytes { OutgoingPacketCheck(errorSource: nil).wrong($0, to: .access) }
            if let wrong { throw Finding("\(wrong), in a train") }
            transmitted.access += 1
            transmittedBytes.access += UInt64(datagram.count)
        }
    }

    private static func word(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)] }

    private mutating func look(
        at bytes: UnsafeRawBufferPointer, of packet: Packet, _ index: Int?, to side: Side
    ) throws(Finding) {
        // Errors are made in the slots of what they are about; what comes of its own may be anybody's.
        let check = index == nil ? OutgoingPacketCheck(errorSource: nil) : outgoing
        if let wrong = check.wrong(bytes, to: side) { throw Finding("\(wrong)", packet: index) }
        var length = bytes.count
        if packet.isSuperFrame {
            let transport = Int(packet.transportOffset)
            guard transport + 20 <= bytes.count || packet.segmentKind == 5 else {
                throw Finding("a super-frame ends in its headers", packet: index)
            }
            let headers = transport + (packet.segmentKind == 5 ? 8 : Int(bytes[transport + 12] >> 4) * 4)
            let count = Int(packet.segmentCount)
            let payload = bytes.count - headers
            guard payload > (count - 1) * Int(packet.segmentSize), payload <= count * Int(packet.segmentSize) else {
                throw Finding("a super-frame has another number of segments than it says", packet: index)
            }
            // On a wire each has its headers.
            length += (count - 1) * headers
        }
        switch side {
        case .home:
            transmitted.home += UInt64(packet.segmentCount)
            transmittedBytes.home += UInt64(length)
        case .access:
            transmitted.access += UInt64(packet.segmentCount)
            transmittedBytes.access += UInt64(length)
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

// Multicast to the members of a group (RFC 5454, 3.3.2): a copy for each, in its own tunnel, and the packet itself for the
// last. A group may have more members than there is room for copies; the packet then keeps its place in the list of
// members, and the rest follows when the port has sent what there is.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// - Returns: false where room for copies is missing.
    mutating func copyToMembers(
        _ batch: inout PacketBatch, _ work: UnsafeMutablePointer<PendingPacket>
    ) -> Bool {
        let index = Int(work.pointee.packet)
        let length = Int(work.pointee.innerLength)
        guard work.pointee.record != PrefixTable.noValue else {
            drop(&batch[index], .noGroupMember)
            return true
        }
        batch[index].length = length
        while true {
            let member = members + Int(work.pointee.record)
            let record = memberRecords[Int(member.pointee.binding)].record.load(ordering: .acquiring)
            let next = member.pointee.next.load(ordering: .acquiring)
            if next == PrefixTable.noValue {
                send(&batch[index], toMember: record)
                return true
            }
            // A member whose binding is going away at this moment gets none.
            if record != PrefixTable.noValue {
                guard batch.generatedRoom > 0, let start = memory.take(length) else { return false }
                var copy = batch[index]
                start.copyMemory(from: copy.start, byteCount: length)
                copy.start = start
                send(&copy, toMember: record)
                if copy.verdict == .release {
                    count(CounterIndex.generated, .access)
                } else {
                    appendGenerated(copy, madeFrom: index, to: &batch)
                }
            }
            work.pointee.record = next
        }
    }

    /// An error is not sent: one member's tunnel MTU says nothing of the others'.
    private mutating func send(_ packet: inout Packet, toMember number: UInt32) {
        guard number != PrefixTable.noValue else { return drop(&packet, .noGroupMember) }
        let record = records + Int(number)
        guard packet.length <= Int(tunnelMTU(record)) else { return drop(&packet, .packetTooBig) }
        traffic[Int(record.pointee.traffic)].addToNode(bytes: packet.length)
        enterTunnel(&packet, record, isIPv4: false)
        transmit(&packet, to: .access)
    }
}

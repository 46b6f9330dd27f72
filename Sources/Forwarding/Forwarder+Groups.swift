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
        // A segment's last member gets it itself, out of memory that is the forwarder's: one place is left for that.
        let reserve = superFrame.firstMember == PrefixTable.noValue ? 0 : 1
        while true {
            let member = members + Int(work.pointee.record)
            let record = memberRecords[Int(member.pointee.binding)].record.load(ordering: .acquiring)
            let next = member.pointee.next.load(ordering: .acquiring)
            if next == PrefixTable.noValue {
                send(&batch[index], toMember: record, work)
                return true
            }
            // A member whose binding is going away at this moment gets none.
            if record != PrefixTable.noValue {
                guard batch.generatedRoom > reserve, let start = memory.take(length) else { return false }
                var copy = batch[index]
                start.copyMemory(from: copy.start, byteCount: length)
                copy.start = start
                send(&copy, toMember: record, work)
                count(CounterIndex.generated, .access)
                if copy.verdict != .release {
                    batch.appendGenerated(
                        start: copy.start, length: copy.length, madeFrom: index, verdict: copy.verdict)
                }
            }
            work.pointee.record = next
        }
    }

    /// Sends a packet to a member. Where it is too big for one, its source is told once (RFC 4443, 3.2 and 2.4 e.3).
    private mutating func send(
        _ packet: inout Packet, toMember number: UInt32, _ work: UnsafeMutablePointer<PendingPacket>
    ) {
        guard number != PrefixTable.noValue else { return drop(&packet, .noGroupMember) }
        let reference = BindingReference(rawValue: number)
        let record = records + reference.record
        let limit = tunnelMTU(record, isIPv4: false, usesHomeAddress: reference.usesHomeAddress)
        guard packet.length <= Int(limit) else {
            if work.pointee.isAnswered { return drop(&packet, .packetTooBig) }
            work.pointee.isAnswered = true
            return answer(&packet, dropped: .packetTooBig, work.pointee, mtu: limit)
        }
        traffic[Int(record.pointee.traffic)].addToNode(bytes: packet.length, isShared: isShared)
        // Errors about it would quote the group, and nobody could tell whose tunnel they concern: it may be fragmented.
        let isOwn = enterTunnel(
            &packet, record, isIPv4: false, usesHomeAddress: reference.usesHomeAddress, mayFragment: true)
        if isOwn { transmit(&packet, to: .access) }
    }
}

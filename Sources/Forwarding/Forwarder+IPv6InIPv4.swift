// Protocol 41: IPv6 in IPv4 (RFC 4213, 3), with a binding's precomputed outer header. ECN as RFC 6040, DSCP as
// RFC 2983. The inner hop limit is not touched: the tunnel is one hop, and the kernel that forwards to or from the home
// device has counted it.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    @inline(__always)
    mutating func encapsulate(_ packet: inout Packet, _ work: Pending, now: UInt64) {
        let innerLength = Int(work.innerLength)
        guard work.record != PrefixTable.noValue else {
            drop(&packet, .noBinding)
            return answerWithError(&packet, innerLength: innerLength, .noRoute, now: now)
        }
        let record = records + Int(work.record)
        guard work.innerLength <= record.pointee.tunnelMTU else {
            drop(&packet, .packetTooBig)
            let error = ICMPv6Error.packetTooBig(mtu: record.pointee.tunnelMTU)
            return answerWithError(&packet, innerLength: innerLength, error, now: now)
        }
        let inner = packet.start
        packet.length = innerLength
        packet.prepend(IPv4.minimumHeaderLength)
        record.pointee.writeOuterHeader(
            to: packet.start,
            innerTrafficClass: TrafficClass(
                rawValue: UInt8(truncatingIfNeeded: UnsafeRawPointer(inner).networkUInt16(at: 0) >> 4)),
            totalLength: UInt16(truncatingIfNeeded: packet.length), identification: nextIdentification())
        traffic[Int(record.pointee.traffic)].addToNode(bytes: innerLength)
        transmit(&packet, to: .access)
    }

    @inline(__always)
    mutating func decapsulate(_ packet: inout Packet, _ work: Pending) {
        let outer = UnsafeRawPointer(packet.start)
        let outerSource = IPv4Address(rawValue: outer.networkUInt32(at: IPv4.Offset.source))
        guard work.record != PrefixTable.noValue else {
            return dropAsException(&packet, .innerSourceUnregistered, outerSource, work.address)
        }
        let record = records + Int(work.record)
        guard outerSource == record.pointee.careOfAddress else {
            return dropAsException(&packet, .outerSourceMismatch, outerSource, work.address)
        }
        // A node that has just moved still gets what was sent to where it was.
        let outerDestination = IPv4Address(rawValue: outer.networkUInt32(at: IPv4.Offset.destination))
        guard outerDestination == record.pointee.endpoint || isEndpoint(outerDestination) else {
            return drop(&packet, .notForEndpoint)
        }
        let outerClass = TrafficClass(rawValue: outer.byte(IPv4.Offset.trafficClass))
        packet.removeFirst(Int(work.outerHeaderLength))
        packet.length = Int(work.innerLength)
        let innerClass = TrafficClass(
            rawValue: UInt8(truncatingIfNeeded: UnsafeRawPointer(packet.start).networkUInt16(at: 0) >> 4))
        guard let ecn = ECN.decapsulated(inner: innerClass.ecn, outer: outerClass.ecn) else {
            return drop(&packet, .ecnNotCapable)
        }
        let copiedIn = record.pointee.copiedIn
        let newClass = TrafficClass(
            rawValue: (outerClass.rawValue & copiedIn) | (innerClass.rawValue & 0xFC & ~copiedIn) | ecn.rawValue)
        if newClass != innerClass { IPv6Header.setTrafficClass(newClass, at: packet.start) }
        traffic[Int(record.pointee.traffic)].addFromNode(bytes: packet.length)
        transmit(&packet, to: .home)
    }

    @inline(never)
    private mutating func dropAsException(
        _ packet: inout Packet, _ reason: DropReason, _ outerSource: IPv4Address, _ innerSource: IPv6Address
    ) {
        drop(&packet, reason)
        securityExceptions.note(
            SecurityException(reason: reason, outerSource: outerSource, innerSource: innerSource))
    }
}

// The last stage out of a tunnel: whether the node may send what it sent, from where it sent it, in the tunnel in which it
// came (RFC 5454, 3.3.2); then DSCP (RFC 2983) and ECN (RFC 6040, 4.2) of the headers that are taken off.

import PacketBuffer
import PrefixTable
import Wire

extension Forwarder {
    /// - Returns: false where the packet has to wait for its turn in its tunnel.
    @inline(__always)
    mutating func decapsulate(_ packet: inout Packet, _ pending: UnsafeMutablePointer<PendingPacket>) -> Bool {
        if pending.pointee.isHeldFragment {
            if countsInTunnel(pending) { return false }
            // It may have been left for later with others of its batch.
            packet.verdict = .release
            return true
        }
        if pending.pointee.isLinkLocal { findTunnel(of: packet, pending) }
        let work = UnsafePointer(pending)
        guard work.pointee.record != PrefixTable.noValue else {
            // What passes by on its way to another's endpoint is nobody's exception.
            if isTunnelEnd(work.pointee.outerDestination) {
                dropAsException(&packet, .innerSourceUnregistered, work.pointee)
            } else {
                drop(&packet, .notForEndpoint)
            }
            return true
        }
        let reference = BindingReference(rawValue: work.pointee.record)
        let record = records + reference.record
        let usesHomeAddress = reference.usesHomeAddress || work.pointee.isListenerMessage
        if let reason = refusal(of: work, record, usesHomeAddress: usesHomeAddress) {
            if reason.isSecurityException {
                dropAsException(&packet, reason, work.pointee)
            } else {
                drop(&packet, reason)
            }
            return true
        }
        if work.pointee.hasSequence, record.pointee.sequence != PrefixTable.noValue { return false }
        leaveTunnel(&packet, work, record)
        return true
    }

    /// Takes the headers off a packet that its binding allows.
    @inline(__always)
    mutating func leaveTunnel(
        _ packet: inout Packet, _ work: UnsafePointer<PendingPacket>, _ record: UnsafePointer<BindingRecord>
    ) {
        packet.removeFirst(Int(work.pointee.innerOffset))
        packet.length = Int(work.pointee.innerLength)
        guard let new = innerClass(packet.start, work, copied: record.pointee.copiedIn) else {
            return drop(&packet, .ecnNotCapable)
        }
        if work.pointee.isIPv4 {
            if new.rawValue != UnsafeRawPointer(packet.start).byte(IPv4.Offset.trafficClass) {
                IPv4Header.setTrafficClass(new, at: packet.start)
            }
        } else if new != IPv6Header.trafficClass(at: packet.start) {
            IPv6Header.setTrafficClass(new, at: packet.start)
        }
        if packet.isSuperFrame { return leaveWhole(&packet, work.pointee, record) }
        traffic[Int(record.pointee.traffic)].addFromNode(bytes: packet.length, isShared: isShared)
        if work.pointee.isLinkLocal || work.pointee.isListenerMessage {
            return takeOfLink(&packet, work.pointee, record)
        }
        transmit(&packet, to: .home)
    }

    /// A solicitation of the tunnel's own end needs no registered source: each end of a tunnel has a link-local address by
    /// itself, and may ask whether the other is there (RFC 4213, 3.7 and 3.8). It belongs to the binding whose tunnel it
    /// came by: that which was put last at its care-of address or, where there are several, the one with such a tunnel.
    @inline(never)
    private mutating func findTunnel(of packet: Packet, _ pending: UnsafeMutablePointer<PendingPacket>) {
        if pending.pointee.record != PrefixTable.noValue {
            let registered = BindingReference(rawValue: pending.pointee.record)
            let record = records + registered.record
            if refusal(of: pending, record, usesHomeAddress: registered.usesHomeAddress) == nil { return }
        }
        let work = pending.pointee
        let usesHomeAddress = work.homeAddress.rawValue != 0
        let bytes = UnsafeRawBufferPointer(start: packet.start + Int(work.innerOffset), count: Int(work.innerLength))
        guard let solicitation = NeighborSolicitationView(bytes) else { return }
        let digest = TunnelForm.digest(
            work.outerSource, work.form.identity(key: work.hasKey ? work.key : nil, port: work.port))
        let byHomeAddress = work.isAtNode ? nodeAddresses : homeAddresses
        let candidates = (
            usesHomeAddress ? byHomeAddress.lookup(work.homeAddress) : careOfAddresses.lookup(work.outerSource),
            usesHomeAddress ? PrefixTable.noValue : sharedTunnels.lookup(digest)
        )
        for index in 0..<2 {
            let found = index == 0 ? candidates.0 : candidates.1
            guard found != PrefixTable.noValue else { continue }
            let number = UInt32(truncatingIfNeeded: BindingReference(rawValue: found).record)
            let reference = BindingReference(number, usesHomeAddress: usesHomeAddress)
            let record = records + reference.record
            guard solicitation.target == record.pointee.linkLocalAddress(usesHomeAddress: usesHomeAddress),
                refusal(of: pending, record, usesHomeAddress: usesHomeAddress) == nil
            else { continue }
            pending.pointee.record = reference.rawValue
            return
        }
    }

    /// Whether a fragment that is held has a number in a tunnel of its binding.
    @inline(never)
    private mutating func countsInTunnel(_ work: UnsafePointer<PendingPacket>) -> Bool {
        guard work.pointee.record != PrefixTable.noValue else { return false }
        let record = records + BindingReference(rawValue: work.pointee.record).record
        return record.pointee.sequence != PrefixTable.noValue && refusal(of: work, record, usesHomeAddress: true) == nil
    }

    /// Why the binding does not allow the packet; nil where it does. By pointers, since both would be copied otherwise.
    @inline(__always)
    private mutating func refusal(
        of work: UnsafePointer<PendingPacket>, _ record: UnsafePointer<BindingRecord>, usesHomeAddress: Bool
    ) -> DropReason? {
        let isByHomeAddress = work.pointee.homeAddress.rawValue != 0
        // The home address is the outer source where the packet came without the IPv4 tunnel.
        let isWithoutTunnel =
            usesHomeAddress && !isByHomeAddress && work.pointee.outerSource == record.pointee.homeAddress
            && !record.pointee.isMobileNode
        guard isWithoutTunnel || work.pointee.outerSource == record.pointee.careOfAddress else {
            return .outerSourceMismatch
        }
        if isByHomeAddress {
            // That it comes from the home agent was seen when a mobile node's home address was found.
            guard work.pointee.isAtNode == record.pointee.isMobileNode else { return .notForEndpoint }
            guard work.pointee.homeAddress == record.pointee.homeAddress else {
                return work.pointee.isAtNode ? .notForEndpoint : .outerSourceMismatch
            }
        }
        // A node that has just moved still gets what was sent to where it was.
        guard work.pointee.outerDestination == record.pointee.endpoint || isEndpoint(work.pointee.outerDestination)
        else { return .notForEndpoint }
        if isWithoutTunnel { return work.pointee.form == .direct ? nil : .tunnelMismatch }
        guard isByHomeAddress == usesHomeAddress, work.pointee.form == record.pointee.form else {
            return .tunnelMismatch
        }
        if record.pointee.form.isGRE,
            work.pointee.hasKey != record.pointee.hasKey || work.pointee.key != record.pointee.key
        {
            return .greKey
        }
        guard record.pointee.form.isUDP else { return nil }
        let isItsPort = work.pointee.port == record.pointee.port
        return isItsPort && work.pointee.isToOwnPort == record.pointee.hasOwnPort ? nil : .udpPortMismatch
    }

    /// DSCP and ECN of the packet itself when all headers are off; nil where it must be dropped.
    @inline(__always)
    private func innerClass(
        _ inner: UnsafeMutableRawPointer, _ work: UnsafePointer<PendingPacket>, copied: UInt8
    ) -> TrafficClass? {
        var outer = TrafficClass(rawValue: work.pointee.outerClass)
        if work.pointee.homeAddress.rawValue != 0 {
            guard let middle = Self.decapsulated(TrafficClass(rawValue: work.pointee.middleClass), outer, copied) else {
                return nil
            }
            outer = middle
        }
        let own =
            work.pointee.isIPv4
            ? TrafficClass(rawValue: UnsafeRawPointer(inner).byte(IPv4.Offset.trafficClass))
            : IPv6Header.trafficClass(at: inner)
        return Self.decapsulated(own, outer, copied)
    }

    @inline(__always)
    private static func decapsulated(
        _ inner: TrafficClass, _ outer: TrafficClass, _ copied: UInt8
    ) -> TrafficClass? {
        guard let ecn = ECN.decapsulated(inner: inner.ecn, outer: outer.ecn) else { return nil }
        return TrafficClass(
            rawValue: (outer.rawValue & copied) | (inner.rawValue & 0xFC & ~copied) | ecn.rawValue)
    }

    @inline(never)
    private mutating func dropAsException(_ packet: inout Packet, _ reason: DropReason, _ work: PendingPacket) {
        drop(&packet, reason)
        securityExceptions.note(
            SecurityException(reason: reason, outerSource: work.outerSource, innerSource: work.address))
    }
}

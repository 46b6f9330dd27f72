// What leaves must be a whole packet of its side. The check shares no code with what makes these packets: it reads bytes
// by itself, down through every header of a tunnel to the packet inside.

import PacketBuffer
import TestSupport
import Wire

/// Says what is wrong with a packet that is to be transmitted.
struct OutgoingPacketCheck {
    /// The source of ICMPv6 errors of the forwarder's own, whose checksums are checked; nil where there is none.
    var errorSource: IPv6Address?

    /// - Returns: nil where nothing is wrong.
    func wrong(_ packet: UnsafeRawBufferPointer, to side: Side) -> StaticString? {
        side == .home ? wrongToHome(packet) : wrongToAccess(packet)
    }

    private func wrongToHome(_ packet: UnsafeRawBufferPointer) -> StaticString? {
        guard let first = packet.first else { return "no bytes to the home side" }
        if first >> 4 == 4 { return Self.wrongIPv4(packet) }
        if let wrong = Self.wrongIPv6(packet) { return wrong }
        guard packet[6] == 58, let errorSource, Self.isAddress(errorSource, packet, at: 8) else { return nil }
        return Self.wrongICMPv6Error(packet)
    }

    private func wrongToAccess(_ packet: UnsafeRawBufferPointer) -> StaticString? {
        guard packet.count >= 20, packet[0] == 0x45 else { return "no plain IPv4 header to the access side" }
        if let wrong = Self.wrongIPv4(packet) { return wrong }
        let payload = UnsafeRawBufferPointer(rebasing: packet[20...])
        let fragment = Self.word(packet, 6)
        if packet[9] == 55 || Self.isMinimalInUDP(packet) {
            // Minimal encapsulation keeps the flags that came, and is itself what is fragmented.
            guard fragment & 0x2000 == 0 || payload.count.isMultiple(of: 8) else {
                return "a fragment of a wrong length"
            }
            if fragment & 0x3FFF != 0, packet[9] == 17 { return nil }
            if fragment & 0x1FFF != 0 { return nil }
        } else if fragment & 0xBFFF != 0 {
            return "a fragment to the access side"
        }
        switch packet[9] {
        case 1: return Self.sum(payload) == 0xFFFF ? nil : "a wrong ICMPv4 checksum to the access side"
        case 4: return Self.wrongInner(payload)
        case 41: return Self.wrongIPv6(payload)
        case 17: return Self.wrongUDP(payload)
        case 47: return Self.wrongGRE(payload)
        case 55: return Self.wrongMinimal(payload)
        default: return "an unknown protocol to the access side"
        }
    }

    // MARK: Headers

    private static func wrongIPv4(_ packet: UnsafeRawBufferPointer) -> StaticString? {
        guard packet.count >= 20, packet[0] >> 4 == 4 else { return "no IPv4 header" }
        let headerLength = Int(packet[0] & 15) * 4
        guard headerLength >= 20, headerLength <= packet.count else { return "a wrong IPv4 header length" }
        guard sum(UnsafeRawBufferPointer(rebasing: packet[..<headerLength])) == 0xFFFF else {
            return "a wrong IPv4 header checksum"
        }
        return word(packet, 2) == packet.count ? nil : "a wrong IPv4 total length"
    }

    private static func wrongIPv6(_ packet: UnsafeRawBufferPointer) -> StaticString? {
        guard packet.count >= 40, packet[0] >> 4 == 6 else { return "no IPv6 header" }
        return 40 + word(packet, 4) == packet.count ? nil : "a wrong IPv6 payload length"
    }

    /// IPv4, which may be the header to a home address.
    private static func wrongInner(_ packet: UnsafeRawBufferPointer) -> StaticString? { wrongIPv4(packet) }

    private static func wrongTunnelled(_ number: Int, _ packet: UnsafeRawBufferPointer) -> StaticString? {
        switch number {
        case 4, 0x0800: wrongInner(packet)
        case 41, 0x86DD: wrongIPv6(packet)
        default: "a tunnel of neither IPv4 nor IPv6"
        }
    }

    /// Whether a packet is UDP whose first fragment, or whole, carries minimal encapsulation. Of later fragments nothing
    /// tells, and nothing else leaves in fragments.
    private static func isMinimalInUDP(_ packet: UnsafeRawBufferPointer) -> Bool {
        guard packet[9] == 17, packet.count >= 32 || word(packet, 6) & 0x1FFF != 0 else { return false }
        return word(packet, 6) & 0x1FFF != 0 || packet[29] == 55
    }

    private static func wrongUDP(_ datagram: UnsafeRawBufferPointer) -> StaticString? {
        guard datagram.count >= 12, word(datagram, 4) == datagram.count else { return "a wrong UDP length" }
        // The home agent's port is that of Mobile IP, the node's any.
        guard word(datagram, 0) == 434 || word(datagram, 2) == 434, word(datagram, 6) == 0, datagram[8] == 4,
            word(datagram, 10) == 0
        else {
            return "a wrong UDP or Mobile Tunnel Data header"
        }
        let carried = UnsafeRawBufferPointer(rebasing: datagram[12...])
        return switch datagram[9] {
        case 47: wrongGRE(carried)
        case 55: wrongMinimal(carried)
        default: wrongTunnelled(Int(datagram[9]), carried)
        }
    }

    private static func wrongGRE(_ packet: UnsafeRawBufferPointer) -> StaticString? {
        guard packet.count >= 4, word(packet, 0) & 0x4FFF == 0 else { return "a wrong GRE header" }
        let headerLength = 4 + 4 * (word(packet, 0) & 0xB000).nonzeroBitCount
        guard headerLength <= packet.count else { return "a GRE header that is cut off" }
        guard word(packet, 0) & 0x8000 == 0 || sum(packet) == 0xFFFF else { return "a wrong GRE checksum" }
        return wrongTunnelled(word(packet, 2), UnsafeRawBufferPointer(rebasing: packet[headerLength...]))
    }

    private static func wrongMinimal(_ packet: UnsafeRawBufferPointer) -> StaticString? {
        guard packet.count >= 8 else { return "a minimal header that is cut off" }
        let headerLength = packet[1] & 0x80 == 0 ? 8 : 12
        guard packet[1] & 0x7F == 0, headerLength <= packet.count,
            sum(UnsafeRawBufferPointer(rebasing: packet[..<headerLength])) == 0xFFFF
        else { return "a wrong minimal header" }
        // IPv6 by way of the home address has no other header than its own; any other payload is the packet's own affair.
        guard headerLength == 8 else { return nil }
        return packet[0] == 41 ? wrongIPv6(UnsafeRawBufferPointer(rebasing: packet[8...])) : "a wrong minimal header"
    }

    /// Of an error with the whole of what it quotes, within IPv6's least MTU.
    private static func wrongICMPv6Error(_ packet: UnsafeRawBufferPointer) -> StaticString? {
        guard packet.count <= 1280, packet.count >= 48 else { return "an ICMPv6 error of a wrong size" }
        var total = UInt32(sum(UnsafeRawBufferPointer(rebasing: packet[8...])))
        total += UInt32(packet.count - 40) + 58
        return UInt16(total & 0xFFFF) &+ UInt16(total >> 16) == 0xFFFF ? nil : "a wrong ICMPv6 checksum"
    }

    // MARK: Reading

    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Int {
        Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
    }

    private static func sum(_ bytes: UnsafeRawBufferPointer) -> UInt16 { PacketMutation.onesComplementSum(bytes) }

    private static func isAddress(_ address: IPv6Address, _ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) == address.high.bigEndian
            && bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self) == address.low.bigEndian
    }
}

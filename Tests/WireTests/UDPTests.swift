// RFC 768. Datagrams that are accepted were encoded by scapy.

import TestSupport
import Testing
import Wire

@Suite("UDP")
struct UDPTests {
    @Test("every field of a datagram is read", arguments: WireVectors.all.udp)
    func read(_ vector: WireVectors.UDPDatagram) throws {
        try withExactMemory(of: vector.packet.bytes + vector.behind.bytes, offset: 1) { bytes in
            let view = try UDPView(bytes)
            #expect(view.sourcePort == vector.sourcePort)
            #expect(view.destinationPort == vector.destinationPort)
            #expect(view.length == vector.length)
            #expect(view.checksum == vector.checksum)
            #expect(Array(view.payload) == Array(vector.packet.bytes[8...]))
        }
    }

    @Test("a datagram becomes a packet with both checksums, in pieces that fit", arguments: WireVectors.all.udpPackets)
    func packet(_ vector: WireVectors.UDPPacketInFragments) {
        var packet = UDPPacket(
            source: IPv4Address("198.51.100.7")!, sourcePort: vector.sourcePort,
            destination: IPv4Address("203.0.113.1")!, destinationPort: vector.destinationPort,
            payload: vector.payload.bytes)
        packet.timeToLive = vector.timeToLive
        packet.identification = vector.identification
        #expect(packet.fragments(mtu: vector.mtu) == vector.fragments.map(\.bytes))
        if vector.fragments.count == 1 { #expect(packet.bytes() == vector.fragments[0].bytes) }
    }

    @Test("what is longer than IPv4 can be is no packet")
    func tooLong() {
        let address = IPv4Address("198.51.100.7")!
        for (length, isPacket) in [(65_507, true), (65_508, false), (100_000, false)] {
            let packet = UDPPacket(
                source: address, sourcePort: 1, destination: address, destinationPort: 2,
                payload: [UInt8](repeating: 0, count: length))
            #expect((packet.bytes() != nil) == isPacket)
            #expect(packet.fragments(mtu: 1500).isEmpty != isPacket)
        }
    }

    @Test("each truncation length is refused for what it lacks", arguments: WireVectors.all.udp)
    func truncated(_ vector: WireVectors.UDPDatagram) {
        for length in 0..<vector.packet.bytes.count {
            #expect(refusal(of: Array(vector.packet.bytes[..<length])) == (length < 8 ? .udpTruncated : .udpLength))
        }
    }

    @Test("lengths below the header and past the end are refused")
    func length() {
        for length in 0...40 {
            var datagram = [UInt8](repeating: 0, count: 32)
            datagram[5] = UInt8(length)
            #expect(refusal(of: datagram) == ((8...32).contains(length) ? nil : .udpLength), "\(length)")
        }
        #expect(refusal(of: [0, 1, 0, 2, 0xFF, 0xFF, 0, 0]) == .udpLength)
    }

    @Test("no memory at all is a truncated datagram")
    func noMemory() {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        #expect(reason { () throws(DropReason) in _ = try UDPView(nothing) } == .udpTruncated)
    }

    private func refusal(of datagram: [UInt8]) -> DropReason? {
        withExactMemory(of: datagram) { bytes in reason { () throws(DropReason) in _ = try UDPView(bytes) } }
    }
}

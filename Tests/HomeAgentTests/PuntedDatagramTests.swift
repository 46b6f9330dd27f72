// Datagrams in their packets. The packets are scapy's:
//   IP(src, dst, id, ttl)/UDP(sport, dport)/Raw(bytes(range(1, 32))), and the last with a payload whose checksum is 0

import MobileIP
import Testing
import Wire

@testable import HomeAgent

@Suite("Datagrams in packets") struct PuntedDatagramTests {
    private static let payload = Array(UInt8(1)...31)
    private static let node = IPv4Address("203.0.113.9")!
    private static let agent = IPv4Address("192.0.2.1")!

    private static func bytes(_ digits: String) -> [UInt8] {
        stride(from: 0, to: digits.utf8.count, by: 2).map { place in
            let start = digits.index(digits.startIndex, offsetBy: place)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)!
        }
    }

    private static let received = bytes(
        "4500003b000700003c1180a0cb007109c00002019c4001b2002762b10102030405060708090a0b0c0d0e0f10"
            + "1112131415161718191a1b1c1d1e1f")
    private static let sent = bytes(
        "4500003b1234000040116a73c0000201cb00710901b29c40002762b10102030405060708090a0b0c0d0e0f10"
            + "1112131415161718191a1b1c1d1e1f")
    private static let sentWithoutSum = bytes("450000201234000040116a8ec0000201cb00710901b29c40000cffff63d80000")

    private static func parse(
        _ packet: [UInt8], homeNetworks: [IPv4Prefix] = []
    ) throws(PuntError) -> ReceivedDatagram {
        try packet.withUnsafeBytes { bytes in
            Result { () throws(PuntError) in try ReceivedDatagram(packet: bytes, homeNetworks: homeNetworks) }
        }.get()
    }

    @Test("a datagram is taken out of its packet")
    func takesOut() throws {
        let expected = ReceivedDatagram(
            payload: Self.payload, source: Self.node, sourcePort: 40000, destination: Self.agent)
        #expect(try Self.parse(Self.received) == expected)
        // Bytes behind it are none of it.
        #expect(try Self.parse(Self.received + [0, 0, 0]) == expected)
    }

    @Test("who sends from a home network is at home")
    func home() throws {
        let networks = [IPv4Prefix("203.0.113.0/24")!]
        #expect(try Self.parse(Self.received, homeNetworks: networks).side == .home)
        #expect(try Self.parse(Self.received, homeNetworks: [IPv4Prefix("203.0.112.0/24")!]).side == .access)
    }

    @Test("what is no such datagram is told apart, whatever it is cut to")
    func refuses() {
        func error(_ change: (inout [UInt8]) -> Void) -> PuntError? {
            var packet = Self.received
            change(&packet)
            do throws(PuntError) {
                _ = try Self.parse(packet)
                return nil
            } catch {
                return error
            }
        }
        #expect(error { $0[0] = 0x65 } == .puntNotIPv4)
        #expect(error { $0[30] ^= 1 } == .puntChecksum)
        #expect(
            error { packet in
                packet[6] = 0x20
                packet.withUnsafeMutableBytes { IPv4Header.writeChecksum(at: $0.baseAddress!) }
            } == .puntNotIPv4)
        #expect(
            error { packet in
                packet[9] = 6
                packet.withUnsafeMutableBytes { IPv4Header.writeChecksum(at: $0.baseAddress!) }
            } == .puntNotUDP)
        #expect(error { $0[23] = 0xB3 } == .puntOtherPort)
        #expect(error { $0[25] = 0x28 } == .puntNotUDP)
        // Without a checksum it is taken as it is.
        #expect(error { $0.replaceSubrange(26..<28, with: [0, 0]) } == nil)
        for length in 0..<Self.received.count { #expect(error { $0 = Array($0[..<length]) } == .puntNotIPv4) }
    }

    @Test("a datagram is put into a packet as scapy puts it")
    func putsIn() {
        var datagram = OutgoingDatagram(
            payload: Self.payload, source: Self.agent, destination: Self.node, destinationPort: 40000)
        #expect(datagram.packets(identification: 0x1234) == [Self.sent])
        datagram.payload = [0x63, 0xD8, 0, 0]
        #expect(datagram.packets(identification: 0x1234) == [Self.sentWithoutSum])
        datagram.payload = [UInt8](repeating: 0, count: 65507)
        #expect(datagram.packets(identification: 0).reduce(0) { $0 + $1.count - 20 } == 65515)
        #expect(datagram.packets(identification: 0).allSatisfy { $0.count <= 1280 })
        datagram.payload.append(0)
        #expect(datagram.packets(identification: 0) == [])
    }
}

import Testing
import Wire

@testable import MobileNode

@Suite("Keepalives as packets")
struct EchoRequestTests {
    /// Made with scapy: IP(src=…, dst=…, id=0, ttl=64)/ICMP(id=0x1234, seq=5).
    static let packet: [UInt8] = [
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x8E, 0xA5, 198, 51, 100, 7, 192, 0, 2, 1, 8, 0, 0xE5, 0xC6, 0x12, 0x34, 0,
        5,
    ]

    @Test("N1 are echo requests from the home address to the home agent")
    func request() {
        let packet = EchoRequest.packet(
            identifier: 0x1234, sequence: 5, from: IPv4Address("198.51.100.7")!, to: IPv4Address("192.0.2.1")!)
        #expect(packet == Self.packet)
    }

    @Test("N1 are answered by replies with the same identifier, and by nothing else")
    func replies() {
        func sequence(_ change: (inout [UInt8]) -> Void, identifier: UInt16 = 0x1234) -> UInt16? {
            var packet = Self.packet
            packet[20] = 0
            change(&packet)
            return packet.withUnsafeBytes { EchoRequest.replySequence(in: $0, identifier: identifier) }
        }
        #expect(sequence { _ in } == 5)
        #expect(sequence({ _ in }, identifier: 0x1235) == nil)
        #expect(sequence { $0[20] = 8 } == nil)
        #expect(sequence { $0[9] = 17 } == nil)
        for length in 0..<28 { #expect(sequence { $0.removeLast(28 - length) } == nil) }
    }
}

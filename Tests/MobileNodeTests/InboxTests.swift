import ControlProtocol
import Testing
import Wire

@testable import MobileNode

@Suite("Registrations that mooringd hands over")
struct InboxTests {
    @Test("are taken out of their packets, and nothing else is")
    func datagram() throws {
        // Made with scapy: IP(src="192.0.2.1", dst="203.0.113.9", id=0)/UDP(sport=434, dport=434)/b"abc".
        let packet: [UInt8] = [
            0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0x7C, 0xC3, 192, 0, 2, 1, 203, 0, 113, 9, 0x01, 0xB2, 0x01, 0xB2, 0, 11,
            0x3A, 0x06, 97, 98, 99,
        ]
        var punt = ControlPuntEvent()
        punt.reason = .mobileIp
        punt.packet = .init(packet)
        let datagram = try #require(Inbox.Datagram(punt))
        #expect(datagram.payload == Array("abc".utf8) && datagram.port == 434)
        #expect(datagram.source == IPv4Address("192.0.2.1"))
        punt.reason = .multicastListener
        #expect(Inbox.Datagram(punt) == nil)
        punt.reason = .mobileIp
        for length in 0..<packet.count {
            punt.packet = .init(packet.prefix(length))
            #expect(Inbox.Datagram(punt) == nil)
        }
    }

    @Test("are bounded, and those that are dropped are counted")
    func bound() {
        let inbox = Inbox()
        let datagram = Inbox.Datagram(payload: [], source: .unspecified, port: 1)
        for _ in 0..<1000 { inbox.put(datagram) }
        for number in 0..<1000 { inbox.put(echo: UInt16(number)) }
        let content = inbox.take()
        #expect(content.datagrams.count == 256 && content.droppedDatagrams == 744 && content.echoes.count == 16)
        #expect(inbox.take().datagrams.isEmpty)
    }
}

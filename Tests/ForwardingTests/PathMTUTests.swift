// The tunnel MTU that follows the path (RFC 4213, 3.2.2), by errors that scapy has made (Tests/Vectors/tunnels.py), whose
// MTU is changed here.

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("MTU of the path")
struct PathMTUTests {
    private static let tenMinutes: UInt64 = 600_000_000_000
    private let table: BindingTable
    private let forwarder: TestForwarder
    private let careOf: IPv6Address

    init() throws {
        table = try TunnelVectors.makeTable()
        var binding = try #require(table.state(of: "direct", now: 0)?.binding)
        binding.mtuDiscovery = true
        binding.tunnelMTU = nil
        _ = try table.put([binding], now: 0)
        forwarder = try TestForwarder(table)
        careOf = try #require(binding.prefixes.first { $0.tunnel == .careOf }).prefix.address
    }

    /// An IPv6 packet for the node.
    private func packet(_ length: Int) -> Given {
        var header = IPv6Header(
            nextHeader: 59, source: IPv6Address("2001:db8:f::1")!, destination: careOf)
        header.payloadLength = UInt16(length - 40)
        var bytes = [UInt8](repeating: 0, count: length)
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        return .home(bytes)
    }

    /// What a router says of a tunnel packet that this forwarder sent.
    private func tooBig(_ sent: Outcome, mtu: Int, by router: IPv4Address = IPv4Address("203.0.113.254")!) -> Given {
        let quote = Array((sent.bytes ?? []).prefix(548))
        var message: [UInt8] = [3, 4, 0, 0, 0, 0, UInt8(mtu >> 8), UInt8(mtu & 0xFF)] + quote
        let sum = ~PacketMutation.onesComplementSum(message[...])
        message.replaceSubrange(2..<4, with: [UInt8(sum >> 8), UInt8(sum & 0xFF)])
        var header = IPv4Header(
            protocol: 1, source: router, destination: IPv4Address(ForwardingVectors.all.endpoint)!)
        header.totalLength = UInt16(20 + message.count)
        var bytes = [UInt8](repeating: 0, count: 20)
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        return .access(bytes + message)
    }

    private func isDontFragmentSet(_ outcome: Outcome) -> Bool? {
        guard case .access(let bytes) = outcome else { return nil }
        return bytes[6] & 0x40 != 0
    }

    /// The MTU that a Packet Too Big tells.
    private func told(_ outcome: Outcome) -> Int? {
        guard case .home(let bytes) = outcome, bytes.count > 48, bytes[40] == 2 else { return nil }
        return Int(bytes[46]) << 8 + Int(bytes[47])
    }

    @Test("T5 a tunnel begins at 1480 with don't fragment set, and narrows to what a router says")
    func narrows() {
        let sent = forwarder.process(packet(1480))
        #expect(isDontFragmentSet(sent) == true)
        #expect(told(forwarder.process(packet(1481))) == 1480)
        #expect(told(forwarder.process(tooBig(sent, mtu: 1400))) == 1380)
        #expect(told(forwarder.process(packet(1381))) == 1380)
        let narrower = forwarder.process(packet(1380))
        #expect(isDontFragmentSet(narrower) == true)
        // Wider than what was said before, or than the packet: nobody can know that.
        _ = forwarder.process(tooBig(narrower, mtu: 1450))
        _ = forwarder.process(tooBig(narrower, mtu: 1400))
        #expect(told(forwarder.process(packet(1381))) == 1380)
        #expect(isDontFragmentSet(forwarder.process(packet(1380))) == true)
    }

    @Test("T5 where the path is too narrow for IPv6 the tunnel MTU is 1280, and packets may be fragmented")
    func floor() {
        let sent = forwarder.process(packet(1480))
        _ = forwarder.process(tooBig(sent, mtu: 1300))
        #expect(isDontFragmentSet(forwarder.process(packet(1280))) == true)
        _ = forwarder.process(tooBig(sent, mtu: 1299))
        let narrow = forwarder.process(packet(1280))
        #expect(isDontFragmentSet(narrow) == false)
        #expect(told(forwarder.process(packet(1281))) == 1280)
        // From a router older than RFC 1191.
        _ = forwarder.process(tooBig(narrow, mtu: 0))
        #expect(isDontFragmentSet(forwarder.process(packet(1280))) == false)
        #expect(told(forwarder.process(packet(1281))) == 1280)
    }

    @Test("T5 what a router said is believed for ten minutes")
    func age() {
        let sent = forwarder.process(packet(1480), now: 1000)
        _ = forwarder.process(tooBig(sent, mtu: 1400), now: 1000)
        #expect(told(forwarder.process(packet(1480), now: 999 + Self.tenMinutes)) == 1380)
        #expect(isDontFragmentSet(forwarder.process(packet(1480), now: 1000 + Self.tenMinutes)) == true)
    }

    @Test("T5 what is known of a path stays when the binding is put again, and goes when the node moves")
    func changes() throws {
        let sent = forwarder.process(packet(1480))
        _ = forwarder.process(tooBig(sent, mtu: 1400))
        var binding = try #require(table.state(of: "direct", now: 0)?.binding)
        binding.dscp = .pipe
        _ = try table.put([binding], now: 0)
        #expect(told(forwarder.process(packet(1480))) == 1380)
        binding.careOfAddress = IPv4Address("203.0.113.99")!
        _ = try table.put([binding], now: 0)
        #expect(isDontFragmentSet(forwarder.process(packet(1480))) == true)
        binding.mtuDiscovery = false
        _ = try table.put([binding], now: 0)
        #expect(told(forwarder.process(packet(1480))) == 1280)
        #expect(isDontFragmentSet(forwarder.process(packet(1280))) == false)
    }

    @Test("T5 an error about a packet that did not go to this node changes nothing")
    func forged() {
        guard case .access(var bytes) = forwarder.process(packet(1480)) else { return }
        // To another care-of address.
        bytes[19] ^= 1
        PacketMutation.mendIPv4Checksum(&bytes)
        _ = forwarder.process(tooBig(.access(bytes), mtu: 1400))
        #expect(isDontFragmentSet(forwarder.process(packet(1480))) == true)
        #expect(forwarder.dropped == [.icmpv4Ignored: 1])
    }

    @Test("T5 without discovery the tunnel MTU is what was set, whatever routers say")
    func fixed() throws {
        var binding = try #require(table.state(of: "direct", now: 0)?.binding)
        binding.mtuDiscovery = false
        binding.tunnelMTU = 1480
        _ = try table.put([binding], now: 0)
        let sent = forwarder.process(packet(1480))
        #expect(isDontFragmentSet(sent) == false)
        _ = forwarder.process(tooBig(sent, mtu: 1400))
        #expect(isDontFragmentSet(forwarder.process(packet(1480))) == false)
    }
}

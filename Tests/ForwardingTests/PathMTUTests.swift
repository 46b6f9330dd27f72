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

    /// An IPv6 packet for the node, or for another.
    private func packet(_ length: Int, to destination: IPv6Address? = nil) -> Given {
        var header = IPv6Header(
            nextHeader: 59, source: IPv6Address("2001:db8:f::1")!, destination: destination ?? careOf)
        header.payloadLength = UInt16(length - 40)
        var bytes = [UInt8](repeating: 0, count: length)
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        return .home(bytes)
    }

    /// What a router says of a tunnel packet that this forwarder sent.
    private func tooBig(_ sent: Outcome, mtu: Int, quoted: Int = 548) -> Given {
        let quote = Array((sent.bytes ?? []).prefix(quoted))
        var message: [UInt8] = [3, 4, 0, 0, 0, 0, UInt8(mtu >> 8), UInt8(mtu & 0xFF)] + quote
        let sum = ~PacketMutation.onesComplementSum(message[...])
        message.replaceSubrange(2..<4, with: [UInt8(sum >> 8), UInt8(sum & 0xFF)])
        var header = IPv4Header(
            protocol: 1, source: IPv4Address("203.0.113.254")!, destination: Self.source(of: sent))
        header.totalLength = UInt16(20 + message.count)
        var bytes = [UInt8](repeating: 0, count: 20)
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        return .access(bytes + message)
    }

    /// The endpoint that a tunnel packet bears.
    private static func source(of sent: Outcome) -> IPv4Address {
        let bytes = sent.bytes ?? []
        return IPv4Address(rawValue: bytes[12..<16].reduce(0) { $0 << 8 | UInt32($1) })
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
        // Time is kept to some hundredths of a millisecond.
        #expect(told(forwarder.process(packet(1480), now: Self.tenMinutes - 100_000)) == 1380)
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

    @Test("T5 28 bytes are enough to learn, and of an old router that says nothing the next smaller link is taken")
    func short() {
        let sent = forwarder.process(packet(1480))
        #expect(forwarder.process(tooBig(sent, mtu: 0, quoted: 28)) == .released)
        #expect(told(forwarder.process(packet(1480))) == 1472)
        #expect(forwarder.process(tooBig(sent, mtu: 1400, quoted: 28)) == .released)
        #expect(told(forwarder.process(packet(1480))) == 1380)
        #expect(forwarder.counters.absorbed == 2)
        #expect(forwarder.process(tooBig(sent, mtu: 1300, quoted: 19)) == .released)
        #expect(told(forwarder.process(packet(1480))) == 1380)
        #expect(forwarder.dropped[.icmpv4Ignored] == 1)
        #expect(forwarder.counters.isConserved)
    }

    @Test("T5 the binding's tunnel MTU stays the most, whatever the path carries")
    func bound() throws {
        var binding = try #require(table.state(of: "direct", now: 0)?.binding)
        binding.tunnelMTU = 1400
        _ = try table.put([binding], now: 0)
        let sent = forwarder.process(packet(1400))
        #expect(told(forwarder.process(packet(1401))) == 1400)
        _ = forwarder.process(tooBig(sent, mtu: 1500))
        _ = forwarder.process(tooBig(sent, mtu: 1419))
        #expect(told(forwarder.process(packet(1400))) == 1399)
    }

    @Test("T5 minimal encapsulation, IPv6 by the home address: what a router says is learnt and told")
    func minimal() throws {
        var binding = try #require(table.state(of: "minimal", now: 0)?.binding)
        binding.mtuDiscovery = true
        binding.tunnelMTU = nil
        _ = try table.put([binding], now: 0)
        let destination = try #require(binding.prefixes.first).prefix.address
        let sent = forwarder.process(packet(1460, to: destination))
        #expect(isDontFragmentSet(sent) == true)
        // Outer header and minimal forwarding header are 28 bytes.
        #expect(told(forwarder.process(tooBig(sent, mtu: 1400))) == 1372)
        #expect(told(forwarder.process(packet(1373, to: destination))) == 1372)
    }

    @Test("T5 bindings at one care-of address learn together, and forget when the last of them has gone")
    func shared() throws {
        var other = try #require(table.state(of: "direct", now: 0)?.binding)
        other.id = "other"
        other.homeAddress = nil
        let prefix = IPv6Prefix("2001:db8:77::/48")!
        other.prefixes = [BoundPrefix(prefix)]
        _ = try table.put([other], now: 0)
        let sent = forwarder.process(packet(1480))
        _ = forwarder.process(tooBig(sent, mtu: 1400))
        #expect(told(forwarder.process(packet(1480, to: prefix.address))) == 1380)
        _ = table.remove(["direct"])
        #expect(told(forwarder.process(packet(1480, to: prefix.address))) == 1380)
        #expect(table.holder(atCareOf: other.careOfAddress) == "other")
        _ = table.remove(["other"])
        #expect(table.holder(atCareOf: other.careOfAddress) == nil)
        _ = try table.put([other], now: 0)
        #expect(isDontFragmentSet(forwarder.process(packet(1480, to: prefix.address))) == true)
    }

    @Test("T5 T6 errors that come to a binding's own endpoint are told on, and echo requests to it answered")
    func ownEndpoint() throws {
        var binding = try #require(table.state(of: "direct", now: 0)?.binding)
        binding.endpoint = IPv4Address("192.0.2.99")!
        _ = try table.put([binding], now: 0)
        let sent = forwarder.process(packet(1480))
        #expect(told(forwarder.process(tooBig(sent, mtu: 1400))) == 1380)
        #expect(told(forwarder.process(packet(1480))) == 1380)
        binding.endpoint = nil
        _ = try table.put([binding], now: 0)
        #expect(forwarder.process(tooBig(sent, mtu: 1300)) == .released)
        #expect(forwarder.dropped == [.packetTooBig: 1, .notForEndpoint: 1])
    }

    @Test("T5 H15 a copy for a member of a group may be fragmented, since no error about it could be told from others")
    func group() throws {
        let group = IPv6Address("ff3e::1234")!
        try table.join(group, ["direct"])
        let sent = forwarder.process(packet(1400))
        #expect(isDontFragmentSet(sent) == true)
        #expect(isDontFragmentSet(forwarder.process(packet(1400, to: group))) == false)
        _ = forwarder.process(tooBig(sent, mtu: 1400))
        #expect(told(forwarder.process(packet(1400, to: group))) == 1380)
    }
}

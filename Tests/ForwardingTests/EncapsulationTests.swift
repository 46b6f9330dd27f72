import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Encapsulation, protocol 41")
struct EncapsulationTests {
    static let vectors = ForwardingVectors.all

    @Test("H9 every packet is what scapy makes of it, padding left out", arguments: vectors.encapsulation)
    func bytes(_ vector: ForwardingVectors.Encapsulation) throws {
        let forwarder = try TestForwarder(firstIdentification: vector.identification)
        #expect(forwarder.process(.home(vector.in.bytes)) == .access(vector.out.bytes))
        let counters = forwarder.counters
        #expect(counters.received == BySide(home: 1))
        #expect(counters.receivedBytes == BySide(home: UInt64(vector.in.bytes.count)))
        #expect(counters.transmitted == BySide(access: 1))
        #expect(counters.transmittedBytes == BySide(access: UInt64(vector.out.bytes.count)))
        #expect(counters.generated == BySide())
        #expect(forwarder.dropped == [:])
    }

    @Test(
        "T8 T9 RFC 6040 4.1: the outer header of all 256 traffic classes, in both models and both modes",
        arguments: vectors.outerHeaders.keys.sorted())
    func outerHeaders(_ id: String) throws {
        let headers = try #require(Self.vectors.outerHeaders[id])
        let packet = try #require(Self.vectors.encapsulation.first { $0.name == "UDP" }).in.bytes
        let node = Self.vectors.binding(id).prefixes[0].prefix.address
        for (value, header) in headers.enumerated() {
            let trafficClass = UInt8(value)
            var inner = packet
            inner[0] = 0x60 | trafficClass >> 4
            inner[1] = trafficClass << 4 | inner[1] & 0x0F
            for index in 0..<8 { inner[24 + index] = UInt8(truncatingIfNeeded: node.high >> UInt64(56 - 8 * index)) }
            let forwarder = try TestForwarder(firstIdentification: UInt16(value * 257))
            #expect(forwarder.process(.home(inner)) == .access(header.bytes + inner), "traffic class \(value)")
        }
    }

    @Test(
        "T1 the outer TTL is a setting, and the inner hop limit stays", arguments: vectors.timesToLive.map(\.timeToLive)
    )
    func timeToLive(_ timeToLive: UInt8) throws {
        let vector = try #require(Self.vectors.timesToLive.first { $0.timeToLive == timeToLive })
        let forwarder = try TestForwarder(TestForwarder.makeTable(timeToLive: timeToLive))
        #expect(forwarder.process(.home(vector.in.bytes)) == .access(vector.out.bytes))
    }

    @Test("identifications count up over packets and batches, and wrap")
    func identifications() throws {
        let forwarder = try TestForwarder(firstIdentification: 0xFFFD)
        let packet = Given.home(Self.vectors.encapsulation[0].in.bytes)
        var seen: [UInt16] = []
        for count in [1, 3, 2] {
            for outcome in forwarder.process(Array(repeating: packet, count: count)) {
                let bytes = try #require(outcome.bytes)
                seen.append(UInt16(bytes[4]) << 8 | UInt16(bytes[5]))
            }
        }
        #expect(seen == [0xFFFD, 0xFFFE, 0xFFFF, 0, 1, 2])
    }

    @Test("a forwarder begins its identifications somewhere else each time")
    func randomStart() throws {
        let table = try TestForwarder.makeTable()
        var seen: Set<[UInt8]> = []
        for _ in 0..<8 {
            let forwarder = try TestForwarder(table)
            forwarder.forwarder = Forwarder(
                reading: table.reader, settings: TestForwarder.settings, batchCapacity: 1)
            let bytes = try #require(forwarder.process(.home(Self.vectors.encapsulation[0].in.bytes)).bytes)
            seen.insert(Array(bytes[4..<6]))
        }
        #expect(seen.count > 1)
    }

    @Test("traffic of a binding counts inner packets and bytes, padding left out")
    func traffic() throws {
        let forwarder = try TestForwarder()
        for name in ["UDP", "padding behind it"] {
            let vector = try #require(Self.vectors.encapsulation.first { $0.name == name })
            #expect(forwarder.process(.home(vector.in.bytes)) != .released)
        }
        let length = try #require(Self.vectors.encapsulation.first { $0.name == "UDP" }).in.bytes.count
        let plain = try #require(forwarder.table.state(of: "plain", now: 0)).traffic
        #expect(plain.packetsToNode == 2)
        #expect(plain.bytesToNode == UInt64(2 * length))
        #expect(plain.packetsFromNode == 0)
        #expect(plain.bytesFromNode == 0)
        #expect(forwarder.table.state(of: "pipe", now: 0)?.traffic == BindingTraffic())
    }

    @Test("the binding with the longest prefix gets the packet, and a packet goes to no other node")
    func longestPrefix() throws {
        let forwarder = try TestForwarder()
        var binding = Binding(
            id: "nested", careOfAddress: IPv4Address("203.0.113.99")!,
            prefixes: ["2001:db8:40::/44", "2001:db8:41::/48"].map { BoundPrefix(IPv6Prefix($0)!) })
        _ = try forwarder.table.put([binding], now: 0)
        var packet = Self.vectors.encapsulation[0].in.bytes
        packet[24..<40] = Hex("20010db8 0041 0000 0000 0000 0000 0001").bytes[...]
        let bytes = try #require(forwarder.process(.home(packet)).bytes)
        #expect(Array(bytes[16..<20]) == [203, 0, 113, 99])
        binding.prefixes.removeLast()
        _ = try forwarder.table.put([binding], now: 0)
        #expect(forwarder.process(.home(packet)).bytes?[16..<20] == [203, 0, 113, 99])
    }
}

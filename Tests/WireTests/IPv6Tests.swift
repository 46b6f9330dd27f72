// RFC 8200, section 3. Packets that are accepted were encoded by scapy.

import TestSupport
import Testing

@testable import Wire

@Suite("IPv6")
struct IPv6Tests {
    @Test("every field of a packet is read", arguments: WireVectors.all.ipv6)
    func read(_ vector: WireVectors.IPv6Packet) throws {
        try withExactMemory(of: vector.packet.bytes + vector.behind.bytes, offset: 1) { bytes in
            let view = try IPv6View(bytes)
            #expect(view.totalLength == 40 + Int(vector.payloadLength))
            #expect(view.trafficClass.rawValue == vector.trafficClass)
            #expect(view.nextHeader == vector.nextHeader)
            #expect(view.hopLimit == vector.hopLimit)
            #expect(view.source == IPv6Address(bytes: vector.source.bytes))
            #expect(view.destination == IPv6Address(bytes: vector.destination.bytes))
            #expect(Array(view.payload) == Array(vector.packet.bytes[40...]))
        }
    }

    @Test("a header is written as scapy writes it", arguments: WireVectors.all.ipv6)
    func write(_ vector: WireVectors.IPv6Packet) {
        // The header value has no flow label.
        guard vector.flowLabel == 0 else { return }
        var header = IPv6Header(
            nextHeader: vector.nextHeader, source: IPv6Address(bytes: vector.source.bytes),
            destination: IPv6Address(bytes: vector.destination.bytes))
        header.trafficClass = TrafficClass(rawValue: vector.trafficClass)
        header.payloadLength = vector.payloadLength
        header.hopLimit = vector.hopLimit
        let written = writing(40) { header.write(to: $0) }
        #expect(hexadecimal(written) == hexadecimal(vector.packet.bytes[..<40]))
    }

    @Test("setting the traffic class leaves version and flow label alone", arguments: WireVectors.all.ipv6)
    func setTrafficClass(_ vector: WireVectors.IPv6Packet) {
        for value in UInt8.min...UInt8.max {
            let written = writing(40) { start in
                start.copyMemory(from: vector.packet.bytes, byteCount: 40)
                IPv6Header.setTrafficClass(TrafficClass(rawValue: value), at: start)
            }
            let word = 0x6000_0000 | UInt32(value) << 20 | vector.flowLabel
            let expected =
                (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) } + vector.packet.bytes[4..<40]
            #expect(written == expected)
        }
    }

    @Test("each truncation length is refused for what it lacks", arguments: WireVectors.all.ipv6)
    func truncated(_ vector: WireVectors.IPv6Packet) {
        for length in 0..<vector.packet.bytes.count {
            let thrown = refusal(of: Array(vector.packet.bytes[..<length]))
            #expect(thrown == (length < 40 ? .ipv6Truncated : .ipv6PayloadLength), "\(length) bytes")
        }
    }

    @Test("no memory at all is a truncated packet")
    func noMemory() {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        #expect(reason { () throws(DropReason) in _ = try IPv6View(nothing) } == .ipv6Truncated)
    }

    @Test("a version other than 6 is not IP", arguments: (UInt8(0)..<16).filter { $0 != 6 })
    func version(_ version: UInt8) {
        var packet = WireVectors.all.ipv6[0].packet.bytes
        packet[0] = version << 4
        #expect(refusal(of: packet) == .notIP)
    }

    @Test("the largest payload is read, and refused where a byte is missing")
    func largest() {
        var packet = [UInt8](repeating: 0, count: 40 + 65_535)
        packet[0] = 0x60
        (packet[4], packet[5]) = (0xFF, 0xFF)
        #expect(refusal(of: packet) == nil)
        #expect(refusal(of: Array(packet.dropLast())) == .ipv6PayloadLength)
    }

    private func refusal(of packet: [UInt8]) -> DropReason? {
        withExactMemory(of: packet) { bytes in reason { () throws(DropReason) in _ = try IPv6View(bytes) } }
    }
}

@Suite("IPv6 extension headers")
struct IPv6ExtensionHeaderTests {
    @Test("the upper layer is found behind every chain that is short enough", arguments: WireVectors.all.chains)
    func walk(_ vector: WireVectors.Chain) {
        let result = upperLayer(of: vector.packet.bytes)
        switch result {
        case .success(let upper):
            #expect(!vector.isTooLong)
            #expect(upper.protocol == vector.protocol)
            #expect(upper.offset == vector.offset)
            #expect(upper.isLaterFragment == vector.isLaterFragment)
        case .failure(let reason):
            #expect(vector.isTooLong && reason == .ipv6ExtensionHeader)
        }
    }

    @Test("a chain that ends within a header is refused at each length", arguments: WireVectors.all.chains)
    func cutOff(_ vector: WireVectors.Chain) {
        for length in 40..<vector.packet.bytes.count {
            // The packet itself is whole: its payload length says that it ends there.
            var packet = Array(vector.packet.bytes[..<length])
            (packet[4], packet[5]) = (UInt8((length - 40) >> 8), UInt8((length - 40) & 0xFF))
            let result = upperLayer(of: packet)
            if length < vector.offset || vector.isTooLong {
                #expect(result == .failure(.ipv6ExtensionHeader), "\(length) bytes")
            } else {
                #expect(
                    result
                        == .success(
                            Upper(
                                protocol: vector.protocol, offset: vector.offset,
                                isLaterFragment: vector.isLaterFragment)), "\(length) bytes")
            }
        }
    }

    @Test("bytes behind the packet are no part of a chain")
    func behind() {
        // Destination options of 16 bytes, of which 8 lie in the packet and 8 behind it.
        var packet = [UInt8](repeating: 0, count: 56)
        packet[0] = 0x60
        packet[5] = 8
        packet[6] = 60
        (packet[40], packet[41]) = (59, 1)
        #expect(upperLayer(of: packet) == .failure(.ipv6ExtensionHeader))
    }

    @Test("the longest header of each kind that has a length", arguments: [UInt8(0), 43, 51, 60, 135, 139, 140])
    func longest(_ kind: UInt8) {
        let length = 8 + 255 * (kind == 51 ? 4 : 8)
        var packet = [UInt8](repeating: 0, count: 40 + length)
        packet[0] = 0x60
        (packet[4], packet[5]) = (UInt8(length >> 8), UInt8(length & 0xFF))
        packet[6] = kind
        (packet[40], packet[41]) = (17, 255)
        let upper = Upper(protocol: 17, offset: 40 + length, isLaterFragment: false)
        #expect(upperLayer(of: packet) == .success(upper))
    }

    @Test("a next header that is no extension header ends the walk", arguments: UInt8.min...UInt8.max)
    func upper(_ number: UInt8) {
        guard ![0, 43, 44, 51, 60, 135, 139, 140].contains(number) else { return }
        var packet = [UInt8](repeating: 0xFF, count: 48)
        packet[0] = 0x60
        (packet[4], packet[5], packet[6]) = (0, 8, number)
        #expect(upperLayer(of: packet) == .success(Upper(protocol: number, offset: 40, isLaterFragment: false)))
    }

    private typealias Upper = IPv6View.UpperLayer

    private func upperLayer(of packet: [UInt8]) -> Result<IPv6View.UpperLayer, DropReason> {
        withExactMemory(of: packet) { bytes in
            Result { () throws(DropReason) in try IPv6View(bytes).upperLayer() }
        }
    }
}

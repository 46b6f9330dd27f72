// RFC 791, section 3.1. Packets that are accepted were encoded by scapy.

import TestSupport
import Testing
import Wire

@Suite("IPv4")
struct IPv4Tests {
    @Test("every field of a packet is read", arguments: WireVectors.all.ipv4)
    func read(_ vector: WireVectors.IPv4Packet) throws {
        try withExactMemory(of: vector.packet.bytes + vector.behind.bytes, offset: 2) { bytes in
            let view = try IPv4View(bytes)
            #expect(view.headerLength == vector.headerLength)
            #expect(view.totalLength == vector.totalLength)
            #expect(view.trafficClass.rawValue == vector.trafficClass)
            #expect(view.identification == vector.identification)
            #expect(view.isFragment == vector.isFragment)
            #expect(view.timeToLive == vector.timeToLive)
            #expect(view.protocol == vector.protocol)
            #expect(view.source.description == vector.source)
            #expect(view.destination.description == vector.destination)
            #expect(Array(view.payload) == Array(vector.packet.bytes[vector.headerLength...]))
        }
    }

    @Test("a header without options is written as scapy writes it", arguments: WireVectors.all.ipv4)
    func write(_ vector: WireVectors.IPv4Packet) throws {
        // The header value has no options, no fragment offset, and no reserved flag.
        guard vector.headerLength == 20, !vector.isFragment, vector.name != "reserved flag" else { return }
        var header = IPv4Header(
            protocol: vector.protocol, source: try #require(IPv4Address(vector.source)),
            destination: try #require(IPv4Address(vector.destination)))
        header.trafficClass = TrafficClass(rawValue: vector.trafficClass)
        header.totalLength = UInt16(vector.totalLength)
        header.identification = vector.identification
        header.dontFragment = vector.dontFragment
        header.timeToLive = vector.timeToLive
        let written = writing(20) { header.write(to: $0) }
        #expect(hexadecimal(written) == hexadecimal(vector.packet.bytes[..<20]))
    }

    @Test("each truncation length is refused for what it lacks", arguments: WireVectors.all.ipv4)
    func truncated(_ vector: WireVectors.IPv4Packet) {
        for length in 0..<vector.packet.bytes.count {
            let expected: DropReason =
                length < 20 ? .ipv4Truncated : length < vector.headerLength ? .ipv4HeaderLength : .ipv4TotalLength
            withExactMemory(of: vector.packet.bytes[..<length]) { bytes in
                let thrown = reason { () throws(DropReason) in _ = try IPv4View(bytes) }
                #expect(thrown == expected, "\(length) bytes of \(vector.name)")
            }
        }
    }

    @Test("no memory at all is a truncated packet")
    func noMemory() {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        #expect(reason { () throws(DropReason) in _ = try IPv4View(nothing) } == .ipv4Truncated)
    }

    @Test("a version other than 4 is not IP", arguments: (UInt8(0)..<16).filter { $0 != 4 })
    func version(_ version: UInt8) {
        var packet = WireVectors.all.ipv4[0].packet.bytes
        packet[0] = version << 4 | 5
        #expect(refusal(of: packet) == .notIP)
    }

    @Test("header lengths below 20 bytes, and past the end", arguments: UInt8(0)..<16)
    func headerLength(_ words: UInt8) {
        // 36 bytes: room for four words of options.
        var packet = [UInt8](repeating: 0, count: 36)
        packet[0] = 0x40 | words
        packet[3] = 36
        sumUp(&packet, headerLength: min(Int(words) * 4, 36))
        #expect(refusal(of: packet) == (words < 5 || words > 9 ? .ipv4HeaderLength : nil))
    }

    @Test("total lengths below the header and past the end are refused, all between are accepted")
    func totalLength() throws {
        for (headerLength, count) in [(20, 44), (40, 44), (20, 20), (40, 40)] {
            for total in 0...64 {
                var packet = [UInt8](repeating: 0xEE, count: count)
                packet[0] = 0x40 | UInt8(headerLength / 4)
                packet[2] = 0
                packet[3] = UInt8(total)
                sumUp(&packet, headerLength: headerLength)
                let fits = total >= headerLength && total <= count
                #expect(refusal(of: packet) == (fits ? nil : .ipv4TotalLength), "\(headerLength), \(count), \(total)")
            }
        }
    }

    @Test("the largest packet is read, and refused where a byte is missing")
    func largest() {
        var packet = [UInt8](repeating: 0, count: 65_535)
        packet[0] = 0x45
        (packet[2], packet[3]) = (0xFF, 0xFF)
        sumUp(&packet, headerLength: 20)
        #expect(refusal(of: packet) == nil)
        #expect(refusal(of: Array(packet.dropLast())) == .ipv4TotalLength)
    }

    @Test("each single bit that is wrong in the header is found by its checksum or by a length")
    func checksum() {
        for vector in WireVectors.all.ipv4 {
            for bit in 0..<vector.headerLength * 8 {
                var packet = vector.packet.bytes
                packet[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(refusal(of: packet) != nil, "bit \(bit) of \(vector.name)")
                if bit >= 32 { #expect(refusal(of: packet) == .ipv4Checksum, "bit \(bit) of \(vector.name)") }
            }
        }
    }

    @Test("a right checksum is right whatever carries there are, and each other one is wrong")
    func carries() {
        var random: UInt64 = 1
        for round in 0..<4000 {
            var packet = [UInt8](repeating: 0, count: 20)
            for index in packet.indices {
                random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                // The more bits are set, the more is carried.
                packet[index] = UInt8(truncatingIfNeeded: random >> 56) | (round.isMultiple(of: 2) ? 0xFE : 0)
            }
            packet.replaceSubrange(0..<4, with: [0x45, packet[1], 0, 20])
            sumUp(&packet, headerLength: 20)
            #expect(refusal(of: packet) == nil, "\(packet)")
            let right = UInt16(packet[10]) << 8 | UInt16(packet[11])
            for difference: UInt16 in [1, 2, 3, 0x100, 0x7FFF, 0x8000, 0xFFFE] {
                let wrong = right &+ difference
                // 0 and 0xFFFF are two ways to write the same.
                if [right, wrong].allSatisfy({ $0 == 0 || $0 == 0xFFFF }) { continue }
                (packet[10], packet[11]) = (UInt8(wrong >> 8), UInt8(wrong & 0xFF))
                #expect(refusal(of: packet) == .ipv4Checksum, "\(packet)")
            }
        }
    }

    private func refusal(of packet: [UInt8]) -> DropReason? {
        withExactMemory(of: packet) { bytes in reason { () throws(DropReason) in _ = try IPv4View(bytes) } }
    }

    private func sumUp(_ packet: inout [UInt8], headerLength: Int) {
        (packet[10], packet[11]) = (0, 0)
        let sum = plainChecksum(packet[..<max(headerLength, 12)])
        (packet[10], packet[11]) = (UInt8(sum >> 8), UInt8(sum & 0xFF))
    }
}

/// The bytes that `body` writes into zeroed memory of `count` bytes.
func writing(_ count: Int, _ body: (UnsafeMutableRawPointer) -> Void) -> [UInt8] {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
    defer { memory.deallocate() }
    memory.initializeMemory(as: UInt8.self, repeating: 0)
    if let start = memory.baseAddress { body(start) }
    return Array(memory)
}

/// The Internet checksum as RFC 1071 describes it: 16 bits at a time, in network order.
func plainChecksum(_ bytes: some Collection<UInt8>) -> UInt16 {
    var sum: UInt32 = 0
    for (index, byte) in bytes.enumerated() {
        sum += index.isMultiple(of: 2) ? UInt32(byte) << 8 : UInt32(byte)
        sum = (sum & 0xFFFF) + (sum >> 16)
    }
    return ~UInt16(sum)
}

// RFC 792 and RFC 4443. Messages were encoded by scapy.

import TestSupport
import Testing
import Wire

@Suite("ICMPv4")
struct ICMPv4Tests {
    @Test("every field of a message is read", arguments: WireVectors.all.icmpv4)
    func read(_ vector: WireVectors.ICMPv4Message) throws {
        try withExactMemory(of: vector.packet.bytes, offset: 2) { bytes in
            let view = try ICMPv4View(bytes)
            #expect(view.type == vector.type)
            #expect(view.code == vector.code)
            #expect(view.checksum == vector.checksum)
            #expect(view.length == vector.packet.bytes.count)
        }
    }

    @Test("fewer than 8 bytes are malformed, even where they sum up", arguments: 0..<8)
    func truncated(_ length: Int) {
        for vector in WireVectors.all.icmpv4 {
            #expect(refusal(of: Array(vector.packet.bytes[..<length])) == .icmpv4Malformed)
        }
        #expect(refusal(of: [UInt8](repeating: 0xFF, count: length)) == .icmpv4Malformed)
    }

    @Test("each single bit that is wrong is found", arguments: WireVectors.all.icmpv4)
    func checksum(_ vector: WireVectors.ICMPv4Message) {
        for bit in 0..<vector.packet.bytes.count * 8 {
            var message = vector.packet.bytes
            message[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(refusal(of: message) == .icmpv4Malformed, "bit \(bit)")
        }
    }

    @Test("a message of zeroes has the wrong checksum: it must be 0xffff")
    func zeroes() {
        #expect(refusal(of: [UInt8](repeating: 0, count: 8)) == .icmpv4Malformed)
        #expect(refusal(of: [0, 0, 0xFF, 0xFF, 0, 0, 0, 0]) == nil)
    }

    private func refusal(of message: [UInt8]) -> DropReason? {
        withExactMemory(of: message) { bytes in reason { () throws(DropReason) in _ = try ICMPv4View(bytes) } }
    }
}

@Suite("ICMPv6")
struct ICMPv6Tests {
    @Test("every field of a message is read, and its checksum verified", arguments: WireVectors.all.icmpv6)
    func read(_ vector: WireVectors.ICMPv6Packet) throws {
        try withExactMemory(of: vector.packet.bytes) { bytes in
            let packet = try IPv6View(bytes)
            let upper = try packet.upperLayer()
            let view = try ICMPv6View(UnsafeRawBufferPointer(rebasing: bytes[upper.offset...]))
            #expect(upper.protocol == 58)
            #expect(view.type == vector.type)
            #expect(view.code == vector.code)
            #expect(view.forbidsErrors == vector.forbidsErrors)
            #expect(view.verifies(source: packet.source, destination: packet.destination))
            #expect(!view.verifies(source: packet.source, destination: IPv6Address(high: 0, low: 7)))
        }
    }

    @Test("each single bit that is wrong is found", arguments: WireVectors.all.icmpv6)
    func checksum(_ vector: WireVectors.ICMPv6Packet) throws {
        try withExactMemory(of: vector.packet.bytes) { bytes in
            let packet = try IPv6View(bytes)
            for bit in 0..<packet.payload.count * 8 {
                var message = Array(packet.payload)
                message[bit / 8] ^= 1 << UInt8(bit % 8)
                try withExactMemory(of: message) { bytes in
                    let view = try ICMPv6View(bytes)
                    #expect(!view.verifies(source: packet.source, destination: packet.destination), "bit \(bit)")
                }
            }
        }
    }

    @Test("fewer than 4 bytes are truncated", arguments: 0..<8)
    func truncated(_ length: Int) {
        withExactMemory(of: [UInt8](repeating: 0x80, count: length)) { bytes in
            let thrown = reason { () throws(DropReason) in _ = try ICMPv6View(bytes) }
            #expect(thrown == (length < 4 ? .icmpv6Truncated : nil))
        }
    }

    @Test("errors and redirects forbid errors, other messages do not", arguments: UInt8.min...UInt8.max)
    func forbids(_ type: UInt8) throws {
        try withExactMemory(of: [type, 0, 0, 0]) { bytes in
            // RFC 4443, 2.1: errors have a zero in the high-order bit of their type.
            let view = try ICMPv6View(bytes)
            #expect(view.forbidsErrors == (type & 0x80 == 0 || type == 137))
        }
    }

    @Test("a quote fills an error up to 1280 bytes", arguments: [(0, 0), (1, 1), (40, 40), (1231, 1231), (1232, 1232)])
    func shortQuote(_ length: Int, _ quoted: Int) {
        #expect(ICMPv6Error.quotedLength(of: length) == quoted)
    }

    @Test("a longer packet is quoted in part", arguments: [1233, 1280, 1500, 9000, 65_575])
    func longQuote(_ length: Int) {
        #expect(ICMPv6Error.quotedLength(of: length) + 40 + 8 == 1280)
    }
}

// Every check of the fuzzer finds what it checks for: each is given something that is wrong.

import Forwarding
import Foundation
import PacketBuffer
import TestSupport
import Testing
import Wire

@testable import Fuzz

@Suite("Checks of the fuzzer") struct CheckTests {
    private static let vectors = Vectors.load("tunnels", as: TunnelPackets.self)

    /// The part of Tests/Vectors/tunnels.json with packets that leave.
    private struct TunnelPackets: Decodable {
        struct Pair: Decodable {
            let name: String
            let out: Hex
        }
        let encapsulation: [Pair]
        let decapsulation: [Pair]
    }

    private func wrong(_ bytes: [UInt8], to side: Side) -> StaticString? {
        bytes.withUnsafeBytes { OutgoingPacketCheck(errorSource: nil).wrong($0, to: side) }
    }

    @Test("what scapy made is right")
    func right() {
        for pair in Self.vectors.encapsulation { #expect(wrong(pair.out.bytes, to: .access) == nil, "\(pair.name)") }
        for pair in Self.vectors.decapsulation { #expect(wrong(pair.out.bytes, to: .home) == nil, "\(pair.name)") }
    }

    @Test("a byte more or less is found, in whatever tunnel")
    func lengths() {
        for (pairs, side) in [(Self.vectors.encapsulation, Side.access), (Self.vectors.decapsulation, .home)] {
            for pair in pairs {
                #expect(wrong(pair.out.bytes + [0], to: side) != nil, "\(pair.name), longer")
                #expect(wrong(pair.out.bytes.dropLast(), to: side) != nil, "\(pair.name), shorter")
                #expect(wrong([], to: side) != nil)
            }
        }
    }

    @Test("an outer length that is right does not hide an inner one that is wrong")
    func innerLengths() {
        for pair in Self.vectors.encapsulation {
            var bytes = pair.out.bytes + [0]
            // Minimal encapsulation of IPv4 has one length alone.
            if bytes[9] == 55, bytes[20] != 41 { continue }
            (bytes[2], bytes[3]) = (UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF))
            PacketMutation.mendIPv4Checksum(&bytes)
            #expect(wrong(bytes, to: .access) != nil, "\(pair.name)")
        }
    }

    @Test("each bit of an outer header that is wrong is found", arguments: 0..<160)
    func headers(_ bit: Int) {
        for pair in Self.vectors.encapsulation {
            var bytes = pair.out.bytes
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(wrong(bytes, to: .access) != nil, "\(pair.name)")
        }
    }

    @Test("a wrong checksum of GRE and of a minimal header is found")
    func checksums() {
        var found = 0
        for pair in Self.vectors.encapsulation {
            var bytes = pair.out.bytes
            guard bytes[9] == 55 || bytes[9] == 47 && bytes[20] & 0x80 != 0 else { continue }
            bytes[bytes[9] == 55 ? 22 : bytes.count - 1] ^= 1
            #expect(wrong(bytes, to: .access) != nil, "\(pair.name)")
            found += 1
        }
        #expect(found > 1)
    }

    @Test("what is not of a side is found")
    func sides() {
        #expect(wrong([UInt8](repeating: 0x55, count: 60), to: .home) != nil)
        let inner = Self.vectors.decapsulation.first { $0.out.bytes[0] == 0x60 }
        #expect(wrong(inner?.out.bytes ?? [], to: .access) != nil)
    }

    // MARK: Counters

    /// One packet that was sent to the access side, and counters that say so.
    private func batch(_ change: (inout Counters) -> Void) throws -> BatchCheck {
        var check = BatchCheck(nil)
        var bytes = Self.vectors.encapsulation[0].out.bytes
        var counters = Counters()
        counters.received.home = 1
        counters.transmitted.access = 1
        counters.transmittedBytes.access = UInt64(bytes.count)
        change(&counters)
        check.begin()
        let count = bytes.count
        try bytes.withUnsafeMutableBytes {
            let packet = Packet(start: $0.baseAddress!, length: count, slot: 0, ingress: .home)
            try check.look(atTransmitted: packet, 0, to: .access)
        }
        try check.end(received: 1, counters)
        return check
    }

    @Test("a batch that was counted rightly passes")
    func counted() throws { #expect(try batch { _ in }.counters.transmitted.access == 1) }

    @Test("a miscount is found")
    func miscounted() {
        let changes: [(inout Counters) -> Void] = [
            { $0.dropped[0] += 1 }, { $0.received.home += 1 }, { $0.generated.home += 1 }, { $0.absorbed += 1 },
            { $0.transmitted = BySide(home: 1) }, { $0.transmittedBytes.access += 1 },
            // These are conserved, and wrong all the same.
            { ($0.received.home, $0.dropped[0]) = (2, 1) }, { ($0.generated.home, $0.transmitted.home) = (1, 1) },
        ]
        for change in changes { #expect(throws: Finding.self) { try batch(change) } }
    }

    @Test("a packet that moved to another slot, or left its own, or was written before is found")
    func slots() throws {
        let slots = try PacketSlots(count: 2)
        let check = BatchCheck(nil)
        let bytes = [UInt8](repeating: 0x60, count: 100)
        let packet = bytes.withUnsafeBytes { slots.put($0, slot: 0, from: .home) }
        try check.look(at: packet, 0, slots)
        #expect(throws: Finding.self) { try check.look(at: packet, 1, slots) }
        var moved = packet
        moved.verdict = .transmitAccess
        moved.prepend(PacketPool.headroom)
        try check.look(at: moved, 0, slots)
        moved.prepend(1)
        #expect(throws: Finding.self) { try check.look(at: moved, 0, slots) }
        moved = packet
        moved.verdict = .transmitHome
        moved.length += 1
        #expect(throws: Finding.self) { try check.look(at: moved, 0, slots) }
        (packet.start - PacketPool.headroom).storeBytes(of: 0, as: UInt8.self)
        try check.look(at: packet, 0, slots)
        (packet.start - PacketPool.headroom - 1).storeBytes(of: 0, as: UInt8.self)
        #expect(throws: Finding.self) { try check.look(at: packet, 0, slots) }
    }

    @Test("reading behind a packet ends the process, and the packets of the batch are kept")
    func crash() async throws {
        try await TemporaryDirectory.with { directory in
            await #expect(processExitsWith: .signal(SIGSEGV)) { [directory = directory as String] in
                let slots = try PacketSlots(count: 1)
                let packet = [UInt8](repeating: 1, count: 33).withUnsafeBytes { slots.put($0, slot: 0, from: .home) }
                CrashReport.install(directory: directory)
                CrashReport.begin(seed: 7, batch: 9)
                CrashReport.add(slots.original(0))
                print(packet.start.load(fromByteOffset: packet.length, as: UInt8.self))
            }
            let written = try SeedCorpus.packet(at: "\(directory)/crash-7-9-0")
            #expect(written == [UInt8](repeating: 1, count: 33))
        }
    }
}

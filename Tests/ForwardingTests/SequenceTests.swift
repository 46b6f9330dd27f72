// GRE packets with sequence numbers, out of the tunnel (RFC 2890, 2.2). Each packet bears its number in its last two bytes
// too, so that it can be told which went on.

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("GRE sequence numbers")
struct SequenceTests {
    private let table: BindingTable
    private let forwarder: TestForwarder
    private let packet: [UInt8]
    private static let waits: UInt64 = 80_000_000

    init() throws {
        table = try TunnelVectors.makeTable()
        forwarder = try TestForwarder(table)
        packet = try #require(TunnelVectors.all.decapsulation.first { $0.name == "gre-sequence: IPv4" }).in.bytes
    }

    private func numbered(_ sequence: UInt32, size: Int = 0) -> Given {
        var packet = packet
        if size > packet.count {
            packet += [UInt8](repeating: 0, count: size - packet.count)
            setLength(&packet[...], at: 0, size)
            setLength(&packet[...], at: 36, size - 36)
            var inner = Array(packet[36...])
            PacketMutation.mendIPv4Checksum(&inner)
            packet.replaceSubrange(36..., with: inner)
        }
        withUnsafeBytes(of: sequence.bigEndian) {
            packet.replaceSubrange(32..<36, with: $0)
            packet.replaceSubrange(packet.count - 2..<packet.count, with: $0[2...])
        }
        mendChecksums(&packet)
        return .access(packet)
    }

    private func mendChecksums(_ packet: inout [UInt8]) {
        packet.replaceSubrange(24..<26, with: [0, 0])
        let sum = ~PacketMutation.onesComplementSum(packet[20...])
        packet.replaceSubrange(24..<26, with: [UInt8(sum >> 8), UInt8(sum & 0xFF)])
        PacketMutation.mendIPv4Checksum(&packet)
    }

    /// The two halves of a packet from the home address, each in a tunnel packet of its own.
    private func halves(numbered first: UInt32) throws -> [Given] {
        let name = "gre-sequence: IPv6 from the home address"
        let whole = try #require(TunnelVectors.all.decapsulation.first { $0.name == name }).in.bytes
        let (outer, middle, payload) = (whole[..<36], whole[36..<56], Array(whole[56...]))
        return [(0, payload[..<24], UInt8(0x20)), (3, payload[24...], 0)].enumerated().map { number, piece in
            var header = Array(middle)
            setLength(&header[...], at: 0, 20 + piece.1.count)
            header.replaceSubrange(6..<8, with: [piece.2, UInt8(piece.0)])
            PacketMutation.mendIPv4Checksum(&header)
            var packet = outer + header + piece.1
            setLength(&packet[...], at: 0, packet.count)
            withUnsafeBytes(of: (first + UInt32(number)).bigEndian) { packet.replaceSubrange(32..<36, with: $0) }
            var bytes = Array(packet)
            mendChecksums(&bytes)
            return .access(bytes)
        }
    }

    private func setLength(_ packet: inout ArraySlice<UInt8>, at offset: Int, _ length: Int) {
        packet.replaceSubrange(offset + 2..<offset + 4, with: [UInt8(length >> 8), UInt8(length & 0xFF)])
    }

    /// The numbers of the packets that go on, in the order in which they leave.
    private func passed(_ packets: [Given], now: UInt64 = 0) -> [Int] {
        let outcomes = forwarder.process(packets, now: now)
        var generated = forwarder.generated[...]
        var numbers: [Int] = []
        func note(_ outcome: Outcome) {
            guard case .home(let bytes) = outcome else { return }
            numbers.append(Int(bytes[bytes.count - 2]) << 8 + Int(bytes[bytes.count - 1]))
        }
        for (index, outcome) in outcomes.enumerated() {
            while let next = generated.first, next.place <= index { note(generated.removeFirst().outcome) }
            note(outcome)
        }
        for next in generated { note(next.outcome) }
        #expect(forwarder.counters.isConserved)
        return numbers
    }

    private func passed(_ numbers: UInt32..., now: UInt64 = 0) -> [Int] {
        passed(numbers.map { numbered($0) }, now: now)
    }

    @Test("T10 packets in their order go on, and those that are late or doubled are dropped")
    func order() {
        #expect(passed(0, 1, 1, 2, 0) == [0, 1, 2])
        #expect(passed(3) == [3])
        #expect(passed(3, 2) == [])
        #expect(forwarder.dropped == [.greSequence: 4])
        #expect(forwarder.counters.absorbed == 0)
    }

    @Test("T10 a packet that is early waits for those before it, within a batch and from one to the next")
    func early() {
        #expect(passed(1, 0, 2) == [0, 1, 2])
        #expect(passed(4) == [])
        #expect(forwarder.forwarder.waitingCount == 1)
        #expect(passed(5) == [])
        #expect(passed(4) == [])
        #expect(passed(3) == [3, 4, 5])
        #expect(forwarder.forwarder.waitingCount == 0)
        #expect(forwarder.dropped == [.greSequence: 1])
        #expect(forwarder.counters.absorbed == 3)
        #expect(forwarder.counters.generated == BySide(home: 3, access: 0))
    }

    @Test("T10 three packets wait; with a fourth the first of them goes on, and what is before it is given up")
    func many() {
        #expect(passed(0) == [0])
        #expect(passed(5, 9, 3) == [])
        #expect(passed(4) == [3, 4, 5])
        #expect(passed(2, 6) == [6])
        #expect(passed(8, 7) == [7, 8, 9])
        #expect(forwarder.dropped == [.greSequence: 1])
    }

    @Test("T10 no packet waits for longer than a tenth of a second, and then goes on with those behind it")
    func time() {
        #expect(passed(0, now: 1000) == [0])
        #expect(passed(3, now: 2000) == [])
        #expect(passed(2, now: 3000) == [])
        #expect(passed([], now: 2000 + Self.waits - 1) == [])
        #expect(passed([], now: 2000 + Self.waits) == [2, 3])
        #expect(forwarder.forwarder.waitingCount == 0)
        #expect(passed(1, now: 3000 + Self.waits) == [])
        #expect(passed(4, now: 3000 + Self.waits) == [4])
        // What was late enough to wait leaves before the batch that comes then.
        #expect(passed(6, now: 4000 + Self.waits) == [])
        #expect(passed(7, 8, now: 4000 + 2 * Self.waits) == [6, 7, 8])
    }

    @Test("T10 numbers wrap, and half of them all lie before the last")
    func wrap() {
        #expect(passed(0) == [0])
        #expect(passed(1 << 31) == [])
        #expect(forwarder.dropped == [.greSequence: 1])
        #expect(passed((1 << 31) - 1) == [])
        #expect(passed([], now: Self.waits) == [0xFFFF])
        #expect(passed(0xFFFF_FFFE) == [])
        #expect(passed([], now: 2 * Self.waits) == [0xFFFE])
        #expect(passed(0, 0xFFFF_FFFF, 1) == [0xFFFF, 0, 1])
        #expect(passed(0, 0xFFFF_FFFF) == [])
        #expect(forwarder.dropped == [.greSequence: 3])
    }

    @Test("T10 a packet too large to wait goes on at once, behind those that waited before it")
    func large() {
        #expect(passed(0) == [0])
        #expect(passed(2) == [])
        #expect(passed([numbered(4, size: 3000)]) == [2, 4])
        #expect(passed(3, 5) == [5])
    }

    @Test("T10 what waits for a tunnel that is gone goes on, and says nothing of the next one")
    func replaced() throws {
        #expect(passed(0) == [0])
        #expect(passed(7) == [])
        var binding = try #require(table.state(of: "gre-sequence", now: 0)?.binding)
        let sequence = binding.gre
        binding.gre?.key = 99
        _ = try table.put([binding], now: 0)
        binding.gre = sequence
        _ = try table.put([binding], now: 0)
        #expect(passed(0, 1) == [0, 1])
        #expect(passed([], now: Self.waits) == [7])
        #expect(passed(2) == [2])
    }

    @Test("T10 T7 a fragment that waits for others of its datagram counts in its tunnel, and nothing waits for it")
    func fragments() throws {
        #expect(passed(0) == [0])
        let halves = try halves(numbered: 1)
        #expect(passed([halves[0]]) == [])
        #expect(passed([halves[1]]).count == 1)
        #expect(passed(3) == [3])
        // Early ones wait too, and those behind them with them.
        let later = try self.halves(numbered: 5)
        #expect(passed([later[0], numbered(7)]) == [])
        #expect(passed([later[1]]) == [])
        #expect(passed(4).count == 3)
        #expect(forwarder.forwarder.waitingCount == 0)
        #expect(forwarder.dropped == [:])
    }

    @Test("T7 T10 fragments that come by another tunnel, or with another key, are not joined")
    func otherTunnel() throws {
        #expect(passed(0) == [0])
        let halves = try halves(numbered: 1)
        guard case .access(var forged) = halves[1] else { return }
        forged[31] ^= 1
        mendChecksums(&forged)
        #expect(passed([halves[0], .access(forged)]) == [])
        #expect(passed([halves[1]]).count == 1)
        #expect(forwarder.dropped == [:])
    }

    @Test("T10 whatever the order, each packet goes on once at the most, those of a batch in their order")
    func random() throws {
        let seed = RandomTest.seed(for: "GRE sequence numbers")
        var generator = SeededGenerator(seed: seed)
        var (next, now, seen, last) = (UInt32(0), UInt64(0), Set<Int>(), -1)
        for _ in 0..<RandomTest.count(2000) {
            var numbers = (next..<next + .random(in: 1...40, using: &generator)).map { $0 }
            next += UInt32(numbers.count)
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                let place = Int.random(in: 0..<numbers.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: numbers.swapAt(place, .random(in: 0..<numbers.count, using: &generator))
                case 1: numbers.insert(numbers[place], at: .random(in: 0...numbers.count, using: &generator))
                default: if numbers.count > 1 { numbers.remove(at: place) }
                }
            }
            guard next < 60_000 else { break }
            now += .random(in: 0...200_000_000, using: &generator)
            for number in passed(numbers.map { numbered($0) }, now: now) {
                #expect(seen.insert(number).inserted, "twice: \(number), seed \(seed)")
                #expect(number > last, "out of order, seed \(seed)")
                last = number
            }
        }
        #expect(seen.count > 1000 || RandomTest.count(2000) < 2000)
    }
}

// Every kind of tunnel, in both directions, byte for byte as scapy encodes it (Tests/Vectors/tunnels.py), and every reason
// for which a tunnel packet is dropped.

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

/// The shape of Tests/Vectors/tunnels.json.
struct TunnelVectors: Decodable {
    struct Passage: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let `in`: Hex
        let out: Hex

        var testDescription: String { name }
    }

    /// A packet, and the fragments of it that leave.
    struct Fragmentation: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let `in`: Hex
        let out: [Hex]

        var testDescription: String { name }
    }

    /// A packet between the link-local addresses of a node and of the home device.
    struct LinkLocal: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let side: String
        let `in`: Hex
        let out: Hex

        var testDescription: String { name }
        var given: Given { side == "home" ? .home(self.in.bytes) : .access(self.in.bytes) }
        var outcome: Outcome { side == "home" ? .access(out.bytes) : .home(out.bytes) }
    }

    /// A probe of the tunnel's end, and its answers.
    struct Solicitation: Decodable, Sendable {
        let `in`: Hex
        let router: Hex
        let host: Hex
    }

    struct Unanswered: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let `in`: Hex

        var testDescription: String { name }
    }

    let encapsulation: [Passage]
    let fragmentation: [Fragmentation]
    let decapsulation: [Passage]
    let drops: [ForwardingVectors.Drop]
    let errors: [Passage]
    let unanswered: [Unanswered]
    let pathErrors: [Passage]
    let untold: [Unanswered]
    /// What goes to the control plane.
    let listeners: [Passage]
    let solicitation: Solicitation
    let linkLocal: [LinkLocal]

    static let all: TunnelVectors = Vectors.load("tunnels")

    /// All packets.
    var packets: [Given] {
        encapsulation.map { .home($0.in.bytes) } + decapsulation.map { .access($0.in.bytes) } + drops.flatMap(\.all)
            + fragmentation.map { .home($0.in.bytes) }
            + errors.map { .home($0.in.bytes) } + unanswered.map { .home($0.in.bytes) }
            + pathErrors.map { .access($0.in.bytes) } + untold.map { .access($0.in.bytes) }
            + listeners.map { .access($0.in.bytes) } + [.access(solicitation.in.bytes)]
            + linkLocal.map(\.given)
    }

    /// A table with the bindings that they are for.
    static func makeTable() throws -> BindingTable {
        let file = try BindingFile(
            contentsOf: Repository.root.appendingPathComponent("Tests/Vectors/tunnels-bindings.json").path)
        var configuration = BindingTable.Configuration()
        configuration.endpoint = file.endpoint
        let table = try BindingTable(configuration)
        _ = try table.put(file.resolvedBindings, now: 0)
        return table
    }
}

@Suite("Tunnel kinds")
struct TunnelTests {
    static let vectors = TunnelVectors.all

    private func makeForwarder(answers: Bool = false, table: BindingTable? = nil) throws -> TestForwarder {
        var settings = TestForwarder.settings
        if !answers { settings.errorsPerSecond = 0 }
        return try TestForwarder(table ?? TunnelVectors.makeTable(), settings: settings, firstIdentification: 1)
    }

    @Test("H9 H10 T1 T8 T9 T10 N1 each kind of tunnel, into it", arguments: vectors.encapsulation)
    func encapsulation(_ vector: TunnelVectors.Passage) throws {
        let forwarder = try makeForwarder()
        let outcome = forwarder.process(.home(vector.in.bytes))
        #expect(outcome == .access(vector.out.bytes), "\(hexadecimal(outcome.bytes ?? [])) \(forwarder.dropped)")
        #expect(forwarder.dropped == [:])
        #expect(forwarder.counters.isConserved)
    }

    @Test("H17 a prefix that a file binds to the home address is tunnelled there and accepted from there")
    func implicit() throws {
        // The file is all that the table knows; no control plane has asked for anything.
        let forwarder = try makeForwarder()
        let out = try #require(
            Self.vectors.encapsulation.first { $0.name == "direct: IPv6 to the home address, class 0x0" })
        #expect(forwarder.process(.home(out.in.bytes)) == .access(out.out.bytes))
        let back = try #require(
            Self.vectors.decapsulation.first { $0.name == "direct: IPv6 from the home address" })
        #expect(forwarder.process(.access(back.in.bytes)) == .home(back.out.bytes))
        // From the care-of address alone, the same packet is not.
        let direct = Array(back.in.bytes[..<20] + back.in.bytes[40...])
        #expect(forwarder.process(.access(withLengthAndProtocol(direct))) == .released)
        #expect(forwarder.dropped == [.tunnelMismatch: 1])
    }

    /// An IPv4 packet with its own length and protocol 41.
    private func withLengthAndProtocol(_ packet: [UInt8]) -> [UInt8] {
        var packet = packet
        packet.replaceSubrange(2..<4, with: [UInt8(packet.count >> 8), UInt8(packet.count & 0xFF)])
        packet[9] = 41
        PacketMutation.mendIPv4Checksum(&packet)
        return packet
    }

    @Test("T10 IPv4 past the tunnel MTU goes in fragments (RFC 2003, 5.1)", arguments: vectors.fragmentation)
    func fragmentation(_ vector: TunnelVectors.Fragmentation) throws {
        let forwarder = try makeForwarder()
        let last = forwarder.process(.home(vector.in.bytes))
        let outcomes = forwarder.generated.map(\.outcome) + [last]
        #expect(outcomes.map { hexadecimal($0.bytes ?? []) } == vector.out.map { hexadecimal($0.bytes) })
        #expect(outcomes.allSatisfy { if case .access = $0 { true } else { false } })
        #expect(forwarder.dropped == [:])
        #expect(forwarder.counters.received == BySide(home: 1, access: 0))
        #expect(forwarder.counters.generated == BySide(home: 0, access: UInt64(vector.out.count - 1)))
        #expect(forwarder.counters.isConserved)
    }

    @Test("H12 T8 T9 T10 N1 each kind of tunnel, out of it", arguments: vectors.decapsulation)
    func decapsulation(_ vector: TunnelVectors.Passage) throws {
        let forwarder = try makeForwarder()
        let outcome = forwarder.process(.access(vector.in.bytes))
        #expect(outcome == .home(vector.out.bytes), "\(hexadecimal(outcome.bytes ?? [])) \(forwarder.dropped)")
        #expect(forwarder.dropped == [:])
        #expect(forwarder.counters.isConserved)
    }

    @Test("H13 H14 T7 each tunnel packet is dropped for its reason, in one counter", arguments: vectors.drops)
    func drops(_ vector: ForwardingVectors.Drop) throws {
        let reason = try #require(DropReason(named: vector.reason), "there is no reason of that name")
        let forwarder = try makeForwarder()
        for given in vector.all { #expect(forwarder.process(given) == .released) }
        #expect(forwarder.dropped == vector.reasons)
        #expect(forwarder.dropped[reason, default: 0] > 0)
        #expect(forwarder.counters.absorbed == vector.absorbed)
        #expect(forwarder.counters.isConserved)
        #expect(forwarder.forwarder.securityExceptions.drain().exceptions.count == (reason.isSecurityException ? 1 : 0))
    }

    @Test("T10 an IPv4 packet that can't go into its tunnel is answered", arguments: vectors.errors)
    func errors(_ vector: TunnelVectors.Passage) throws {
        let forwarder = try makeForwarder(answers: true)
        let outcome = forwarder.process(.home(vector.in.bytes))
        #expect(outcome == .home(vector.out.bytes), "\(hexadecimal(outcome.bytes ?? []))")
        #expect(forwarder.counters.generated.home == 1)
        #expect(forwarder.counters.isConserved)
    }

    @Test("RFC 1812, 4.3.2.7: what must not be answered is not", arguments: vectors.unanswered)
    func unanswered(_ vector: TunnelVectors.Unanswered) throws {
        let forwarder = try makeForwarder(answers: true)
        #expect(forwarder.process(.home(vector.in.bytes)) == .released)
        #expect(forwarder.counters.generated.sum == 0)
        #expect(forwarder.counters.suppressedErrors == 0)
    }

    /// A number can't come twice.
    private static func hasSequence(_ vector: TunnelVectors.Passage) -> Bool {
        vector.name.hasPrefix("gre-sequence") || vector.name.hasPrefix("gre-in-udp")
    }

    @Test("all of them in batches, each in its place")
    func batches() throws {
        let forwarder = try makeForwarder()
        let packets = Self.vectors.packets
        let passages = Self.vectors.encapsulation + Self.vectors.decapsulation
        for start in stride(from: 0, to: packets.count, by: 128) {
            let batch = Array(packets[start..<min(start + 128, packets.count)])
            let outcomes = forwarder.process(batch)
            for (place, outcome) in outcomes.enumerated() where start + place < passages.count {
                if case .access = batch[place], Self.hasSequence(passages[start + place]) { continue }
                // The identification of outer headers depends on what came before; what follows them does not.
                let expected = passages[start + place].out.bytes
                #expect(outcome.bytes?.count == expected.count, "\(passages[start + place].name)")
                #expect(outcome.bytes?.suffix(12) == expected.suffix(12), "\(passages[start + place].name)")
            }
        }
        #expect(forwarder.counters.isConserved)
        #expect(forwarder.counters.received.sum == UInt64(packets.count))
    }

    @Test("T10 GRE sequence numbers count up, go on when the binding is put again, and begin anew in another tunnel")
    func greSequenceOut() throws {
        let table = try TunnelVectors.makeTable()
        let forwarder = try makeForwarder(table: table)
        let packet = try #require(Self.vectors.encapsulation.first { $0.name == "gre-sequence: IPv4" }).in.bytes
        // Outer header, flags, checksum, key.
        func next() -> [UInt8] { forwarder.process(.home(packet)).bytes.map { Array($0[32..<36]) } ?? [] }
        #expect(next() == [0, 0, 0, 0])
        #expect(next() == [0, 0, 0, 1])
        var binding = try #require(table.state(of: "gre-sequence", now: 0)?.binding)
        binding.dscp = .pipe
        _ = try table.put([binding], now: 0)
        #expect(next() == [0, 0, 0, 2])
        binding.careOfAddress = IPv4Address("203.0.113.99")!
        _ = try table.put([binding], now: 0)
        #expect(next() == [0, 0, 0, 0])
        binding.gre?.key = 5
        _ = try table.put([binding], now: 0)
        #expect(next() == [0, 0, 0, 0])
    }

    @Test("of two bindings with one home address the second is refused, and the message says who has it")
    func homeAddressConflict() throws {
        let table = try TunnelVectors.makeTable()
        var binding = try #require(table.state(of: "direct", now: 0)?.binding)
        (binding.id, binding.prefixes) = ("other", [])
        #expect {
            try table.put([binding], now: 0)
        } throws: {
            "\($0)"
                == "binding other: the home address 198.51.100.1 is that of binding direct; remove that first, or put both in one batch"
        }
        // In one change the address may go from one to the other; packets then are the other's.
        _ = try table.put([binding], superseding: ["direct"], now: 0)
        #expect(table.holder(of: IPv6Address(mapping: IPv4Address("198.51.100.1")!)) == "other")
        _ = table.remove(["other"])
        #expect(table.holder(of: IPv6Address(mapping: IPv4Address("198.51.100.1")!)) == nil)
    }

    @Test("a packet does not go round through the tunnels of two endpoints (RFC 2003, 3.2)")
    func loopOfTwo() throws {
        let forwarder = try TestForwarder(TunnelVectors.makeTable())
        func binding(_ id: String, home: String, careOf: String, endpoint: String?) -> Binding {
            var binding = Binding(id: id, careOfAddress: IPv4Address(careOf)!)
            binding.homeAddress = IPv4Address(home)!
            binding.endpoint = endpoint.flatMap(IPv4Address.init)
            return binding
        }
        _ = try forwarder.table.put(
            [
                binding("a", home: "198.51.100.71", careOf: "198.51.100.72", endpoint: nil),
                binding("b", home: "198.51.100.72", careOf: "198.51.100.71", endpoint: "192.0.2.72"),
            ], now: 0)
        var header = IPv4Header(
            protocol: IPProtocol.udp, source: IPv4Address("192.0.2.200")!, destination: IPv4Address("198.51.100.71")!)
        header.totalLength = 28
        var bytes = [UInt8](repeating: 0, count: 28)
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        let first = try #require(forwarder.process(.home(bytes)).bytes)
        #expect(forwarder.process(.home(first)) == .released)
        #expect(forwarder.dropped == [.tunnelLoop: 1])
    }

    @Test("on one device for both sides, IPv4 to a home address is from the home side")
    func singleDevice() throws {
        var settings = TestForwarder.settings
        settings.singleDevice = true
        let forwarder = try TestForwarder(TunnelVectors.makeTable(), settings: settings)
        for vector in Self.vectors.encapsulation where vector.name.contains("IPv4") {
            guard case .access = forwarder.process(.access(vector.in.bytes)) else {
                Issue.record("\(vector.name)")
                continue
            }
        }
        for vector in Self.vectors.decapsulation where !Self.hasSequence(vector) {
            #expect(forwarder.process(.home(vector.in.bytes)) == .home(vector.out.bytes), "\(vector.name)")
        }
    }
}

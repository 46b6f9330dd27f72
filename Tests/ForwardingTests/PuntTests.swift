// Packets to the control plane. Those that come are scapy's (Tests/Vectors/tunnels.py).

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Packets to the control plane")
struct PuntTests {
    static let vectors = TunnelVectors.all
    /// A registration request, or what else is sent to port 434.
    static let registrations = vectors.drops.filter { $0.reason == "punt-unattended" }

    private func makeForwarder(capacity: Int = 1 << 16) throws -> TestForwarder {
        let forwarder = try TestForwarder(TunnelVectors.makeTable(), punts: PuntQueue(capacity: capacity))
        forwarder.forwarder.punts.isAttached = true
        return forwarder
    }

    @Test(
        "H16 what a node says of its groups is given away, whole and as it sent it, with its home address",
        arguments: vectors.listeners)
    func listeners(_ vector: TunnelVectors.Passage) throws {
        let forwarder = try makeForwarder()
        #expect(forwarder.process(.access(vector.in.bytes)) == .released)
        let packets = forwarder.forwarder.punts.take()
        #expect(packets.map(\.bytes) == [vector.out.bytes])
        #expect(packets.first?.reason == .multicastListener)
        let name = try #require(vector.name.split(separator: ":").first.map(String.init))
        let binding = try #require(forwarder.table.state(of: name, now: 0)?.binding)
        #expect(packets.first?.homeAddress == binding.homeAddress)
        let isInTunnel = vector.name.hasSuffix("in the IPv4 tunnel")
        #expect(packets.first?.outerSource == (isInTunnel ? binding.careOfAddress : binding.homeAddress))
        #expect(forwarder.counters.punted == 1)
        #expect(forwarder.counters.isConserved)
        #expect(forwarder.dropped == [:])
    }

    @Test(
        "UDP to port 434 that is no tunnel data is given away from its IPv4 header on, without padding",
        arguments: registrations)
    func mobileIP(_ vector: ForwardingVectors.Drop) throws {
        let forwarder = try makeForwarder()
        #expect(forwarder.process(.access(vector.in.bytes + [1, 2, 3])) == .released)
        let packets = forwarder.forwarder.punts.take()
        #expect(packets.map(\.bytes) == [vector.in.bytes])
        #expect(packets.first?.reason == .mobileIP)
        #expect(packets.first?.homeAddress == nil)
        #expect(packets.first?.outerSource.description == "203.0.113.6")
        #expect(forwarder.counters.punted == 1)
    }

    @Test("while nobody takes packets they are dropped, and none waits for somebody who comes later")
    func unattended() throws {
        let forwarder = try makeForwarder()
        forwarder.forwarder.punts.isAttached = false
        let registration = Given.access(Self.registrations[0].in.bytes)
        let listener = Given.access(Self.vectors.listeners[0].in.bytes)
        #expect(forwarder.process([registration, listener]) == [.released, .released])
        #expect(forwarder.dropped == [.puntUnattended: 2])
        #expect(forwarder.forwarder.punts.isEmpty)
        forwarder.forwarder.punts.isAttached = true
        #expect(forwarder.process([registration, listener]) == [.released, .released])
        #expect(forwarder.dropped == [.puntUnattended: 2])
        #expect(forwarder.forwarder.punts.take(limit: 1).map(\.reason) == [.mobileIP])
        #expect(forwarder.forwarder.punts.take().map(\.reason) == [.multicastListener])
        #expect(forwarder.counters.isConserved)
    }

    @Test(
        "what finds the queue full is dropped and counted, other packets go on, and there is room again when some are taken"
    )
    func full() throws {
        let forwarder = try makeForwarder(capacity: 512)
        let registration = Given.access(Self.registrations[0].in.bytes)
        let other = Self.vectors.decapsulation[0]
        var taken = 0
        for round in 1...50 {
            let outcomes = forwarder.process(Array(repeating: registration, count: 20) + [.access(other.in.bytes)])
            #expect(outcomes.last == .home(other.out.bytes))
            let counters = forwarder.counters
            #expect(counters.isConserved)
            #expect(counters.punted + counters[.puntQueueFull] == UInt64(20 * round))
            let packets = forwarder.forwarder.punts.take()
            #expect((2...10).contains(packets.count))
            #expect(packets.allSatisfy { $0.bytes == registration.bytes })
            taken += packets.count
            #expect(counters.punted == UInt64(taken))
        }
        #expect(forwarder.dropped.keys.elementsEqual([.puntQueueFull]))
    }

    @Test(
        "H16 MLD by the tunnel of the care-of address is nobody's: a security exception, and not for the control plane")
    func elsewhere() throws {
        let forwarder = try makeForwarder()
        // The same message without the header from the home address.
        let packet = try #require(Self.vectors.listeners.first { $0.name.hasPrefix("direct: ") }).in.bytes
        var bare = Array(packet[..<20] + packet[40...])
        bare[9] = 41
        bare.replaceSubrange(2..<4, with: [UInt8(bare.count >> 8), UInt8(bare.count & 0xFF)])
        PacketMutation.mendIPv4Checksum(&bare)
        #expect(forwarder.process(.access(bare)) == .released)
        #expect(forwarder.dropped == [.innerSourceUnregistered: 1])
        #expect(forwarder.forwarder.securityExceptions.drain().exceptions.map(\.reason) == [.innerSourceUnregistered])
        #expect(forwarder.forwarder.punts.isEmpty)
    }
}

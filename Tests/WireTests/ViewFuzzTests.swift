// Mutated packets in front of every view. What a view accepts must be readable through all of its accessors: the bytes
// end exactly where the memory ends, so that a sanitizer (`swift test --sanitize=address`) sees a read behind them.

import TestSupport
import Testing
import Wire

@Suite("Views under mutated packets")
struct ViewFuzzTests {
    @Test("no view reads outside of its bytes, and what it accepts lies inside")
    func mutations() {
        var generator = SeededGenerator(seed: RandomTest.seed(for: "views under mutated packets"))
        let all = WireVectors.all
        let corpus =
            all.ipv4.map(\.packet.bytes) + all.ipv6.map(\.packet.bytes) + all.chains.map(\.packet.bytes)
            + all.udp.map(\.packet.bytes) + all.icmpv4.map(\.packet.bytes) + all.icmpv6.map(\.packet.bytes)
        var accepted = 0
        for _ in 0..<RandomTest.count(100_000) {
            let bytes = PacketMutation.mutate(corpus, using: &generator)
            withExactMemory(of: bytes, offset: Int.random(in: 0..<8, using: &generator)) { buffer in
                accepted += read(buffer)
            }
        }
        #expect(accepted > 0, "mutations that every view refuses test nothing")
    }

    /// Reads everything that can be read of the bytes; returns how many views accepted them.
    private func read(_ buffer: UnsafeRawBufferPointer) -> Int {
        var accepted = 0
        if let view = try? IPv4View(buffer) {
            accepted += 1
            #expect(
                view.headerLength >= 20 && view.headerLength <= view.totalLength && view.totalLength <= buffer.count)
            #expect(view.payload.count == view.totalLength - view.headerLength)
            _ = (view.trafficClass, view.identification, view.isFragment, view.timeToLive, view.protocol)
            _ = (view.source.description, view.destination.description, plainChecksum(view.payload))
        }
        if let view = try? IPv6View(buffer) {
            accepted += 1
            #expect(view.totalLength >= 40 && view.totalLength <= buffer.count)
            #expect(view.payload.count == view.totalLength - 40)
            _ = (view.trafficClass, view.nextHeader, view.hopLimit, plainChecksum(view.payload))
            #expect(IPv6Address(view.source.description) == view.source)
            if let upper = try? view.upperLayer() {
                #expect(upper.offset >= 40 && upper.offset <= view.totalLength)
                let message = UnsafeRawBufferPointer(rebasing: buffer[upper.offset..<view.totalLength])
                accepted += readUpperLayers(message, of: view)
            }
        }
        return accepted + readUpperLayers(buffer, of: nil)
    }

    private func readUpperLayers(_ bytes: UnsafeRawBufferPointer, of packet: IPv6View?) -> Int {
        var accepted = 0
        if let view = try? UDPView(bytes) {
            accepted += 1
            #expect(view.length >= 8 && view.length <= bytes.count && view.payload.count == view.length - 8)
            _ = (view.sourcePort, view.destinationPort, view.checksum, plainChecksum(view.payload))
        }
        if let view = try? ICMPv4View(bytes) {
            accepted += 1
            _ = (view.type, view.code, view.checksum)
            #expect(view.length == bytes.count)
        }
        if let view = try? ICMPv6View(bytes) {
            accepted += 1
            _ = (view.type, view.code, view.forbidsErrors)
            if let packet { _ = view.verifies(source: packet.source, destination: packet.destination) }
        }
        return accepted
    }
}

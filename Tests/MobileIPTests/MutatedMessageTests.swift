// Mutated messages in front of every reader. What one accepts is written and read again as the same, and all that it
// says of its bytes lies inside.

import MobileIP
import TestSupport
import Testing

@Suite("Mutated messages")
struct MutatedMessageTests {
    private static let corpus =
        MobileIPVectors.all.messages.map(\.bytes.bytes).filter { $0.count < 2000 }
        + MobileIPVectors.all.malformed.map(\.bytes.bytes) + MobileIPVectors.all.signed.map(\.bytes.bytes)

    @Test("no reader traps, and what it accepts is written and read as the same")
    func mutations() throws {
        var generator = SeededGenerator(seed: RandomTest.seed(for: "mutated messages"))
        var accepted = 0
        for _ in 0..<RandomTest.count(100_000) {
            let bytes = PacketMutation.mutate(Self.corpus, using: &generator)
            guard let datagram = try? MobileIPDatagram.parse(bytes) else { continue }
            accepted += 1
            try check(datagram, bytes)
        }
        #expect(accepted > 1000, "mutations that every reader refuses test nothing")
    }

    @Test("every byte of every message, at its extremes and its neighbours")
    func everyByte() throws {
        for message in Self.corpus where message.count < 200 {
            for at in message.indices {
                for value in [0, 1, 3, 0x7F, 0x80, 0xFF, message[at] &+ 1, message[at] &- 1, message[at] ^ 0x80] {
                    var bytes = message
                    bytes[at] = value
                    if let datagram = try? MobileIPDatagram.parse(bytes) { try check(datagram, bytes) }
                }
            }
        }
    }

    @Test("advertisements and solicitations likewise")
    func advertisements() throws {
        let corpus =
            MobileIPVectors.all.advertisements.map(\.bytes.bytes).filter { $0.count < 400 }
            + MobileIPVectors.all.malformedAdvertisements.map(\.bytes.bytes)
        var generator = SeededGenerator(seed: RandomTest.seed(for: "mutated advertisements"))
        var accepted = 0
        for _ in 0..<RandomTest.count(50_000) {
            var bytes = PacketMutation.mutate(corpus, using: &generator)
            if bytes.count >= 4, UInt8.random(in: 0..<8, using: &generator) > 0 { mendChecksum(&bytes) }
            _ = try? AgentSolicitation.parse(bytes)
            guard let received = try? AgentAdvertisement.parse(bytes) else { continue }
            accepted += 1
            #expect(
                try AgentAdvertisement.parse(received.advertisement.write()).advertisement == received.advertisement)
        }
        #expect(accepted > 1000, "mutations that the reader refuses test nothing")
    }

    private func check(_ datagram: MobileIPDatagram, _ bytes: [UInt8]) throws {
        let message = datagram.message
        let written = try message.write()
        #expect(written.count == message.length && written.count <= bytes.count)
        #expect(areEqual(try MobileIPDatagram.parse(written).message, message), "\(hexadecimal(bytes))")
        for authentication in datagram.authentications {
            #expect(authentication.coveredLength + authentication.value.authenticator.count <= bytes.count)
            #expect(message.extensions[authentication.index] == .authentication(authentication.value))
        }
    }
}

// RFC 5944, 2.1 and 2.2, RFC 1256, 3, and RFC 4721, 2. The bytes come from Tests/Vectors/mobileip.py.

import MobileIP
import TestSupport
import Testing

@Suite("Agent discovery")
struct AgentDiscoveryTests {
    @Test(
        "every field of an advertisement is read, and reserved bits are not",
        arguments: MobileIPVectors.all.advertisements)
    func read(_ vector: AdvertisementVector) throws {
        let received = try AgentAdvertisement.parse(vector.bytes.bytes)
        #expect(received.advertisement == (try vector.value))
        let skipped = received.skipped.countByType.map { ("\($0)", $1) }
        #expect(Dictionary(uniqueKeysWithValues: skipped) == vector.skipped)
    }

    @Test(
        "every field of an advertisement is written, to an even number of bytes",
        arguments: MobileIPVectors.all.advertisements)
    func write(_ vector: AdvertisementVector) throws {
        let bytes = try vector.value.write()
        #expect(hexadecimal(bytes) == hexadecimal(vector.written.bytes))
        #expect(bytes.count % 2 == 0)
        #expect(try AgentAdvertisement.parse(bytes).advertisement == vector.value)
    }

    @Test(
        "malformed advertisements are refused for what is wrong", arguments: MobileIPVectors.all.malformedAdvertisements
    )
    func malformed(_ vector: MobileIPVectors.Malformed) {
        #expect(refusal(of: vector.bytes.bytes)?.name == vector.reason)
    }

    @Test("an advertisement that is cut off is never read as another, but for extensions that are missing")
    func truncated() throws {
        for vector in MobileIPVectors.all.advertisements {
            let whole = try vector.value
            for length in 0..<vector.bytes.bytes.count {
                var bytes = Array(vector.bytes.bytes[..<length])
                guard length >= 8 else {
                    #expect(refusal(of: bytes) == .icmpTruncated)
                    continue
                }
                mendChecksum(&bytes)
                guard let part = try? AgentAdvertisement.parse(bytes).advertisement else { continue }
                var expected = whole
                if part.prefixLengths == nil { expected.prefixLengths = nil }
                if part.challenge == nil { expected.challenge = nil }
                #expect(part == expected, "\(vector.name), \(length) bytes")
            }
        }
    }

    @Test("a solicitation is eight bytes; what is reserved and what is behind is ignored")
    func solicitation() throws {
        let vectors = MobileIPVectors.all
        #expect(AgentSolicitation().write() == vectors.solicitation.bytes)
        _ = try AgentSolicitation.parse(vectors.solicitation.bytes)
        _ = try AgentSolicitation.parse(vectors.solicitationReserved.bytes)
        for length in 0..<8 {
            #expect(throws: MobileIPError.icmpTruncated) {
                try AgentSolicitation.parse(Array(vectors.solicitation.bytes[..<length]))
            }
        }
        var bytes = vectors.solicitation.bytes
        bytes[7] = 1
        #expect(throws: MobileIPError.icmpChecksum) { try AgentSolicitation.parse(bytes) }
        bytes[1] = 1
        mendChecksum(&bytes)
        #expect(throws: MobileIPError.icmpCode) { try AgentSolicitation.parse(bytes) }
        bytes[0] = 9
        mendChecksum(&bytes)
        #expect(throws: MobileIPError.icmpType) { try AgentSolicitation.parse(bytes) }
    }

    private func refusal(of bytes: [UInt8]) -> MobileIPError? {
        do {
            _ = try AgentAdvertisement.parse(bytes)
            return nil
        } catch {
            return error
        }
    }
}

/// Gives an ICMP message of at least four bytes the right checksum.
func mendChecksum(_ bytes: inout [UInt8]) {
    (bytes[2], bytes[3]) = (0, 0)
    let checksum = ~PacketMutation.onesComplementSum(bytes[...])
    (bytes[2], bytes[3]) = (UInt8(checksum >> 8), UInt8(checksum & 0xFF))
}

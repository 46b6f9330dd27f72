// RFC 1071 and RFC 1624. Sums come from scapy, from the plain 16-bit sum of RFC 1071, and from RFC 1624's example.

import TestSupport
import Testing
import Wire

@Suite("Internet checksum")
struct ChecksumTests {
    @Test("equals scapy's for every length to 200")
    func againstScapy() {
        for vector in WireVectors.all.checksums {
            #expect(sum(of: vector.bytes.bytes).checksum == vector.checksum, "\(vector.bytes.bytes.count) bytes")
            #expect(plainChecksum(vector.bytes.bytes) == vector.checksum, "the plain sum itself")
        }
    }

    @Test("equals the plain sum for every length to 200 at every alignment of 32")
    func alignments() {
        var generator = SeededGenerator(seed: 1)
        for length in 0...200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            for offset in 0..<32 { #expect(sum(of: bytes, offset: offset).checksum == plainChecksum(bytes)) }
        }
    }

    @Test("carries are not lost in 64 KiB of ones")
    func carries() {
        for length in [1, 2, 4, 32, 64, 1280, 65_534, 65_535, 1 << 20] {
            let ones = [UInt8](repeating: 0xFF, count: length)
            #expect(sum(of: ones).checksum == plainChecksum(ones))
        }
        var sum = InternetChecksum()
        for _ in 0..<70_000 { sum.add(UInt32.max) }
        #expect(sum.folded == 0xFFFF)
        for _ in 0..<70_000 { sum.add(UInt16.max) }
        #expect(sum.folded == 0xFFFF)
    }

    @Test("pieces sum up as the whole, where all but the last are of even length")
    func pieces() {
        var generator = SeededGenerator(seed: 2)
        for length in 0...150 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            for cut in stride(from: 0, through: length, by: 2) {
                var sum = InternetChecksum()
                withExactMemory(of: bytes[..<cut], offset: 1) { sum.add($0) }
                withExactMemory(of: bytes[cut...], offset: 3) { sum.add($0) }
                #expect(sum.checksum == plainChecksum(bytes))
            }
        }
    }

    @Test("numbers sum up as their bytes in network order")
    func numbers() {
        var sum = InternetChecksum()
        sum.add(UInt16(0x1234))
        sum.add(UInt32(0x89AB_CDEF))
        sum.add(IPv6Address(high: 0x2001_0DB8_0000_0001, low: 0xFFFF_0000_8000_0009))
        let bytes: [UInt8] = [
            0x12, 0x34, 0x89, 0xAB, 0xCD, 0xEF, 0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 1, 0xFF, 0xFF, 0, 0, 0x80, 0, 0, 9,
        ]
        #expect(sum.checksum == plainChecksum(bytes))
    }

    @Test("a buffer without memory adds nothing")
    func empty() {
        var sum = InternetChecksum()
        sum.add(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(sum.folded == 0)
        #expect(sum.checksum == 0xFFFF)
    }

    @Test("bytes with their checksum verify, and do not with another")
    func verifies() {
        for vector in WireVectors.all.checksums where vector.bytes.bytes.count.isMultiple(of: 2) {
            let bytes = vector.bytes.bytes + [UInt8(vector.checksum >> 8), UInt8(vector.checksum & 0xFF)]
            #expect(withExactMemory(of: bytes) { InternetChecksum.verifies($0) })
            let wrong = vector.bytes.bytes + [UInt8(vector.checksum >> 8) ^ 1, UInt8(vector.checksum & 0xFF)]
            #expect(!withExactMemory(of: wrong) { InternetChecksum.verifies($0) })
        }
    }

    @Test("RFC 1624, section 4: where equation 2 goes wrong, the update gives 0")
    func cornerCase() {
        #expect(InternetChecksum.updated(0xDD2F, from: 0x5555, to: 0x3285) == 0x0000)
    }

    @Test("an update gives what summing anew gives, for every pair of old and new at the corners")
    func updates() {
        let corners: [UInt16] = [0, 1, 2, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF, 0x00FF, 0xFF00, 0x5555, 0xAAAA]
        for other in corners where other != 0 {
            for old in corners {
                for new in corners {
                    // The field that changes, and another that is not zero: RFC 1624, 3 presupposes one.
                    let before = plainChecksum([
                        UInt8(old >> 8), UInt8(old & 255), UInt8(other >> 8), UInt8(other & 255),
                    ])
                    let after = plainChecksum([
                        UInt8(new >> 8), UInt8(new & 255), UInt8(other >> 8), UInt8(other & 255),
                    ])
                    #expect(InternetChecksum.updated(before, from: old, to: new) == after)
                }
            }
        }
    }

    @Test("random updates give what summing anew gives")
    func randomUpdates() {
        var generator = SeededGenerator(seed: RandomTest.seed(for: "checksum updates"))
        for _ in 0..<RandomTest.count(20_000) {
            var bytes = (0..<20).map { _ in UInt8.random(in: 0...255, using: &generator) }
            bytes[0] = 0x45
            let before = plainChecksum(bytes)
            let at = 2 * Int.random(in: 1..<10, using: &generator)
            let old = UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
            let new = UInt16.random(in: 0...UInt16.max, using: &generator)
            (bytes[at], bytes[at + 1]) = (UInt8(new >> 8), UInt8(new & 255))
            #expect(InternetChecksum.updated(before, from: old, to: new) == plainChecksum(bytes))
        }
    }

    private func sum(of bytes: [UInt8], offset: Int = 0) -> InternetChecksum {
        withExactMemory(of: bytes, offset: offset) { buffer in
            var sum = InternetChecksum()
            sum.add(buffer)
            return sum
        }
    }
}

// Packets that are wrong in the ways that packets are wrong: cut off, grown, with fields at their extremes, with pieces
// of other packets. Half of those that look like IPv4 get a right checksum again, so that more than it is tested.

/// Makes packets out of others.
public enum PacketMutation {
    /// A packet of the corpus, changed in up to four places.
    public static func mutate(_ corpus: [[UInt8]], using generator: inout SeededGenerator) -> [UInt8] {
        var bytes = corpus.randomElement(using: &generator) ?? []
        for _ in 0..<Int.random(in: 0...4, using: &generator) { change(&bytes, corpus, using: &generator) }
        if bytes.count >= 20, bytes[0] >> 4 == 4, Bool.random(using: &generator) { mendIPv4Checksum(&bytes) }
        return bytes
    }

    private static func change(_ bytes: inout [UInt8], _ corpus: [[UInt8]], using generator: inout SeededGenerator) {
        // Headers stand in front, so most changes do.
        let span = Bool.random(using: &generator) ? min(bytes.count, 64) : bytes.count
        let at = span == 0 ? 0 : Int.random(in: 0..<span, using: &generator)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0 where !bytes.isEmpty:
            bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 1 where !bytes.isEmpty:
            bytes[at] = .random(in: 0...255, using: &generator)
        case 2 where !bytes.isEmpty:
            bytes[at] = [0, 1, 0x7F, 0x80, 0xFF, 4, 6, 41, 44, 58, 60].randomElement(using: &generator) ?? 0
        case 3:
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
        case 4:
            bytes += (0..<Int.random(in: 0...80, using: &generator)).map { _ in .random(in: 0...255, using: &generator)
            }
        case 5 where !bytes.isEmpty:
            bytes.removeSubrange(at..<min(at + Int.random(in: 1...20, using: &generator), bytes.count))
        case 6:
            let other = corpus.randomElement(using: &generator) ?? []
            bytes = Array(bytes[..<at]) + other[min(at, other.count)...]
        case 7:
            let other = corpus.randomElement(using: &generator) ?? []
            bytes.insert(contentsOf: other.prefix(60), at: at)
        default:
            break
        }
    }

    /// Gives an IPv4 packet of at least 20 bytes the right header checksum.
    public static func mendIPv4Checksum(_ bytes: inout [UInt8]) {
        let length = min(max(Int(bytes[0] & 15) * 4, 20), bytes.count)
        (bytes[10], bytes[11]) = (0, 0)
        let checksum = ~onesComplementSum(bytes[..<length])
        (bytes[10], bytes[11]) = (UInt8(checksum >> 8), UInt8(checksum & 0xFF))
    }

    /// The sum of 16-bit words in one's complement (RFC 1071), word by word: 0xFFFF over what holds its own checksum.
    public static func onesComplementSum(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        bytes.withUnsafeBytes { onesComplementSum($0) }
    }

    /// The same of memory.
    public static func onesComplementSum(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
        var sum: UInt64 = 0
        var offset = 0
        while offset + 1 < bytes.count {
            sum += UInt64(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
            offset += 2
        }
        if offset < bytes.count { sum += UInt64(bytes[offset]) << 8 }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        return UInt16(sum)
    }
}

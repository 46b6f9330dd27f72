import TestSupport
import Testing
import Wire

@Suite("Prefixes that overlap")
struct PrefixOverlapTests {
    /// By looking at each pair.
    private static func overlaps(_ prefixes: [OwnedPrefix]) -> Bool {
        prefixes.contains { one in prefixes.contains { $0.owner != one.owner && $0.prefix.overlaps(one.prefix) } }
    }

    @Test("two of different owners are found where there are any, and only then", arguments: 1...20)
    func random(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var found = 0
        for _ in 0..<500 {
            // Few bits, so that they meet often.
            let prefixes = (0..<Int.random(in: 0...6, using: &generator)).map { _ -> OwnedPrefix in
                let bits = UInt64.random(in: 0...63, using: &generator)
                let prefix = IPv6Prefix(
                    containing: IPv6Address(high: 0x2001 << 48 | bits, low: 0),
                    length: UInt8.random(in: 59...64, using: &generator))
                return OwnedPrefix(prefix: prefix, owner: Int.random(in: 0...2, using: &generator))
            }
            let pair = OwnedPrefix.firstOverlap(of: prefixes)
            #expect((pair != nil) == Self.overlaps(prefixes), "\(prefixes)")
            guard let (holder, held) = pair else { continue }
            found += 1
            #expect(holder.owner != held.owner)
            #expect(holder.prefix.overlaps(held.prefix) && holder.prefix.length <= held.prefix.length)
        }
        #expect((50..<450).contains(found), "both happen: \(found)")
    }
}

// Where the prefixes of a benchmark's bindings lie: what a look-up costs depends on it.

import ArgumentParser
import Wire

/// How prefixes are spread.
enum PrefixLayout: String, CaseIterable, ExpressibleByArgument {
    /// In one operator's /32, of four lengths, as those of `Bench lpm`.
    case `operator`
    /// Each a /64 by itself, anywhere in 2000::/3, as prefixes of many operators would be.
    case spread

    /// Prefixes that do not overlap.
    func prefixes(_ count: Int) -> [IPv6Prefix] {
        switch self {
        // It makes less than are asked for: those of a site come together, and there are only so many whole ones.
        case .operator: Array(PrefixSet(count: count + count / 32 + 256, addresses: 0).prefixes.prefix(count))
        // A multiplicative hash: an odd factor gives each its own.
        case .spread:
            (0..<count).map { number in
                let bits = UInt64(number) &* 0x9E37_79B9_7F4A_7C15
                return IPv6Prefix(containing: IPv6Address(high: 0x2000_0000_0000_0000 | bits >> 3, low: 0), length: 64)
            }
        }
    }
}

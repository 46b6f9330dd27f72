// No two mobile nodes may hold overlapping prefixes (RFC 5454, 3.3); one node's own may overlap each other. Two
// prefixes overlap only if one holds the other, so in the order of address and length those that hold a prefix are
// among the ones just before it: one pass with a stack finds a conflict.

import Wire

/// A prefix, and whose it is.
public struct OwnedPrefix: Hashable, Sendable {
    /// The prefix.
    public let prefix: IPv6Prefix
    /// Its owner, as the caller counts them.
    public let owner: Int

    /// A prefix of an owner.
    public init(prefix: IPv6Prefix, owner: Int) {
        self.prefix = prefix
        self.owner = owner
    }

    /// Two prefixes of different owners that overlap, the shorter first; nil where there are none. Takes O(n log n).
    public static func firstOverlap(of prefixes: [OwnedPrefix]) -> (OwnedPrefix, OwnedPrefix)? {
        var holders: [OwnedPrefix] = []
        for next in prefixes.sorted(by: { ($0.prefix, $0.owner) < ($1.prefix, $1.owner) }) {
            while let last = holders.last, !last.prefix.overlaps(next.prefix) { holders.removeLast() }
            // All that are left hold `next`; they have one owner, or the pass would have ended before.
            if let last = holders.last, last.owner != next.owner { return (last, next) }
            holders.append(next)
        }
        return nil
    }
}

// No two mobile nodes may hold overlapping prefixes (RFC 5454, 3.3); one node's own may overlap each other. Two
// prefixes overlap only if one holds the other, so in the order of address and length those that hold a prefix are
// among the ones just before it: one pass with a stack finds a conflict.

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

    /// In the order of prefixes and owners. Who has many often keeps them so.
    private static func inOrder(_ prefixes: [OwnedPrefix]) -> [OwnedPrefix] {
        func isBefore(_ first: OwnedPrefix, _ second: OwnedPrefix) -> Bool {
            first.prefix == second.prefix ? first.owner < second.owner : first.prefix < second.prefix
        }
        let isSorted = zip(prefixes, prefixes.dropFirst()).allSatisfy { !isBefore($1, $0) }
        return isSorted ? prefixes : prefixes.sorted(by: isBefore)
    }

    /// Two prefixes of different owners that overlap, the shorter first; nil where there are none. Takes O(n log n).
    public static func firstOverlap(of prefixes: [OwnedPrefix]) -> (OwnedPrefix, OwnedPrefix)? {
        var holders: [OwnedPrefix] = []
        for next in inOrder(prefixes) {
            while let last = holders.last, !last.prefix.overlaps(next.prefix) { holders.removeLast() }
            // All that are left hold `next`; they have one owner, or the pass would have ended before.
            if let last = holders.last, last.owner != next.owner { return (last, next) }
            holders.append(next)
        }
        return nil
    }
}

// Whose each registered prefix is, so that no two nodes hold overlapping ones (RFC 5454, 3.3). IPv4 networks (RFC 5177)
// stand in it in their IPv4-mapped form. One node's own may overlap.

import PrefixTable
import Wire

/// The prefixes of all bindings.
struct PrefixOwners: ~Copyable {
    private let table: PrefixTable

    /// - Parameter capacity: prefixes at the most.
    init(capacity: Int) {
        do { table = try PrefixTable(capacity: capacity, quiescentStates: QuiescentStates()) } catch {
            // Address space alone is asked for.
            fatalError("prefixes of a home agent: \(error)")
        }
    }

    /// How many there are.
    var count: Int { table.count }

    /// Gives a prefix to a node.
    /// - Returns: false where another holds an address of it, or no more prefixes are taken; nothing is changed then.
    mutating func give(_ prefix: IPv6Prefix, to number: UInt32) -> Bool {
        if let owner = table.value(of: prefix) { return owner == number }
        var isTaken = false
        table.forEachOverlap(with: prefix) { _, owner in
            isTaken = owner != number
            return !isTaken
        }
        if isTaken { return false }
        do { try table.insert(prefix, value: number) } catch { return false }
        return true
    }

    /// Takes back what a node holds.
    mutating func takeBack(_ prefix: IPv6Prefix) { table.remove(prefix) }
}

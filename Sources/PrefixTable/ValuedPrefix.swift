// A prefix and its value, and many of them in order. Comparing two of a million is slow where both have to come from
// memory; so they are first dealt out by the bits behind those that all share, and what falls together, which is few, is
// sorted where it lies.

import Wire

/// A prefix on its way into a table, and its value there.
public struct ValuedPrefix: BitwiseCopyable, Sendable {
    /// The prefix.
    public let prefix: IPv6Prefix
    /// At most `PrefixTable.largestValue`.
    public let value: UInt32

    /// A prefix and its value.
    public init(_ prefix: IPv6Prefix, value: UInt32) {
        self.prefix = prefix
        self.value = value
    }

    /// Bits by which prefixes are dealt out.
    private static var dealtBits: Int { 16 }

    /// The same in the order of their addresses, of one address the shorter first.
    public static func sorted(_ prefixes: [ValuedPrefix]) -> [ValuedPrefix] {
        guard let first = prefixes.first?.prefix.address.high else { return [] }
        let shared = prefixes.reduce(64) { min($0, ($1.prefix.address.high ^ first).leadingZeroBitCount) }
        let shift = UInt64(max(64 - dealtBits - shared, 0))
        func heap(_ prefix: ValuedPrefix) -> Int {
            Int(truncatingIfNeeded: prefix.prefix.address.high >> shift) & (1 << dealtBits - 1)
        }
        /// Of each heap, where it begins, and then where its next one belongs.
        var places = [Int](repeating: 0, count: 1 << dealtBits + 1)
        for prefix in prefixes { places[heap(prefix) + 1] += 1 }
        for heap in 1..<places.count { places[heap] += places[heap - 1] }
        return [ValuedPrefix](unsafeUninitializedCapacity: prefixes.count) { target, count in
            for prefix in prefixes {
                let heap = heap(prefix)
                target.initializeElement(at: places[heap], to: prefix)
                places[heap] += 1
            }
            count = prefixes.count
            var start = 0
            for end in places.dropLast() {
                if end - start > 1 { target[start..<end].sort { $0.prefix < $1.prefix } }
                start = end
            }
        }
    }
}

// No mobile node is denied more than once a second (RFC 5944, 3.7.2; RFC 3024, 4.2.1). A node is told by the link-layer
// address that it is answered at.

/// Who was denied in the last second.
struct DenialLimit {
    private static let interval: UInt64 = 1_000_000_000
    private var until: [LinkLayerAddress: UInt64] = [:]

    /// Whether the node may be denied now, which is then remembered.
    mutating func admits(_ node: LinkLayerAddress, at now: UInt64, capacity: Int) -> Bool {
        if let end = until[node], now < end { return false }
        if until[node] == nil, until.count >= capacity {
            until = until.filter { now < $0.value }
            guard until.count < capacity else { return false }
        }
        until[node] = now &+ Self.interval
        return true
    }
}

// The whole product in real networks: mooringd and mooring as they are built, TUN devices, the kernel's own ping, TCP
// and ICMPv6. `Topology` draws and makes the network; each test makes its own and takes it away. What a test waits for it
// polls for, with a deadline that only a failure reaches; how long something took decides nothing.

import Testing

@Suite("End to end", .serialized, .enabled(if: Privilege.isSufficient, Comment(rawValue: Privilege.description)))
enum EndToEnd {}

/// What a test expected of the world around it did not come true.
struct EndToEndFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Waits until `condition` gives a value.
/// - Throws: when it has given none for so long.
func poll<Value>(
    for what: String, within limit: Duration = .seconds(30), _ condition: () async throws -> Value?
) async throws -> Value {
    let deadline = ContinuousClock.now + limit
    while true {
        if let value = try await condition() { return value }
        guard ContinuousClock.now < deadline else { throw EndToEndFailure("after \(limit): no \(what)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}

/// Waits until `condition` is true.
func poll(for what: String, within limit: Duration = .seconds(30), until condition: () async throws -> Bool)
    async throws
{
    _ = try await poll(for: what, within: limit) { try await condition() ? true : nil }
}

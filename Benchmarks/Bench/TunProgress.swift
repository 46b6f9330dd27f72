// What `Bench tun` is at, and how long it will still take.

import Foundation

/// Counts what has been done against what it was thought to take.
struct TunProgress {
    private var expected: Double
    private var done = 0.0
    private let start = ContinuousClock.now

    /// - Parameter expected: seconds that all of it is thought to take.
    init(expected: Double) { self.expected = max(expected, 1) }

    /// Tells what comes next.
    func begin(_ what: String) {
        let elapsed = start.duration(to: .now) / .seconds(1)
        // What has been done tells how far the guess is off.
        let left = done > 0 ? elapsed / done * (expected - done) : expected
        let time = left < 90 ? "\(Int(left.rounded())) s" : "\(Int((left / 60).rounded())) min"
        Self.say("\(Int(done / expected * 100)) %, \(time) left: \(what)")
    }

    /// - Parameter seconds: that what has been done was thought to take.
    mutating func end(expected seconds: Double) { done += seconds }

    /// - Parameter seconds: that what will not be done was thought to take.
    mutating func drop(expected seconds: Double) { expected = max(expected - seconds, 1) }

    /// Tells something on standard error.
    static func say(_ message: String) { FileHandle.standardError.write(Data("Bench: \(message)\n".utf8)) }
}

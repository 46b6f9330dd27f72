// Tells how a run goes on standard error, once a second where somebody looks on, once in ten where it goes to a file.

import Glibc

/// What was told last.
struct FuzzProgress {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let unit: String
    private var next: Double

    /// - Parameter unit: what is counted.
    init(of unit: String = "packets") {
        self.unit = unit
        next = isTerminal ? 1 : 10
    }

    /// In seconds, on a clock that does not run backwards.
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    mutating func report(_ count: UInt64, seconds: Double) {
        guard seconds >= next else { return }
        next = seconds + (isTerminal ? 1 : 10)
        let rate = Double(count) / seconds / 1e6
        let line = "\(count) \(unit), \(Int(seconds)) s, \((rate * 100).rounded() / 100) million a second"
        FuzzFiles.say(isTerminal ? "\r\(line) " : "\(line)\n")
    }

    /// Ends the line that is written over.
    func finish() { if isTerminal { FuzzFiles.say("\n") } }
}

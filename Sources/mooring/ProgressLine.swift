// How far something has come that takes long: one line of a terminal, written over and over, and nothing where standard
// error is none.

import Glibc

final class ProgressLine {
    /// What is done sooner shows nothing; then ten times a second.
    private static let delay = Duration.milliseconds(500)
    private static let interval = Duration.milliseconds(100)

    private let isShown: Bool
    private var next = ContinuousClock.now + delay
    private var isOnScreen = false

    init(shows: Bool) {
        isShown = shows && isatty(STDERR_FILENO) == 1
    }

    func show(_ text: @autoclosure () -> String) {
        guard isShown, .now >= next else { return }
        next = .now + Self.interval
        isOnScreen = true
        Output.error.text("\r\u{1B}[K\(text())")
    }

    /// Takes the line away.
    func clear() {
        if isOnScreen { Output.error.text("\r\u{1B}[K") }
        isOnScreen = false
    }
}

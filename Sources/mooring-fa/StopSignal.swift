// SIGTERM and SIGINT as something to wait for beside packets: the handler writes to a pipe.

import Glibc

private nonisolated(unsafe) var writingEnd: Int32 = -1

/// The end of the program, asked for by a signal.
enum StopSignal {
    /// Takes the signals from now on.
    /// - Returns: the descriptor that is readable when one has come.
    static func take() throws(CannotStart) -> Int32 {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw CannotStart(errno, "make a pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        writingEnd = ends[1]
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGTERM, SIGINT] {
            signal(number) { _ in
                let before = errno
                var byte: UInt8 = 0
                _ = Glibc.write(writingEnd, &byte, 1)
                errno = before
            }
        }
        return ends[0]
    }
}

// Frames that found no room in a socket. The kernel counts them and has to be asked, which is a system call: so that is done
// once in some turns of a port.

import CLinuxNet

/// What a socket for frames has lost.
@usableFromInline
struct LostFrames {
    /// Turns of a port from one question to the next.
    @usableFromInline static var interval: UInt32 { 64 }

    private let descriptor: Int32
    @usableFromInline var turns: UInt32 = 0

    /// - Parameter descriptor: -1 where there is no socket.
    init(of descriptor: Int32) { self.descriptor = descriptor }

    /// To be called once a turn.
    /// - Returns: how many were lost since it last was asked for; mostly 0, since it is not asked for.
    @inlinable @inline(__always)
    mutating func takeTurn() -> UInt64 {
        turns &+= 1
        return turns.isMultiple(of: Self.interval) ? count() : 0
    }

    @usableFromInline @inline(never)
    func count() -> UInt64 {
        var count: UInt32 = 0
        guard descriptor >= 0, clinuxnet_frames_dropped(descriptor, &count) == 0 else { return 0 }
        return UInt64(count)
    }
}

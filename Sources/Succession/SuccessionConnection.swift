// Messages between a daemon and its successor, each a packet, with descriptors beside it. All that is waited for has a limit.

import CLinuxNet
import Glibc

/// A connection between a daemon and its successor.
public final class SuccessionConnection: Sendable {
    /// Who is at the other end.
    public let peer: (process: Int32, user: UInt32)?
    private let descriptor: CInt

    init(_ descriptor: CInt) {
        self.descriptor = descriptor
        // struct ucred, which Glibc shows only with _GNU_SOURCE: pid, uid, gid.
        var credentials = (process: Int32(0), user: UInt32(0), group: UInt32(0))
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        let isKnown = getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0
        peer = isKnown ? (credentials.process, credentials.user) : nil
    }

    /// Connects to a daemon.
    public convenience init(path: String) throws(SuccessionError) {
        var address = try UnixSocket.address(path)
        let descriptor = try UnixSocket.open()
        var result: CInt
        repeat {
            result = UnixSocket.with(&address) { connect(descriptor, $0, $1) }
        } while result != 0 && errno == EINTR
        guard result == 0 else {
            let error = UnixSocket.failure("connecting to \(path)")
            close(descriptor)
            throw error
        }
        self.init(descriptor)
        guard peer.map({ $0.user == 0 || $0.user == geteuid() }) ?? false else {
            throw SuccessionError("at \(path) answers user \(peer?.user ?? .max), and no mooringd of root or this user")
        }
    }

    deinit { close(descriptor) }

    /// Sends a message, whole.
    /// - Parameters:
    ///   - descriptors: which the other end gets copies of.
    ///   - seconds: how long that may take.
    public func send(
        _ message: SuccessionMessage, _ descriptors: [CInt] = [], within seconds: Int
    ) throws(SuccessionError) {
        limit(SO_SNDTIMEO, seconds)
        let bytes = message.bytes
        let result = clinuxnet_send_rights(descriptor, bytes, bytes.count, descriptors, UInt32(descriptors.count))
        if result < 0 { throw Self.error(-result, seconds) }
    }

    /// How often it is asked whether there is still somebody who waits, in milliseconds.
    private static let askInterval: CInt = 100

    /// Receives a message.
    /// - Parameters:
    ///   - seconds: how long that may take.
    ///   - isGivenUp: whether nobody waits any more; asked from time to time.
    /// - Returns: nil where the other end is gone, or it was given up.
    public func receive(
        within seconds: Int, unless isGivenUp: () -> Bool = { false }
    ) throws(SuccessionError) -> ReceivedMessage? {
        let deadline = ContinuousClock.now + .seconds(seconds)
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while poll(&waiting, 1, Self.askInterval) <= 0 {
            if isGivenUp() { return nil }
            if .now >= deadline { throw Self.error(EAGAIN, seconds) }
        }
        if isGivenUp() { return nil }
        limit(SO_RCVTIMEO, seconds)
        var bytes = [UInt8](repeating: 0, count: SuccessionMessage.headerLength + SuccessionMessage.textLimit)
        var descriptors = [CInt](repeating: -1, count: Int(clinuxnet_rights_limit))
        var count: UInt32 = 0
        let length = clinuxnet_receive_rights(descriptor, &bytes, bytes.count, &descriptors, &count)
        let owned = ReceivedDescriptors(Array(descriptors.prefix(Int(count))))
        if length < 0 { throw Self.error(CInt(-length), seconds) }
        if length == 0 { return nil }
        return ReceivedMessage(message: try SuccessionMessage(bytes.prefix(length)), descriptors: owned)
    }

    private static func error(_ number: CInt, _ seconds: Int) -> SuccessionError {
        switch number {
        case EAGAIN: SuccessionError("the other end did not answer within \(seconds) seconds")
        case EPIPE, ECONNRESET: SuccessionError("the other end is gone")
        case EMSGSIZE: SuccessionError("a message is too long")
        default: SuccessionError("the exchange failed: \(String(cString: strerror(number)))")
        }
    }

    private func limit(_ option: CInt, _ seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
}

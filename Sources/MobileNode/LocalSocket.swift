// The Unix socket at which a running mooring-mn is asked: a line with the question, then one JSON object and the end.
//
//     status                       what StatusReport has
//     prefixes 2001:db8:1::/56 …   these are all prefixes that are delegated now (RFC 5454, 3.7.1); answered by {}
//
// Only the owner of its file may use it. One question is answered after the other; who is slow to ask has five seconds.

import Glibc
import ServiceProcess
import Wire

/// Why the socket can't be used.
public struct LocalSocketError: Error, Hashable, CustomStringConvertible {
    /// What is wrong and what to do.
    public let description: String
    /// Whether nobody listens there.
    public let isUnreachable: Bool

    init(_ description: String, isUnreachable: Bool = false) {
        self.description = description
        self.isUnreachable = isUnreachable
    }
}

/// Questions to a running mooring-mn.
public enum LocalSocket {
    /// The longest question, in bytes.
    static let maximumQuestion = 65_536
    /// The longest answer, in bytes.
    static let maximumAnswer = 16 << 20
    /// How long a listener waits for a question, in seconds.
    fileprivate static let patienceOfListener = 5
    /// How long who asks waits for the answer, in seconds; others may be asking before.
    private static let patience = 15

    /// Asks a running mooring-mn.
    /// - Returns: its answer, a JSON object.
    public static func ask(_ question: String, at path: String) throws(LocalSocketError) -> [UInt8] {
        guard question.utf8.count < maximumQuestion else {
            throw LocalSocketError(
                "that is more than the \(maximumQuestion - 1) bytes that mooring-mn can be told at a time; name less")
        }
        let descriptor = try open()
        defer { close(descriptor) }
        limitTime(descriptor, to: patience)
        guard withAddress(path, { connect(descriptor, $0, $1) }) == 0 else {
            let reason = String(cString: strerror(errno))
            throw LocalSocketError("no mooring-mn answers at \(path): \(reason); does it run?", isUnreachable: true)
        }
        guard write(Array((question + "\n").utf8), to: descriptor), let answer = read(descriptor, maximumAnswer) else {
            throw LocalSocketError("mooring-mn at \(path) did not answer", isUnreachable: true)
        }
        return answer
    }

    fileprivate static func open() throws(LocalSocketError) -> Int32 {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LocalSocketError("no socket: \(String(cString: strerror(errno)))") }
        return descriptor
    }

    fileprivate static func limitTime(_ descriptor: Int32, to seconds: Int) {
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    /// -1 with errno where the path is too long.
    fileprivate static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard (1..<MemoryLayout.size(ofValue: address.sun_path)).contains(bytes.count) else {
            errno = ENAMETOOLONG
            return -1
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    fileprivate static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Up to the end, or to a line's end; nil where that does not come, or too late.
    fileprivate static func read(_ descriptor: Int32, _ limit: Int, untilLine: Bool = false) -> [UInt8]? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return untilLine ? nil : bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { return nil }
            if untilLine, let end = bytes.firstIndex(of: UInt8(ascii: "\n")) { return Array(bytes[..<end]) }
        }
    }
}

/// Where a mooring-mn listens for questions.
final class LocalListener: Sendable {
    private let path: String
    private let descriptor: Int32

    /// Listens from now on, on a thread of its own.
    /// - Parameter answer: to a question.
    /// - Throws: where another mooring-mn listens there, or the path can't be used.
    init(path: String, answer: @escaping @Sendable (String) -> [UInt8]) throws(LocalSocketError) {
        self.path = path
        descriptor = try LocalSocket.open()
        do throws(LocalSocketError) {
            try Self.bind(descriptor, to: path)
        } catch {
            close(descriptor)
            throw error
        }
        let descriptor = descriptor
        startThread(named: "mooring-mn-ask") {
            while true {
                let connection = accept(descriptor, nil, nil)
                if connection < 0, errno == EINTR || errno == ECONNABORTED { continue }
                guard connection >= 0 else { return }
                LocalSocket.limitTime(connection, to: LocalSocket.patienceOfListener)
                if let question = LocalSocket.read(connection, LocalSocket.maximumQuestion, untilLine: true) {
                    _ = LocalSocket.write(answer(String(decoding: question, as: UTF8.self)), to: connection)
                }
                close(connection)
            }
        }
    }

    /// A file that nobody listens at any more is in nobody's way.
    private static func bind(_ descriptor: Int32, to path: String) throws(LocalSocketError) {
        let probe = try LocalSocket.open()
        defer { close(probe) }
        if LocalSocket.withAddress(path, { connect(probe, $0, $1) }) == 0 {
            throw LocalSocketError("another mooring-mn listens at \(path)")
        }
        if errno == ECONNREFUSED { unlink(path) }
        let mask = umask(0o177)
        let bound = LocalSocket.withAddress(path) { Glibc.bind(descriptor, $0, $1) }
        let number = errno
        umask(mask)
        guard bound == 0, listen(descriptor, 16) == 0 else {
            let reason = String(cString: strerror(bound == 0 ? errno : number))
            throw LocalSocketError("\(path) can't be listened at: \(reason)")
        }
    }

    /// Listens no more, and removes the file.
    func end() {
        shutdown(descriptor, CInt(SHUT_RDWR))
        unlink(path)
    }
}

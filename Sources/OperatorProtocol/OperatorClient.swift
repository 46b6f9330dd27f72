// The operator's end of a home agent's socket: a question, and a wait for its answer.

import FoundationEssentials
import Glibc

/// Why a home agent gave no answer.
public enum OperatorClientError: Error, Hashable, CustomStringConvertible {
    /// It can't be reached; says why.
    case unreachable(String)
    /// It answered with an error.
    case refused(String, OperatorReply.ErrorKind)

    /// For people.
    public var description: String {
        switch self {
        case .unreachable(let reason), .refused(let reason, _): reason
        }
    }
}

/// A connection to mooring-ha.
public struct OperatorClient: ~Copyable {
    /// Of an answer, in bytes.
    private static let replyLimit = 64 << 20
    /// For an answer.
    private static let timeout = timeval(tv_sec: 10, tv_usec: 0)

    private let descriptor: CInt
    private let path: String
    private var received: [UInt8] = []

    /// Connects.
    public init(path: String) throws(OperatorClientError) {
        self.path = path
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard (1..<MemoryLayout.size(ofValue: address.sun_path)).contains(path.utf8.count) else {
            throw .unreachable("\(path) is too long for the path of a socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .unreachable("no socket: \(String(cString: strerror(errno)))") }
        var timeout = Self.timeout
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isConnected else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw .unreachable("mooring-ha can't be reached at \(path): \(reason); is it running, and may you use it?")
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Asks, and waits for the answer.
    public mutating func ask(_ request: OperatorRequest) throws(OperatorClientError) -> OperatorReply {
        guard var line = try? JSONEncoder().encode(request) else {
            preconditionFailure("texts and numbers can always be encoded")
        }
        line.append(UInt8(ascii: "\n"))
        try write(Array(line))
        let answer = Data(try readLine())
        guard let reply = try? JSONDecoder().decode(OperatorReply.self, from: answer) else {
            throw .unreachable("what answers at \(path) is no mooring-ha of this version")
        }
        if let error = reply.error { throw .refused(error, reply.errorKind ?? .unusable) }
        return reply
    }

    private func write(_ bytes: [UInt8]) throws(OperatorClientError) {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .unreachable("mooring-ha has closed the connection at \(path)") }
            written += count
        }
    }

    private mutating func readLine() throws(OperatorClientError) -> [UInt8] {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(received[..<end])
                received.removeFirst(end + 1)
                return line
            }
            guard received.count <= Self.replyLimit else { throw .unreachable("\(path) sends a line without an end") }
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let reason = count == 0 ? "closed the connection" : String(cString: strerror(errno))
                throw .unreachable("no answer of mooring-ha at \(path): \(reason)")
            }
            received.append(contentsOf: chunk[..<count])
        }
    }
}

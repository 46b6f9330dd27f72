import ControlProtocol
import Glibc

/// A client that sends whatever bytes it is told to. Its calls wait for 60 seconds at the most.
package final class RawConnection: Sendable {
    /// The stream ended where more was expected.
    package struct Ended: Error {}

    private let descriptor: CInt

    package init(_ path: String) throws {
        descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError("socket") }
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { [descriptor] in
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw SystemError("connect") }
    }

    /// Connects and says hello.
    package static func greeted(_ path: String) throws -> RawConnection {
        let connection = try RawConnection(path)
        try connection.send(frame(request(1) { $0.hello.version = 1 }))
        guard case .hello = try connection.receive().body else { throw Ended() }
        return connection
    }

    deinit { close(descriptor) }

    /// Sends all bytes. What a server that has closed no longer takes is let go.
    package func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EPIPE || errno == ECONNRESET { return }
            guard count > 0 else { throw SystemError("send") }
            sent += count
        }
    }

    /// Sends nothing more.
    package func endSending() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// So many bytes.
    package func receive(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var received = 0
        while received < count {
            let result = bytes[received...].withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            // Other tests of this process send signals.
            if result < 0 && errno == EINTR { continue }
            if result == 0 || (result < 0 && errno == ECONNRESET) { throw Ended() }
            guard result > 0 else { throw SystemError("recv") }
            received += result
        }
        return bytes
    }

    /// The bytes of the next frame, its length among them.
    package func receiveFrame() throws -> [UInt8] {
        let length = try receive(4)
        return length + (try receive(length.reduce(0) { $0 << 8 | Int($1) }))
    }

    /// The next reply.
    package func receive() throws -> ControlReply {
        try ControlReply(serializedBytes: Array(receiveFrame().dropFirst(4)))
    }

    /// Whether the server closes, with nothing more to say.
    package func isAtEnd() throws -> Bool {
        do {
            _ = try receive(1)
            return false
        } catch is Ended {
            return true
        }
    }
}

/// A request.
package func request(_ id: UInt64, _ fill: (inout ControlRequest) -> Void) -> ControlRequest {
    var request = ControlRequest()
    request.id = id
    fill(&request)
    return request
}

/// A message as a frame.
package func frame(_ request: ControlRequest) throws -> [UInt8] { frame(try request.serializedBytes() as [UInt8]) }

/// Bytes as a frame.
package func frame(_ bytes: [UInt8]) -> [UInt8] {
    withUnsafeBytes(of: UInt32(bytes.count).bigEndian, Array.init) + bytes
}

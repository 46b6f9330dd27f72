// The socket by which a daemon is taken over, beside its control socket. Who may connect to it gets the devices, so it is
// for root and the daemon's own user alone: its file's mode says so, and the kernel's word on who is at the other end.

import Glibc

/// A socket, of one of these processes or of both: the daemon's descriptor is handed over too.
public final class SuccessionListener: Sendable {
    /// Where it lies beside a control socket.
    public static func path(beside socket: String) -> String { socket + ".upgrade" }

    /// Owned by this.
    public let descriptor: CInt
    private let path: String

    /// Listens, in place of what lies there: who has the control socket of that name has this too.
    public init(path: String) throws(SuccessionError) {
        self.path = path
        var address = try UnixSocket.address(path)
        descriptor = try UnixSocket.open()
        do throws(SuccessionError) {
            guard unlink(path) == 0 || errno == ENOENT else { throw UnixSocket.failure("removing \(path)") }
            guard UnixSocket.with(&address, { bind(descriptor, $0, $1) }) == 0 else {
                throw UnixSocket.failure("making \(path)")
            }
            // Until it listens nobody can connect, whatever the mode was.
            guard chmod(path, 0o600) == 0, listen(descriptor, 2) == 0 else {
                throw UnixSocket.failure("listening at \(path)")
            }
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// A descriptor of a predecessor, which this owns from now on.
    public init(descriptor: CInt, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// Waits for somebody who may take over; others are sent away.
    public func accept() throws(SuccessionError) -> SuccessionConnection {
        while true {
            let accepted = Glibc.accept(descriptor, nil, nil)
            guard accepted >= 0 else {
                if errno == EINTR || errno == ECONNABORTED { continue }
                throw UnixSocket.failure("accepting")
            }
            _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
            let connection = SuccessionConnection(accepted)
            if connection.peer.map({ $0.user == 0 || $0.user == geteuid() }) ?? false { return connection }
        }
    }

    /// Removes the file.
    public func removeFile() { unlink(path) }
}

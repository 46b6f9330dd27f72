// The socket's file. Between looking whether a file that is there belongs to a daemon that lives, removing it, and
// listening on one's own, another instance may do the same; so all of it happens under flock(2) on the directory. The
// mode and the group are set before listen(2), until which the kernel refuses connections.

import Glibc

/// Why the socket can't be had.
public struct ControlSocketError: Error, Hashable, CustomStringConvertible {
    /// What is wrong and what to do.
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// A listening Unix stream socket and its file.
public struct ControlSocket: Sendable {
    /// The descriptor.
    public let descriptor: CInt
    private let path: String
    /// Nil where there is none.
    private let file: FileIdentity?

    /// Which file a path led to.
    private struct FileIdentity: Hashable {
        let device: dev_t
        let inode: ino_t

        init(_ status: stat) {
            device = status.st_dev
            inode = status.st_ino
        }
    }

    /// Listens at `path`, in place of a socket file that nobody listens at any more.
    /// - Parameters:
    ///   - mode: of the file.
    ///   - group: whose the file is to be; nil leaves it to the process.
    /// - Throws: where another process listens there, the file is no socket, or rights are missing.
    public static func listen(at path: String, mode: mode_t, group: gid_t?) throws(ControlSocketError) -> ControlSocket
    {
        var address = try socketAddress(path)
        let lock = try lockDirectory(of: path)
        defer { Glibc.close(lock) }
        try removeStaleFile(at: path, address: &address)
        let descriptor = try openSocket()
        guard withSocketAddress(&address, { bind(descriptor, $0, $1) }) == 0 else {
            let reason = errorText()
            Glibc.close(descriptor)
            throw ControlSocketError("can't make the socket \(path): \(reason)")
        }
        do throws(ControlSocketError) {
            if let group, lchown(path, uid_t.max, group) != 0 {
                throw ControlSocketError("can't give the socket \(path) to group \(group): \(errorText())")
            }
            var status = stat()
            guard chmod(path, mode) == 0, lstat(path, &status) == 0 else {
                throw ControlSocketError("can't set the mode of the socket \(path): \(errorText())")
            }
            guard Glibc.listen(descriptor, 128) == 0 else {
                throw ControlSocketError("can't listen at \(path): \(errorText())")
            }
            return ControlSocket(descriptor: descriptor, path: path, file: FileIdentity(status))
        } catch {
            Glibc.close(descriptor)
            unlink(path)
            throw error
        }
    }

    /// Takes over a socket that another process listens at. Its file may be gone, by a mistake of somebody's; then
    /// `isReachable` is false.
    /// - Parameter descriptor: which this has from now on.
    init(adopting descriptor: CInt, at path: String) {
        var status = stat()
        let isThere = lstat(path, &status) == 0
        self.init(descriptor: descriptor, path: path, file: isThere ? FileIdentity(status) : nil)
    }

    /// Whether there is a file to connect to.
    var isReachable: Bool { file != nil }

    private init(descriptor: CInt, path: String, file: FileIdentity?) {
        self.descriptor = descriptor
        self.path = path
        self.file = file
    }

    /// Removes the file, where it is still the one that was made.
    public func removeFile() {
        var status = stat()
        if lstat(path, &status) == 0, FileIdentity(status) == file { unlink(path) }
    }

    /// Closes the descriptor; for who has not given it to a channel.
    public func close() { Glibc.close(descriptor) }

    /// Takes no more connections, and accepts those that wait.
    static func takeWaiting(of listener: CInt) -> [CInt] {
        // From here on connect(2) is refused, so the queue only gets shorter.
        guard shutdown(listener, CInt(SHUT_RD)) == 0 else { return [] }
        var taken: [CInt] = []
        while true {
            let descriptor = accept(listener, nil, nil)
            if descriptor >= 0 {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                taken.append(descriptor)
            } else if errno != EINTR {
                return taken
            }
        }
    }

    private static func openSocket() throws(ControlSocketError) -> CInt {
        let type = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { throw ControlSocketError("can't make a socket: \(errorText())") }
        return descriptor
    }

    /// Checks that the calling thread could make and remove a socket at `path`: who makes it with more rights than are
    /// left at the end would leave its file behind.
    public static func checkDirectory(of path: String) throws(ControlSocketError) {
        let directory = directory(of: path)
        guard faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0 else {
            throw ControlSocketError(
                "the socket's directory \(directory) can't be written: \(errorText()); have it belong to the user that "
                    + "this program runs as, whose rights are those of any user, or choose another path")
        }
    }

    private static func directory(of path: String) -> String {
        let end = path.lastIndex(of: "/")
        return end.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }

    private static func lockDirectory(of path: String) throws(ControlSocketError) -> CInt {
        let directory = directory(of: path)
        let lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard lock >= 0 else {
            throw ControlSocketError("can't use the socket's directory \(directory): \(errorText())")
        }
        // Another instance holds the lock for an instant only; whoever holds it longer is not waited for.
        for _ in 0..<100 {
            if flock(lock, LOCK_EX | LOCK_NB) == 0 { return lock }
            guard errno == EWOULDBLOCK || errno == EINTR else { break }
            usleep(20_000)
        }
        let reason = errorText()
        Glibc.close(lock)
        throw ControlSocketError("can't lock the socket's directory \(directory): \(reason)")
    }

    private static func removeStaleFile(at path: String, address: inout sockaddr_un) throws(ControlSocketError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw ControlSocketError("can't look at \(path): \(errorText())")
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw ControlSocketError("\(path) is there and no socket; remove it, or choose another path")
        }
        let probe = try openSocket()
        defer { Glibc.close(probe) }
        if withSocketAddress(&address, { connect(probe, $0, $1) }) == 0 || errno == EAGAIN {
            throw ControlSocketError(
                "another process answers at \(path); stop it, or choose another path for this one")
        }
        guard errno == ECONNREFUSED else {
            if errno == ENOENT { return }
            throw ControlSocketError("can't tell whether another process listens at \(path): \(errorText())")
        }
        guard unlink(path) == 0 || errno == ENOENT else {
            throw ControlSocketError("can't remove the stale socket \(path): \(errorText())")
        }
    }

    private static func socketAddress(_ path: String) throws(ControlSocketError) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path) - 1
        guard (1...capacity).contains(path.utf8.count), !path.utf8.contains(0) else {
            throw ControlSocketError("the path of a socket has 1 to \(capacity) bytes: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return address
    }

    private static func withSocketAddress(
        _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }
}

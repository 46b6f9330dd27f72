// What can go wrong on the client's side, said so that who reads it knows what to do.

import Glibc
import NIOCore
import NIOPosix

/// Why a client got no answer that it can use.
public enum ControlClientError: Error, Hashable, CustomStringConvertible {
    /// The daemon can't be reached; says why, and what to do.
    case unreachable(String)
    /// The daemon answered with an error.
    case refused(ControlError)
    /// The connection ended before the reply was there.
    case closed(String)
    /// The daemon sent what this client makes no sense of.
    case unexpected(String)

    /// For people.
    public var description: String {
        switch self {
        case .unreachable(let reason): reason
        case .refused(let error): error.description
        case .closed(let reason): "the connection to mooringd ended: \(reason)"
        case .unexpected(let what): "mooringd answered with \(what); are its version and mine too far apart?"
        }
    }

    /// Runs what throws nothing else, as far as this module has a say.
    static func rethrowing<Result>(
        _ body: () async throws -> Result
    ) async throws(ControlClientError) -> Result {
        do {
            return try await body()
        } catch let error as ControlClientError {
            throw error
        } catch {
            throw .closed("\(error)")
        }
    }

    /// Says why there is no connection, and what to do.
    static func explain(_ error: any Error, path: String) -> String {
        switch (error as? IOError)?.errnoCode {
        case ENOENT, ENOTDIR: "there is no socket at \(path); is mooringd running? --socket names another"
        case ECONNREFUSED where !isSocket(path): "\(path) is no socket; --socket names another"
        case ECONNREFUSED: "nobody listens at \(path); mooringd has ended without removing it: start it again"
        case EACCES, EPERM: explainDenial(path: path)
        case EPROTOTYPE, ENOTSOCK: "\(path) is no socket of mooringd; --socket names another"
        case EAGAIN: "mooringd is too busy to take another connection at \(path); try again"
        case nil where error is SocketAddressError:
            "\(path) is too long for the path of a socket; --socket names another"
        default: "can't connect to \(path): \(error)"
        }
    }

    private static func isSocket(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFSOCK
    }

    private static func explainDenial(path: String) -> String {
        var status = stat()
        guard stat(path, &status) == 0 else {
            return "may not look at \(path); become root, or a member of the group of its directory"
        }
        // The group of a socket for which none was named is the daemon's own, and gives no right.
        guard status.st_gid != 0 else {
            return "may not use \(path); become root, or have mooringd's --socket-group name a group of yours"
        }
        let group = getgrgid(status.st_gid).map { String(cString: $0.pointee.gr_name) } ?? "\(status.st_gid)"
        return "may not use \(path); become root, or a member of group \(group) (usermod -aG \(group) USER, "
            + "and log in again)"
    }
}

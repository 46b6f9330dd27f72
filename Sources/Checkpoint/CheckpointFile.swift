// The files of a checkpoint:
//
//     FILE            the last
//     FILE.previous   the one before
//     FILE.new        one that is being written; what a crash left of it is written over
//     FILE.damaged    one that could not be used, for whoever wants to know why
//     FILE.lock       held by the process that writes (flock(2))
//
// A new one is written to its end and flushed to the disk before it gets its name, and the name is flushed too. So at any
// moment, also of a crash or of a power cut, FILE is a whole checkpoint, or FILE.previous is.

import Glibc

/// Where a checkpoint lies.
public struct CheckpointFile: Hashable, Sendable {
    /// Of the last checkpoint.
    public let path: String

    /// The files at that path.
    public init(path: String) { self.path = path }

    /// Of the one before.
    public var previousPath: String { path + ".previous" }
    var newPath: String { path + ".new" }
    var damagedPath: String { path + ".damaged" }
    var lockPath: String { path + ".lock" }
    /// Which all of them lie in.
    public var directory: String {
        guard let end = path.lastIndex(of: "/") else { return "." }
        return end == path.startIndex ? "/" : String(path[..<end])
    }

    /// Keeps other processes from writing here, as long as the descriptor that it returns is open.
    public func lock() throws(CheckpointError) -> CInt {
        let descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .failed("opening \(lockPath)", errorNumber: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            close(descriptor)
            throw reason == EWOULDBLOCK ? .inUse : .failed("locking \(lockPath)", errorNumber: reason)
        }
        return descriptor
    }

    /// Hands the last checkpoint that can be used to `body`.
    /// - Parameters:
    ///   - unusable: is told of each that can't be used, and why. The last one is then kept beside.
    ///   - body: reads it from a descriptor (`CheckpointContents`), or throws where it can't be taken.
    /// - Returns: what `body` returns; nil where there is no checkpoint that can be used.
    /// - Throws: where the operator has something to put right first.
    public func load<Result>(
        unusable: (_ path: String, CheckpointError) -> Void,
        _ body: (_ descriptor: CInt, _ path: String) throws(CheckpointError) -> Result
    ) throws(CheckpointFileError) -> Result? {
        for path in [path, previousPath] {
            do throws(CheckpointError) {
                guard let descriptor = try Self.openTrusted(path) else { continue }
                defer { close(descriptor) }
                return try body(descriptor, path)
            } catch {
                guard error.allowsPrevious else { throw CheckpointFileError(path, error) }
                unusable(path, error)
                // Else it would become the one before, in the place of one that can be used.
                if path == self.path { rename(path, damagedPath) }
            }
        }
        return nil
    }

    /// Opens a file that only this user or root may have written.
    /// - Returns: nil where there is none.
    private static func openTrusted(_ path: String) throws(CheckpointError) -> CInt? {
        // Without waiting, should it be a pipe.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else {
            switch errno {
            case ENOENT: return nil
            case ELOOP: throw .notTrusted("it is a symbolic link; remove it, or name the file that it leads to")
            case EACCES, EPERM:
                throw .notTrusted("user \(geteuid()) may not read it; give it to that user, or remove it")
            default: throw .failed("opening", errorNumber: errno)
            }
        }
        do throws(CheckpointError) {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw .failed("looking at it", errorNumber: errno) }
            guard status.st_mode & S_IFMT == S_IFREG else { throw .notTrusted("it is no regular file; remove it") }
            guard status.st_uid == 0 || status.st_uid == geteuid() else {
                throw .notTrusted(
                    "it belongs to user \(status.st_uid), not to root or to user \(geteuid()); chown it, or remove it")
            }
            guard status.st_mode & 0o022 == 0 else {
                throw .notTrusted("others may write to it; chmod 600 it, or remove it")
            }
            return descriptor
        } catch {
            close(descriptor)
            throw error
        }
    }
}

/// What is wrong with a checkpoint, and with which.
public struct CheckpointFileError: Error, Hashable, CustomStringConvertible {
    /// Where it lies.
    public let path: String
    /// What is wrong with it.
    public let error: CheckpointError

    init(_ path: String, _ error: CheckpointError) {
        self.path = path
        self.error = error
    }

    /// Which, and what is wrong with it.
    public var description: String { "the checkpoint \(path) \(error)" }
}

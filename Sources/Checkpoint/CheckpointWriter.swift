// Writes one checkpoint: block by block into a new file, and then in the place of the last. It may wait for the disk, so it
// belongs to a thread that may.

import Glibc

/// A checkpoint that is being written.
public final class CheckpointWriter {
    private let file: CheckpointFile
    private let descriptor: CInt
    private let stream: CheckpointStream
    private var isCommitted = false
    /// In bytes, so far.
    public var size: Int { stream.size }

    /// Begins a new file.
    public init(_ file: CheckpointFile, header: CheckpointHeader) throws(CheckpointError) {
        self.file = file
        if unlink(file.newPath) != 0, errno != ENOENT { throw .failed("removing \(file.newPath)", errorNumber: errno) }
        descriptor = open(file.newPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .failed("making \(file.newPath)", errorNumber: errno) }
        stream = CheckpointStream(descriptor, name: file.newPath)
        try stream.begin(header)
    }

    deinit {
        close(descriptor)
        if !isCommitted { unlink(file.newPath) }
    }

    /// Adds a block.
    public func write(_ block: consuming CheckpointBlock) throws(CheckpointError) {
        try stream.write(block)
    }

    /// Makes it the last checkpoint, behind the last block.
    public func commit() throws(CheckpointError) {
        guard fsync(descriptor) == 0 else { throw .failed("flushing \(file.newPath)", errorNumber: errno) }
        // A second name for the last one first: there is no moment without one. Not every file system has such names.
        let link = file.previousPath + ".new"
        unlink(link)
        let isLinked = Glibc.link(file.path, link) == 0
        if isLinked || errno != ENOENT {
            guard rename(isLinked ? link : file.path, file.previousPath) == 0 else {
                let reason = errno
                if isLinked { unlink(link) }
                throw .failed("keeping \(file.previousPath)", errorNumber: reason)
            }
        }
        guard rename(file.newPath, file.path) == 0 else { throw .failed("making \(file.path)", errorNumber: errno) }
        isCommitted = true
        let directory = open(file.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw .failed("opening \(file.directory)", errorNumber: errno) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw .failed("flushing \(file.directory)", errorNumber: errno) }
    }
}

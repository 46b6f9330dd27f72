// The files: who may have written them, what stays when writing fails.

import Bindings
import Forwarding
import Foundation
import Glibc
import TestSupport
import Testing
import Wire

@testable import Checkpoint

@Suite("Files of a checkpoint") struct FileTests {
    private func table(_ count: Int) throws -> BindingTable {
        var generator = SeededGenerator(seed: 3)
        let table = try BindingTable.sample()
        _ = try table.put((0..<count).map { sampleBinding($0, using: &generator) }, now: 0)
        return table
    }

    private func names(in directory: String) throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: directory))
    }

    private func load(_ file: CheckpointFile) throws -> Int? {
        try file.load(unusable: { _, _ in }) { (descriptor, _) throws(CheckpointError) in
            try ReadCheckpoint(descriptor).bindings.count
        }
    }

    @Test("The last and the one before are kept, for their owner alone")
    func kept() async throws {
        try await TemporaryDirectory.with { directory in
            let file = CheckpointFile(path: "\(directory)/bindings")
            #expect(try load(file) == nil)
            for count in 1...3 { try write(table(count), number: UInt64(count), to: file) }
            #expect(try names(in: directory) == ["bindings", "bindings.previous"])
            #expect(try read(file.path).bindings.count == 3 && read(file.previousPath).bindings.count == 2)
            for path in [file.path, file.previousPath] {
                var status = stat()
                #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            }
            // A crash between two names leaves the one before.
            unlink(file.path)
            #expect(try load(file) == 2)
            try write(table(4), to: file)
            #expect(try read(file.path).bindings.count == 4 && read(file.previousPath).bindings.count == 2)
        }
    }

    @Test("What was given up leaves nothing, and what a crash left of one is written over")
    func givenUp() async throws {
        try await TemporaryDirectory.with { directory in
            let file = CheckpointFile(path: "\(directory)/bindings")
            try write(table(1), to: file)
            do { _ = try CheckpointWriter(file, header: CheckpointHeader(clock: .now(), number: 2)) }
            #expect(try names(in: directory) == ["bindings"])
            try Data("left by a crash".utf8).write(to: URL(fileURLWithPath: file.newPath))
            symlink("/nowhere", file.previousPath + ".new")
            try write(table(2), to: file)
            #expect(try names(in: directory) == ["bindings", "bindings.previous"])
            #expect(try read(file.path).bindings.count == 2 && read(file.previousPath).bindings.count == 1)
        }
    }

    @Test("Where a new one can't be made, the error says which call failed and why")
    func unwritable() async throws {
        try await TemporaryDirectory.with { directory in
            let file = CheckpointFile(path: "\(directory)/missing/bindings")
            #expect(throws: CheckpointError.failed("making \(file.newPath)", errorNumber: ENOENT)) {
                try write(table(1), to: file)
            }
            let occupied = CheckpointFile(path: "\(directory)/bindings")
            try write(table(1), to: occupied)
            mkdir(occupied.previousPath, 0o700)
            #expect(throws: CheckpointError.failed("keeping \(occupied.previousPath)", errorNumber: EISDIR)) {
                try write(table(2), to: occupied)
            }
            #expect(try names(in: directory) == ["bindings", "bindings.previous"])
            #expect(try read(occupied.path).bindings.count == 1)
        }
    }

    @Test("Who holds the lock keeps others from writing")
    func locked() async throws {
        try await TemporaryDirectory.with { directory in
            let file = CheckpointFile(path: "\(directory)/bindings")
            let lock = try file.lock()
            #expect(throws: CheckpointError.inUse) { try file.lock() }
            close(lock)
            close(try file.lock())
        }
    }

    @Test("A file that others may have written is refused, and says what to do")
    func notTrusted() async throws {
        try await TemporaryDirectory.with { directory in
            let file = CheckpointFile(path: "\(directory)/bindings")
            try write(table(1), to: file)
            try write(table(2), to: file)
            func expectRefusal(_ part: String) {
                let error = #expect(throws: CheckpointFileError.self) { try load(file) }
                #expect(error?.description.contains(part) == true, "\(String(describing: error))")
            }
            chmod(file.path, 0o602)
            expectRefusal("chmod 600")
            chmod(file.path, 0o620)
            expectRefusal("chmod 600")
            chmod(file.path, 0o644)
            #expect(try load(file) == 2, "who may read it does no harm")
            rename(file.path, directory + "/elsewhere")
            symlink(directory + "/elsewhere", file.path)
            expectRefusal("symbolic link")
            unlink(file.path)
            mkfifo(file.path, 0o600)
            expectRefusal("no regular file")
            unlink(file.path)
            // The one before is looked at in the same way.
            chmod(file.previousPath, 0o666)
            expectRefusal("\(file.previousPath) is not trusted")
        }
    }

    @Test("A file of another user is refused", .enabled(if: FileOwnership.canGive(toGroup: 1)))
    func foreign() async throws {
        try await TemporaryDirectory.with { directory in
            let file = CheckpointFile(path: "\(directory)/bindings")
            try write(table(1), to: file)
            try #require(chown(file.path, 1, 1) == 0)
            let error = #expect(throws: CheckpointFileError.self) { try load(file) }
            #expect(error?.description.contains("belongs to user 1") == true)
        }
    }

    @Test("A binding file is the same where its bytes are")
    func digest() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/file"
            #expect(CheckpointFileDigest(contentsOf: path) == nil)
            try Data("one".utf8).write(to: URL(fileURLWithPath: path))
            let digest = CheckpointFileDigest(contentsOf: path)
            #expect(digest == CheckpointFileDigest(of: Array("one".utf8)))
            try Data("two".utf8).write(to: URL(fileURLWithPath: path))
            #expect(CheckpointFileDigest(contentsOf: path) != digest)
        }
    }
}

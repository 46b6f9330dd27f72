// Whatever becomes of a file, what is read is a whole state, the last or the one before, or none.

import Bindings
import Forwarding
import Foundation
import Glibc
import TestSupport
import Testing
import Wire

@testable import Checkpoint

@Suite("Damaged checkpoints") struct DamageTests {
    /// Two checkpoints of different tables, the second made while it changed.
    private struct Fixture {
        let file: CheckpointFile
        let last: [UInt8]
        let previous: [UInt8]
        let lastDump: [String]
        let previousDump: [String]

        init(in directory: String) throws {
            var generator = SeededGenerator(seed: 7)
            file = CheckpointFile(path: "\(directory)/bindings")
            let table = try BindingTable.sample()
            let group = IPv6Address("ff3e::1")!
            var binding = Binding(id: "member", careOfAddress: IPv4Address("203.0.113.9")!)
            binding.gre = nil
            _ = try table.put([binding] + (0..<3).map { sampleBinding($0, using: &generator) }, now: 0)
            try table.join(group, ["member"])
            try write(table, to: file)
            previousDump = try read(file.path).dump
            previous = Array(try Data(contentsOf: URL(fileURLWithPath: file.path)))
            _ = try table.put((4..<8).map { sampleBinding($0, using: &generator) }, now: 0)
            _ = table.leave(group, ["member"])
            try write(table, number: 2, to: file)
            lastDump = try read(file.path).dump
            #expect(lastDump != previousDump)
            last = Array(try Data(contentsOf: URL(fileURLWithPath: file.path)))
            #expect(try Array(Data(contentsOf: URL(fileURLWithPath: file.previousPath))) == previous)
        }

        func put(_ bytes: [UInt8], at path: String) throws {
            let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            defer { close(descriptor) }
            try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        }

        /// What comes back, and what was told of files that could not be used.
        func load() throws -> (dump: [String]?, errors: [CheckpointError]) {
            var errors: [CheckpointError] = []
            let dump = try file.load(unusable: { errors.append($1) }) {
                (descriptor, _) throws(CheckpointError) -> [String] in
                try ReadCheckpoint(descriptor).dump
            }
            return (dump, errors)
        }
    }

    @Test("Cut at any byte, the one before is used, and that is told")
    func cut() async throws {
        try await TemporaryDirectory.with { directory in
            let fixture = try Fixture(in: directory)
            #expect(try fixture.load().dump == fixture.lastDump)
            for length in 0..<fixture.last.count {
                try fixture.put(Array(fixture.last[..<length]), at: fixture.file.path)
                let (dump, errors) = try fixture.load()
                #expect(dump == fixture.previousDump, "cut at \(length)")
                #expect(errors.count == 1, "\(errors)")
                #expect(access(fixture.file.damagedPath, F_OK) == 0 && access(fixture.file.path, F_OK) != 0)
            }
            try fixture.put(fixture.last + [0], at: fixture.file.path)
            #expect(try fixture.load().dump == fixture.previousDump, "bytes behind the end")
        }
    }

    @Test("With any bit of any byte flipped, the one before is used, and that is told")
    func flipped() async throws {
        try await TemporaryDirectory.with { directory in
            let fixture = try Fixture(in: directory)
            for position in fixture.last.indices {
                for bit in 0..<8 {
                    var bytes = fixture.last
                    bytes[position] ^= 1 << UInt8(bit)
                    try fixture.put(bytes, at: fixture.file.path)
                    let (dump, errors) = try fixture.load()
                    #expect(dump == fixture.previousDump && errors.count == 1, "bit \(bit) of byte \(position)")
                }
            }
        }
    }

    @Test("Both damaged at random, nothing of either is used; there is no mixture and no crash")
    func random() async throws {
        let seed = RandomTest.seed(for: "damaged checkpoints")
        var generator = SeededGenerator(seed: seed)
        try await TemporaryDirectory.with { directory in
            let fixture = try Fixture(in: directory)
            func damaged(_ bytes: [UInt8]) -> [UInt8] {
                var bytes = bytes
                for _ in 0..<Int.random(in: 0...3, using: &generator) {
                    bytes[Int.random(in: bytes.indices, using: &generator)] = .random(in: 0...255, using: &generator)
                }
                if Int.random(in: 0..<4, using: &generator) == 0 {
                    bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator))
                }
                return bytes
            }
            for _ in 0..<RandomTest.count(500) {
                let (last, previous) = (damaged(fixture.last), damaged(fixture.previous))
                try fixture.put(last, at: fixture.file.path)
                try fixture.put(previous, at: fixture.file.previousPath)
                let expected =
                    last == fixture.last
                    ? fixture.lastDump : previous == fixture.previous ? fixture.previousDump : nil
                #expect(try fixture.load().dump == expected, "seed \(seed)")
            }
        }
    }

    /// Blocks of `last`, to be put together anew with checksums that are right.
    private func sealed(_ bytes: [UInt8], _ change: (inout [UInt8]) -> Void) -> [UInt8] {
        var result = Array(bytes[..<CheckpointFormat.headerLength])
        var checksum = result.withUnsafeBytes { $0.number(UInt32.self, at: 60) }
        var position = result.count
        while position < bytes.count {
            let length = bytes.withUnsafeBytes { Int($0.number(UInt32.self, at: position + 4)) }
            var block = Array(bytes[position..<position + CheckpointFormat.blockHeaderLength + length])
            change(&block)
            checksum = block.withUnsafeBytes { CheckpointBlock.checksum($0, behind: checksum) }
            block.withUnsafeMutableBytes { $0.store(checksum, at: 12) }
            result += block
            position += CheckpointFormat.blockHeaderLength + length
        }
        return result
    }

    @Test("What somebody wrote with checksums that are right is judged all the same")
    func hostile() async throws {
        let seed = RandomTest.seed(for: "hostile checkpoints")
        var generator = SeededGenerator(seed: seed)
        try await TemporaryDirectory.with { directory in
            let fixture = try Fixture(in: directory)
            #expect(sealed(fixture.last) { _ in } == fixture.last)
            var (taken, refused) = (0, 0)
            for _ in 0..<RandomTest.count(300) {
                let bytes = sealed(fixture.last) { block in
                    guard Bool.random(using: &generator) else { return }
                    for _ in 0..<Int.random(in: 1...3, using: &generator) {
                        // The length stays, or the blocks would not be found.
                        let position = Int.random(in: block.indices, using: &generator)
                        if !(4..<8).contains(position) { block[position] = .random(in: 0...255, using: &generator) }
                    }
                }
                try fixture.put(bytes, at: "\(directory)/hostile")
                do {
                    let contents = try read("\(directory)/hostile")
                    let table = try BindingTable.sample()
                    _ = try table.restore(
                        contents.bindings, groups: contents.groups, lastRevision: contents.lastRevision)
                    #expect(table.count <= contents.bindings.count)
                    taken += 1
                } catch {
                    refused += 1
                }
            }
            #expect(taken > 0 && refused > 0, "\(taken) taken, \(refused) refused, seed \(seed)")
        }
    }

    @Test(
        "Counts that are not those of what is there are told, whatever they say",
        arguments: [0, 1, 9, 4999, 5001, .max] as [UInt64])
    func counts(told: UInt64) async throws {
        try await TemporaryDirectory.with { directory in
            let fixture = try Fixture(in: directory)
            // Of bindings and of members, of which there are none.
            for offset in told == 0 ? [0] : [0, 8] {
                let bytes = sealed(fixture.last) { block in
                    guard block[0] == CheckpointFormat.Kind.end.rawValue else { return }
                    block.withUnsafeMutableBytes { $0.store(told, at: CheckpointFormat.blockHeaderLength + offset) }
                }
                try fixture.put(bytes, at: "\(directory)/hostile")
                let error = #expect(throws: CheckpointError.self) {
                    _ = try BindingTable.restored(from: read("\(directory)/hostile"))
                }
                if offset == 0, told > 5000 {
                    #expect(error == .tooMany("bindings", option: "--max-bindings", limit: 5000))
                } else {
                    #expect(error?.description.contains("are told") == true)
                }
            }
        }
    }

    @Test("More than the tables hold is an error that says which option to raise, and the one before is not used")
    func limits() async throws {
        try await TemporaryDirectory.with { directory in
            let fixture = try Fixture(in: directory)
            for (limits, option) in [
                (CheckpointContents.Limits(bindings: 7, prefixes: 20_000, members: 10), "--max-bindings"),
                (CheckpointContents.Limits(bindings: 8, prefixes: 1, members: 10), "--max-prefixes"),
            ] {
                let error = #expect(throws: CheckpointFileError.self) {
                    _ = try fixture.file.load(unusable: { _, _ in }) { (descriptor, _) throws(CheckpointError) in
                        try ReadCheckpoint(descriptor, limits: limits)
                    }
                }
                #expect(error?.description.contains("raise \(option)") == true)
                #expect(error?.path == fixture.file.path)
            }
            #expect(
                try read(fixture.file.previousPath, limits: .init(bindings: 4, prefixes: 99, members: 1)).groups.count
                    == 1)
            #expect(throws: CheckpointError.tooMany("members of groups", option: "--max-members", limit: 0)) {
                try read(fixture.file.previousPath, limits: .init(bindings: 4, prefixes: 99, members: 0))
            }
        }
    }

    @Test("Another version is named, and the one before is used")
    func version() async throws {
        try await TemporaryDirectory.with { directory in
            let fixture = try Fixture(in: directory)
            var bytes = fixture.last
            bytes[8] = 2
            let checksum = bytes.withUnsafeBytes { CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[..<60])) }
            bytes.withUnsafeMutableBytes { $0.store(checksum, at: 60) }
            try fixture.put(bytes, at: fixture.file.path)
            let (dump, errors) = try fixture.load()
            #expect(dump == fixture.previousDump && errors == [.version(2)])
        }
    }
}

extension ReadCheckpoint {
    /// All of it.
    fileprivate var dump: [String] {
        bindings.map { "\($0), by the file: \(self.fileBindings.contains($0.binding.id))" }.sorted()
            + self.groups.map { "\($0), by the file: \(self.fileMembers[$0.address] ?? [])" }
            + ["\(self.header.number), \(self.lastRevision), \(String(describing: self.file))"]
    }
}

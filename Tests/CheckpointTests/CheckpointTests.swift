// What is saved comes back, also where it changes while it is saved.

import Bindings
import Forwarding
import Foundation
import TestSupport
import Testing
import Wire

@testable import Checkpoint

@Suite("Checkpoints") struct CheckpointTests {
    /// RFC 3720, B.4, and the check value of the catalogue of CRCs for "123456789".
    private static let checksums: [(bytes: [UInt8], value: UInt32)] = [
        ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
        (Array(0..<32), 0x46DD_794E), (Array((0..<32).reversed()), 0x113F_DB5C),
        (Array("123456789".utf8), 0xE306_9283), ([], 0),
    ]

    @Test("The checksum is that of RFC 3720", arguments: checksums)
    func checksum(bytes: [UInt8], value: UInt32) {
        #expect(bytes.withUnsafeBytes { CRC32C.checksum($0) } == value)
        // In pieces it is the same.
        for cut in 0...bytes.count {
            var checksum = CRC32C()
            bytes.withUnsafeBytes { bytes in
                checksum.update(UnsafeRawBufferPointer(rebasing: bytes[..<cut]))
                checksum = CRC32C(continuing: checksum.value)
                checksum.update(UnsafeRawBufferPointer(rebasing: bytes[cut...]))
            }
            #expect(checksum.value == value)
        }
    }

    @Test("All that a table keeps of its bindings comes back")
    func roundTrip() async throws {
        var generator = SeededGenerator(seed: RandomTest.seed(for: "checkpoint round trip"))
        try await TemporaryDirectory.with { directory in
            let table = try BindingTable.sample()
            let bindings = (0..<1500).map { sampleBinding($0, using: &generator) }
            _ = try table.put(bindings.filter { $0.lifetime == nil }, by: "home-agent", now: 1000)
            _ = try table.put(bindings.filter { $0.lifetime != nil }, now: 1000)
            let ids = table.ids(after: "", limit: .max)
            let able = bindings.filter { !$0.isMinimal }.map(\.id)
            let groups = [try #require(IPv6Address("ff3e::1")), try #require(IPv6Address("ff3e::2"))]
            try table.join(groups[0], Array(able.shuffled(using: &generator).prefix(500)))
            try table.join(groups[1], Array(able.prefix(1)))
            let origin = SampleOrigin()
            origin.fileBindings = Set(ids.prefix(7))
            origin.fileMembers = [groups[1]: [able[0]]]
            origin.fileDigest = CheckpointFileDigest(of: Array("a file".utf8))

            let file = CheckpointFile(path: "\(directory)/bindings")
            try write(table, origin, number: 9, to: file)
            let contents = try read(file.path)
            #expect(contents.header.number == 9)
            #expect(contents.lastRevision == table.lastRevision && table.lastRevision == 1500)
            #expect(contents.fileBindings == origin.fileBindings)
            #expect(contents.fileMembers == origin.fileMembers)
            #expect(contents.file == origin.fileDigest)
            #expect(contents.size == (try Data(contentsOf: URL(fileURLWithPath: file.path)).count))
            let restored = try BindingTable.restored(from: contents, now: 1000)
            #expect(restored.dump == table.dump)
            for id in ids.prefix(50) {
                let (old, new) = (try #require(table.state(of: id, now: 1000)), restored.state(of: id, now: 1000))
                #expect(old.binding == new?.binding && old.revision == new?.revision)
            }
            // A revision is never given again.
            _ = try restored.put([sampleBinding(4000, using: &generator)], now: 1000)
            #expect(restored.lastRevision == 1501)
        }
    }

    @Test("The format knows every field of a binding")
    func fields() {
        let binding = Binding(id: "mn1", careOfAddress: .unspecified)
        #expect(
            Mirror(reflecting: binding).children.count == 16,
            "what was added to a binding must be added to its record in CheckpointEncoder and CheckpointRecords")
    }

    @Test("An empty table and one of more than one block come back", arguments: [0, 1, 5000])
    func sizes(count: Int) async throws {
        try await TemporaryDirectory.with { directory in
            var generator = SeededGenerator(seed: 1)
            let table = try BindingTable.sample()
            _ = try table.put((0..<count).map { sampleBinding($0, using: &generator) }, now: 0)
            let file = CheckpointFile(path: "\(directory)/bindings")
            try write(table, to: file)
            let contents = try read(file.path)
            #expect(contents.bindings.count == count)
            if count == 5000 { #expect(contents.size > CheckpointFormat.blockLimit + CheckpointFormat.recordLimit) }
            #expect(try BindingTable.restored(from: contents).dump == table.dump)
        }
    }

    @Test("Bindings that change while they are copied are as they are at the end")
    func changesMeanwhile() async throws {
        let seed = RandomTest.seed(for: "checkpoint under changes")
        var generator = SeededGenerator(seed: seed)
        try await TemporaryDirectory.with { directory in
            for round in 0..<RandomTest.count(8) {
                let table = try BindingTable.sample()
                _ = try table.put((0..<400).map { sampleBinding($0, using: &generator) }, now: 0)
                let groups = (1...4).compactMap { IPv6Address("ff3e::\($0)") }
                // From few changes to more than what there is.
                let changes = [0, 1, 30, 100][round % 4]
                func change() throws {
                    for _ in 0..<changes {
                        let number = Int.random(in: 0..<450, using: &generator)
                        let ids = [number, number + 1].flatMap { ["mn\($0)", "a-node-with-a-long-name-\($0)"] }
                        let id = ids.first(where: table.isBound) ?? "nobody"
                        switch Int.random(in: 0..<8, using: &generator) {
                        case 0: _ = table.remove([id])
                        case 1...3: _ = try? table.put([sampleBinding(number, using: &generator)], now: 0)
                        case 4:
                            // Prefixes go from one binding to another.
                            guard let binding = table.saved(id)?.binding else { break }
                            var heir = binding
                            heir.id = "heir-\(number)"
                            _ = try? table.put([heir], superseding: [id], now: 0)
                        case 5: _ = table.leave(groups[number % 4], ids)
                        default: _ = try? table.join(groups[number % 4], [id])
                        }
                    }
                }
                try change()
                let file = CheckpointFile(path: "\(directory)/bindings")
                try write(table, number: UInt64(round), to: file, meanwhile: change)
                let contents = try read(file.path)
                #expect(contents.header.number == round)
                #expect(try BindingTable.restored(from: contents).dump == table.dump, "seed \(seed), round \(round)")
                #expect(!table.isNotingTouched && table.touchedNameCount == 0, "nothing is noted behind the end")
            }
        }
    }

    @Test("The same number of touches means that nothing has changed")
    func touches() throws {
        var generator = SeededGenerator(seed: 1)
        let table = try BindingTable.sample()
        let group = try #require(IPv6Address("ff3e::1"))
        var last = table.touchCount
        func expectChange(_ isChange: Bool, _ body: () throws -> Void) rethrows {
            try body()
            #expect((table.touchCount != last) == isChange)
            last = table.touchCount
        }
        var binding = sampleBinding(1, using: &generator)
        binding.encapsulation = .ipInIP
        (binding.gre, binding.udpPort, binding.lifetime) = (nil, nil, 1)
        binding.udpEncapsulation = .ipInIP
        try expectChange(true) { _ = try table.put([binding], now: 0) }
        expectChange(false) { _ = table.saved(binding.id) }
        try expectChange(true) { _ = try table.join(group, [binding.id]) }
        try expectChange(false) { _ = try table.join(group, [binding.id]) }
        expectChange(false) { _ = table.expire(now: 999_999_999) }
        expectChange(true) { _ = table.leave(group, [binding.id]) }
        expectChange(true) { _ = table.expire(now: 1_000_000_000) }
        expectChange(false) { _ = table.remove([binding.id]) }
    }
}

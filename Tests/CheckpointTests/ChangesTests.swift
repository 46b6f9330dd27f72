// A copy that follows a table: whatever happens to the one, the other is the same after the last changes.

import Bindings
import Glibc
import TestSupport
import Testing
import Wire

@testable import Checkpoint
@testable import Forwarding

@Suite("Changes behind a copy") struct ChangesTests {
    /// Writes to a file and reads again.
    private func pass<Contents>(
        _ directory: String, header: CheckpointHeader, _ blocks: [CheckpointBlock], _ read: (CInt) throws -> Contents
    ) throws -> Contents {
        let descriptor = open("\(directory)/changes", O_RDWR | O_CREAT | O_TRUNC, 0o600)
        defer { close(descriptor) }
        let stream = CheckpointStream(descriptor, name: "changes")
        try stream.begin(header)
        for block in blocks { try stream.write(block) }
        return try read(descriptor)
    }

    private func movement(of table: BindingTable) -> [String: String] {
        var all: [String: String] = [:]
        for id in table.ids(after: "", limit: .max) {
            guard let saved = table.saved(id) else { continue }
            all[id] = "\(saved.traffic) \(String(describing: saved.sequence))"
        }
        return all
    }

    /// What packets do.
    private func move(_ table: BindingTable, using generator: inout SeededGenerator) {
        for number in 0..<table.numberEnd where table.saved(at: number) != nil {
            if Int.random(in: 0..<4, using: &generator) == 0 {
                table.traffic.base[number].addToNode(bytes: 100, isShared: false)
            }
            let sequence = table.records.base[Int(table.store[UInt32(number)].record)].sequence
            // A number may be given without traffic, and the reverse.
            if sequence != .max, Int.random(in: 0..<4, using: &generator) == 0 {
                _ = table.sequences.base[Int(sequence)].takeNext()
            }
        }
    }

    private func change(_ table: BindingTable, using generator: inout SeededGenerator) throws {
        let groups = [try #require(IPv6Address("ff3e::1")), try #require(IPv6Address("ff3e::2"))]
        for _ in 0..<20 {
            let number = Int.random(in: 0..<300, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: _ = table.remove(["mn\(number)", "a-node-with-a-long-name-\(number)"])
            case 1: _ = try? table.join(groups.randomElement(using: &generator)!, ["mn\(number)"])
            case 2: table.leave(groups.randomElement(using: &generator)!, ["mn\(number)"])
            case 3:
                // Prefixes go round between some, in one change.
                var bindings: [Binding] = []
                let shift = Int.random(in: 0..<5, using: &generator)
                for index in 0..<5 {
                    let high = 0x2001_0db9_0000_0000 | UInt64((index + shift) % 5) << 16
                    bindings.append(
                        Binding(
                            id: "round-\(index)", careOfAddress: IPv4Address(rawValue: 0x0B00_0001),
                            prefixes: [BoundPrefix(.host(IPv6Address(high: high, low: 1)))]))
                }
                _ = try table.put(bindings, now: 1000)
            default:
                let binding = sampleBinding(number, using: &generator)
                // The other name of that node has the same prefixes.
                _ = try? table.put(
                    [binding], superseding: ["mn\(number)", "a-node-with-a-long-name-\(number)"], by: "owner",
                    now: 1000)
            }
        }
    }

    @Test("the copy is the same in the end, traffic and numbers too, and has only what changed in the last")
    func follow() async throws {
        let seed = RandomTest.seed(for: "changes behind a copy")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<RandomTest.count(10) {
            try await TemporaryDirectory.with { directory in
                let table = try BindingTable.sample()
                let origin = SampleOrigin()
                for _ in 0..<40 { try change(table, using: &generator) }
                move(table, using: &generator)
                var marks = TrafficMarks()
                for number in 0..<table.numberEnd { _ = marks.hasMoved(number, of: table, isTouched: true) }
                var blocks: [CheckpointBlock] = []
                let snapshot = CheckpointSnapshot(of: table, origin: origin, number: 1, keepsNoting: true) {
                    blocks.append($0)
                }
                while !snapshot.run(for: .zero) {
                    move(table, using: &generator)
                    if Bool.random(using: &generator) { try change(table, using: &generator) }
                }
                let contents = try pass("\(directory)", header: snapshot.header, blocks) { descriptor in
                    try ReadCheckpoint(descriptor)
                }
                let copy = try BindingTable.restored(from: contents)
                for round in 0..<4 {
                    let isLast = round == 3
                    if round > 0 {
                        try change(table, using: &generator)
                        move(table, using: &generator)
                    }
                    var blocks: [CheckpointBlock] = []
                    let changes = CheckpointChanges(
                        of: table, origin: origin, since: marks,
                        touchedMeanwhile: round == 0 ? snapshot.touchedMeanwhile : [], number: 1
                    ) {
                        blocks.append($0)
                    }
                    while !changes.run(for: isLast ? nil : .zero) {
                        move(table, using: &generator)
                        try change(table, using: &generator)
                    }
                    marks = changes.marks
                    let contents = try pass("\(directory)", header: changes.header, blocks) { descriptor in
                        try CheckpointChangeContents(descriptor: descriptor, limits: .test)
                    }
                    try copy.follow(
                        contents.bindings, removed: contents.removed, groups: contents.groups,
                        lastRevision: contents.lastRevision, now: 1000)
                }
                #expect(copy.dump == table.dump, "seed \(seed)")
                let (found, expected) = (movement(of: copy), movement(of: table))
                for (id, movement) in expected { #expect(found[id] == movement, "\(id), seed \(seed)") }
                #expect(copy.lastRevision == table.lastRevision)

                // Nothing has changed, so nothing is sent; one packet is one binding.
                var count = -1
                for expected in [0, 1] {
                    if expected == 1 {
                        table.traffic.base[try #require(table.number(of: "round-0"))]
                            .addFromNode(bytes: 1, isShared: false)
                    }
                    let none = CheckpointChanges(of: table, origin: origin, since: marks, number: 1) { _ in }
                    #expect(none.run(for: nil))
                    count = none.count
                    #expect(count == expected, "seed \(seed)")
                }
            }
        }
    }
}

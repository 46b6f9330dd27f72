// A table that is restored is as one into which the same bindings were put, and refuses what is at odds.

import Bindings
import TestSupport
import Testing
import Wire

@testable import Forwarding

@Suite("Restoring a binding table")
struct RestorationTests {
    private typealias Saved = BindingTable.Saved

    private static func saved(_ binding: Binding, revision: UInt64 = 1, owner: String = "") -> Saved {
        Saved(
            binding: binding, expiry: nil, revision: revision, traffic: BindingTraffic(), sequence: nil, owner: owner)
    }

    private func restore(
        _ table: BindingTable, _ saved: [Saved], expecting count: Int? = nil, now: UInt64 = 0
    ) throws(BindingTableError) -> [(id: String, reason: BindingTableError)] {
        var restoration = BindingTable.Restoration(
            into: table, expecting: count ?? saved.count, continuesSequences: true, now: now)
        for saved in saved { try restoration.add(saved) }
        return try restoration.finish(groups: [], lastRevision: 1000)
    }

    /// Everything that can be asked of a binding's tables.
    private func answers(_ table: BindingTable) -> [String] {
        table.dump()
            + table.ids(after: "", limit: .max).map { id in
                let binding = table.state(of: id, now: 0)!.binding
                let home = binding.homeAddress.flatMap { table.holder(of: IPv6Address(mapping: $0)) }
                let saved = table.saved(id)!
                return "\(home ?? "-") \(table.holder(atCareOf: binding.careOfAddress) != nil) \(saved.owner)"
                    + " \(String(describing: saved.sequence)) \(saved.expiry ?? 0)"
            }
    }

    private func randomBinding(_ number: Int, using generator: inout SeededGenerator) -> Binding {
        let part = String(number, radix: 16)
        // Some lie in others of the same binding.
        let catalogue = [
            "2001:db8:\(part)::/48", "2001:db8:\(part):1::/64", "2001:db8:\(part):1::9/128", "2001:db8:\(part):8::/61",
        ]
        var binding = Binding(
            "\(Bool.random(using: &generator) ? "mn" : "a-node-with-a-long-name-")\(number)",
            at: .random(in: 0..<200, using: &generator),
            catalogue.shuffled(using: &generator).dropLast(.random(in: 0...4, using: &generator)).map(\.self),
            endpoint: Bool.random(using: &generator) ? nil : "192.0.2.7",
            lifetime: Bool.random(using: &generator) ? nil : .random(in: 1...1000, using: &generator))
        if Bool.random(using: &generator) { binding.homeAddress = IPv4Address(rawValue: 0x6440_0000 + UInt32(number)) }
        if Bool.random(using: &generator) {
            binding.encapsulation = .gre
            binding.gre = GREOptions(key: 7, sequence: true)
        }
        binding.mtuDiscovery = Bool.random(using: &generator)
        return binding
    }

    @Test(
        "all that another table had is there, and what is done to both from then on does the same",
        arguments: [0, 1, 400])
    func same(count: Int) throws {
        let seed = RandomTest.seed(for: "restored binding table")
        var generator = SeededGenerator(seed: seed)
        let (table, restored) = (try BindingTable.make(bindingLimit: 500, prefixLimit: 2000), try make())
        func make() throws -> BindingTable { try BindingTable.make(bindingLimit: 500, prefixLimit: 2000) }
        for number in 0..<count {
            _ = try table.put(
                [randomBinding(number, using: &generator)], by: "owner \(number % 3)", now: UInt64(number))
        }
        for number in 0..<table.numberEnd {
            table.traffic.base[number].addToNode(bytes: number, isShared: false)
        }
        let all = (0..<table.numberEnd).compactMap { table.saved(at: $0) }.shuffled(using: &generator)
        #expect(try restore(restored, all).isEmpty)
        #expect(answers(restored) == answers(table), "seed \(seed)")
        #expect(restored.lastRevision == 1000)
        _ = try table.put([Binding("last", ["2001:dc8::/32"])], now: 500)
        _ = try restored.put([Binding("last", ["2001:dc8::/32"])], now: 500)
        for step in 0..<300 {
            let binding = randomBinding(.random(in: 0..<450, using: &generator), using: &generator)
            if Bool.random(using: &generator) {
                let ids = [binding.id]
                #expect(table.remove(ids).count == restored.remove(ids).count)
            } else {
                let expected = error { () throws(BindingTableError) in _ = try table.put([binding], now: 600) }
                let found = error { () throws(BindingTableError) in _ = try restored.put([binding], now: 600) }
                #expect(found == expected, "seed \(seed), step \(step)")
            }
        }
        #expect(
            restored.expire(now: 500_000_000_000).map(\.id).sorted()
                == table.expire(now: 500_000_000_000).map(\.id).sorted())
        func withoutRevision(_ table: BindingTable) -> [String] {
            answers(table).map { $0.replacing(/revision \d+/, with: "revision") }
        }
        #expect(withoutRevision(restored) == withoutRevision(table), "seed \(seed)")
    }

    private static let overlaps: [(first: String, second: String)] = [
        ("2001:db8::/48", "2001:db8::/48"), ("2001:db8::/48", "2001:db8:0:7::/64"), ("::/0", "2001:db8::/48"),
        ("2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128"), ("::/0", "::/0"),
    ]

    @Test("prefixes of two bindings that overlap are refused, by both names", arguments: overlaps, [false, true])
    func overlap(_ prefixes: (first: String, second: String), isTurned: Bool) throws {
        let table = try BindingTable.make()
        // Beside a binding that holds what lies about them, and one of whose own prefixes one lies in the other.
        let bindings = [
            Binding("x", ["2001:db7::/32"]), Binding("a", [prefixes.first]), Binding("b", [prefixes.second]),
            Binding("y", ["2001:db9::/32", "2001:db9:1::/48"]),
        ]
        let found = error { () throws(BindingTableError) in
            _ = try restore(table, (isTurned ? bindings.reversed() : bindings).map { Self.saved($0) })
        }
        guard case .conflict(let id, _, let holder, _) = found else {
            Issue.record("\(String(describing: found)), not a conflict")
            return
        }
        #expect(id != holder)
        if prefixes.first != "::/0" { #expect(Set([id, holder]) == ["a", "b"]) }
    }

    @Test("a binding's own prefixes may overlap, the one of length 0 too")
    func own() throws {
        let table = try BindingTable.make()
        let prefixes = ["2001:db8::/32", "::/0", "2001:db8:1::/48", "2001:db8:1::1/128"]
        _ = try restore(table, [Self.saved(Binding("a", prefixes))])
        #expect(table.prefixCount == 4 && table.holder("2001:db8:1::1") == "a" && table.holder("::1") == "a")
        _ = try table.put([Binding("a", ["2001:db8:1::/48"])], now: 0)
        #expect(table.prefixCount == 1 && table.holder("2001:db8:1::1") == "a" && table.holder("::1") == nil)
    }

    @Test("two bindings of one id, or of one home address, are refused")
    func twice() throws {
        let bindings = (0..<90).map { Binding("mn\($0)", at: UInt32($0), ["2001:db8:\($0)::/48"]) }
        let same = error { () throws(BindingTableError) in
            _ = try restore(try! .make(), (bindings + [Binding("mn17", [])]).map { Self.saved($0) })
        }
        #expect(same?.bindingID == "mn17" && same?.description.contains("stands twice") == true)
        var (first, second) = (bindings[3], bindings[88])
        first.homeAddress = IPv4Address("198.51.100.7")
        second.homeAddress = first.homeAddress
        let home = error { () throws(BindingTableError) in
            _ = try restore(try! .make(), [first, bindings[5], second].map { Self.saved($0) })
        }
        #expect(home == .homeAddressConflict("mn88", IPv4Address("198.51.100.7")!, holder: "mn3"))
    }

    @Test("more than the table holds is refused, whatever was said to come", arguments: [0, 3, 1_000_000_000])
    func limits(expected: Int) throws {
        let bindings = (0..<4).map { Self.saved(Binding("mn\($0)", at: UInt32($0), ["2001:db8:\($0)::/48"])) }
        let full = try BindingTable.make(bindingLimit: 4, prefixLimit: 4)
        _ = try restore(full, bindings, expecting: expected)
        #expect(full.count == 4 && full.holder("2001:db8:3::1") == "mn3")
        let tooMany = error { () throws(BindingTableError) in
            _ = try restore(try! .make(bindingLimit: 3), bindings, expecting: expected)
        }
        #expect(tooMany == .tooManyBindings(limit: 3))
        let tooWide = error { () throws(BindingTableError) in
            _ = try restore(try! .make(prefixLimit: 3), bindings, expecting: expected)
        }
        #expect(tooWide == .tooManyPrefixes(limit: 3))
        let owned = (0...BindingLimits.owners).map { number in
            Self.saved(Binding("mn\(number)", at: UInt32(number), []), owner: "\(number)")
        }
        let owners = error { () throws(BindingTableError) in _ = try restore(try! .make(bindingLimit: 999), owned) }
        #expect(owners == .tooManyOwners(limit: BindingLimits.owners))
    }

    @Test("what the configuration does not allow, or has ended, is left out, and the rest is there")
    func leftOut() throws {
        let table = try BindingTable.make(endpoint: nil)
        var ended = Self.saved(Binding("ended", ["2001:db8::/32"], endpoint: "192.0.2.1"))
        ended.expiry = 10
        let refused = try restore(
            table,
            [
                ended, Self.saved(Binding("a", ["2001:db8::/48"])),
                Self.saved(Binding("b", ["2001:db8::/48"], endpoint: "192.0.2.1")),
                Self.saved(Binding("no id", ["2001:db9::/48"], endpoint: "192.0.2.1")),
            ], now: 10)
        #expect(refused.map(\.id) == ["a", "no id"])
        #expect(Array(table.ids(after: "", limit: 9)) == ["b"] && table.holder("2001:db8::1") == "b")
        #expect(table.namedEndpoints == [IPv4Address("192.0.2.1")!: 1])
    }
}

// An owner names all its bindings anew: what it names stays as it is, what it does not goes, and packets do not notice.

import Bindings
import Forwarding
import TestSupport
import Testing
import Wire

@Suite("Resynchronisation")
struct ResynchronizationTests {
    private static let second: UInt64 = 1_000_000_000

    /// Sweeps to the end, in slices of a few places.
    private func sweep(_ table: BindingTable, _ resynchronization: BindingTable.Resynchronization) -> [String] {
        var resynchronization = resynchronization
        var removed: [String] = []
        while let gone = table.sweep(&resynchronization, slots: 3, limit: 2) {
            #expect(gone.count <= 2)
            removed += gone.map(\.id)
        }
        return removed
    }

    @Test("a binding that is put as it is there is only named: no revision, no replacement, but its lifetime anew")
    func keeps() throws {
        let table = try BindingTable.make()
        let bindings = [
            Binding("a", ["2001:db8:a::/48"], lifetime: 10), Binding("b", ["2001:db8:b::/48"]),
            Binding("c", ["2001:db8:c::/48"], lifetime: 10),
        ]
        _ = try table.put(bindings, by: "x", now: 0)
        let revisions = ["a", "b", "c"].map { table.state(of: $0, now: 0)?.revision }
        let resynchronization = table.beginResynchronization(of: "x")
        var again = bindings
        again[1].lifetime = 7
        again[2].dscp = .pipe
        let changes = try table.put(again, by: "x", in: resynchronization, now: 5 * Self.second)
        #expect((changes.kept, changes.added, changes.replaced) == (2, [], ["c"]))
        #expect(table.state(of: "a", now: 5 * Self.second)?.binding.lifetime == 10)
        #expect(table.state(of: "b", now: 5 * Self.second)?.binding.lifetime == 7)
        let after = ["a", "b", "c"].map { table.state(of: $0, now: 0)?.revision }
        #expect(after[..<2] == revisions[..<2])
        #expect(after[2] != revisions[2])
        #expect(sweep(table, resynchronization) == [])
        // The lifetimes count from when they were named.
        #expect(table.expire(now: 11 * Self.second).map(\.id) == [])
        #expect(table.expire(now: 12 * Self.second).map(\.id) == ["b"])
        #expect(table.expire(now: 15 * Self.second).map(\.id).sorted() == ["a", "c"])
    }

    @Test("a lifetime may become none, and the other way round, and one of 0 is refused as ever")
    func lifetimes() throws {
        let table = try BindingTable.make()
        _ = try table.put([Binding("a", ["2001:db8:a::/48"], lifetime: 10)], now: 0)
        let resynchronization = table.beginResynchronization(of: "")
        _ = try table.put([Binding("a", ["2001:db8:a::/48"])], in: resynchronization, now: 0)
        #expect(table.expire(now: .max) == [])
        #expect(
            error { () throws(BindingTableError) in
                _ = try table.put([Binding("a", ["2001:db8:a::/48"], lifetime: 0)], in: resynchronization, now: 0)
            } != nil)
    }

    @Test("what is not named again goes, whoever else names it meanwhile saves it, and other owners' stay")
    func sweeps() throws {
        let table = try BindingTable.make()
        func binding(_ number: Int) -> Binding {
            Binding("mn\(number)", ["2001:db8:\(String(number, radix: 16))::/48"])
        }
        _ = try table.put((0..<20).map(binding), by: "x", now: 0)
        _ = try table.put((20..<30).map(binding), by: "y", now: 0)
        _ = try table.put((30..<40).map(binding), now: 0)
        let resynchronization = table.beginResynchronization(of: "x")
        _ = try table.put((0..<20).filter { $0.isMultiple(of: 3) }.map(binding), by: "x", in: resynchronization, now: 0)
        // By another client of the owner, by another owner, and new ones.
        _ = try table.put([binding(1), binding(40)], by: "x", now: 0)
        _ = try table.put([binding(2), binding(41)], by: "y", now: 0)
        _ = try table.put([binding(20)], by: "x", in: resynchronization, now: 0)
        let gone = (3..<20).filter { !$0.isMultiple(of: 3) }.map { "mn\($0)" }
        #expect(sweep(table, resynchronization).sorted() == gone.sorted())
        #expect(table.count == 42 - gone.count)
        #expect(table.owner(of: "mn0") == "x")
        #expect(table.owner(of: "mn2") == "y")
        #expect(table.owner(of: "mn20") == "x")
        #expect(table.owner(of: "mn35") == "")
        #expect(table.owner(of: "mn5") == nil)
        #expect(sweep(table, table.beginResynchronization(of: "nobody")) == [])
        // Nothing named: all of it.
        #expect(sweep(table, table.beginResynchronization(of: "y")).count == 11)
        #expect(table.count == 31 - gone.count)
    }

    @Test("a binding that others keep in use while it is swept, or that comes then, stays")
    func changesMeanwhile() throws {
        let table = try BindingTable.make()
        func binding(_ number: Int) -> Binding { Binding("mn\(number)", ["2001:db8:\(number)::/48"]) }
        _ = try table.put((0..<9).map(binding), now: 0)
        var resynchronization = table.beginResynchronization(of: "")
        #expect(table.sweep(&resynchronization, slots: 3, limit: 9)?.count == 3)
        _ = try table.put([binding(8), binding(0), binding(10)], now: 0)
        try table.setDefaults(endpoint: IPv4Address("192.0.2.5"), tunnelMTU: 1400)
        #expect(sweep(table, resynchronization).sorted() == ["mn3", "mn4", "mn5", "mn6", "mn7"])
        #expect(table.ids(after: "", limit: 9).sorted() == ["mn0", "mn10", "mn8"])
    }

    @Test("a prefix or home address of a binding that is not named yet goes over to the one that is put")
    func handsOver() throws {
        let table = try BindingTable.make()
        var old = Binding("old", ["2001:db8:a::/48", "2001:db8:b::/48"])
        old.homeAddress = IPv4Address("198.51.100.7")
        old.prefixes.append(BoundPrefix(IPv6Prefix("2001:db8:c::/48")!, tunnel: .homeAddress))
        _ = try table.put([old, Binding("other", at: 2, ["2001:db8:d::/48"])], by: "x", now: 0)
        let resynchronization = table.beginResynchronization(of: "x")
        let new = Binding("new", at: 3, ["2001:db8:a:1::/64"])
        var changes = try table.put([new], by: "x", in: resynchronization, now: 0)
        old.prefixes.removeFirst()
        #expect(changes.handedOver == [old])
        #expect(table.holder("2001:db8:a:1::1") == "new")
        #expect(table.holder("2001:db8:a:2::1") == nil)
        #expect(table.holder("2001:db8:b::1") == "old")
        #expect(table.holder("2001:db8:c::1") == "old")
        // The home address takes along what was reached by it.
        var home = Binding("home", at: 4, [])
        home.homeAddress = old.homeAddress
        changes = try table.put([home], by: "x", in: resynchronization, now: 0)
        #expect(changes.handedOver.map(\.prefixes) == [[BoundPrefix(IPv6Prefix("2001:db8:b::/48")!)]])
        #expect(table.holder(of: IPv6Address(mapping: old.homeAddress!)) == "home")
        #expect(table.holder("2001:db8:c::1") == nil)
        #expect(table.prefixCount == 3)
        #expect(sweep(table, resynchronization).sorted() == ["old", "other"])
        #expect(table.prefixCount == 1)
    }

    @Test("nothing goes over from a binding that was named, nor from another owner's, nor outside a resynchronisation")
    func keepsFromOthers() throws {
        let table = try BindingTable.make()
        var a = Binding("a", ["2001:db8:a::/48"])
        a.homeAddress = IPv4Address("198.51.100.7")
        _ = try table.put([a], by: "x", now: 0)
        _ = try table.put([Binding("b", at: 2, ["2001:db8:b::/48"])], by: "y", now: 0)
        var home = Binding("n", at: 4, [])
        home.homeAddress = a.homeAddress
        func isRefused(_ bindings: [Binding], resynchronizing: Bool = true) -> Bool {
            let resynchronization = resynchronizing ? table.beginResynchronization(of: "x") : nil
            let before = table.dump()
            let refusal = error { () throws(BindingTableError) in
                _ = try table.put(bindings, by: "x", in: resynchronization, now: 0)
            }
            return refusal != nil && table.dump() == before
        }
        #expect(isRefused([Binding("n", at: 3, ["2001:db8:a::/64"])], resynchronizing: false))
        #expect(isRefused([home], resynchronizing: false))
        #expect(isRefused([Binding("n", at: 3, ["2001:db8:b::/64"])]))
        // Named in the same batch, before or behind, counts too.
        #expect(isRefused([a, Binding("n", at: 3, ["2001:db8:a::/64"])]))
        #expect(isRefused([Binding("n", at: 3, ["2001:db8:a::/64"]), a]))
        #expect(isRefused([home, a]))
    }

    @Test(
        "an id twice in a batch is refused, whether as it is there or not, and nothing is changed",
        arguments: [[0, 0], [0, 1], [1, 0], [1, 1]])
    func twice(_ order: [Int]) throws {
        let table = try BindingTable.make()
        let forms = [Binding("a", ["2001:db8:a::/48"], lifetime: 9), Binding("a", at: 2, ["2001:db8:a::/48"])]
        _ = try table.put([forms[0]], now: 0)
        let before = table.dump()
        let resynchronization = table.beginResynchronization(of: "")
        let refusal = error { () throws(BindingTableError) in
            _ = try table.put(order.map { forms[$0] }, in: resynchronization, now: 5)
        }
        #expect(refusal?.description == "binding a: stands twice in this batch")
        #expect(table.dump() == before)
    }

    @Test("more owners than can be told apart are refused, and those without bindings make room")
    func owners() throws {
        let table = try BindingTable.make(bindingLimit: 300, prefixLimit: 300)
        for number in 0..<300 {
            let refusal = error { () throws(BindingTableError) in
                _ = try table.put([Binding("mn\(number)", [])], by: "owner\(number)", now: 0)
            }
            #expect((refusal == nil) == (number < 256))
        }
        #expect(table.count == 256)
        _ = table.remove(["mn7"])
        _ = try table.put([Binding("new", [])], by: "another", now: 0)
        #expect(table.owner(of: "new") == "another")
        #expect(table.owner(of: "mn8") == "owner8")
        #expect(table.state(of: "mn255", now: 0)?.owner == "owner255")
    }

    @Test("whatever was there, in batches of any size, what is left is what was named")
    func model() throws {
        let seed = RandomTest.seed(for: "resynchronisation")
        var random = SeededGenerator(seed: seed)
        /// Nodes of prefixes that do not overlap within the set, but do with those of another.
        func bindings() -> [Binding] {
            var free = (0..<16).shuffled(using: &random)
            return (0..<Int.random(in: 0...6, using: &random)).map { _ in
                let number = Int.random(in: 0..<9, using: &random)
                var binding = Binding("mn\(number)", at: .random(in: 1...2, using: &random), [])
                for _ in 0..<Int.random(in: 0...2, using: &random) {
                    let digit = String(free.removeLast(), radix: 16)
                    let length = Bool.random(using: &random) ? "00::/40" : "80::/41"
                    binding.prefixes.append(BoundPrefix(IPv6Prefix("2001:db8:\(digit)\(length)")!))
                }
                if Bool.random(using: &random) {
                    binding.homeAddress = IPv4Address(rawValue: 0xC633_6400 + UInt32(free.removeLast()))
                }
                return binding
            }
        }
        func unique(_ bindings: [Binding]) -> [Binding] {
            var ids: Set<String> = []
            return bindings.filter { ids.insert($0.id).inserted }
        }
        for round in 0..<RandomTest.count(300) {
            let table = try BindingTable.make()
            _ = try table.put(unique(bindings()), by: "x", now: 0)
            let target = unique(bindings())
            let resynchronization = table.beginResynchronization(of: "x")
            var rest = target[...]
            var counts = (kept: 0, others: 0)
            while !rest.isEmpty {
                let batch = Array(rest.prefix(Int.random(in: 1...3, using: &random)))
                rest.removeFirst(batch.count)
                let changes = try table.put(batch, by: "x", in: resynchronization, now: 0)
                counts = (counts.kept + changes.kept, counts.others + changes.added.count + changes.replaced.count)
            }
            _ = sweep(table, resynchronization)
            let ids = table.ids(after: "", limit: .max)
            let left = ids.compactMap { table.state(of: $0, now: 0)?.binding }
            #expect(left == target.sorted { $0.id < $1.id }, "seed \(seed), round \(round)")
            #expect(counts.kept + counts.others == target.count)
            #expect(table.prefixCount == target.reduce(0) { $0 + $1.prefixes.count })
            for binding in target {
                for bound in binding.prefixes { #expect(table.holder(of: bound.prefix.address) == binding.id) }
                if let address = binding.homeAddress {
                    #expect(table.holder(of: IPv6Address(mapping: address)) == binding.id)
                }
            }
        }
    }
}

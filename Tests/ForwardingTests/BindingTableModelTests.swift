// The table against a model that knows nothing but a dictionary and a loop over it.

import Bindings
import Forwarding
import TestSupport
import Testing
import Wire

private struct Model {
    let bindingLimit: Int
    let prefixLimit: Int
    var bindings: [String: (binding: Binding, expiry: UInt64?)] = [:]

    private func overlaps(_ one: Binding, _ other: Binding) -> Bool {
        one.prefixes.contains { left in
            other.prefixes.contains { right in
                left.prefix.contains(right.prefix.address) || right.prefix.contains(left.prefix.address)
            }
        }
    }

    /// Carries a change out; false where it must be refused.
    mutating func put(_ changed: [Binding], superseding: Set<String>, now: UInt64) -> Bool {
        var after = bindings
        for id in superseding { after[id] = nil }
        for binding in changed {
            after[binding.id] = (binding, binding.lifetime.map { now + UInt64($0) * 1_000_000_000 })
        }
        for binding in changed {
            for (id, other) in after where id != binding.id && overlaps(binding, other.binding) { return false }
        }
        guard after.count <= bindingLimit, after.values.reduce(0, { $0 + $1.binding.prefixes.count }) <= prefixLimit
        else {
            return false
        }
        bindings = after
        return true
    }

    func holder(of address: IPv6Address) -> String? {
        bindings.values.flatMap { entry in entry.binding.prefixes.map { (entry.binding.id, $0.prefix) } }
            .filter { $0.1.contains(address) }.max { $0.1.length < $1.1.length }?.0
    }
}

@Suite("Binding table against a model")
struct BindingTableModelTests {
    @Test("D2 H6 after every change the table holds what the model holds, and refuses what it refuses")
    func random() throws {
        let seed = RandomTest.seed(for: "binding table against a model")
        var generator = SeededGenerator(seed: seed)
        var model = Model(bindingLimit: 5, prefixLimit: 9)
        let table = try BindingTable.make(bindingLimit: model.bindingLimit, prefixLimit: model.prefixLimit)
        let ids = ["a", "b", "c", "d", "e", "f", "g"]
        let catalogue = [
            "2001:db8::/44", "2001:db8::/48", "2001:db8:1::/48", "2001:db8:1::/64", "2001:db8:1:1::/64",
            "2001:db8:1::7/128",
            "2001:db8:2::/47", "2001:db8:2::/64", "2001:db8:3::/64", "2001:db8:4::/64", "2001:db8:5::/64",
            "2001:db8:6::/64",
        ]
        let addresses =
            catalogue.map { IPv6Prefix($0)!.address } + ["2001:db8:f::1", "2001:db9::"].map { IPv6Address($0)! }
        var now: UInt64 = 0
        var (accepted, refused) = (0, 0)
        for step in 0..<RandomTest.count(4_000) {
            now += .random(in: 0...1_500_000_000, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0:
                let going = ids.filter { _ in Int.random(in: 0..<6, using: &generator) == 0 }
                let removed = table.remove(going)
                #expect(Set(removed.map(\.id)) == Set(going).intersection(model.bindings.keys))
                for id in going { model.bindings[id] = nil }
            case 1:
                let expected = model.bindings.filter { $0.value.expiry ?? .max <= now }.keys
                #expect(Set(table.expire(now: now).map(\.id)) == Set(expected), "step \(step), seed \(seed)")
                for id in expected { model.bindings[id] = nil }
            default:
                let changed = ids.shuffled(using: &generator).prefix(.random(in: 0...2, using: &generator)).map { id in
                    Binding(
                        id, at: .random(in: 1...99, using: &generator),
                        Array(catalogue.shuffled(using: &generator).prefix(.random(in: 0...3, using: &generator))),
                        lifetime: Bool.random(using: &generator) ? .random(in: 1...20, using: &generator) : nil)
                }
                let superseding = Set(ids.filter { _ in Int.random(in: 0..<8, using: &generator) == 0 })
                let gone = superseding.subtracting(changed.map(\.id)).intersection(model.bindings.keys)
                let allowed = model.put(changed, superseding: superseding, now: now)
                do {
                    let changes = try table.put(changed, superseding: superseding, now: now)
                    #expect(allowed, "step \(step), seed \(seed): not refused")
                    #expect(Set(changes.removed.map(\.id)) == gone)
                    accepted += 1
                } catch {
                    #expect(!allowed, "step \(step), seed \(seed): \(error)")
                    refused += 1
                }
            }
            #expect(Array(table.ids(after: "", limit: 100)) == model.bindings.keys.sorted())
            #expect(table.prefixCount == model.bindings.values.reduce(0) { $0 + $1.binding.prefixes.count })
            let same = addresses.allSatisfy { table.holder(of: $0) == model.holder(of: $0) }
            #expect(same, "step \(step), seed \(seed)")
        }
        #expect(accepted > 0 && refused > 0)
    }
}

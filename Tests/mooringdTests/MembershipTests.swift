// Memberships in groups as the daemon changes and reads them: with bindings in one step, and in pages.

import Bindings
import Forwarding
import Testing
import Wire

@Suite("Memberships in groups") struct MembershipTests {
    private static let groups = ["ff02::fb", "ff3e::1", "ff3e::2"].compactMap(IPv6Address.init)

    private func table(members: Int) throws -> BindingTable {
        var configuration = BindingTable.Configuration()
        configuration.endpoint = IPv4Address("192.0.2.1")
        configuration.memberLimit = members
        configuration.bindingLimit = 100
        configuration.prefixLimit = 100
        return try BindingTable(configuration)
    }

    private func binding(_ id: String, _ encapsulation: Encapsulation = .ipInIP) throws -> Binding {
        var binding = Binding(id: id, careOfAddress: try #require(IPv4Address("203.0.113.9")))
        binding.encapsulation = encapsulation
        return binding
    }

    private func group(_ number: Int, _ members: [String]) -> BindingTable.Group {
        BindingTable.Group(address: Self.groups[number], members: members)
    }

    /// All memberships.
    private func memberships(_ table: BindingTable) -> [BindingTable.Group] { table.members(after: nil, limit: .max) }

    @Test("Memberships end and begin with the change of bindings, and are counted")
    func changes() throws {
        let table = try table(members: 3)
        var changes = try table.put(
            [binding("a"), binding("b"), binding("c")], beginning: [group(1, ["b", "a"]), group(0, ["c"])], now: 0)
        #expect([changes.joined, changes.left] == [3, 0])
        #expect(memberships(table) == [group(0, ["c"]), group(1, ["a", "b"])])
        // The table is full: only what ends, also with its binding, makes room.
        changes = try table.put(
            [binding("d")], superseding: ["c"], ending: [group(1, ["a", "d"])], beginning: [group(2, ["d", "a"])],
            now: 0)
        #expect([changes.joined, changes.left] == [2, 1])
        #expect(memberships(table) == [group(1, ["b"]), group(2, ["a", "d"])])
        #expect(table.memberCount == 3 && table.groupCount == 2)
        // A binding that is put anew stays a member; one that goes does not.
        _ = try table.put([binding("a")], now: 0)
        _ = table.remove(["d"])
        #expect(memberships(table) == [group(1, ["b"]), group(2, ["a"])])
    }

    @Test("Where a membership can't begin nothing is changed, neither bindings nor memberships")
    func isWhole() throws {
        let table = try table(members: 2)
        _ = try table.put([binding("a"), binding("b")], beginning: [group(1, ["a"])], now: 0)
        let before = memberships(table)
        let cases: [([Binding], Set<String>, [BindingTable.Group], BindingTableError)] = [
            (try [binding("c")], [], [group(1, ["c", "nobody"])], .notBound("nobody")),
            ([], ["b"], [group(1, ["b"])], .notBound("b")),
            (try [binding("c", .minimal)], [], [group(1, ["c"])], .carriesNoMulticast("c")),
            (try [binding("b", .minimal)], [], [group(1, ["b"])], .carriesNoMulticast("b")),
            (try [binding("c")], [], [group(1, ["b", "c"])], .tooManyMembers(limit: 2)),
            (try [binding("c")], [], [group(1, ["b"]), group(2, ["b"])], .tooManyMembers(limit: 2)),
        ]
        for (bindings, leaving, beginning, expected) in cases {
            let error = #expect(throws: BindingTableError.self) {
                try table.put(
                    bindings, superseding: leaving, ending: [group(2, ["a"])], beginning: beginning, now: 0)
            }
            #expect(error == expected)
            #expect(table.ids(after: "", limit: 9).elementsEqual(["a", "b"]))
            #expect(memberships(table) == before)
        }
        for text in ["ff01::1", "ff00::1", "2001:db8::1"] {
            let address = try #require(IPv6Address(text))
            #expect(throws: BindingTableError.notAGroup(address)) {
                try table.put([], beginning: [BindingTable.Group(address: address, members: [])], now: 0)
            }
        }
        // Twice the same member is one.
        let changes = try table.put([], beginning: [group(2, ["b", "b"]), group(2, ["b"])], now: 0)
        #expect(changes.joined == 1)
    }

    @Test("Pages of any size make up the whole list, also where the last that was seen has left meanwhile")
    func pages() throws {
        let table = try table(members: 100)
        let ids = (0..<20).map { "mn\($0)" }
        _ = try table.put(ids.map { try binding($0) }, now: 0)
        for (number, count) in [20, 1, 13].enumerated() {
            try table.join(Self.groups[number], ids.prefix(count).reversed())
        }
        func flat(_ groups: [BindingTable.Group]) -> [String] {
            groups.flatMap { group in group.members.map { "\(group.address) \($0)" } }
        }
        let all = flat(memberships(table))
        #expect(all.count == 34)
        #expect(flat([group(0, ids.prefix(20).sorted()), group(1, ["mn0"]), group(2, ids.prefix(13).sorted())]) == all)
        for limit in [1, 2, 7, 20, 21, 33, 34, 100] {
            var listed: [String] = []
            var last: (group: IPv6Address, id: String)?
            while true {
                let page = table.members(after: last, limit: limit)
                guard let group = page.last, let id = group.members.last else { break }
                #expect(page.reduce(0) { $0 + $1.members.count } <= limit)
                listed += flat(page)
                last = (group.address, id)
            }
            #expect(listed == all, "pages of \(limit)")
        }
        table.leave(Self.groups[1], ["mn0"])
        #expect(flat(table.members(after: (Self.groups[1], "mn0"), limit: 1)) == ["ff3e::2 mn0"])
        table.leave(Self.groups[2], ["mn0", "mn1"])
        #expect(flat(table.members(after: (Self.groups[2], "mn0"), limit: 1)) == ["ff3e::2 mn10"])
        #expect(flat(table.members(after: (Self.groups[2], "mn9"), limit: 9)) == [])
    }
}

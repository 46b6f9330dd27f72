import Bindings
import Forwarding
import TestSupport
import Testing
import Wire

@Suite("Binding table")
struct BindingTableTests {
    private static let second: UInt64 = 1_000_000_000

    @Test("a put says what is new and what was there, and all of it can be read")
    func put() throws {
        let table = try BindingTable.make()
        let first = try table.put(
            [Binding("b", ["2001:db8:b::/48"]), Binding("a", at: 2, ["2001:db8:a::/48", "2001:db8:aa::/64"])], now: 0)
        #expect((first.added, first.replaced, first.removed) == (["b", "a"], [], []))
        let second = try table.put(
            [Binding("c", ["2001:db8:c::/48"]), Binding("a", at: 3, ["2001:db8:aa::/64"])], now: 0)
        #expect((second.added, second.replaced, second.removed) == (["c"], ["a"], []))
        #expect(table.count == 3)
        #expect(table.prefixCount == 3)
        #expect(table.holder("2001:db8:b::1") == "b")
        #expect(table.holder("2001:db8:a::1") == nil)
        #expect(table.holder("2001:db8:aa::1") == "a")
        #expect(table.state(of: "a", now: 0)?.binding == Binding("a", at: 3, ["2001:db8:aa::/64"]))
        #expect(table.state(of: "d", now: 0) == nil)
        let nothing = try table.put([], now: 0)
        #expect((nothing.added, nothing.replaced, nothing.removed) == ([], [], []))
    }

    @Test("removing gives back what went, and passes over what is not there")
    func remove() throws {
        let table = try BindingTable.make()
        let (a, b) = (Binding("a", ["2001:db8:a::/48", "2001:db8:a:1::/64"]), Binding("b", ["2001:db8:b::/48"]))
        _ = try table.put([a, b], now: 0)
        #expect(table.remove(["a", "nobody", "a"]) == [a])
        #expect(table.holder("2001:db8:a:1::1") == nil)
        #expect(table.holder("2001:db8:b::1") == "b")
        #expect(table.count == 1)
        #expect(table.prefixCount == 1)
        #expect(table.remove([]) == [])
    }

    @Test(
        "one binding that can't be put changes nothing, wherever it stands",
        arguments: [
            Binding("bad id", ["2001:db8:9::/48"]), Binding("x", ["2001:db8:b::/64"]), Binding("x", ["ff00::/8"]),
            Binding("x", ["2001:db8:9::/48"], lifetime: 0), Binding("new1", ["2001:db8:9::/48"]),
            Binding("x", ["2001:db8:11:1::/64"]), Binding("x", ["2001:db8:9::/48"], endpoint: "203.0.113.1"),
            Binding("x", ["::/0"]),
        ], [0, 1, 2])
    func atomic(_ bad: Binding, _ place: Int) throws {
        let table = try BindingTable.make()
        _ = try table.put(
            [Binding("a", ["2001:db8:a::/48"], lifetime: 9), Binding("b", ["2001:db8:b::/48"], endpoint: "192.0.2.9")],
            now: 0)
        let before = table.dump()
        var bindings = [Binding("new1", at: 7, ["2001:db8:11::/48"]), Binding("a", at: 8, ["2001:db8:aa::/48"])]
        bindings.insert(bad, at: place)
        #expect(error { () throws(BindingTableError) in _ = try table.put(bindings, superseding: [], now: 5) } != nil)
        #expect(table.dump() == before)
    }

    @Test(
        "H6 what overlaps another node's prefix is refused, and the message says whose",
        arguments: [
            ("2001:db8:a::/48", "2001:db8:a::/48"), ("2001:db8:a::/64", "2001:db8:a::/48"),
            ("2001:db8:a:ffff:ffff:ffff:ffff:ffff/128", "2001:db8:a::/48"), ("2001:db8::/32", "2001:db8:a::/48"),
            ("::/0", "2001:db8:a::/48"), ("2001:db8:c::8/125", "2001:db8:c::9/128"),
        ])
    func conflict(_ prefix: String, _ held: String) throws {
        let table = try BindingTable.make()
        _ = try table.put([Binding("a", ["2001:db8:a::/48"]), Binding("c", ["2001:db8:c::9/128"])], now: 0)
        let holder = held.hasPrefix("2001:db8:c") ? "c" : "a"
        let refusal = error { () throws(BindingTableError) in _ = try table.put([Binding("x", [prefix])], now: 0) }
        #expect(refusal == .conflict("x", IPv6Prefix(prefix)!, holder: holder, held: IPv6Prefix(held)!))
        #expect(
            refusal?.description
                == "binding x: \(prefix) overlaps \(held), which binding \(holder) holds; remove that first, or put both in one batch"
        )
        #expect(refusal?.bindingID == "x")
    }

    @Test("H6 two bindings of one batch may not overlap either, and neither is put")
    func conflictInBatch() throws {
        let table = try BindingTable.make()
        let refusal = error { () throws(BindingTableError) in
            _ = try table.put([Binding("a", ["2001:db8:a:1::/64"]), Binding("b", ["2001:db8:a::/48"])], now: 0)
        }
        #expect(
            refusal
                == .conflict("a", IPv6Prefix("2001:db8:a:1::/64")!, holder: "b", held: IPv6Prefix("2001:db8:a::/48")!))
        #expect(table.count == 0)
    }

    @Test("H6 a node's own prefixes are not in its way, neither in a binding nor when it is put again")
    func ownPrefixes() throws {
        let table = try BindingTable.make()
        _ = try table.put([Binding("a", ["2001:db8::/32", "2001:db8:a::/48", "2001:db8:a::1/128"])], now: 0)
        for prefixes in [
            ["2001:db8:a::/48"], ["2001:db8:a::/48", "2001:db8:a:8000::/49"], ["2001:db8::/32"], ["2001:db8:1::/64"],
            [],
            ["::/0"],
        ] {
            _ = try table.put([Binding("a", prefixes)], now: 0)
            #expect(table.prefixCount == prefixes.count)
            for prefix in prefixes { #expect(table.holder(of: IPv6Prefix(prefix)!.address) == "a") }
        }
    }

    @Test("prefixes beside each other, and the same in different halves, do not overlap")
    func neighbours() throws {
        let table = try BindingTable.make()
        let prefixes = [
            "2001:db8:a::/48", "2001:db8:b::/48", "2001:db8:c::/127", "2001:db8:c::2/128", "2001:db8:c::3/128",
        ]
        _ = try table.put(prefixes.enumerated().map { Binding("mn\($0)", [$1]) }, now: 0)
        for (index, prefix) in prefixes.enumerated() {
            #expect(table.holder(of: IPv6Prefix(prefix)!.address) == "mn\(index)")
        }
    }

    @Test("prefixes change hands in one batch, between bindings that are all in it")
    func exchange() throws {
        let table = try BindingTable.make()
        _ = try table.put([Binding("a", ["2001:db8:a::/48"]), Binding("b", ["2001:db8:b::/48"])], now: 0)
        let changes = try table.put([Binding("a", ["2001:db8:b::/48"]), Binding("b", ["2001:db8:a::/48"])], now: 0)
        #expect(changes.replaced == ["a", "b"])
        #expect(table.holder("2001:db8:a::1") == "b")
        #expect(table.holder("2001:db8:b::1") == "a")
        // A part of a prefix goes to another.
        _ = try table.put(
            [Binding("a", ["2001:db8:b:1::/64"]), Binding("b", ["2001:db8:a::/48", "2001:db8:b:2::/64"])], now: 0)
        #expect(table.holder("2001:db8:b:1::1") == "a")
        #expect(table.holder("2001:db8:b:2::1") == "b")
        #expect(table.holder("2001:db8:b:3::1") == nil)
        #expect(table.prefixCount == 3)
    }

    @Test("superseded bindings go in the same change, and their prefixes may be taken over")
    func superseding() throws {
        let table = try BindingTable.make()
        let old = Binding("old", ["2001:db8:a::/48", "2001:db8:b::/48"])
        _ = try table.put([old, Binding("other", ["2001:db8:c::/48"])], now: 0)
        let changes = try table.put(
            [Binding("new", at: 2, ["2001:db8:a:1::/64", "2001:db8:b::/48"])], superseding: ["old", "nobody", "new"],
            now: 0)
        #expect((changes.added, changes.replaced, changes.removed) == (["new"], [], [old]))
        #expect(table.holder("2001:db8:a:1::1") == "new")
        #expect(table.holder("2001:db8:a:2::1") == nil)
        #expect(table.holder("2001:db8:b::1") == "new")
        #expect(table.holder("2001:db8:c::1") == "other")
        #expect(table.count == 2)
        #expect(table.prefixCount == 3)
        // A binding that is put is not superseded.
        let again = try table.put([Binding("new", ["2001:db8:b::/48"])], superseding: ["new"], now: 0)
        #expect((again.added, again.replaced, again.removed) == ([], ["new"], []))
        // Where the change is refused, nothing is superseded.
        let before = table.dump()
        let refusal = error { () throws(BindingTableError) in
            _ = try table.put([Binding("x", ["2001:db8:c::/64"])], superseding: ["new"], now: 0)
        }
        #expect(refusal?.bindingID == "x")
        #expect(table.dump() == before)
    }

    @Test("a change is refused where a binding is not as the caller knew it")
    func expecting() throws {
        let table = try BindingTable.make()
        _ = try table.put([Binding("a", ["2001:db8:a::/48"])], expecting: ["a": 0], now: 0)
        let first = try #require(table.state(of: "a", now: 0)).revision
        #expect(first != 0)
        let taken = error { () throws(BindingTableError) in
            _ = try table.put([Binding("a", [])], expecting: ["a": 0], now: 0)
        }
        #expect(taken == .changed("a", isBound: true))
        #expect(taken?.description == "binding a was put by somebody else meanwhile: read it again")
        _ = try table.put([Binding("a", at: 2, ["2001:db8:a::/48"])], expecting: ["a": first], now: 0)
        let second = try #require(table.state(of: "a", now: 0)).revision
        #expect(second != first)
        #expect(
            error { () throws(BindingTableError) in _ = try table.put([], expecting: ["a": first], now: 0) } == taken)
        _ = table.remove(["a"])
        let gone = error { () throws(BindingTableError) in
            _ = try table.put([Binding("a", [])], expecting: ["a": second], now: 0)
        }
        #expect(gone == .changed("a", isBound: false))
        #expect(gone?.description == "binding a was removed by somebody else meanwhile: read it again")
        // Bound again, it does not get a revision that it had.
        _ = try table.put([Binding("a", [])], now: 0)
        let third = try #require(table.state(of: "a", now: 0)).revision
        #expect(Set([first, second, third]).count == 3)
    }

    @Test("H5 D1 a binding ends with its lifetime, which counts from the last put")
    func expiry() throws {
        let table = try BindingTable.make()
        let start = 5 * Self.second
        _ = try table.put(
            [
                Binding("long", ["2001:db8:b::/48"], lifetime: 20), Binding("short", ["2001:db8:a::/48"], lifetime: 10),
                Binding("ever", ["2001:db8:c::/48"]), Binding("brief", [], lifetime: 3),
            ], now: start)
        func lifetime(_ id: String, _ now: UInt64) -> UInt32? { table.state(of: id, now: now)?.binding.lifetime }
        #expect(lifetime("short", start) == 10)
        #expect(lifetime("short", start + 1) == 10)
        #expect(lifetime("short", start + Self.second) == 9)
        #expect(lifetime("short", start + 10 * Self.second - 1) == 1)
        // Until it is looked for.
        #expect(lifetime("short", start + 99 * Self.second) == 1)
        #expect(lifetime("ever", .max) == nil)
        #expect(table.expire(now: start + 3 * Self.second - 1) == [])
        #expect(table.expire(now: start + 3 * Self.second).map(\.id) == ["brief"])
        #expect(table.expire(now: start + 10 * Self.second - 1) == [])
        // Put again in time, it lives on.
        _ = try table.put([Binding("short", ["2001:db8:a::/48"], lifetime: 11)], now: start + 9 * Self.second)
        #expect(table.expire(now: start + 10 * Self.second) == [])
        #expect(table.expire(now: start + 20 * Self.second).map(\.id).sorted() == ["long", "short"])
        #expect(table.holder("2001:db8:a::1") == nil)
        #expect(table.holder("2001:db8:c::1") == "ever")
        #expect(table.expire(now: .max) == [])
        // A lifetime that is taken away, and one that is given.
        _ = try table.put([Binding("a", [], lifetime: 1)], now: 0)
        _ = try table.put([Binding("a", []), Binding("ever", [], lifetime: .max)], now: 0)
        #expect(table.expire(now: UInt64(UInt32.max) * Self.second - 1) == [])
        #expect(table.expire(now: UInt64(UInt32.max) * Self.second).map(\.id) == ["ever"])
        #expect(table.count == 1)
    }

    @Test("ids come in the order of their bytes, page by page, whatever changes between")
    func paging() throws {
        let table = try BindingTable.make()
        let ids = ["B", "a", "aa", "b", "~", "0", "a-", "Z"]
        _ = try table.put(ids.map { Binding($0, []) }, now: 0)
        let sorted = ["0", "B", "Z", "a", "a-", "aa", "b", "~"]
        #expect(Array(table.ids(after: "", limit: 100)) == sorted)
        for size in 1...9 {
            var (seen, after) = ([String](), "")
            while true {
                let page = table.ids(after: after, limit: size)
                #expect(page.count <= size)
                guard let last = page.last else { break }
                seen += page
                after = last
            }
            #expect(seen == sorted)
        }
        #expect(table.ids(after: "", limit: 0) == [])
        #expect(table.ids(after: "~", limit: 5) == [])
        #expect(table.ids(after: "aB", limit: 1) == ["aa"])
        // An id that is new stands in its place at once.
        _ = try table.put([Binding("aC", [])], now: 0)
        #expect(table.ids(after: "aB", limit: 1) == ["aC"])
        _ = table.remove(["aC"])
        // The id that a page ended with may go before the next is asked for.
        #expect(table.ids(after: "", limit: 4).last == "a")
        _ = table.remove(["a", "0"])
        _ = try table.put([Binding("Y", []), Binding("a!", [])], now: 0)
        #expect(Array(table.ids(after: "a", limit: 2)) == ["a!", "a-"])
        #expect(Array(table.ids(after: "", limit: 3)) == ["B", "Y", "Z"])
    }

    @Test("endpoints that bindings name are counted through puts, replacements, refusals, expiry and removal")
    func namedEndpoints() throws {
        let table = try BindingTable.make()
        let (one, two) = (IPv4Address("192.0.2.11")!, IPv4Address("192.0.2.12")!)
        _ = try table.put(
            [
                Binding("a", [], endpoint: "192.0.2.11"), Binding("b", [], endpoint: "192.0.2.11", lifetime: 1),
                Binding("c", [], endpoint: "192.0.2.12"), Binding("d", []),
            ], now: 0)
        #expect(table.namedEndpoints == [one: 2, two: 1])
        _ = try table.put([Binding("c", [], endpoint: "192.0.2.11"), Binding("a", [], endpoint: "192.0.2.11")], now: 0)
        #expect(table.namedEndpoints == [one: 3])
        _ = error { () throws(BindingTableError) in
            _ = try table.put([Binding("e", [], endpoint: "192.0.2.12"), Binding("", [])], now: 0)
        }
        #expect(table.namedEndpoints == [one: 3])
        _ = table.expire(now: Self.second)
        #expect(table.namedEndpoints == [one: 2])
        _ = try table.put([Binding("a", [])], superseding: ["c"], now: 0)
        #expect(table.namedEndpoints == [:])
    }
}

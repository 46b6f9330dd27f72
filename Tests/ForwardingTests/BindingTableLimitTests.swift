import Bindings
import Forwarding
import TestSupport
import Testing
import Wire

@Suite("Binding table: limits, defaults and what is refused")
struct BindingTableLimitTests {
    @Test("there are no more bindings than the limit, counted as they would be after the change")
    func bindings() throws {
        let table = try BindingTable.make(bindingLimit: 2)
        _ = try table.put([Binding("a", []), Binding("b", [])], now: 0)
        let refusal = error { () throws(BindingTableError) in _ = try table.put([Binding("c", [])], now: 0) }
        #expect(refusal == .tooManyBindings(limit: 2))
        #expect(refusal?.description == "there may be no more than 2 bindings: raise --max-bindings")
        #expect(refusal?.bindingID == nil)
        // Replacing and superseding need no room.
        for step in 0..<10_000 {
            _ = try table.put([Binding("a", at: 2, []), Binding("b", at: 3, [])], now: 0)
            _ = try table.put([Binding("c\(step)", [])], superseding: ["a"], now: 0)
            _ = try table.put([Binding("a", [])], superseding: ["c\(step)"], now: 0)
        }
        #expect(table.count == 2)
        // An id that is not bound makes no room.
        let again = error { () throws(BindingTableError) in
            _ = try table.put([Binding("c", [])], superseding: ["nobody"], now: 0)
        }
        #expect(again == refusal)
    }

    @Test("there are no more prefixes than the limit, counted as they would be after the change")
    func prefixes() throws {
        let table = try BindingTable.make(prefixLimit: 3)
        let (one, two, three) = ("2001:db8:1::/48", "2001:db8:2::/48", "2001:db8:3::/48")
        _ = try table.put([Binding("a", [one, two]), Binding("b", [three])], now: 0)
        let refusal = error { () throws(BindingTableError) in
            _ = try table.put([Binding("c", ["2001:db8:4::/48"])], now: 0)
        }
        #expect(refusal == .tooManyPrefixes(limit: 3))
        #expect(refusal?.description == "there may be no more than 3 prefixes: raise --max-prefixes")
        #expect(refusal?.bindingID == nil)
        // In a full table a node still moves, exchanges its prefixes for others, and takes over another's.
        _ = try table.put([Binding("a", at: 7, [one, two]), Binding("b", at: 8, [three])], now: 0)
        _ = try table.put([Binding("a", ["2001:db8:4::/48", "2001:db8:5::/48"])], now: 0)
        #expect(table.holder("2001:db8:5::1") == "a")
        let tooMany = error { () throws(BindingTableError) in
            _ = try table.put([Binding("c", ["2001:db8:6::/48", three])], superseding: ["b"], now: 0)
        }
        #expect(tooMany == refusal)
        _ = try table.put([Binding("c", [three])], superseding: ["b", "nobody"], now: 0)
        #expect(table.prefixCount == 3)
        _ = try table.put(
            [Binding("a", [one]), Binding("c", [two, three])], now: 0)
        #expect(table.prefixCount == 3)
        #expect(table.holder("2001:db8:2::1") == "c")
    }

    /// A binding that can be put, but for what is changed.
    private static func changed(_ change: (inout Binding) -> Void) -> Binding {
        var binding = Binding("x", ["2001:db8:1::/48"], endpoint: "192.0.2.1")
        change(&binding)
        return binding
    }

    @Test(
        "a binding that breaks a rule is refused when it is put, and the message says where and why",
        arguments: [
            (changed { $0.endpoint = nil }, "binding x.endpoint: is missing, and the daemon has no endpoint"),
            (changed { $0.tunnelMTU = 1279 }, "binding x.tunnelMTU: 1279 is not within 1280 and 1480"),
            (changed { $0.tunnelMTU = 1481 }, "binding x.tunnelMTU: 1481 is not within 1280 and 1480"),
        ])
    func refused(_ binding: Binding, _ message: String) throws {
        let table = try BindingTable.make(endpoint: nil)
        let refusal = error { () throws(BindingTableError) in _ = try table.put([binding], now: 0) }
        #expect(refusal?.description == message)
        #expect(refusal?.bindingID == "x")
        #expect(table.count == 0)
    }

    @Test("a tunnel does not lead to its own end, and an id stands once in a batch")
    func alsoRefused() throws {
        let table = try BindingTable.make(endpoint: "203.0.113.1")
        let loop = error { () throws(BindingTableError) in _ = try table.put([Binding("x", at: 1, [])], now: 0) }
        #expect(loop?.description == "binding x.careOfAddress: 203.0.113.1 is the tunnel's own endpoint")
        let twice = error { () throws(BindingTableError) in
            _ = try table.put([Binding("y", at: 2, []), Binding("y", at: 3, [])], now: 0)
        }
        #expect(twice?.description == "binding y: stands twice in this batch")
    }

    @Test("new defaults count at once for bindings that name none, and for those alone")
    func defaults() throws {
        let table = try BindingTable.make()
        var own = Binding("own", at: 2, ["2001:db8:2::/48"], endpoint: "192.0.2.9", lifetime: 5)
        own.tunnelMTU = 1300
        _ = try table.put([Binding("a", at: 1, ["2001:db8:1::/48"], lifetime: 5), own], now: 0)
        let forwarder = try TestForwarder(table)
        var packet = ForwardingVectors.all.encapsulation[0].in.bytes
        func outerSource(of node: UInt8) throws -> [UInt8] {
            packet[24..<40] = Hex("20010db8 000\(node) 0000 0000 0000 0000 0001").bytes[...]
            return Array(try #require(forwarder.process(.home(packet)).bytes)[12..<16])
        }
        #expect(try outerSource(of: 1) == [192, 0, 2, 1])
        let revisions = ["a", "own"].map { table.state(of: $0, now: 0)?.revision }
        try table.setDefaults(endpoint: IPv4Address("192.0.2.77")!, tunnelMTU: 1400)
        #expect(table.configuration.endpoint == IPv4Address("192.0.2.77")!)
        #expect(table.configuration.tunnelMTU == 1400)
        #expect(try outerSource(of: 1) == [192, 0, 2, 77])
        #expect(try outerSource(of: 2) == [192, 0, 2, 9])
        // Nobody has put them: lifetime, revision and traffic are what they were.
        #expect(["a", "own"].map { table.state(of: $0, now: 0)?.revision } == revisions)
        #expect(table.state(of: "a", now: 0)?.traffic.packetsToNode == 2)
        #expect(table.state(of: "a", now: 0)?.binding.endpoint == nil)
        #expect(table.namedEndpoints == [IPv4Address("192.0.2.9")!: 1])
        #expect(table.prefixCount == 2)
        #expect(table.expire(now: 5_000_000_000).count == 2)
    }

    @Test("defaults that a binding can't have are refused, and nothing changes")
    func refusedDefaults() throws {
        let table = try BindingTable.make()
        _ = try table.put(
            [Binding("a", at: 1, ["2001:db8:1::/48"]), Binding("own", [], endpoint: "192.0.2.9")], now: 0)
        let before = table.dump()
        for (endpoint, mtu, message) in [
            (nil, 1280, "binding a.endpoint: is missing, and the daemon has no endpoint"),
            ("203.0.113.1", 1280, "binding a.careOfAddress: 203.0.113.1 is the tunnel's own endpoint"),
        ] as [(String?, UInt16, String)] {
            let refusal = error { () throws(BindingTableError) in
                try table.setDefaults(endpoint: endpoint.map { IPv4Address($0)! }, tunnelMTU: mtu)
            }
            #expect(refusal?.description == message)
            #expect(table.dump() == before)
        }
        // Without a binding that needs it, there may be none.
        _ = table.remove(["a"])
        try table.setDefaults(endpoint: nil, tunnelMTU: 1280)
        #expect(table.configuration.endpoint == nil)
    }

    @Test("counters of a binding stay when it is replaced, and begin anew when it is removed or superseded")
    func traffic() throws {
        let table = try TestForwarder.makeTable()
        let forwarder = try TestForwarder(table)
        let packet = Given.home(ForwardingVectors.all.encapsulation[0].in.bytes)
        func packets(_ id: String) -> UInt64? { table.state(of: id, now: 0)?.traffic.packetsToNode }
        _ = forwarder.process([packet, packet])
        var binding = ForwardingVectors.all.binding("plain")
        binding.careOfAddress = IPv4Address("203.0.113.99")!
        _ = try table.put([binding], now: 0)
        #expect(packets("plain") == 2)
        _ = forwarder.process([packet])
        #expect(packets("plain") == 3)
        _ = table.remove(["plain"])
        _ = try table.put([binding], now: 0)
        #expect(packets("plain") == 0)
        _ = forwarder.process([packet])
        binding.id = "successor"
        _ = try table.put([binding], superseding: ["plain"], now: 0)
        #expect(packets("plain") == nil)
        #expect(packets("successor") == 0)
        _ = forwarder.process([packet])
        #expect(packets("successor") == 1)
    }
}

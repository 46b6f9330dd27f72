// IPv4 networks in a table of bindings (RFC 5177): who holds one, and that look-ups follow. What becomes of packets is in the
// golden cases whose names begin with networks.

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Networks")
struct NetworkTests {
    private func binding(_ id: String, at number: UInt32 = 1, _ networks: [String]) -> Binding {
        var binding = Binding(id, at: number, [])
        binding.networks = networks.map { IPv4Prefix($0)! }
        return binding
    }

    private func holder(_ table: BindingTable, _ address: String) -> String? {
        table.holder(of: IPv6Address(mapping: IPv4Address(address)!))
    }

    @Test(
        "H6 what overlaps another node's network is refused, and the message says whose",
        arguments: [
            ("10.1.0.0/16", "10.1.0.0/16"), ("10.1.255.255/32", "10.1.0.0/16"), ("10.0.0.0/8", "10.1.0.0/16"),
            ("0.0.0.0/0", "10.1.0.0/16"), ("192.0.2.128/25", "192.0.2.0/24"),
        ])
    func conflict(_ network: String, _ held: String) throws {
        let table = try BindingTable.make()
        _ = try table.put([binding("a", ["10.1.0.0/16"]), binding("c", at: 2, ["192.0.2.0/24"])], now: 0)
        let holder = held.hasPrefix("10") ? "a" : "c"
        let before = table.dump()
        let refusal = error { () throws(BindingTableError) in
            _ = try table.put([binding("x", at: 3, [network])], now: 0)
        }
        #expect(
            refusal?.description
                == "binding x: \(network) overlaps \(held), which binding \(holder) holds; remove that first, or put both in one batch"
        )
        #expect(refusal?.bindingID == "x")
        #expect(table.dump() == before)
        let other = try BindingTable.make()
        let inBatch = error { () throws(BindingTableError) in
            _ = try other.put([binding("x", [held]), binding("y", at: 2, [network])], now: 0)
        }
        #expect("\(inBatch.map(\.description) ?? "")".contains("overlaps"))
    }

    @Test("H6 a node's own networks are not in its way, and follow each of its changes")
    func own() throws {
        let table = try BindingTable.make()
        for networks in [
            ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32"], ["10.1.0.0/16"], ["10.1.0.0/16", "10.1.128.0/17"],
            ["10.0.0.0/8"], [], ["0.0.0.0/0"], ["0.0.0.0/0", "10.0.0.0/8"],
        ] {
            _ = try table.put([binding("a", networks)], now: 0)
            #expect(table.prefixCount == networks.count)
            #expect(holder(table, "10.1.2.3") == (networks.isEmpty ? nil : "a"))
            #expect(holder(table, "11.1.2.3") == (networks.contains("0.0.0.0/0") ? "a" : nil))
            #expect(table.state(of: "a", now: 0)?.binding.networks.map(\.description) == networks)
        }
        _ = table.remove(["a"])
        #expect(table.prefixCount == 0)
        #expect(holder(table, "10.1.2.3") == nil)
    }

    @Test("a prefix of IPv6 and a network are in each other's way nowhere, whatever their bits")
    func families() throws {
        let table = try BindingTable.make()
        _ = try table.put([Binding("six", ["::/0"]), binding("four", at: 2, ["0.0.0.0/0"])], now: 0)
        #expect(table.holder("2001:db8::1") == "six")
        #expect(holder(table, "10.1.2.3") == "four")
        _ = table.remove(["four"])
        #expect(holder(table, "10.1.2.3") == nil)
    }

    @Test("networks count among the prefixes that there may be")
    func limit() throws {
        var configuration = BindingTable.Configuration()
        configuration.endpoint = IPv4Address("192.0.2.1")
        configuration.prefixLimit = 3
        let table = try BindingTable(configuration)
        var both = binding("a", ["10.1.0.0/16", "10.2.0.0/16"])
        both.prefixes = [BoundPrefix(IPv6Prefix("2001:db8::/64")!)]
        _ = try table.put([both], now: 0)
        let refusal = error { () throws(BindingTableError) in
            _ = try table.put([binding("b", at: 2, ["10.3.0.0/16"])], now: 0)
        }
        #expect(refusal == .tooManyPrefixes(limit: 3))
        _ = try table.put([binding("b", at: 2, ["10.3.0.0/16"])], superseding: ["a"], now: 0)
        #expect(table.prefixCount == 1)
    }

    @Test("networks change hands in one batch, and in a resynchronisation go over from one that is not named yet")
    func handsOver() throws {
        let table = try BindingTable.make()
        _ = try table.put([binding("a", ["10.1.0.0/16"]), binding("b", at: 2, ["10.2.0.0/16"])], by: "x", now: 0)
        _ = try table.put([binding("a", ["10.2.0.0/16"]), binding("b", at: 2, ["10.1.0.0/16"])], by: "x", now: 0)
        #expect(holder(table, "10.1.0.1") == "b")
        #expect(holder(table, "10.2.0.1") == "a")
        let resynchronization = table.beginResynchronization(of: "x")
        let new = binding("new", at: 3, ["10.1.7.0/24"])
        let changes = try table.put([new], by: "x", in: resynchronization, now: 0)
        #expect(changes.handedOver == [binding("b", at: 2, [])])
        #expect(holder(table, "10.1.7.1") == "new")
        #expect(holder(table, "10.1.8.1") == nil)
    }

    @Test("a home address belongs to one node, at whichever end the daemon is")
    func homeAddresses() throws {
        let table = try BindingTable.make()
        var node = Binding("node", [])
        (node.homeAddress, node.role) = (IPv4Address("198.51.100.7")!, .mobileNode)
        _ = try table.put([node], now: 0)
        var other = Binding("other", at: 2, [])
        other.homeAddress = node.homeAddress
        let refusal = error { () throws(BindingTableError) in _ = try table.put([other], now: 0) }
        #expect(refusal == .homeAddressConflict("other", node.homeAddress!, holder: "node"))
        // The same binding may change its end.
        node.role = .homeAgent
        _ = try table.put([node], now: 0)
        #expect(holder(table, "198.51.100.7") == "node")
        node.role = .mobileNode
        _ = try table.put([node], now: 0)
        _ = table.remove(["node"])
        #expect(holder(table, "198.51.100.7") == nil)
    }

    /// An IPv4 packet of 28 bytes.
    private func packet(from source: String, to destination: String) -> [UInt8] {
        var header = IPv4Header(
            protocol: IPProtocol.udp, source: IPv4Address(source)!, destination: IPv4Address(destination)!)
        header.totalLength = 28
        var bytes = [UInt8](repeating: 0, count: 28)
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        return bytes
    }

    @Test("packets follow a network that comes, moves and goes, in batches of both families too")
    func forwarding() throws {
        let forwarder = try TestForwarder(BindingTable.make())
        let ipv4 = packet(from: "192.0.2.200", to: "10.1.2.3")
        func careOf() -> [UInt8]? {
            let outcomes = forwarder.process([.home(EncapsulationPackets.to("2001:db8:a::1")), .home(ipv4)])
            guard case .access(let bytes) = outcomes[1] else { return nil }
            return Array(bytes[16..<20])
        }
        #expect(careOf() == nil)
        _ = try forwarder.table.put([binding("a", at: 5, ["10.0.0.0/8"])], now: 0)
        #expect(careOf() == [203, 0, 113, 5])
        _ = try forwarder.table.put([binding("a", at: 6, ["10.0.0.0/8"])], now: 0)
        #expect(careOf() == [203, 0, 113, 6])
        var home = Binding("home", at: 7, [])
        home.homeAddress = IPv4Address("10.1.2.3")
        _ = try forwarder.table.put([home], now: 0)
        #expect(careOf() == [203, 0, 113, 7])
        _ = forwarder.table.remove(["home"])
        #expect(careOf() == [203, 0, 113, 6])
        _ = forwarder.table.remove(["a"])
        #expect(careOf() == nil)
    }

    @Test("on one device for both sides, IPv4 to a network is from the home side, unless it is to a tunnel's end")
    func singleDevice() throws {
        var settings = TestForwarder.settings
        settings.singleDevice = true
        let forwarder = try TestForwarder(BindingTable.make(), settings: settings)
        _ = try forwarder.table.put([binding("all", at: 5, ["0.0.0.0/0"])], now: 0)
        guard case .access = forwarder.process(.access(packet(from: "198.51.100.7", to: "192.0.2.200"))) else {
            Issue.record("what is to a network did not go into the tunnel")
            return
        }
        let endpoint = settings.endpoints[0].description
        let inner = packet(from: "192.0.2.200", to: "198.51.100.7")
        var outer = IPv4Header(
            protocol: IPProtocol.ipv4, source: IPv4Address("203.0.113.5")!, destination: IPv4Address(endpoint)!)
        outer.totalLength = UInt16(20 + inner.count)
        var bytes = [UInt8](repeating: 0, count: 20)
        bytes.withUnsafeMutableBytes { outer.write(to: $0.baseAddress!) }
        #expect(forwarder.process(.home(bytes + inner)) == .home(inner))
    }

    @Test("the control plane's packets go into the tunnel of a node with a network alone, and of a node's own end")
    func injection() throws {
        let table = try BindingTable.make()
        let forwarder = try TestForwarder(table)
        var node = Binding("node", at: 9, [])
        (node.homeAddress, node.role) = (IPv4Address("198.51.100.7")!, .mobileNode)
        node.endpoint = IPv4Address("203.0.113.77")
        _ = try table.put([node, binding("router", at: 5, ["10.1.0.0/16"])], now: 0)
        func inject(_ bytes: [UInt8], _ id: String) throws -> [UInt8]? {
            try withExactMemory(of: bytes) { bytes throws(InjectError) in
                try table.inject(bytes, intoTunnelOf: id, by: forwarder.forwarder.injections)
            }
            _ = forwarder.process([])
            return forwarder.generated.last?.outcome.bytes
        }
        let ipv4 = packet(from: "192.0.2.200", to: "10.1.2.3")
        #expect(try inject(ipv4, "router")?[16..<20] == [203, 0, 113, 5])
        #expect(try inject(ipv4, "node")?[12..<20] == [203, 0, 113, 77, 203, 0, 113, 9])
        // By way of the home address, from there to the home agent.
        let ipv6 = try inject(EncapsulationPackets.to("ff02::1:2"), "node")
        #expect(ipv6?[12..<20] == [203, 0, 113, 77, 203, 0, 113, 9])
        #expect(ipv6?[32..<40] == [198, 51, 100, 7, 203, 0, 113, 9])
    }
}

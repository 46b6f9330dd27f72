// The mobile node's end of a tunnel, and IPv4 networks, as a file says them.

import Bindings
import Foundation
import Testing
import Wire

@Suite("Roles and networks in binding files") struct RoleTests {
    /// A file with one binding and whatever else is to stand in it.
    private func read(_ binding: String) throws(BindingError) -> Binding {
        let text = "{\"bindings\":[{\"id\":\"mn1\",\"careOfAddress\":\"192.0.2.1\"\(binding)}]}"
        return try BindingFile(json: Array(text.utf8)).bindings[0]
    }

    @Test("Networks and the role are read, and written as they were")
    func roundTrips() throws {
        let binding = try read(
            """
            ,"role":"mobile-node","homeAddress":"198.51.100.7","endpoint":"203.0.113.9","encapsulation":"udp",
            "networks":["0.0.0.0/0","10.1.0.0/16","198.51.100.7/32"],
            "prefixes":[{"prefix":"fe80::/10","tunnel":"home-address"},{"prefix":"::/0"}]
            """)
        #expect(binding.role == .mobileNode)
        #expect(binding.networks.map(\.description) == ["0.0.0.0/0", "10.1.0.0/16", "198.51.100.7/32"])
        #expect(binding.prefixes.map(\.prefix.description) == ["fe80::/10", "::/0"])
        // The node's port is that of Mobile IP unless another is told (RFC 3519, 4.1).
        #expect(binding.udpPort == 434)
        let again = try BindingFile(json: Array(JSONEncoder().encode(BindingFile(bindings: [binding]))))
        #expect(again.bindings == [binding])
        let plain = try read("")
        #expect(plain.role == .homeAgent && plain.networks.isEmpty)
        let text = String(decoding: try JSONEncoder().encode(BindingFile(bindings: [plain])), as: UTF8.self)
        #expect(!text.contains("role") && !text.contains("networks"))
    }

    @Test(
        "The node's port may be told",
        arguments: [
            (#","encapsulation":"udp","udp":{"port":40000}"#, 40_000),
            (#","encapsulation":"udp","udp":{"encapsulation":"gre"}"#, 434), (#","encapsulation":"gre""#, nil),
        ] as [(String, UInt16?)])
    func ports(rest: String, port: UInt16?) throws {
        #expect(try read(#","role":"mobile-node""# + rest).udpPort == port)
    }

    @Test(
        "What is not acceptable is named with its place",
        arguments: [
            (#","role":"node""#, "bindings[0].role", "is none of \"home-agent\", \"mobile-node\""),
            (#","networks":"10.0.0.0/8""#, "bindings[0].networks", "where an array is expected"),
            (#","networks":["10.0.0.0/8","10.0.0.1/8"]"#, "bindings[0].networks[1]", "all bits past its length zero"),
            (#","networks":["2001:db8::/32"]"#, "bindings[0].networks[0]", "an IPv4 network such as"),
            (#","networks":["10.0.0.0/33"]"#, "bindings[0].networks[0]", "an IPv4 network such as"),
            (#","networks":["10.0.0.0/8","10.0.0.0/8"]"#, "bindings[0].networks[1]", "stands twice"),
            (#","networks":["224.0.0.0/4"]"#, "bindings[0].networks[0]", "no network of unicast addresses"),
            (#","networks":["240.0.0.1/32"]"#, "bindings[0].networks[0]", "no network of unicast addresses"),
            (#","networks":["127.0.0.0/8"]"#, "bindings[0].networks[0]", "no network of unicast addresses"),
            (#","networks":["0.0.0.0/8"]"#, "bindings[0].networks[0]", "no network of unicast addresses"),
            (
                #","role":"mobile-node","homeAddress":"192.0.2.1""#, "bindings[0].careOfAddress",
                "is the node's home address"
            ),
            (
                #","role":"mobile-node","prefixes":[{"prefix":"fe80::/10"}]"#, "bindings[0].prefixes[0]",
                "is fe80::/10 by tunnel \"home-address\""
            ),
            (
                #","role":"mobile-node","prefixes":[{"prefix":"fe80::/10","tunnel":"home-address"}]"#,
                "bindings[0].prefixes[0]", "needs a homeAddress"
            ),
            (
                #","role":"mobile-node","homeAddress":"198.51.100.7","prefixes":[{"prefix":"fe80::1/128","tunnel":"home-address"}]"#,
                "bindings[0].prefixes[0]", "is fe80::/10 by tunnel \"home-address\""
            ),
        ])
    func refuses(rest: String, place: String, problem: String) throws {
        let error = #expect(throws: BindingError.self) { try read(rest) }
        #expect(error?.place == place)
        #expect(error?.problem.contains(problem) == true, "\(error?.problem ?? "")")
    }

    @Test(
        "Everything, its halves, and networks at the edge of what is no unicast are accepted",
        arguments: [
            "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/7", "126.0.0.0/7", "192.0.0.0/3", "223.255.255.0/24",
            "1.0.0.0/8",
        ])
    func accepts(network: String) throws {
        #expect(try read(",\"networks\":[\"\(network)\"]").networks.map(\.description) == [network])
    }

    @Test("More networks than a binding may have are refused")
    func bounds() throws {
        var binding = Binding(id: "mn1", careOfAddress: IPv4Address(rawValue: 0xCB00_7109))
        binding.networks = (0..<1024).map {
            IPv4Prefix(address: IPv4Address(rawValue: 10 << 24 | $0 << 8), length: 24)!
        }
        try binding.validate()
        binding.networks.append(IPv4Prefix("11.0.0.0/8")!)
        let error = #expect(throws: BindingError.self) { try binding.validate() }
        #expect(error?.description == "binding mn1.networks: more than 1024 networks")
    }

    @Test("Networks of two nodes that overlap are named with both; a node's own may, and prefixes are no networks")
    func overlaps() throws {
        func file(_ bindings: [(String, [String])]) throws(BindingError) {
            let texts = bindings.map { id, networks in
                let list = networks.map { "\"\($0)\"" }.joined(separator: ",")
                return
                    "{\"id\":\"\(id)\",\"careOfAddress\":\"203.0.113.9\",\"networks\":[\(list)]"
                    + (id == "default" ? ",\"prefixes\":[{\"prefix\":\"::/0\"}]}" : "}")
            }
            _ = try BindingFile(json: Array("{\"bindings\":[\(texts.joined(separator: ","))]}".utf8))
        }
        let error = #expect(throws: BindingError.self) {
            try file([("inner", ["10.2.0.0/16", "10.1.5.0/24"]), ("outer", ["10.1.0.0/16"])])
        }
        #expect(
            error
                == BindingError(
                    "bindings[1].networks[0]",
                    "10.1.0.0/16 of outer overlaps 10.1.5.0/24 of inner (bindings[0].networks[1]); a network belongs to one node"
                ))
        try file([("a", ["10.0.0.0/8", "10.1.0.0/16"]), ("b", ["11.0.0.0/8"]), ("default", ["12.0.0.0/8"])])
    }
}

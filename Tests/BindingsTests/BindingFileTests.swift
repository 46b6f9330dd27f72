import Bindings
import Foundation
import Testing
import Wire

@Suite("Binding files") struct BindingFileTests {
    private func readAgain(_ file: BindingFile) throws -> BindingFile {
        try BindingFile(json: Array(JSONEncoder().encode(file)))
    }

    private func read(_ text: String) throws(BindingError) -> BindingFile { try BindingFile(json: Array(text.utf8)) }

    /// A file with one binding of the least size, and whatever else is to stand in it.
    private func file(_ binding: String, _ rest: String = "") -> String {
        "{\"bindings\":[{\"id\":\"mn1\",\"careOfAddress\":\"203.0.113.9\"\(binding)}]\(rest)}"
    }

    private static let documented = """
        { "endpoint": "192.0.2.1",
          "tunnelMTU": 1480,
          "bindings": [
            { "id": "mn1",
              "homeAddress": "198.51.100.7",
              "careOfAddress": "203.0.113.9",
              "encapsulation": "gre",
              "gre": { "key": 7, "sequence": false, "checksum": true },
              "prefixes": [ { "prefix": "2001:db8:1::/64", "tunnel": "care-of" },
                            { "prefix": "2001:db8:2::/64", "tunnel": "home-address" } ],
              "dscp": "pipe", "ecn": "compatibility",
              "lifetime": 600 },
            { "id": "mn2",
              "careOfAddress": "203.0.113.10",
              "endpoint": "192.0.2.2",
              "tunnelMTU": 1400,
              "encapsulation": "udp",
              "udp": { "port": 40000 } } ],
          "groups": [ { "group": "ff3e::1234", "members": ["mn1"] } ] }
        """

    private static var documentedContents: BindingFile {
        var first = Binding(id: "mn1", careOfAddress: IPv4Address(rawValue: 0xCB00_7109))
        first.homeAddress = IPv4Address(rawValue: 0xC633_6407)
        first.encapsulation = .gre
        first.gre = GREOptions(key: 7, checksum: true)
        first.prefixes = [
            BoundPrefix(IPv6Prefix(containing: IPv6Address(high: 0x2001_0DB8_0001_0000, low: 0), length: 64)),
            BoundPrefix(
                IPv6Prefix(containing: IPv6Address(high: 0x2001_0DB8_0002_0000, low: 0), length: 64),
                tunnel: .homeAddress),
        ]
        first.dscp = .pipe
        first.ecn = .compatibility
        first.lifetime = 600
        var second = Binding(id: "mn2", careOfAddress: IPv4Address(rawValue: 0xCB00_710A))
        second.endpoint = IPv4Address(rawValue: 0xC000_0202)
        second.tunnelMTU = 1400
        second.encapsulation = .udp
        second.udpPort = 40_000
        let group = IPv6Address(high: 0xFF3E_0000_0000_0000, low: 0x1234)
        return BindingFile(
            endpoint: IPv4Address(rawValue: 0xC000_0201), tunnelMTU: 1480, bindings: [first, second],
            groups: [BindingFile.Group(group, members: ["mn1"])])
    }

    @Test("Every key of the file is read")
    func readsAll() throws {
        #expect(try read(Self.documented) == Self.documentedContents)
    }

    @Test("What is written is read back the same")
    func roundTrips() throws {
        #expect(try readAgain(Self.documentedContents) == Self.documentedContents)
        let least = BindingFile(bindings: [Binding(id: "mn1", careOfAddress: IPv4Address(rawValue: 0xCB00_7109))])
        #expect(try readAgain(least) == least)
        #expect(try readAgain(BindingFile()) == BindingFile())
    }

    @Test("What may be left out has its default")
    func defaults() throws {
        let binding = try #require(try read(file("")).bindings.first)
        #expect(binding == Binding(id: "mn1", careOfAddress: IPv4Address(rawValue: 0xCB00_7109)))
        let prefix = try #require(
            try read(file(",\"prefixes\":[{\"prefix\":\"2001:db8::/32\"}]")).bindings.first?.prefixes.first)
        #expect(prefix.tunnel == .careOf)
        #expect(try read(file(",\"encapsulation\":\"gre\",\"gre\":{}")).bindings.first?.gre == GREOptions())
    }

    @Test("The file's endpoint and tunnel MTU count for bindings without their own")
    func resolves() throws {
        let resolved = try read(Self.documented).resolvedBindings
        #expect(resolved.map(\.endpoint?.description) == ["192.0.2.1", "192.0.2.2"])
        #expect(resolved.map(\.tunnelMTU) == [1480, 1400])
    }

    @Test(
        "What is not acceptable is named with its place",
        arguments: [
            ("[]", "", "is an array where an object is expected"),
            ("{}", "", "lacks \"bindings\""),
            ("{\"bindings\":{}}", "bindings", "is an object where an array is expected"),
            ("{\"bindings\":[],\"binding\":[]}", "binding", "is no key that is known here"),
            ("{\"bindings\":[{\"id\":\"a\"}]}", "bindings[0]", "lacks \"careOfAddress\""),
            ("{\"bindings\":[{\"careOfAddress\":\"192.0.2.9\"}]}", "bindings[0]", "lacks \"id\""),
            ("{\"bindings\":[],\"tunnelMTU\":1279}", "tunnelMTU", "from 1280 to 1480"),
            ("{\"bindings\":[],\"endpoint\":\"224.0.0.1\"}", "endpoint", "is no unicast address"),
            ("{\"bindings\":[],\"endpoint\":\"192.0.2\"}", "endpoint", "\"192.0.2\" is not an IPv4 address"),
        ])
    func refuses(text: String, place: String, problem: String) throws {
        let error = #expect(throws: BindingError.self) { try read(text) }
        #expect(error?.place == place)
        #expect(error?.problem.contains(problem) == true, "\(error?.problem ?? "")")
    }

    @Test(
        "What is not acceptable in a binding is named with its place",
        arguments: [
            (",\"careof\":1", "bindings[0].careof", "is no key that is known here"),
            (",\"homeAddress\":7", "bindings[0].homeAddress", "is a number where a string is expected"),
            (",\"homeAddress\":null", "bindings[0].homeAddress", "is null where a string is expected"),
            (",\"homeAddress\":\"127.0.0.1\"", "bindings[0].homeAddress", "is no unicast address"),
            (",\"encapsulation\":\"ipip\"", "bindings[0].encapsulation", "is none of \"ip-in-ip\", \"gre\""),
            (",\"gre\":{\"key\":1}", "bindings[0].gre", "stands only beside encapsulation \"gre\""),
            (",\"encapsulation\":\"gre\",\"gre\":{\"key\":4294967296}", "bindings[0].gre.key", "no whole number"),
            (",\"encapsulation\":\"gre\",\"gre\":{\"seq\":true}", "bindings[0].gre.seq", "is no key"),
            (",\"udp\":{\"port\":1}", "bindings[0].udp", "stands beside encapsulation \"udp\""),
            (",\"encapsulation\":\"udp\"", "bindings[0].udp", "stands beside encapsulation \"udp\""),
            (",\"encapsulation\":\"udp\",\"udp\":{}", "bindings[0].udp", "lacks \"port\""),
            (",\"encapsulation\":\"udp\",\"udp\":{\"port\":0}", "bindings[0].udp.port", "from 1 to 65535"),
            (",\"dscp\":\"copy\"", "bindings[0].dscp", "is none of \"uniform\", \"pipe\""),
            (",\"ecn\":\"full\"", "bindings[0].ecn", "is none of \"normal\", \"compatibility\""),
            (",\"tunnelMTU\":1500", "bindings[0].tunnelMTU", "from 1280 to 1480"),
            (",\"lifetime\":0", "bindings[0].lifetime", "is 0"),
            (",\"lifetime\":-1", "bindings[0].lifetime", "from 0 to 4294967295"),
            (",\"endpoint\":\"203.0.113.9\"", "bindings[0].careOfAddress", "is the tunnel's own endpoint"),
            (",\"prefixes\":[{\"prefix\":\"2001:db8::1/64\"}]", "bindings[0].prefixes[0].prefix", "all bits past"),
            (
                ",\"prefixes\":[{\"prefix\":\"2001:db8::/129\"}]", "bindings[0].prefixes[0].prefix",
                "is not an IPv6 prefix"
            ),
            (",\"prefixes\":[{\"tunnel\":\"care-of\"}]", "bindings[0].prefixes[0]", "lacks \"prefix\""),
            (
                ",\"prefixes\":[{\"prefix\":\"2001:db8::/64\",\"tunnel\":\"home-address\"}]", "bindings[0].prefixes[0]",
                "needs a homeAddress"
            ),
            (
                ",\"prefixes\":[{\"prefix\":\"2001:db8::/64\"},{\"prefix\":\"2001:db8::/64\"}]",
                "bindings[0].prefixes[1]",
                "stands twice"
            ),
        ])
    func refusesInBinding(text: String, place: String, problem: String) throws {
        let error = #expect(throws: BindingError.self) { try read(file(text)) }
        #expect(error?.place == place)
        #expect(error?.problem.contains(problem) == true, "\(error?.problem ?? "")")
    }

    @Test("The file's endpoint counts in a binding's rules")
    func refusesCareOfAtEndpoint() {
        let error = #expect(throws: BindingError.self) { try read(file("", ",\"endpoint\":\"203.0.113.9\"")) }
        #expect(error?.place == "bindings[0].careOfAddress")
    }

    private func bindings(_ bindings: [(id: String, prefixes: [String])]) -> String {
        let texts = bindings.map { binding in
            let prefixes = binding.prefixes.map { "{\"prefix\":\"\($0)\"}" }.joined(separator: ",")
            return "{\"id\":\"\(binding.id)\",\"careOfAddress\":\"203.0.113.9\",\"prefixes\":[\(prefixes)]}"
        }
        return "{\"bindings\":[\(texts.joined(separator: ","))]}"
    }

    @Test("An id that stands twice is named with both places")
    func refusesDuplicateIDs() {
        let error = #expect(throws: BindingError.self) { try read(bindings([("a", []), ("b", []), ("a", [])])) }
        #expect(error == BindingError("bindings[2].id", "a is also the id of bindings[0]"))
    }

    @Test("Prefixes of two nodes that overlap are named with both nodes")
    func refusesOverlaps() throws {
        let error = #expect(throws: BindingError.self) {
            try read(
                bindings([
                    ("inner", ["2001:db8:9::/64", "2001:db8:1:5::/64"]), ("far", ["2001:db8:2::/48"]),
                    ("outer", ["2001:db8:1::/48"]),
                ]))
        }
        #expect(
            error
                == BindingError(
                    "bindings[2].prefixes[0].prefix",
                    "2001:db8:1::/48 of outer overlaps 2001:db8:1:5::/64 of inner (bindings[0].prefixes[1].prefix); "
                        + "a prefix belongs to one node"))
        #expect(throws: BindingError.self) { try read(bindings([("a", ["2001:db8::/64"]), ("b", ["2001:db8::/64"])])) }
        #expect(throws: BindingError.self) { try read(bindings([("a", ["::/0"]), ("b", ["2001:db8::/64"])])) }
        // One node's own may overlap, and neighbours don't.
        _ = try read(
            bindings([("a", ["2001:db8::/47", "2001:db8:1::/64"]), ("b", ["2001:db8:2::/64", "2001:db8:2:1::/64"])]))
    }

    @Test(
        "What is not acceptable in a group is named with its place",
        arguments: [
            ("{\"group\":\"2001:db8::1\",\"members\":[]}", "groups[0].group", "is no IPv6 multicast address"),
            ("{\"group\":\"ff01::1\",\"members\":[]}", "groups[0].group", "at least that of a link"),
            ("{\"group\":\"ff3e::1234\"}", "groups[0]", "lacks \"members\""),
            ("{\"group\":\"ff3e::1\",\"members\":[\"mn1\",\"mn9\"]}", "groups[0].members[1]", "the id of no binding"),
            ("{\"group\":\"ff3e::1\",\"members\":[\"mn1\",\"mn1\"]}", "groups[0].members[1]", "stands twice"),
            (
                "{\"group\":\"ff3e::1\",\"members\":[]},{\"group\":\"ff3e::1\",\"members\":[]}", "groups[1].group",
                "stands twice"
            ),
        ])
    func refusesInGroups(groups: String, place: String, problem: String) {
        let error = #expect(throws: BindingError.self) { try read(file("", ",\"groups\":[\(groups)]")) }
        #expect(error?.place == place)
        #expect(error?.problem.contains(problem) == true, "\(error?.problem ?? "")")
    }

    @Test(
        "A link-local address of a node is its own prefix, by the home address (RFC 5454, 2.2: length 255)",
        arguments: [
            ("fe80::cb00:7109/128", "home-address", nil),
            ("fe80::cb00:7109/128", "care-of", "needs tunnel \"home-address\""),
            ("fe80::/64", "home-address", "name the one address, with length 128"),
            ("fe80::/255", "home-address", "an IPv6 prefix such as"),
        ] as [(String, String, String?)])
    func linkLocal(prefix: String, tunnel: String, problem: String?) throws {
        let text = """
            {"bindings":[{"id":"mn1","careOfAddress":"203.0.113.9","homeAddress":"198.51.100.7",
            "prefixes":[{"prefix":"\(prefix)","tunnel":"\(tunnel)"}]}]}
            """
        guard let problem else {
            #expect(try read(text).bindings[0].prefixes[0].prefix.description == prefix)
            return
        }
        let error = #expect(throws: BindingError.self) { try read(text) }
        #expect(error?.place.hasPrefix("bindings[0].prefixes[0]") == true)
        #expect(error?.problem.contains(problem) == true, "\(error?.problem ?? "")")
    }

    @Test(
        "Prefixes of addresses that no packet of a tunnel may bear are refused, and the halves of everything are not",
        arguments: [
            ("ff00::/8", false), ("ff3e::/96", false), ("fe80::/10", false), ("fe80::1/128", false), ("::1/128", false),
            ("::/128", false), ("::/96", false), ("::192.0.2.0/120", false), ("::ffff:0:0/96", false),
            ("::ffff:192.0.2.1/128", false), ("::/0", true), ("::/1", true), ("8000::/1", true), ("64:ff9b::/96", true),
            ("2001:db8::/96", true),
        ])
    func prefixes(prefix: String, isAccepted: Bool) throws {
        let binding = Binding(
            id: "mn1", careOfAddress: IPv4Address(rawValue: 0xCB00_7109),
            prefixes: [BoundPrefix(try #require(IPv6Prefix(prefix)))])
        let isRefused = (try? binding.validate()) == nil
        #expect(isRefused != isAccepted)
    }

    @Test(
        "P1 a link-local address is bound by itself, with its whole length, to the home address",
        arguments: [
            ("fe80::1/128", "home-address", nil), ("febf:ffff::1/128", "home-address", nil),
            ("fe80::/10", "home-address", "name the one address, with length 128"),
            ("fe80::/64", "home-address", "name the one address, with length 128"),
            ("fe80::2/127", "home-address", "name the one address, with length 128"),
            ("fe80::1/128", "care-of", "needs tunnel \"home-address\""),
            ("fec0::1/128", "care-of", nil), ("fe40::1/128", "care-of", nil),
        ] as [(String, String, String?)])
    func linkLocalByItself(prefix: String, tunnel: String, problem: String?) throws {
        var binding = Binding(id: "mn1", careOfAddress: IPv4Address(rawValue: 0xCB00_7109))
        binding.prefixes = [
            BoundPrefix(try #require(IPv6Prefix(prefix)), tunnel: try #require(PrefixTunnel(rawValue: tunnel)))
        ]
        if tunnel == "home-address" {
            let error = #expect(throws: BindingError.self) { try binding.validate() }
            #expect(error?.problem == "tunnel \"home-address\" needs a homeAddress")
        }
        binding.homeAddress = IPv4Address(rawValue: 0xC633_6407)
        guard let problem else { return try binding.validate() }
        let error = #expect(throws: BindingError.self) { try binding.validate() }
        #expect(error?.problem.contains(problem) == true, "\(error?.problem ?? "")")
    }

    @Test("Many bindings load, and the one overlap among them is found")
    func loadsMany() throws {
        let count = 20_000
        func prefix(_ index: Int) -> String {
            "\(IPv6Address(high: 0x2001_0DB8_0000_0000 + UInt64(index), low: 0))/64"
        }
        var many = (0..<count).map { (id: "mn\($0)", prefixes: [prefix($0 * 7 % count)]) }
        #expect(try read(bindings(many)).bindings.count == count)
        many.append(("late", [prefix(12_345)]))
        let error = #expect(throws: BindingError.self) { try read(bindings(many)) }
        #expect(error?.place == "bindings[\(count)].prefixes[0].prefix")
    }

    @Test("A file that can't be read, and one with a mistake, are named by their path")
    func namesPath() {
        let error = #expect(throws: BindingError.self) { try BindingFile(contentsOf: "/nonexistent.json") }
        #expect(error?.description == "/nonexistent.json: can't be read: No such file or directory")
        let empty = #expect(throws: BindingError.self) { try BindingFile(contentsOf: "/dev/null") }
        #expect(empty?.description == "/dev/null: line 1, column 1: a value is expected")
    }
}

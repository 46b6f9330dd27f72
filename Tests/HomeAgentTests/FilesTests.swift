// The configuration in its files: what is read, and what an error says of a mistake.

import Bindings
import Foundation
import MobileIP
import RouteNetlink
import TestSupport
import Testing
import Wire

@testable import HomeAgent

@Suite("Files of the home agent") struct FilesTests {
    private static let key = "000102030405060708090a0b0c0d0e0f"

    private static func write(_ text: String, _ name: String, in directory: String, mode: Int = 0o600) throws {
        let path = "\(directory)/\(name)"
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    /// Reads a configuration file that stands beside a file `key`.
    private static func read(_ text: String, mode: Int = 0o600) async throws -> HomeAgentFiles {
        try await TemporaryDirectory.with { directory in
            try write(key, "key", in: directory)
            try write(text, "mooring-ha.toml", in: directory, mode: mode)
            return try HomeAgentFiles(contentsOf: directory + "/mooring-ha.toml")
        }
    }

    @Test("all that can be said is read")
    func complete() async throws {
        try await TemporaryDirectory.with { directory in
            try Self.write(Self.key + "\n", "key", in: directory)
            try Self.write(
                """
                [[node]]
                access-identifier = "mn2@example.org"
                spi = 1001
                key = "\(Self.key)"
                """, "nodes.toml", in: directory)
            try Self.write(
                """
                addresses = ["192.0.2.1", "192.0.2.2"]
                broadcast-addresses = ["192.0.2.255"]
                listen = "udp"
                forwarder-socket = "d.sock"
                socket = "/run/ha.sock"
                socket-group = "mooring"
                database = "r.db"
                durability = "normal"
                log-level = "debug"
                home-networks = ["198.51.100.0/24"]
                home-address-pools = ["198.51.101.0/24"]
                private-ranges = []
                dynamic-home-agent = "192.0.2.9"
                prefix-pool = [{ within = "2001:db8::/32", lengths = [56, 64] }]
                routes = { device = "home0", table = 100, metric = 7 }
                multicast = { query-interval = 60, response-interval = 5, robustness = 3, memberships = 99 }
                udp-tunnel = { may-be-forced = false, keepalive-interval = 20, maximum-lifetime = 300 }
                revocation = { offered = false, inform-nodes = false, attempts = 3, first-interval = 4 }
                limits = { nodes = 10, bindings = 9, prefixes = 8, revocations = 7 }
                nodes-file = "nodes.toml"
                [[foreign-agent]]
                address = "203.0.113.1"
                spi = 5000
                key-file = "key"
                algorithm = "hmac-sha-256"
                [[policy]]
                name = "strict"
                tunneling-modes = ["home-address"]
                encapsulations = ["gre"]
                reverse-tunnel = "required"
                simultaneous-bindings = "refused"
                maximum-lifetime = 60
                maximum-prefixes = 2
                prefix-pools = true
                link-local = false
                multicast-groups = ["ff15::/16", "ff3e::/32"]
                maximum-groups = 4
                [[node]]
                home-address = "198.51.100.7"
                access-identifier = "mn1@example.org"
                policy = "strict"
                prefixes = ["2001:db8:1::/48", { within = "2001:db8:2::/48", lengths = [64] }]
                implicit-prefixes = ["2001:db8:3::/64"]
                networks = ["10.1.0.0/16"]
                implicit-networks = ["10.2.0.0/16"]
                [[node.associations]]
                spi = 256
                key-file = "key"
                replay = "nonces"
                [[node.associations]]
                spi = 257
                key-file = "key"
                tolerance = 30
                """, "mooring-ha.toml", in: directory, mode: 0o644)
            let files = try HomeAgentFiles(contentsOf: directory + "/mooring-ha.toml")
            let settings = files.settings
            #expect(settings.homeAgent.addresses.map(\.description) == ["192.0.2.1", "192.0.2.2"])
            #expect(settings.homeAgent.broadcastAddresses.map(\.description) == ["192.0.2.255"])
            #expect(settings.listen == .udp)
            #expect(settings.forwarderSocket == directory + "/d.sock")
            #expect(settings.socket == "/run/ha.sock")
            #expect(settings.socketGroup == "mooring")
            #expect(settings.database == directory + "/r.db")
            #expect(settings.durability == .normal)
            #expect(settings.logLevel == "debug")
            #expect(settings.homeNetworks.map(\.description) == ["198.51.100.0/24"])
            #expect(settings.homeAgent.homeAddressPools.map(\.description) == ["198.51.101.0/24"])
            #expect(settings.homeAgent.privateRanges.isEmpty)
            #expect(settings.homeAgent.dynamicHomeAgent == .redirected(IPv4Address("192.0.2.9")!))
            #expect(
                settings.homeAgent.prefixPools == [
                    PrefixPermission(within: IPv6Prefix("2001:db8::/32")!, lengths: 56...64)
                ])
            #expect(
                settings.routes == HomeRouteSettings(device: "home0", table: RouteTable(rawValue: 100), metric: 7))
            let multicast = try #require(settings.multicast)
            #expect(multicast.queryInterval == 60 && multicast.responseInterval == 5)
            #expect(multicast.robustness == 3 && multicast.memberships == 99)
            #expect(!settings.homeAgent.udpTunnel.mayBeForced)
            #expect(settings.homeAgent.udpTunnel.keepaliveInterval == 20)
            #expect(settings.homeAgent.udpTunnel.maximumLifetime.seconds == 300)
            #expect(!settings.homeAgent.revocation.isOffered && !settings.homeAgent.revocation.informsNodes)
            #expect(settings.homeAgent.revocation.attempts == 3 && settings.homeAgent.revocation.firstInterval == 4)
            let limits = settings.homeAgent.limits
            #expect(limits.nodes == 10 && limits.bindings == 9)
            #expect(limits.prefixes == 8 && limits.revocationsUnderWay == 7)
            let agent = try #require(settings.homeAgent.foreignAgents.first)
            #expect(agent.address.description == "203.0.113.1")
            let bytes = Array(UInt8(0)...15)
            let shared = try SecurityAssociation(
                securityParameterIndex: 5000, algorithm: .hmacSHA256, key: bytes)
            #expect(agent.associations == [shared])

            try #require(files.nodes.count == 2)
            let node = files.nodes[0]
            #expect(node.identity.description == "mn1@example.org")
            #expect(node.homeAddress?.description == "198.51.100.7")
            let associations = [
                try SecurityAssociation(securityParameterIndex: 256, key: bytes, replayProtection: .nonces),
                try SecurityAssociation(
                    securityParameterIndex: 257, key: bytes, replayProtection: .timestamps(tolerance: .seconds(30))),
            ]
            #expect(node.associations == associations)
            var policy = NodePolicy()
            policy.tunnelingModes = .homeAddress
            policy.encapsulations = .gre
            policy.reverseTunnel = .required
            policy.simultaneousBindings = .refused
            policy.maximumLifetime = RegistrationLifetime(seconds: 60)
            policy.maximumPrefixes = 2
            policy.mayUsePrefixPools = true
            policy.mayUseLinkLocal = false
            policy.multicast.groups = [IPv6Prefix("ff15::/16")!, IPv6Prefix("ff3e::/32")!]
            policy.multicast.maximumGroups = 4
            #expect(node.policy == policy)
            #expect(
                node.prefixes == [
                    PrefixPermission(IPv6Prefix("2001:db8:1::/48")!),
                    PrefixPermission(within: IPv6Prefix("2001:db8:2::/48")!, lengths: 64...64),
                ])
            #expect(node.implicitPrefixes.map(\.description) == ["2001:db8:3::/64"])
            #expect(node.networks.map(\.description) == ["10.1.0.0/16"])
            #expect(node.implicitNetworks.map(\.description) == ["10.2.0.0/16"])
            #expect(files.nodes[1].identity.description == "mn2@example.org")
            #expect(files.nodes[1].policy == NodePolicy())
        }
    }

    private static let node = "[[node]]\nhome-address = \"198.51.100.7\"\nspi = 1000\nkey-file = \"key\"\n"
    private static func foreignAgent(_ address: String) -> String {
        "[[foreign-agent]]\naddress = \"\(address)\"\nspi = 5000\nkey-file = \"key\"\n"
    }
    private static let start = "addresses = [\"192.0.2.1\"]\n"

    @Test(
        "a mistake is named with its place",
        arguments: [
            ("", "lacks \"addresses\""),
            ("addresses = []", "addresses: is empty"),
            (start + "adresses = []", "adresses: is no key that is known here"),
            ("addresses = [\"192.0.2.1\", \"192.0.2.2\", \"192.0.2.1\"]", "addresses[2]: 192.0.2.1 stands twice"),
            ("addresses = [\"127.0.0.1\"]", "addresses[0]: 127.0.0.1 is no unicast address"),
            ("addresses = [\"224.0.0.11\"]", "addresses[0]: 224.0.0.11 is no unicast address"),
            ("addresses = [\"0.0.0.0\"]", "addresses[0]: 0.0.0.0 is no unicast address"),
            ("addresses = [\"255.255.255.255\"]", "addresses[0]: 255.255.255.255 is no unicast address"),
            (start + "broadcast-addresses = [\"192.0.2.1\"]", "broadcast-addresses[0]: 192.0.2.1 is one of addresses"),
            (start + "broadcast-addresses = [\"224.0.0.1\"]", "broadcast-addresses[0]: 224.0.0.1 is no broadcast"),
            (start + "home-networks = [\"0.0.0.0/0\"]", "home-networks[0]: 0.0.0.0/0 is all of IPv4"),
            (
                start + "home-address-pools = [\"127.1.0.0/16\"]",
                "home-address-pools[0]: 127.1.0.0/16 is no network of unicast addresses: it has those of 127.0.0.0/8"
            ),
            (
                start + "home-address-pools = [\"10.0.0.0/8\", \"10.0.0.0/8\"]",
                "home-address-pools[1]: 10.0.0.0/8 stands twice"
            ),
            (
                start + "dynamic-home-agent = \"192.0.2.1\"",
                "dynamic-home-agent: 192.0.2.1 is an address of this home agent, which would send nodes to itself"
            ),
            (start + "dynamic-home-agent = \"224.0.0.11\"", "dynamic-home-agent: 224.0.0.11 is no unicast address"),
            (start + foreignAgent("192.0.2.1"), "foreign-agent[0]: 192.0.2.1 is an address of the home agent itself"),
            (
                start + foreignAgent("203.0.113.1") + foreignAgent("203.0.113.1"),
                "foreign-agent[1]: 203.0.113.1 stands twice"
            ),
            (start + node + "networks = [\"0.0.0.0/0\"]", "node[0].networks[0]: 0.0.0.0/0 is all of IPv4"),
            (
                start + node + "networks = [\"10.0.0.0/8\", \"192.0.0.0/16\"]",
                "node[0].networks[1]: 192.0.0.0/16 has the home agent's own address 192.0.2.1"
            ),
            (start + node + "networks = [\"224.0.0.0/24\"]", "node[0].networks[0]: 224.0.0.0/24 is no network of"),
            (start + node + "networks = [\"127.0.0.0/8\"]", "node[0].networks[0]: 127.0.0.0/8 is no network of"),
            (start + node + "networks = [\"64.0.0.0/2\"]", "64.0.0.0/2 is no network of unicast addresses"),
            (
                start + node + "implicit-networks = [\"198.51.100.7/32\"]",
                "node[0].implicit-networks[0]: 198.51.100.7/32 is the home address"
            ),
            (
                start + node + "networks = [\"10.0.0.0/8\", \"10.0.0.0/8\"]",
                "node[0].networks[1]: 10.0.0.0/8 stands twice"
            ),
            (
                start + node + "implicit-prefixes = [\"2001:db8::/64\", \"2001:db8::/64\"]",
                "node[0].implicit-prefixes[1]: 2001:db8::/64 stands twice"
            ),
            (start + "listen = \"tcp\"", "listen: \"tcp\" is none of \"forwarder\", \"udp\""),
            (start + "log-level = \"loud\"", "log-level: is none of"),
            (start + "home-address-pools = [\"10.0.0.0/7\"]", "home-address-pools[0]: "),
            (start + "limits = { nodes = 0 }", "limits.nodes: 0 is no whole number"),
            (
                start + "multicast = { query-interval = 10, response-interval = 10 }",
                "multicast: has a response-interval of 10 seconds, which must be shorter"
            ),
            (start + "multicast = { robustness = 1 }", "multicast.robustness: 1 is no whole number"),
            (
                start + "[[policy]]\nname = \"a\"\nmulticast-groups = [\"2001:db8::/32\"]",
                "policy[0].multicast-groups[0]: 2001:db8::/32 is no range of multicast groups"
            ),
            (start + "dynamic-home-agent = \"x\"", "dynamic-home-agent: \"x\" is not"),
            (start + "[[policy]]\nname = \"a\"\n[[policy]]\nname = \"a\"", "policy[1]: the policy \"a\" stands twice"),
            (start + "[[policy]]\nname = \"a\"\nencapsulations = [\"x\"]", "policy[0].encapsulations[0]: \"x\""),
            (start + "[[node]]\nspi = 1000\nkey-file = \"key\"", "node[0]: lacks \"home-address\""),
            (start + node + "key = \"00\"", "node[0]: has one of \"key-file\" and \"key\""),
            (start + node + node, "node[1]: 198.51.100.7 is another node's identity"),
            (
                start + node + node + "access-identifier = \"x\"",
                "node[1]: 198.51.100.7 is another node's home address"
            ),
            (
                start + node.replacing("198.51.100.7", with: "192.0.2.1"),
                "node[0]: 192.0.2.1 is an address of the home agent itself"
            ),
            (start + node + "implicit-prefixes = [\"fe80::/64\"]", "implicit-prefixes[0]: fe80::/64 is no prefix"),
            (start + node + "implicit-prefixes = [\"ff00::/8\"]", "implicit-prefixes[0]: ff00::/8 is no prefix"),
            (start + node + "implicit-prefixes = [\"::/0\"]", "implicit-prefixes[0]: ::/0 is all of IPv6"),
            (
                start + node + "prefixes = [\"fe80::/64\"]",
                "node[0].prefixes[0]: fe80::/64 is no prefix of global unicast"
            ),
            (
                start + node + "prefixes = [\"ff00::/8\"]",
                "node[0].prefixes[0]: ff00::/8 is no prefix of global unicast"
            ),
            (start + node + "prefixes = [\"::1/128\"]", "node[0].prefixes[0]: ::1/128 is no prefix of global unicast"),
            (
                start + "prefix-pool = [{ within = \"fe80:1::/48\", lengths = [64, 64] }]",
                "prefix-pool[0].within: fe80:1::/48 is no prefix of global unicast"
            ),
            (
                start + "prefix-pool = [{ within = \"2001:db8::/32\", lengths = [64, 60] }]",
                "prefix-pool[0]: has lengths of other than the shortest and the longest"
            ),
            (
                start + node + "prefixes = [{ within = \"2001:db8::/32\", lengths = [64, 60] }]",
                "node[0].prefixes[0]: has lengths of other than the shortest and the longest"
            ),
            (
                start + node + "implicit-prefixes = [\"2001:db8:1::/48\"]\n" + node.replacing("100.7", with: "100.8")
                    + "implicit-prefixes = [\"2001:db8::/64\", \"2001:db8:1:2::/64\"]",
                "node 198.51.100.8: 2001:db8:1:2::/64 overlaps 2001:db8:1::/48 of node 198.51.100.7"
            ),
            (
                start + node + "implicit-prefixes = [\"2001:db8::/64\"]\n" + node.replacing("100.7", with: "100.8")
                    + "implicit-prefixes = [\"2001:db8::/64\"]", "2001:db8::/64 overlaps 2001:db8::/64 of node"
            ),
            (start + "routes = { device = \"sixteen-bytes-xx\" }", "routes.device: is no device name"),
            (start + "routes = { device = \"a/b\" }", "routes.device: is no device name"),
            (start + "routes = { device = \"a b\" }", "routes.device: is no device name"),
            (start + "socket = \"\"", "socket: is no path of a socket"),
            (start + "forwarder-socket = \"\"", "forwarder-socket: is no path of a socket"),
            (
                start + "socket = \"/\(String(repeating: "s", count: 107))\"",
                "has 108 bytes, where the path of a socket"
            ),
            // Beside the file it is longer than it stands there.
            (start + "forwarder-socket = \"\(String(repeating: "s", count: 107))\"", "forwarder-socket: /"),
            (start + node + "policy = \"x\"", "node[0].policy: \"x\" is the name of no policy"),
            (start + node + "prefixes = [\"2001:db8::1/64\"]", "node[0].prefixes[0]: "),
            (start + node + "prefixes = [{within = \"2001:db8::/64\", lengths = [56]}]", "lengths[0]: 56 is no"),
            (start + node + "replay = \"nonces\"\ntolerance = 3", "node[0].tolerance: stands only beside"),
            (
                start + "limits = { nodes = 1 }\n" + node + node.replacing("100.7", with: "100.8"),
                "node[1]: is one more than the 1"
            ),
            (start + node.replacing("1000", with: "255"), "node[0]: security parameter index 255 is reserved"),
            (start + node.replacing("key-file = \"key\"", with: "key = \"0011\""), "a key of 2 bytes is too short"),
            (start + "nodes-file = \"missing\"", "missing: can't be read"),
            ("addresses = [", "line 1"),
        ])
    func mistakes(_ text: String, _ words: String) async throws {
        do {
            _ = try await Self.read(text)
            Issue.record("it was taken")
        } catch let error as StrictJSON.Failure {
            #expect("\(error)".contains(words), "\(error)")
        }
    }

    @Test("a network may have its node's home address, and be of another's network")
    func networks() async throws {
        let text = Self.start + Self.node + "networks = [\"198.51.100.0/24\", \"198.51.100.0/25\"]"
        let files = try await Self.read(text)
        #expect(files.nodes[0].networks.map(\.description) == ["198.51.100.0/24", "198.51.100.0/25"])
    }

    @Test("a node's own implicit prefixes may overlap, and lie beside another's")
    func implicitPrefixes() async throws {
        let text =
            Self.start + Self.node
            + "implicit-prefixes = [\"2001:db8:1::/48\", \"2001:db8:1:2::/64\", \"2001:db8:3::/48\"]\n"
            + Self.node.replacing("100.7", with: "100.8")
            + "implicit-prefixes = [\"2001:db8:2::/48\", \"2001:db8::/64\"]"
        #expect(try await Self.read(text).nodes.map(\.implicitPrefixes.count) == [3, 2])
    }

    @Test("multicast is off without its table, and where that says so")
    func multicastOff() async throws {
        #expect(try await Self.read(Self.start).settings.multicast == nil)
        #expect(try await Self.read(Self.start + "multicast = { enabled = false }").settings.multicast == nil)
        #expect(try await Self.read(Self.start + "[multicast]").settings.multicast != nil)
    }

    @Test("a key in a file that others can read is refused, and not shown")
    func secrecy() async throws {
        let text = Self.start + Self.node.replacing("key-file = \"key\"", with: "key = \"\(Self.key)\"")
        #expect(try await Self.read(text, mode: 0o600).nodes.count == 1)
        do {
            _ = try await Self.read(text, mode: 0o640)
            Issue.record("it was taken")
        } catch let error as StrictJSON.Failure {
            #expect("\(error)".contains("node[0].key: stands in a file that others can use"), "\(error)")
            #expect(!"\(error)".contains(Self.key))
        }
    }

    @Test("a pipe in place of a file is refused and not waited for")
    func pipes() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/pipe"
            try #require(mkfifo(path, 0o600) == 0)
            for text in ["nodes-file = \"pipe\"\n", Self.node.replacing("\"key\"", with: "\"pipe\"")] {
                try Self.write(Self.start + text, "mooring-ha.toml", in: directory)
                let file = directory + "/mooring-ha.toml"
                let failure = #expect(throws: StrictJSON.Failure.self) { _ = try HomeAgentFiles(contentsOf: file) }
                #expect(failure.map { "\($0)" }?.contains("pipe: is no plain file") == true)
            }
        }
    }
}

// What the commands do, and what they print.

import ControlProtocol
import ControlTestServer
import Foundation
import TestSupport
import Testing

@Suite("mooring") struct CommandTests {
    @Test(
        "Every command has help with examples, which need no daemon",
        arguments: [
            [], ["status"], ["binding"], ["binding", "load"], ["binding", "put"], ["binding", "remove"],
            ["binding", "list"], ["binding", "show"], ["group"], ["group", "join"], ["group", "leave"],
            ["group", "list"],
            ["counters"], ["watch"],
        ])
    func helps(command: [String]) async throws {
        let help = try await Tool.run(command + ["--help"])
        #expect(help.status == 0)
        #expect(help.output.contains("EXAMPLES:\n  mooring \(command.joined(separator: " "))"), "\(help.output)")
        #expect(help.errorOutput == "")
    }

    @Test("The version is that of the release")
    func tellsVersion() async throws {
        #expect(try await Tool.run(["--version"]).output == "mooring \(mooringVersion)\n")
    }

    @Test("status")
    func status() async throws {
        try await TestServer.run { server in
            let expected = """
                {"accessDevice":"mooring-access","bindingLimit":1000,"bindings":0,"endpoints":["192.0.2.1"],
                 "groups":0,"homeDevice":"mooring-home","io":"io_uring","memberLimit":3000,"members":0,
                 "prefixLimit":2000,"prefixes":0,"processID":42,
                 "tunnelMTU":1480,"uptimeMilliseconds":93784000,"version":"\(mooringVersion)","workers":1}
                """
            #expect(try await server.json(["status"]) == JSON(expected))
            let text = try await server.tool(["status"]).output
            #expect(
                text.contains("mooringd \(mooringVersion), process 42\n  up: 1 day, 2 hours, 3 minutes, 4 seconds\n"))
            #expect(text.contains("  bindings: 0 of at most 1000\n"))
            #expect(text.contains("  groups: 0, with 0 members of at most 3000\n"))
        }
    }

    @Test("counters")
    func counters() async throws {
        try await TestServer.run { server in
            let expected = """
                {"absorbed":0,"dropped":{"inner-source-unregistered":1,"no-binding":2,"packet-too-big":0},
                 "generated":{"access":0,"home":0},"punted":0,"puntsLost":0,"reassemblyFailures":0,
                 "received":{"access":7,"home":10},"receivedBytes":{"access":0,"home":15000},"suppressedErrors":0,
                 "transmitted":{"access":8,"home":6},"transmittedBytes":{"access":0,"home":0}}
                """
            #expect(try await server.json(["counters"]) == JSON(expected))
            let text = try await server.tool(["counters"]).output
            #expect(text.contains("no-binding"))
            #expect(!text.contains("packet-too-big"))
            #expect(try await server.tool(["counters", "--all"]).output.contains("packet-too-big"))
            for name in ["reassembly failures", "punts lost"] {
                #expect(!text.contains(name))
                #expect(try await server.tool(["counters", "--all"]).output.contains("\(name)"))
            }
            try await server.onLoop {
                $0.counters.reassemblyFailures = 23
                $0.counters.puntsLost = 42
            }
            let counted = try await server.tool(["counters"]).output
            #expect(counted.contains(#/\nreassembly failures +23 /#), "\(counted)")
            #expect(counted.contains(#/\npunts lost +42 /#), "\(counted)")
            let json = try await server.json(["counters"])
            #expect(json["reassemblyFailures"].number == 23)
            #expect(json["puntsLost"].number == 42)
        }
    }

    @Test("Nodes join groups, are listed, and leave; who is no member makes the exit status 1")
    func groups() async throws {
        try await TestServer.run { server in
            for id in ["mn1", "mn2"] { _ = try await server.tool(["binding", "put", id, "--care-of", "203.0.113.9"]) }
            #expect(
                try await server.json(["group", "join", "ff3e::1234", "mn2", "mn1"])
                    == JSON("{\"joined\":2,\"unchanged\":0}"))
            #expect(
                try await server.tool(["group", "join", "FF3E:0::1234", "mn1"]).output
                    == "ff3e::1234: 0 joined, 1 were members already\n")
            _ = try await server.tool(["group", "join", "ff02::fb", "mn1"])
            #expect(
                try await server.json(["group", "list"])
                    == JSON(
                        """
                        {"groups":[{"group":"ff02::fb","members":["mn1"]},
                                   {"group":"ff3e::1234","members":["mn1","mn2"]}]}
                        """))
            #expect(
                try await server.tool(["group", "list"]).output
                    == "GROUP       MEMBER\nff02::fb    mn1\nff3e::1234  mn1\nff3e::1234  mn2\n")
            #expect(try await server.json(["group", "list", "ff02::fb"])["groups"].elements.count == 1)
            #expect(try await server.json(["status"])["members"].number == 3)
            let left = try await server.tool(["group", "leave", "ff3e::1234", "mn1", "mn9", "--json"], status: 1)
            #expect(try JSON(left.output) == JSON("{\"left\":[\"mn1\"],\"notMembers\":[\"mn9\"]}"))
            #expect(left.errorOutput.contains("no members of ff3e::1234: mn9"))
            _ = try await server.tool(["binding", "remove", "mn1"])
            #expect(try await server.tool(["group", "list"]).output == "GROUP       MEMBER\nff3e::1234  mn2\n")
            let none = try await server.tool(["group", "list", "ff02::fb"], status: 1)
            #expect(none.errorOutput == "mooring: ff02::fb has no members\n")
            #expect(try await server.tool(["group", "leave", "ff3e::1234", "mn2"]).output == "mn2 left ff3e::1234\n")
            #expect(try await server.json(["group", "list"]) == JSON("{\"groups\":[]}"))
            #expect(try await server.tool(["group", "list"]).errorOutput == "no groups\n")
        }
    }

    @Test("A file's groups are joined, and with --replace what it does not name is left")
    func loadsGroups() async throws {
        try await TestServer.run { server in
            func file(_ groups: String) -> String {
                let bindings = ["a", "b"].map { "{\"id\":\"\($0)\",\"careOfAddress\":\"203.0.113.9\"}" }
                return "{\"bindings\":[\(bindings.joined(separator: ","))],\"groups\":[\(groups)]}"
            }
            func groups() async throws -> JSON { try await server.json(["group", "list"])["groups"] }
            let first = file(#"{"group":"ff3e::1","members":["a","b"]},{"group":"ff3e::2","members":["a"]}"#)
            #expect(
                try await server.json(["binding", "load", "-"], input: first)
                    == JSON(#"{"added":2,"joined":3,"left":0,"removed":0,"replaced":0}"#))
            #expect(try await server.onLoop { $0.requests } == 1)
            _ = try await server.tool(["binding", "put", "c", "--care-of", "203.0.113.9"])
            _ = try await server.tool(["group", "join", "ff3e::1", "c"])
            _ = try await server.tool(["group", "join", "ff3e::3", "b"])
            let second = file(#"{"group":"ff3e::1","members":["a"]}"#)
            #expect(
                try await server.json(["binding", "load", "-"], input: second)
                    == JSON(#"{"added":0,"joined":0,"left":0,"removed":0,"replaced":2}"#))
            #expect(
                try await groups()
                    == JSON(
                        """
                        [{"group":"ff3e::1","members":["a","b","c"]},{"group":"ff3e::2","members":["a"]},
                         {"group":"ff3e::3","members":["b"]}]
                        """))
            // That of c goes with its binding, and is not counted.
            #expect(
                try await server.tool(["binding", "load", "-", "--replace"], input: second).output
                    == "2 bindings: 0 added, 2 replaced, 0 kept; 1 removed; groups: 0 joined, 3 left\n")
            #expect(try await groups() == JSON(#"[{"group":"ff3e::1","members":["a"]}]"#))
        }
    }

    @Test("Discovery of the path's MTU is put by option and by file, shown, and taken back")
    func mtuDiscovery() async throws {
        try await TestServer.run { server in
            let put = ["binding", "put", "mn1", "--care-of", "203.0.113.9"]
            _ = try await server.tool(put + ["--mtu-discovery"])
            let shown = try await server.json(["binding", "show", "mn1"])
            #expect(shown["mtuDiscovery"].description == "1")
            #expect(
                try await server.tool(["binding", "show", "mn1"]).output
                    .contains("  tunnel MTU: 1480 bytes, or what the path says\n"))
            _ = try await server.tool(["binding", "put", "mn1", "--update", "--no-mtu-discovery"])
            #expect(try await !server.json(["binding", "show", "mn1"]).keys.contains("mtuDiscovery"))
            let binding = #"{"id":"mn1","careOfAddress":"203.0.113.9","mtuDiscovery":true}"#
            let file = "{\"tunnelMTU\":1300,\"bindings\":[\(binding)]}"
            _ = try await server.tool(["binding", "load", "-"], input: file)
            let loaded = try await server.json(["binding", "show", "mn1"])
            #expect(loaded["mtuDiscovery"].description == "1")
            #expect(!loaded.keys.contains("tunnelMTU"))
        }
    }

    @Test("A link-local address is put as a prefix by the home address, and shown so")
    func linkLocal() async throws {
        try await TestServer.run { server in
            let put = [
                "binding", "put", "mn1", "--care-of", "203.0.113.9", "--home-address", "198.51.100.7", "--prefix",
            ]
            _ = try await server.tool(put + ["fe80::cb00:7109/128,home-address"])
            #expect(
                try await server.json(["binding", "show", "mn1"])["prefixes"]
                    == JSON(#"[{"prefix":"fe80::cb00:7109/128","tunnel":"home-address"}]"#))
            for (prefix, part) in [
                ("fe80::cb00:7109/128", "link-local, which needs tunnel \"home-address\""),
                ("fe80::/64,home-address", "name the one address, with length 128"),
            ] {
                let refused = try await server.tool(put + [prefix], status: 2)
                #expect(refused.errorOutput.contains(part), "\(refused.errorOutput)")
            }
        }
    }

    @Test("A binding of the mobile node's end, and networks, are put and shown so, and can be taken away again")
    func roleAndNetworks() async throws {
        try await TestServer.run { server in
            _ = try await server.tool([
                "binding", "put", "ha", "--role", "mobile-node", "--care-of", "192.0.2.1", "--endpoint", "203.0.113.9",
                "--home-address", "198.51.100.7", "--network", "0.0.0.0/0", "--network", "10.1.0.0/16",
                "--encapsulation",
                "udp",
            ])
            let shown = try await server.json(["binding", "show", "ha"])
            #expect(shown["role"].string == "mobile-node")
            #expect(try shown["networks"] == JSON(#"["0.0.0.0/0","10.1.0.0/16"]"#))
            #expect(try shown["udp"] == JSON(#"{"port":434}"#))
            let text = try await server.tool(["binding", "show", "ha"]).output
            #expect(text.contains("  role: mobile node\n  home agent: 192.0.2.1\n"))
            #expect(text.contains("  network: 0.0.0.0/0\n  network: 10.1.0.0/16\n"))
            #expect(try await server.tool(["binding", "list"]).output.contains("192.0.2.1  0.0.0.0/0 and 1 more"))
            _ = try await server.tool([
                "binding", "put", "ha", "--update", "--network", "none", "--role", "home-agent",
            ])
            let changed = try await server.json(["binding", "show", "ha"])
            #expect(!changed.keys.contains("role") && !changed.keys.contains("networks"))
            for (option, value, part) in [
                ("--network", "10.1.0.1/16", "all bits past its length zero"), ("--role", "node", "it is none of"),
            ] {
                let refused = try await server.tool(
                    ["binding", "put", "x", "--care-of", "192.0.2.1", option, value], status: 2)
                #expect(refused.errorOutput.contains(part), "\(refused.errorOutput)")
            }
        }
    }

    @Test("watch --punts prints a line for each packet, and asks for nothing else")
    func watchesPunts() async throws {
        let publish: @Sendable (FakeHandler) -> Void = { handler in
            handler.publisher.publish(.security(.with { $0.reason = "none-of-these" }))
            handler.publisher.publish(
                .punt(
                    .with {
                        $0.reason = .mobileIp
                        $0.outerSource = 0xCB00_7109
                        $0.packet = Data([0x45, 0x00, 0xFF])
                    }))
            handler.publisher.publish(
                .punt(
                    .with {
                        $0.reason = .multicastListener
                        $0.outerSource = 0xCB00_710A
                        $0.homeAddress = 0xC633_6407
                        $0.binding = "mn1"
                        $0.packet = Data([0x60])
                    }))
        }
        try await TestServer.run { server in
            async let plain = Tool.run(["watch", "--punts"], socket: server.path)
            #expect(try await eventually { try await server.onLoop { $0.puntsAreWatched } })
            try await server.onLoop(publish)
            await server.server.close()
            let lines = try await plain.output.split(separator: "\n").map { $0.split(separator: "  ", maxSplits: 1)[1] }
            #expect(
                lines == [
                    "punt mobile-ip: from 203.0.113.9, 3 bytes",
                    "punt multicast-listener: from 203.0.113.10, home address 198.51.100.7, which is mn1's, 1 byte",
                ])
        }
        try await TestServer.run { server in
            async let json = Tool.run(["watch", "--punts", "--json"], socket: server.path)
            #expect(try await eventually { try await server.onLoop { $0.puntsAreWatched } })
            try await server.onLoop(publish)
            await server.server.close()
            let events = try await json.output.split(separator: "\n").map { try JSON(String($0))["punt"] }
            #expect(
                events == [
                    try JSON(#"{"length":3,"outerSource":"203.0.113.9","packet":"4500ff","reason":"mobile-ip"}"#),
                    try JSON(
                        """
                        {"binding":"mn1","homeAddress":"198.51.100.7","length":1,"outerSource":"203.0.113.10",
                         "packet":"60","reason":"multicast-listener"}
                        """),
                ])
        }
    }

    @Test("A binding is put, shown, changed and removed")
    func changes() async throws {
        try await TestServer.run { server in
            #expect(
                try await server.json([
                    "binding", "put", "mn1", "--care-of", "203.0.113.9", "--prefix", "2001:db8:1::/64", "--prefix",
                    "2001:db8:2::/64,home-address", "--home-address", "198.51.100.7", "--encapsulation", "gre",
                    "--gre-key", "7", "--lifetime", "600",
                ]) == JSON("{\"added\":1,\"removed\":0,\"replaced\":0}"))
            let expected = """
                {"careOfAddress":"203.0.113.9","dscp":"uniform","ecn":"normal","encapsulation":"gre",
                 "fromNode":{"bytes":0,"packets":0},"gre":{"checksum":false,"key":7,"sequence":false},
                 "homeAddress":"198.51.100.7","id":"mn1","lifetime":600,
                 "prefixes":[{"prefix":"2001:db8:1::/64","tunnel":"care-of"},
                             {"prefix":"2001:db8:2::/64","tunnel":"home-address"}],
                 "revision":1,"toNode":{"bytes":0,"packets":0}}
                """
            #expect(try await server.json(["binding", "show", "mn1"]) == JSON(expected))
            #expect(try await server.json(["binding", "list"])["bindings"].elements == [JSON(expected)])
            #expect(
                try await server.tool([
                    "binding", "put", "mn1", "--update", "--care-of", "198.51.100.20", "--gre-key", "none",
                ])
                .output == "replaced mn1\n")
            let moved = try await server.json(["binding", "show", "mn1"])
            #expect(moved["careOfAddress"].string == "198.51.100.20")
            #expect(moved["gre"].keys == ["checksum", "sequence"])
            #expect(moved["lifetime"].number == 600)
            let table = try await server.tool(["binding", "list"]).output.split(separator: "\n")
            #expect(table.count == 2)
            #expect(table[0].hasPrefix("ID   CARE-OF        PREFIXES"))
            #expect(table[1].hasPrefix("mn1  198.51.100.20  2001:db8:1::/64 and 1 more"))
            let removal = try await server.tool(["binding", "remove", "mn1", "mn2", "--json"], status: 1)
            #expect(try JSON(removal.output) == JSON("{\"notFound\":[\"mn2\"],\"removed\":[\"mn1\"]}"))
            #expect(try await server.json(["binding", "list"]) == JSON("{\"bindings\":[]}"))
        }
    }

    @Test("A file of 10000 bindings is put whole, listed page by page in order, and replaced by another")
    func loadsMany() async throws {
        try await TestServer.run { server in
            let bindings = (0..<10_000).map { index in
                "{\"id\":\"mn\(index)\",\"careOfAddress\":\"203.0.113.9\","
                    + "\"prefixes\":[{\"prefix\":\"2001:db8:1:\(String(index, radix: 16))::/64\"}]}"
            }
            let file = "{\"bindings\":[\(bindings.joined(separator: ","))]}"
            #expect(
                try await server.json(["binding", "load", "-"], input: file)
                    == JSON("{\"added\":10000,\"removed\":0,\"replaced\":0}"))
            let before = try await server.onLoop { $0.requests }
            #expect(before == 1)
            let ids = try await server.json(["binding", "list"])["bindings"].elements.map { $0["id"].string ?? "" }
            #expect(ids == (0..<10_000).map { "mn\($0)" }.sorted())
            #expect(try await server.onLoop { $0.requests } - before == 10)
            #expect(try await server.tool(["binding", "list"]).output.split(separator: "\n").count == 10_001)
            let few = "{\"bindings\":[\(bindings[1...2].joined(separator: ","))]}"
            #expect(
                try await server.tool(["binding", "load", "-", "--replace"], input: few).output
                    == "2 bindings: 0 added, 2 replaced, 0 kept; 9998 removed\n")
        }
    }

    @Test("The file's endpoint and tunnel MTU count for bindings that have none")
    func loadsDefaults() async throws {
        try await TestServer.run { server in
            let file = """
                {"endpoint":"192.0.2.1","tunnelMTU":1400,"bindings":[
                 {"id":"a","careOfAddress":"203.0.113.9"},
                 {"id":"b","careOfAddress":"203.0.113.9","endpoint":"192.0.2.2","tunnelMTU":1300}]}
                """
            _ = try await server.tool(["binding", "load", "-"], input: file)
            let list = try await server.json(["binding", "list"])["bindings"].elements
            #expect(list.map { $0["endpoint"].string } == ["192.0.2.1", "192.0.2.2"])
            #expect(list.map { $0["tunnelMTU"].number } == [1400, 1300])
        }
    }

    @Test("watch prints each event as a line, as it comes")
    func watches() async throws {
        try await TestServer.run { server in
            async let watching = Tool.run(["watch", "--json"], socket: server.path)
            #expect(try await eventually { try await server.onLoop { $0.publisher.isWatched } })
            _ = try await server.tool(["binding", "put", "mn1", "--care-of", "203.0.113.9"])
            try await server.onLoop { handler in
                handler.publisher.publish(
                    .security(
                        .with {
                            $0.reason = "inner-source-unregistered"
                            $0.outerSource = 0xCB00_7109
                            $0.innerSource = Data([0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 12))
                            $0.suppressed = 3
                        }))
            }
            await server.server.close()
            let lines = try await watching.output.split(separator: "\n").map { try JSON(String($0)) }
            try #require(lines.count == 2)
            #expect(lines[0]["binding"]["change"].string == "added")
            #expect(lines[0]["binding"]["binding"]["id"].string == "mn1")
            #expect(
                lines[1]["security"]
                    == (try JSON(
                        """
                        {"innerSource":"2001:db8::","outerSource":"203.0.113.9","reason":"inner-source-unregistered",
                         "suppressed":3}
                        """)))
        }
    }
}

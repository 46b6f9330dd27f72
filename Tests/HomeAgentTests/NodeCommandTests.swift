// `mooring node` against a home agent that runs in this process, without a forwarder: what is added and removed, what
// becomes of it at a restart and at SIGHUP, what errors say, and where keys are.

import Foundation
import Logging
import TestSupport
import Testing

@testable import HomeAgent

@Suite("mooring node") struct NodeCommandTests {
    private static let key = "000102030405060708090a0b0c0d0e0f"
    private static let start = "addresses = [\"192.0.2.1\"]\nsocket = \"ha.sock\"\ndatabase = \"r.db\"\n"
    private static let pool = "home-address-pools = [\"198.51.101.0/24\"]\n"
    private static let directory = "nodes-directory = \"nodes\"\n"
    private static let configured = "[[node]]\nhome-address = \"198.51.100.1\"\nspi = 256\nkey = \"\(key)\"\n"

    /// A home agent's files, and the tool that asks it.
    private struct Scene {
        let path: String
        var configuration: String { path + "/mooring-ha.toml" }
        var nodes: String { path + "/nodes" }

        func write(_ text: String, _ name: String, mode: Int = 0o600) throws {
            try text.write(toFile: "\(path)/\(name)", atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: "\(path)/\(name)")
        }

        /// Runs a home agent meanwhile.
        func serving(_ body: (HomeAgentProgram) async throws -> Void) async throws {
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let program = try await HomeAgentProgram.start(HomeAgentFiles(contentsOf: configuration), logger: logger)
            do { try await body(program) } catch {
                await program.stop()
                throw error
            }
            await program.stop()
        }

        /// Runs `mooring node`, which must end with that status, and hands over what it printed.
        @discardableResult
        func node(
            _ arguments: [String], input: String = "", status: Int32 = 0,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> String {
            let program = try await Program.run(
                [Repository.path(of: "mooring"), "node"] + arguments, input: Array(input.utf8),
                environment: ["MOORING_HA_SOCKET": path + "/ha.sock"])
            #expect(
                program.status == status, "\(arguments): \(program.output)\(program.errorOutput)",
                sourceLocation: sourceLocation)
            #expect(!(program.output + program.errorOutput).contains(key), sourceLocation: sourceLocation)
            return program.output + program.errorOutput
        }

        func list() async throws -> [String] {
            struct List: Decodable {
                struct Node: Decodable { let node: String }
                let nodes: [Node]
            }
            let text = try await node(["list", "--json"])
            return try JSONDecoder().decode(List.self, from: Data(text.utf8)).nodes.map(\.node)
        }
    }

    private func run(_ configuration: String, _ body: (Scene) async throws -> Void) async throws {
        try await TemporaryDirectory.with { path in
            let scene = Scene(path: path)
            try FileManager.default.createDirectory(
                atPath: scene.nodes, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            try scene.write(configuration, "mooring-ha.toml")
            try scene.write(Self.key + "\n", "key")
            try await body(scene)
        }
    }

    @Test("a node that was added stays over a restart and SIGHUP, and is gone for good when it was removed")
    func stays() async throws {
        try await run(Self.start + Self.directory + Self.configured) { scene in
            try await scene.serving { program in
                let said = try await scene.node(
                    [
                        "add", "mn1@example.org", "--home-address", "198.51.100.7", "--spi", "1000", "--key-file",
                        scene.path + "/key", "--algorithm", "hmac-sha-256", "--tolerance", "30", "--prefix",
                        "2001:db8:1::/48", "--prefix", "2001:db8:2::/48,56-64", "--implicit-prefix", "2001:db8:3::/64",
                        "--network", "10.1.0.0/16", "--implicit-network", "10.2.0.0/16",
                    ])
                #expect(said == "added mn1@example.org\n")
                #expect(try await scene.list() == ["198.51.100.1", "mn1@example.org"])
                program.reload(scene.configuration)
                try await scene.node(["add", "198.51.100.8", "--spi", "1001", "--key-file", "-"], input: Self.key)
                #expect(try await scene.list().count == 3)
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: scene.nodes).sorted()
            #expect(names == ["198.51.100.8.toml", "mn1@example.org.toml"])
            for name in names {
                let attributes = try FileManager.default.attributesOfItem(atPath: "\(scene.nodes)/\(name)")
                #expect(attributes[.posixPermissions] as? Int == 0o600)
            }

            try await scene.serving { program in
                #expect(try await scene.list() == ["198.51.100.1", "198.51.100.8", "mn1@example.org"])
                let shown = try await scene.node(["show", "198.51.100.7"])
                #expect(
                    shown == """
                        node mn1@example.org
                          home address: 198.51.100.7
                          SPI 1000: hmac-sha-256, timestamps within 30 s
                          policy: default
                          prefix: 2001:db8:1::/48
                          prefix: 2001:db8:2::/48,56-64
                          implicit prefix: 2001:db8:3::/64
                          network: 10.1.0.0/16
                          implicit network: 10.2.0.0/16
                          registered: no
                          stands in: mn1@example.org.toml of nodes-directory

                        """)
                let json = try await scene.node(["show", "mn1@example.org", "--json"])
                #expect(json.contains("\"isRegistered\":false") && json.contains("\"policy\":\"default\""))
                #expect(try await scene.node(["remove", "198.51.100.7"]) == "removed mn1@example.org\n")
                #expect(try await scene.list() == ["198.51.100.1", "198.51.100.8"])
                program.reload(scene.configuration)
                let removed = try await scene.node(["remove", "198.51.100.8", "--json"])
                #expect(removed.contains("\"node\":\"198.51.100.8\""))
                #expect(try await scene.list() == ["198.51.100.1"])
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: scene.nodes) == [])
            try await scene.serving { _ in
                let left = try await scene.list()
                #expect(left == ["198.51.100.1"])
            }
        }
    }

    @Test("what can't be done says why, and changes nothing")
    func refusals() async throws {
        let limits = "limits = { nodes = 3 }\n"
        let implicit = "implicit-prefixes = [\"2001:db8:5::/48\"]\n"
        try await run(Self.start + Self.pool + Self.directory + limits + Self.configured + implicit) { scene in
            try scene.write(Self.key, "open", mode: 0o644)
            try scene.write("0011", "short")
            let others = """
                [[node]]
                access-identifier = "a"
                spi = 256
                key = "\(Self.key)"
                [[node]]
                access-identifier = "b"
                spi = 256
                key = "\(Self.key)"
                """
            try scene.write(others, "nodes/both.toml")
            try await scene.serving { _ in
                let add = ["--spi", "1000", "--key-file"]
                let key = scene.path + "/key"
                for (arguments, status, words) in [
                    (["add", "a"] + add + [key], 1, "a is served already"),
                    (["add", "198.51.100.1"] + add + [key], 1, "198.51.100.1 is served already"),
                    (
                        ["add", "c", "--home-address", "198.51.100.1"] + add + [key], 1,
                        "198.51.100.1 is the home address of 198.51.100.1 already"
                    ),
                    (["add", "c", "--network", "192.0.2.0/24"] + add + [key], 1, "own address 192.0.2.1"),
                    (["add", "c"] + add + [key], 1, "there are 3 nodes already, as many as limits.nodes"),
                    (["remove", "198.51.100.1"], 1, "take it out there, and send mooring-ha SIGHUP"),
                    (["remove", "a"], 1, "or in a file with other nodes"),
                    (["remove", "c"], 1, "there is no node c"), (["show", "c"], 1, "there is no node c"),
                    (["add", "c"] + add + [scene.path + "/open"], 2, "can be used by others (mode 644)"),
                    (["add", "c"] + add + [scene.path + "/short"], 2, "a key of 2 bytes is too short"),
                    (["add", "c"] + add + [key, "--policy", "x"], 2, "policy: \"x\" is the name of no policy"),
                    (["add", "c"] + add + [key, "--algorithm", "x"], 2, "algorithm: \"x\" is none of"),
                    (["add", "c"] + add + [key, "--network", "10.0.0.1/8"], 2, "networks[0]: \"10.0.0.1/8\" is not"),
                    (["add", "c"] + add + [key, "--prefix", "2001:db8::/32,16-64"], 2, "prefixes[0].lengths[0]: 16"),
                    (["add", "c"] + add + [key, "--prefix", "2001:db8::/32,64"], 2, "not a prefix with a shortest"),
                    (
                        ["add", "c"] + add + [key, "--prefix", "fe80::/64"], 2, "prefixes[0]: fe80::/64 is no prefix of"
                    ),
                    (
                        ["add", "c"] + add + [key, "--prefix", "2001:db8::/32,70-60"], 2, "the shortest and the longest"
                    ),
                    (
                        ["add", "c"] + add + [key, "--implicit-prefix", "2001:db8:5::/48"], 1,
                        "2001:db8:5::/48 overlaps 2001:db8:5::/48 of node 198.51.100.1"
                    ),
                    (
                        ["add", "c"] + add
                            + [key, "--implicit-prefix", "2001:db8:4::/64", "--implicit-prefix", "2001:db8:5:6::/64"],
                        1,
                        "2001:db8:5:6::/64 overlaps 2001:db8:5::/48 of node 198.51.100.1"
                    ),
                    (["add", "c", "--spi", "255", "--key-file", key], 2, "index 255 is reserved"),
                    (["add", "198.51.100.9", "--home-address", "198.51.100.9"] + add + [key], 2, "--home-address"),
                    (["add", String(repeating: "x", count: 256)] + add + [key], 2, "has 1 to 254 bytes"),
                ] {
                    let said = try await scene.node(arguments, status: Int32(status))
                    #expect(said.contains(words), "\(arguments): \(said)")
                }
                #expect(try await scene.list() == ["198.51.100.1", "a", "b"])
                let json = try await scene.node(["remove", "c", "--json"], status: 1)
                #expect(json == "{\"error\":\"there is no node c\",\"status\":1}\n")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: scene.nodes) == ["both.toml"])
            #expect(try await scene.node(["list"], status: 3).contains("mooring-ha can't be reached"))
        }
    }

    @Test("a node without a home address is added only where it gets one")
    func noPool() async throws {
        try await run(Self.start + Self.directory) { scene in
            try await scene.serving { program in
                let add = ["add", "mn@example.org", "--spi", "1000", "--key-file", scene.path + "/key"]
                let said = try await scene.node(add, status: 1)
                #expect(said.contains("mn@example.org has no home address, and there is no pool"), "\(said)")
                #expect(try FileManager.default.contentsOfDirectory(atPath: scene.nodes) == [])
                // It is another home agent's to give one.
                let redirected = "dynamic-home-agent = \"203.0.113.1\"\n"
                try scene.write(Self.start + Self.directory + redirected, "mooring-ha.toml")
                program.reload(scene.configuration)
                try await scene.node(add)
            }
        }
    }

    @Test("without a directory of nodes, or where it can't be written, it says what to do")
    func nowhere() async throws {
        try await run(Self.start) { scene in
            try await scene.serving { program in
                let add = ["add", "198.51.100.7", "--spi", "1000", "--key-file", scene.path + "/key"]
                #expect(try await scene.node(add, status: 1).contains("name a directory by nodes-directory"))
                try scene.write(Self.start + Self.directory, "mooring-ha.toml")
                program.reload(scene.configuration)
                try FileManager.default.removeItem(atPath: scene.nodes)
                #expect(try await scene.node(add, status: 1).contains("nodes"))
            }
        }
    }

    @Test("a file that has got another node since it was read is not removed")
    func changedFile() async throws {
        try await run(Self.start + Self.directory) { scene in
            try scene.write(Self.configured, "nodes/mine.toml")
            try await scene.serving { program in
                try scene.write(
                    Self.configured + Self.configured.replacing("100.1", with: "100.2"), "nodes/mine.toml")
                let said = try await scene.node(["remove", "198.51.100.1"], status: 1)
                #expect(said.contains("mine.toml: has changed since it was read"))
                program.reload(scene.configuration)
                #expect(try await scene.node(["remove", "198.51.100.1"], status: 1).contains("with other nodes"))
                try scene.write(Self.configured, "nodes/mine.toml")
                program.reload(scene.configuration)
                try await scene.node(["remove", "198.51.100.1"])
                #expect(try await scene.list() == [])
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: scene.nodes) == [])
        }
    }

    @Test("identities become names of files that lead nowhere else, and files of the same name stay")
    func names() async throws {
        try await run(Self.start + Self.pool + Self.directory) { scene in
            let long = String(repeating: "ü", count: 120)
            let identities = ["../escape", ".hidden", "quote\"\\\u{1}\u{7F}", "a\nb = 1", long + "1", long + "2"]
            try await scene.serving { _ in
                for identity in identities {
                    try await scene.node(["add", identity, "--spi", "1000", "--key-file", scene.path + "/key"])
                }
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: scene.nodes)
            #expect(names.count == identities.count && names.allSatisfy { $0.hasSuffix(".toml") && $0.first != "." })
            #expect(names.contains("%2E.%2Fescape.toml"))
            try await scene.serving { _ in
                #expect(try await scene.list().count == identities.count)
                for identity in identities { try await scene.node(["remove", identity]) }
                #expect(try await scene.list() == [])
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: scene.nodes) == [])
        }
    }

    @Test("nothing is written where others can change it, and no address is the home agent's own")
    func harm() async throws {
        try await run(Self.start + Self.directory) { scene in
            try await scene.serving { _ in
                let add = { ["add", $0, "--spi", "1000", "--key-file", scene.path + "/key"] }
                let said = try await scene.node(add("192.0.2.1"), status: 1)
                #expect(said.contains("192.0.2.1 is an address of the home agent itself"), "\(said)")
                #expect(chmod(scene.nodes, 0o777) == 0)
                let refusal = try await scene.node(add("198.51.100.9"), status: 1)
                #expect(refusal.contains("can be changed by others"), "\(refusal)")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: scene.nodes) == [])
        }
    }

    @Test("a directory that others can change, or that is not there, is refused")
    func directoryMode() async throws {
        try await run(Self.start + Self.directory) { scene in
            func read() throws -> HomeAgentFiles { try HomeAgentFiles(contentsOf: scene.configuration) }
            #expect(try read().nodes.isEmpty)
            #expect(chmod(scene.nodes, 0o720) == 0)
            #expect { try read() } throws: { "\($0)".contains("can be changed by others (mode 720); chmod 700 it") }
            #expect(chmod(scene.nodes, 0o755) == 0)
            try scene.write(Self.configured, "nodes/.adding", mode: 0o600)
            try scene.write("", "nodes/README", mode: 0o644)
            #expect(try read().nodes.isEmpty)
            try scene.write(Self.configured, "nodes/open.toml", mode: 0o644)
            #expect { try read() } throws: { "\($0)".contains("nodes/open.toml: node[0].key: stands in a file that") }
            try FileManager.default.removeItem(atPath: scene.nodes)
            #expect { try read() } throws: { "\($0)".contains("nodes: can't be read: No such file or directory") }
        }
    }
}

// docs/wireshark/dsmipv4.lua, run by tshark over the packets of Tests/Dissector. What each must show was written down by
// hand beside the bytes (Tests/Dissector/make.py).

import Foundation
import TestSupport
import Testing

@Suite("Wireshark dissector")
struct DissectorTests {
    private struct Case: Decodable {
        let name: String
        /// The values of a field, in the order of the message.
        let fields: [String: [String]]
        /// How often an expert info is given.
        let experts: [String: Int]
    }

    private static let script = "docs/wireshark/dsmipv4.lua"
    private static let capture = "Tests/Dissector/messages.pcap"

    private static func expected() throws -> [Case] {
        let file = Repository.root.appendingPathComponent("Tests/Dissector/expected.json")
        return try JSONDecoder().decode([Case].self, from: Data(contentsOf: file))
    }

    /// Ends the test where there is no tshark that runs Lua.
    private static func needLua() async throws {
        let version = try? await Program.run(["tshark", "--version"])
        guard let version, version.output.replacing("\n", with: " ").contains("with Lua") else {
            try Test.cancel("there is no tshark that runs Lua")
        }
    }

    private static func tshark(_ arguments: [String]) async throws -> Program {
        try await Program.run(
            ["env", "-C", Repository.root.path, "tshark", "-n", "-X", "lua_script:\(script)", "-r", capture]
                + arguments)
    }

    @Test("tshark shows of each message what RFC 5454, 2 says, and no more")
    func fields() async throws {
        try await Self.needLua()
        let cases = try Self.expected()
        #expect(!cases.isEmpty)
        let names = Set(try SourceFile(Self.script).text.matches(of: #/"(dsmipv4\.[a-z]+)"/#).map { String($0.1) })
            .subtracting(["dsmipv4.type"]).sorted()
        let shown = try await Self.tshark(
            ["-T", "fields", "-E", "occurrence=a", "-E", "separator=|"] + names.flatMap { ["-e", $0] })
        #expect(shown.status == 0, "\(shown.errorOutput)")
        let rows = shown.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(rows.count == cases.count)
        for (row, expected) in zip(rows, cases) {
            let columns = row.split(separator: "|", omittingEmptySubsequences: false)
            try #require(columns.count == names.count, "\(expected.name)")
            for (name, column) in zip(names, columns) {
                let values = column.split(separator: ",").map(String.init)
                if let fields = expected.fields[name] {
                    #expect(values == fields, "\(expected.name): \(name)")
                } else {
                    #expect(values.count == expected.experts[name] ?? 0, "\(expected.name): \(name) is \(values)")
                }
            }
        }
    }

    @Test("every field and expert info of the script is seen in a message")
    func coverage() throws {
        let names = Set(try SourceFile(Self.script).text.matches(of: #/"(dsmipv4\.[a-z]+)"/#).map { String($0.1) })
        let seen = try Self.expected().reduce(into: Set(["dsmipv4.type"])) {
            $0.formUnion($1.fields.keys)
            $0.formUnion($1.experts.keys)
        }
        #expect(names == seen)
    }

    @Test("the names of the codes stand in the tree, and the script ends no packet with an error")
    func text() async throws {
        try await Self.needLua()
        let tree = try await Self.tshark(["-V"])
        #expect(tree.status == 0, "\(tree.errorOutput)")
        #expect(!tree.output.contains("Lua Error"))
        #expect(!tree.errorOutput.contains("Lua"), "\(tree.errorOutput)")
        for line in [
            "    Code: accepted, IPv6 to be tunneled to the home address (0)",
            "    Code: accepted, IPv6 to be tunneled to the care-of address (1)",
            "    Code: rejected, reason unspecified (8)", "    Code: rejected, administratively prohibited (9)",
            "    Code: accepted, unassigned code (7)", "    Code: rejected, unassigned code (10)",
            "    Subtype: IPv6 Prefix Request (1)", "    Subtype: Unknown (4)",
            "IPv6 Prefix Request, 2001:db8:1::/64", "IPv6 Prefix Request, link-local fe80::cb00:7109",
        ] {
            #expect(tree.output.contains("\n\(line)\n"), "\(line)")
        }
    }
}

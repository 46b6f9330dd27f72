// docs/control-protocol.md must not lie: its client runs, its bytes are what the server says, and what protoc makes of
// them; its limits and names are the code's.

import Bindings
import ControlTestServer
import Foundation
import TestSupport
import Testing

@testable import ControlProtocol

@Suite("docs/control-protocol.md") struct DocumentTests {
    private static let sources = Repository.root.appendingPathComponent("Sources/ControlProtocol").path

    private let page: String
    private let schema: String

    init() throws {
        page = try Self.page("control-protocol.md")
        schema = try String(contentsOfFile: Self.sources + "/control.proto", encoding: .utf8)
    }

    private static func page(_ name: String) throws -> String {
        try String(contentsOf: Repository.root.appendingPathComponent("docs/\(name)"), encoding: .utf8)
    }

    /// The lines of a page's one fenced block of a language.
    private func block(_ language: String, of page: String) throws -> [Substring] {
        let parts = page.components(separatedBy: "\n```\(language)\n")
        try #require(parts.count == 2, "one block of \(language)")
        return try #require(parts[1].components(separatedBy: "\n```").first).split(separator: "\n")
    }

    // MARK: The client

    @Test("The client has ten lines and runs")
    func runsClient() async throws {
        let client = try block("python", of: page)
        #expect(client.count <= 10)
        try await TestServer.run { server in
            let generated = try await Program.run(
                ["protoc", "--python_out=\(server.directory)", "-I", Self.sources, "control.proto"])
            try #require(generated.status == 0, "\(generated.errorOutput)")
            let ran = try await Program.run(
                ["/usr/bin/python3", "-c", client.joined(separator: "\n"), server.path],
                environment: ["PYTHONPATH": server.directory, "PYTHONDONTWRITEBYTECODE": "1"])
            #expect(ran.status == 0, "\(ran.errorOutput)")
            for part in ["server: \"mooringd \(mooringVersion)\"", "added: 1", "id: \"mn1\"", "revision: 1"] {
                #expect(ran.output.contains(part), "\(ran.output)")
            }
            let operatorsView = try await ControlClient.connect(to: server.path, as: "test", timeout: .hours(1))
            let state = try #require(try await operatorsView.binding("mn1"))
            let binding = try Binding(state.binding)
            #expect(binding.careOfAddress.description == "203.0.113.9")
            #expect(binding.prefixes.map(\.prefix.description) == ["2001:db8:1::/64"])
            await operatorsView.close()
        }
    }

    // MARK: The transcript

    private struct Exchange {
        var isFromClient = true
        var bytes: [UInt8] = []
        /// What stands beside the bytes, space made even.
        var text = ""
    }

    /// The frames of the transcript.
    private func transcript() throws -> [Exchange] {
        var exchanges: [Exchange] = []
        for line in try block("text", of: Self.page("control-protocol-transcript.md")) {
            let marker = try #require(line.first)
            var words = line.dropFirst().split(separator: " ")[...]
            var bytes: [UInt8] = []
            while let word = words.first, word.utf8.count == 2, let byte = UInt8(word, radix: 16) {
                bytes.append(byte)
                words.removeFirst()
            }
            let text = words.joined(separator: " ")
            if text.hasPrefix("length ") {
                let length = try #require(UInt32(text.dropFirst(7)))
                #expect(bytes == withUnsafeBytes(of: length.bigEndian, Array.init))
                exchanges.append(Exchange(isFromClient: marker == ">", bytes: bytes))
            } else {
                let last = exchanges.count - 1
                try #require(last >= 0 && exchanges[last].isFromClient == (marker == ">"))
                exchanges[last].bytes += bytes
                exchanges[last].text += (text.isEmpty ? "" : " ") + text
            }
        }
        return exchanges
    }

    @Test("The server answers the transcript's requests with its replies, byte by byte")
    func replaysTranscript() async throws {
        let exchanges = try transcript()
        #expect(exchanges.count == 8)
        try await TestServer.run({ $0.name = "mooringd 0.1.0" }) { server in
            let connection = try RawConnection(server.path)
            for exchange in exchanges {
                if exchange.isFromClient {
                    try connection.send(exchange.bytes)
                } else {
                    let reply = try connection.receiveFrame()
                    #expect(hexadecimal(reply) == hexadecimal(exchange.bytes), "\(exchange.text)")
                }
            }
        }
    }

    @Test("protoc reads the transcript's bytes as what stands beside them")
    func decodesTranscript() async throws {
        for exchange in try transcript() {
            let type = exchange.isFromClient ? "Request" : "Reply"
            let decoded = try await Program.run(
                ["protoc", "--decode=mooring.control.v1.\(type)", "-I", Self.sources, "control.proto"],
                input: Array(exchange.bytes.dropFirst(4)))
            #expect(decoded.status == 0, "\(decoded.errorOutput)")
            let text = decoded.output.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
            #expect(" " + text == exchange.text)
        }
    }

    // MARK: Limits and names

    /// The cells of all rows of tables, their marks of code taken off.
    private var rows: [[String]] {
        page.split(separator: "\n").filter { $0.hasPrefix("|") }.map { line in
            line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
                .map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " `")) }
        }
    }

    @Test("The limits are those of the code")
    func namesLimits() throws {
        let server = ControlServer.Configuration(path: "")
        let limits = [
            ("message from a client", "\(server.frameLimit) bytes"),
            ("message from the daemon", "\(ControlClient.replyLimit) bytes"),
            ("connections at a time", "\(server.connectionLimit)"),
            ("time until Hello", "\(server.helloTimeout.nanoseconds / 1_000_000_000) s"),
            ("time to read the last words", "\(server.closeTimeout.nanoseconds / 1_000_000_000) s"),
            ("replies that wait for the client", "\(server.outboundLimit) bytes"),
            ("events that wait beside them", "\(server.eventLimit)"),
            ("punted packets that wait beside those", "\(server.puntLimit) bytes"),
            ("of the replies' bytes, punted packets", "\(server.outboundPuntLimit) bytes"),
            ("packets to inject in a request", "\(ControlInjectLimits.packets)"),
            ("members in a page", "\(ControlGroupPage.memberLimit)"),
            ("bindings in a page", "\(ControlBindingPage.bindingLimit)"),
            ("bindings in a page by default", "\(ControlBindingPage.usualLimit)"),
            ("prefixes in a page", "\(ControlBindingPage.prefixLimit)"),
            ("owners that have bindings", "\(BindingLimits.owners)"),
            ("name of an owner", "\(BindingLimits.ownerLength) bytes"),
            ("id of a binding", "\(BindingLimits.idLength) bytes"),
            ("prefixes of a binding", "\(BindingLimits.prefixesPerBinding)"),
            ("networks of a binding", "\(BindingLimits.networksPerBinding)"),
            ("tunnel MTU, least", "\(BindingLimits.tunnelMTU.lowerBound) bytes"),
            ("tunnel MTU, most", "\(BindingLimits.tunnelMTU.upperBound) bytes"),
        ]
        let section = try #require(page.components(separatedBy: "## Limits\n").dropFirst().first)
        let table = section.components(separatedBy: "\n## ")[0].split(separator: "\n").filter { $0.hasPrefix("|") }
        #expect(table.count == limits.count + 2, "a row for each limit")
        for (name, value) in limits {
            let row = rows.first { $0[0].replacingOccurrences(of: "`", with: "") == name }
            #expect(row?[1] == value, "\(name)")
        }
    }

    @Test("Every message, field, value and error code of the schema is in the page, and no code that is none")
    func namesSchema() throws {
        let withoutComments = schema.split(separator: "\n").map { $0.components(separatedBy: "//")[0] }
            .joined(separator: "\n")
        var names: Set<String> = []
        for match in withoutComments.matches(of: /message (\w+)|(\w+) = \d+;/) {
            let name = String(match.output.1 ?? match.output.2 ?? "")
            // What stands for "nothing was said" needs no word of its own.
            if !name.hasSuffix("_UNSPECIFIED") { names.insert(name) }
        }
        #expect(names.count > 90)
        let words = Set(page.matches(of: /`(\w+)`/).map { String($0.output.1) })
        #expect(names.subtracting(words).sorted() == [])
        let codes = words.filter { $0.wholeMatch(of: /[A-Z]+(_[A-Z0-9]+)+/) != nil && $0 != "CODE_UNSPECIFIED" }
        #expect(codes.subtracting(names).subtracting(["SO_PEERCRED", "SO_PEERGROUPS"]).sorted() == [])
    }
}

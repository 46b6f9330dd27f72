import Bindings
import ConfigurationFile
import Foundation
import TestSupport
import Testing

@Suite("TOML, read strictly")
struct StrictTOMLTests {
    private func parse(_ text: String) throws -> StrictJSON.Object {
        try StrictTOML.parse(Array(text.utf8)).object(keys: ["text", "number", "flag", "list", "table"])
    }

    @Test("hands on every kind of value")
    func values() throws {
        let object = try parse(
            #"""
            # A comment.
            text = "a \"word\" \\ über \t\u0001 \U0001F600 \u007f"
            number = 0x10
            flag = true
            list = [ 'C:\x', "" ]
            [table]
            "a key" = -1
            """#)
        #expect(try object.required("text").string() == "a \"word\" \\ über \t\u{1} \u{1F600} \u{7f}")
        #expect(try object.required("number").integer(in: 0...255) == 16)
        #expect(try object.required("flag").bool())
        #expect(try object.required("list").array().map { try $0.string() } == ["C:\\x", ""])
        let inner = try object.required("table").object(keys: ["a key"])
        #expect(try inner.required("a key").integer(in: -1...1) == -1)
    }

    static let faults = [
        ("number = ", "line 1, column 10"), ("text = \"a\"\ntext = \"b\"", "line 2, column 8"),
        ("other = 1", "other"), ("number = inf", ""), ("list = [nan]", ""),
        ("text = '\u{1}'", "line 1, column 9"),
    ]

    @Test("names the place of what is wrong", arguments: faults)
    func fault(text: String, place: String) {
        let failure = #expect(throws: StrictJSON.Failure.self) { try parse(text) }
        #expect(failure?.place == place, "\(failure.map { "\($0)" } ?? "")")
    }

    @Test("refuses what is no UTF-8")
    func notText() {
        #expect(throws: StrictJSON.Failure.self) { try StrictTOML.parse([0x61, 0xFF]) }
    }

    @Test("a byte 0 does not end a document unseen")
    func zero() {
        let failure = #expect(throws: StrictJSON.Failure.self) { try parse("number = 1\n#\0\nother = 2") }
        #expect(failure?.problem == "has a byte 0, which TOML has not")
    }

    @Test("puts the path before the place, unless another file is to blame")
    func path() async throws {
        try await TemporaryDirectory.with { directory in try path(in: directory) }
    }

    private func path(in directory: String) throws {
        let path = "\(directory)/configuration.toml"
        try Data("number = 'x'\n".utf8).write(to: URL(fileURLWithPath: path))
        let failure = #expect(throws: StrictJSON.Failure.self) {
            try StrictTOML.read(path) { root throws(StrictJSON.Failure) in
                try root.object(keys: ["number"]).required("number").integer(in: 0...1)
            }
        }
        #expect(failure?.place == "\(path): number")
        let other = #expect(throws: StrictJSON.Failure.self) {
            try StrictTOML.read(path) { _ throws(StrictJSON.Failure) in try KeyFile.read("/nonexistent/key") }
        }
        #expect(other?.place == "/nonexistent/key")
        let missing = #expect(throws: StrictJSON.Failure.self) {
            try StrictTOML.read("/nonexistent/file") { _ throws(StrictJSON.Failure) in () }
        }
        #expect(missing?.place == "/nonexistent/file")
    }
}

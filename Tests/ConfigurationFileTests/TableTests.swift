import Bindings
import ConfigurationFile
import Foundation
import TestSupport
import Testing

@Suite("Files of tables, read in parts")
struct TableTests {
    /// What is read of a text in parts of that size: each table's number, and how many tables came at a time.
    private func read(_ text: String, partSize: Int) async throws -> (numbers: [Int], parts: [Int]) {
        try await TemporaryDirectory.with { directory in
            let path = "\(directory)/tables.toml"
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            var (numbers, parts): ([Int], [Int]) = ([], [])
            try StrictTOML.readTables("table", of: path, partSize: partSize) { tables throws(StrictJSON.Failure) in
                parts.append(tables.count)
                for table in tables {
                    let object = try table.object(keys: ["number", "list", "inner"])
                    for inner in try object["inner"]?.array() ?? [] {
                        _ = try inner.object(keys: ["number"]).required("number").integer(in: 0...1)
                    }
                    numbers.append(try object.required("number").integer(in: 0...9999))
                }
            }
            return (numbers, parts)
        }
    }

    @Test("every table is read once and in order, whatever the size of parts", arguments: [1, 7, 60, 100, 1 << 20])
    func parts(size: Int) async throws {
        var text = "# Tables.\r\n\n"
        for number in 0..<50 {
            text += "[[table]] # [[table]]\nnumber = \(number)\nlist = [\n  \"[[table]]\",\n]\n"
            if number % 3 == 0 { text += "[[table.inner]]\nnumber = 1\n[[table.inner]]\nnumber = 0\n" }
            if number % 5 == 0 { text += "\n" }
        }
        let (numbers, parts) = try await read(text, partSize: size)
        #expect(numbers == Array(0..<50))
        #expect(size < 1000 ? parts.count > 10 : parts == [50])
    }

    @Test(
        "a file without tables, or with one form of array, is read as a whole",
        arguments: [("", []), ("\n# none", []), ("table = []", []), ("# one\ntable = [{ number = 3 }]\n", [3])])
    func whole(text: String, numbers: [Int]) async throws {
        #expect(try await read(text, partSize: 8).numbers == numbers)
    }

    @Test(
        "what is wrong is named by its place in the file",
        arguments: [
            ("number = 10000", "table[3].number"), ("number = 3\nother = 1", "table[3].other"),
            ("number = 3\n[[table.inner]]\nnumber = 2", "table[3].inner[0].number"), ("number = ", "line 9, column 10"),
            ("number = 3\n[other]", "other"), ("number = 3\nlist = \"\"\"\n[[table]]\n\"\"\"", "line 10, column 12"),
        ])
    func faults(text: String, place: String) async throws {
        let before = "# Line 1\n" + (0..<3).map { "[[table]]\nnumber = \($0)\n" }.joined()
        let after = "\n[[table]]\nnumber = 4\n"
        let failure = await #expect(throws: StrictJSON.Failure.self) {
            try await read(before + "[[table]]\n" + text + after, partSize: 12)
        }
        #expect(failure?.place.hasSuffix("/tables.toml: \(place)") == true, "\(failure.map { "\($0)" } ?? "")")
    }

    @Test("a part is bounded")
    func bound() async throws {
        let failure = try await TemporaryDirectory.with { directory in
            let path = directory + "/tables.toml"
            try #require(FileManager.default.createFile(atPath: path, contents: nil))
            // All of it a hole.
            try #require(truncate(path, 1 << 30) == 0)
            return #expect(throws: StrictJSON.Failure.self) {
                try StrictTOML.readTables("table", of: path) { _ throws(StrictJSON.Failure) in }
            }
        }
        #expect(failure?.problem == "has 64 MiB without a line \"[[table]]\"")
    }

    @Test(
        "a text in quotation marks is read as it was",
        arguments: ["", "a\"b\\c", "\u{0}\t\n\r\u{1F}\u{7F}", "ü \u{1F600}"])
    func quoted(text: String) throws {
        let root = try StrictTOML.parse(Array("text = \(StrictTOML.quoted(text))".utf8))
        #expect(try root.object(keys: ["text"]).required("text").string() == text)
    }
}

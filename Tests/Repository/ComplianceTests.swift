// docs/rfc-compliance.md against the tests of the repository: every row is there once, and the tests below it are those
// that carry its id in their names. With MOORING_WRITE=1 the lists are written instead of compared.

import Foundation
import TestSupport
import Testing

@Suite("RFC compliance", .serialized)
struct ComplianceTests {
    static let page = "docs/rfc-compliance.md"

    /// The ids of the rows, in their order on the page.
    static let rows: [String] = [
        ("F", 5), ("R", 6), ("H", 17), ("M", 4), ("T", 10), ("P", 2), ("D", 2), ("N", 1), ("S", 2),
    ].flatMap { letter, count in (1...count).map { "\(letter)\($0)" } }

    /// A row of the page.
    struct Row {
        let id: String
        /// What it says, without the list of tests.
        var text: String
        /// The lines of the list of tests.
        var tests: [String] = []

        /// What stands between asterisks at its end: how far it is.
        var state: (word: String, missing: String)? {
            text.wholeMatch(of: #/.*\*(Tested|Partly|Not yet)[.:]\*(.*)/#).map {
                (String($0.1), $0.2.trimmingCharacters(in: .whitespaces))
            }
        }
    }

    /// The rows of the page as they stand there.
    static func documented() throws -> [Row] {
        var rows: [Row] = []
        var inRow = false
        for line in try SourceFile(page).lines {
            if let match = line.wholeMatch(of: #/- \*\*(\w+)\*\* (.+)/#) {
                rows.append(Row(id: String(match.1), text: String(match.2)))
                inRow = true
            } else if inRow, line.hasPrefix("  - ") {
                rows[rows.count - 1].tests.append(String(line.dropFirst(4)))
            } else if inRow, line.hasPrefix("  ") {
                rows[rows.count - 1].text += line.dropFirst()
            } else {
                inRow = false
            }
        }
        return rows
    }

    /// The tests whose names carry an id, as the page lists them: target and name.
    static let tests: [(ids: [String], line: String)] =
        SourceFile.swift.filter { $0.path.hasPrefix("Tests/") }.flatMap { file in
            let target = file.path.split(separator: "/")[1]
            return file.text.matches(of: #/@Test\(\s*"((?:[^"\\]|\\.)*)"/#).compactMap { match in
                let ids = match.1.matches(of: #/\b[A-Z][1-9][0-9]?\b/#).map { String($0.output) }
                return ids.isEmpty ? nil : (ids, "\(target): \(match.1)")
            }
        }

    /// The lines of the list below a row.
    static func list(of id: String) -> [String] { tests.filter { $0.ids.contains(id) }.map(\.line).sorted() }

    // The first, for where it writes, the others read.
    @Test("below each row stand the tests that carry its id, and no others")
    func lists() throws {
        if ProcessInfo.processInfo.environment["MOORING_WRITE"] == "1" { try Self.write() }
        for row in try Self.documented() {
            #expect(row.tests == Self.list(of: row.id), "\(row.id): bring it up to date with MOORING_WRITE=1")
        }
    }

    @Test("the page has every row once, in order, with its RFC and how far it is")
    func completeness() throws {
        let rows = try Self.documented()
        #expect(rows.map(\.id) == Self.rows)
        for row in rows {
            #expect(row.text.contains(#/RFC \d+/#), "\(row.id) names no RFC")
            let state = try #require(row.state, "\(row.id) does not say how far it is")
            #expect((state.word == "Not yet") == row.tests.isEmpty, "\(row.id): \(state.word), but see its tests")
            #expect((state.word == "Partly") != state.missing.isEmpty, "\(row.id): say what is missing, where it is")
        }
    }

    @Test("no test carries an id that there is not, and no id stands elsewhere than at the front of a name")
    func ids() {
        for test in Self.tests {
            #expect(Set(test.ids).isSubset(of: Self.rows), "\(test.line)")
            #expect(test.line.contains(": \(test.ids.joined(separator: " ")) "), "\(test.line)")
        }
    }

    /// Writes the lists below the rows anew.
    private static func write() throws {
        var lines: [Substring] = []
        var pending: [Substring] = []
        for line in try SourceFile(page).lines where !line.hasPrefix("  - ") {
            if !line.hasPrefix("  ") {
                lines += pending
                pending = []
            }
            if let row = line.firstMatch(of: #/^- \*\*(\w+)\*\*/#) {
                pending = list(of: String(row.1)).map { "  - \($0)" }
            }
            lines.append(line)
        }
        let file = Repository.root.appendingPathComponent(page)
        try Data(lines.joined(separator: "\n").utf8).write(to: file)
    }
}

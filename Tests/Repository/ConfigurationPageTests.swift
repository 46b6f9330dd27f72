// docs/configuration.md has every key that mooring-ha and mooring-mn read, and no other. The readers' sources are taken
// at their word: a key is what `object["key"]` and `required("key")` name.

import Foundation
import TestSupport
import Testing

@Suite("docs/configuration.md")
struct ConfigurationPageTests {
    /// What files of sources read.
    private static func keys(readBy paths: [String]) throws -> Set<String> {
        var keys: Set<String> = []
        for path in paths {
            let reads = #/(?:object|root|agent|further|[)])(?:\[|\.required\()"([A-Za-z0-9-]+)"[\])]/#
            keys.formUnion(try SourceFile(path).text.matches(of: reads).map { String($0.1) })
        }
        return keys
    }

    /// What the tables of a section name: the code spans of the cells before the one of types.
    private static func keys(of section: String) throws -> Set<String> {
        let page = try SourceFile("docs/configuration.md").text
        let start = try #require(page.range(of: "\n## \(section)\n"), "no section \(section)")
        let rest = page[start.upperBound...]
        let end = rest.range(of: "\n## ")?.lowerBound ?? rest.endIndex
        var keys: Set<String> = []
        var width = 1
        for line in rest[..<end].split(separator: "\n") where line.hasPrefix("|") {
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst()
            if cells.contains(" key ") {
                width = cells.contains(" table ") ? 2 : 1
                continue
            }
            for cell in cells.prefix(width) { keys.formUnion(cell.matches(of: #/`([^`]+)`/#).map { String($0.1) }) }
        }
        return keys
    }

    @Test(
        "it has every key that is read, and no other",
        arguments: [
            (
                "The home agent",
                [
                    "Sources/HomeAgent/HomeAgentSettings+File.swift", "Sources/HomeAgent/NodePolicy+File.swift",
                    "Sources/HomeAgent/NodeReader.swift", "Sources/HomeAgent/SecurityAssociation+File.swift",
                ], 60
            ), ("The mobile node", ["Sources/MobileNode/NodeSettings.swift"], 30),
        ])
    func keys(section: String, sources: [String], least: Int) throws {
        let read = try Self.keys(readBy: sources)
        #expect(read.count >= least, "\(read.sorted())")
        // A permission's two stand in words below the first table, and an agent's address in its row.
        let told = try Self.keys(of: section)
        let inWords: Set = ["within", "lengths", "address"]
        #expect(read.subtracting(told).subtracting(inWords).sorted() == [])
        #expect(told.subtracting(read).sorted() == [])
    }
}

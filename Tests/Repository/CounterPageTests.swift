// docs/counters.md against the program that prints it. A failure is mended by
// `swift run mooring counters --explain > docs/counters.md`.

import Foundation
import TestSupport
import Testing

@Suite("Page of the counters")
struct CounterPageTests {
    private struct Reason: Decodable {
        let name: String
        let explanation: String
        let place: Int
        let placeName: String
        let side: String
        let securityException: Bool
        let source: String?
        let advice: String
    }

    private static func reasons() async throws -> [Reason] {
        let json = try await Command.run([Repository.path(of: "mooring"), "counters", "--explain", "--json"])
        return try JSONDecoder().decode([Reason].self, from: Data(json.utf8))
    }

    @Test("docs/counters.md is what mooring counters --explain prints")
    func page() async throws {
        let printed = try await Command.run([Repository.path(of: "mooring"), "counters", "--explain"])
        let page = try SourceFile("docs/counters.md")
        #expect(page.text == printed, "make it anew: swift run mooring counters --explain > docs/counters.md")
    }

    @Test("every reason of the enumeration has one section, below the place that the picture numbers")
    func sections() async throws {
        let cases = try SourceFile("Sources/Wire/DropReason.swift").lines
            .compactMap { $0.wholeMatch(of: #/    case (\w+)/#).map { String($0.1) } }
        let reasons = try await Self.reasons()
        #expect(!cases.isEmpty)
        #expect(reasons.count == cases.count)
        let page = try SourceFile("docs/counters.md")
        let picture = page.text.split(separator: "```")[1]
        var sections: [String: Int] = [:]
        var place = 0
        for line in page.lines {
            if let heading = line.wholeMatch(of: #/## (\d) (.+)/#) {
                place = Int(heading.1) ?? 0
            } else if line.hasPrefix("### ") {
                #expect(sections.updateValue(place, forKey: String(line.dropFirst(4))) == nil, "twice: \(line)")
            }
        }
        #expect(sections == Dictionary(uniqueKeysWithValues: reasons.map { ($0.name, $0.place) }))
        for reason in reasons { #expect(picture.contains("\(reason.place) \(reason.placeName)"), "\(reason.name)") }
    }

    @Test("its lines fit, and every reason tells what to do in a sentence and where the RFC says so")
    func form() async throws {
        for line in try SourceFile("docs/counters.md").lines { #expect(line.count <= 120, "\(line)") }
        for reason in try await Self.reasons() {
            #expect(reason.advice.hasSuffix("."), "\(reason.name)")
            #expect(["home", "access", "either"].contains(reason.side))
            guard let source = reason.source else {
                // Those that no rule of a document drops, but the host.
                #expect(
                    ["receive-failed", "transmit-failed", "super-frame-malformed"].contains(reason.name),
                    "\(reason.name)")
                continue
            }
            let form = #/RFC \d+(, \d+(\.\d+)*)?(; RFC \d+(, \d+(\.\d+)*)?)*/#
            #expect(source.wholeMatch(of: form) != nil, "\(reason.name): \(source)")
        }
    }
}

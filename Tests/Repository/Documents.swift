// What the documents name: paths, links, flags of commands. Markdown and manual pages alike.

import Foundation
import TestSupport

enum Documents {
    /// README.md and its like, docs, manual pages.
    static func all() throws -> [SourceFile] {
        try markdown() + manualPages()
    }

    static func markdown() throws -> [SourceFile] {
        let top = try FileManager.default.contentsOfDirectory(atPath: Repository.root.path).sorted()
        return try top.filter { $0.hasSuffix(".md") }.map(SourceFile.init)
            + SourceFile.all(below: "docs", extensions: ["md"])
    }

    static func manualPages() throws -> [SourceFile] {
        try SourceFile.all(below: "docs/man", extensions: Set((1...8).map { "\($0)" }))
    }
}

extension SourceFile {
    /// Paths of the repository that its text names, such as `Scripts/test`; those with a wildcard or a place holder are
    /// none.
    var namedPaths: Set<String> {
        let path = #/(?:^|[\s"'(`\[])((?:Benchmarks|CShims|Scripts|Sources|Tests|docs)\/[\w.+*<>\/-]*\w)/#
        return Set(text.matches(of: path).map { String($0.1) }.filter { $0.allSatisfy { !"*<>".contains($0) } })
    }

    /// Targets of Markdown links that stay in the repository.
    var localLinks: [(path: String, anchor: String?)] {
        text.matches(of: #/\]\(([^)\s]+)\)/#).map(\.1).filter { !$0.contains("://") && !$0.hasPrefix("mailto:") }
            .map { target in
                let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(
                    String.init)
                return (parts[0], parts.count == 2 ? parts[1] : nil)
            }
    }

    /// The anchors that Markdown makes of headings: lower case, words joined by hyphens, no other punctuation.
    var anchors: Set<String> {
        var anchors: Set<String> = []
        for heading in lines where heading.hasPrefix("#") {
            let words = heading.drop { $0 == "#" || $0 == " " }.lowercased().replacing(" ", with: "-")
            anchors.insert(words.filter { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" })
        }
        return anchors
    }

    /// A flag such as `--json`, and the command it was given to where that can be told.
    struct NamedFlag: Hashable {
        let command: String?
        let flag: String
    }

    /// The flags in Markdown's code spans and blocks. A span or line that begins with a command gives its flags to that
    /// command; a span that begins with a flag gives it to none.
    var namedFlags: Set<NamedFlag> {
        var commands: [Substring] = []
        let blocks = text.split(separator: "```", omittingEmptySubsequences: false)
        for (index, part) in blocks.enumerated() {
            if index.isMultiple(of: 2) {
                commands += part.matches(of: #/`([^`]+)`/#).map(\.1)
            } else {
                commands += part.replacing("\\\n", with: " ").split(separator: "\n").dropFirst()
                    .map { $0.prefix { $0 != "#" } }
            }
        }
        return Set(commands.flatMap { $0.split(whereSeparator: { "|;&".contains($0) }) }.flatMap(Self.flags))
    }

    private static func flags(of commandLine: Substring) -> [NamedFlag] {
        var words = commandLine.split(whereSeparator: \.isWhitespace).drop { $0 == "sudo" || $0 == "$" }
        if words.starts(with: ["swift", "run"]) { words.removeFirst(2) }
        let command = words.first.flatMap { $0.hasPrefix("-") ? nil : $0.split(separator: "/").last.map(String.init) }
        return words.compactMap { word in
            word.prefixMatch(of: #/--[a-z][a-z0-9-]*/#).map { NamedFlag(command: command, flag: String($0.output)) }
        }
    }

    /// The flags in a manual page: `.Fl -name` as its macros have it, `--name` in its examples.
    var manualFlags: (macros: Set<String>, literal: Set<String>) {
        let text = text.replacing("\\-", with: "-").replacing(#/\\f[A-Z]/#, with: "")
        return (
            Set(text.matches(of: #/\bFl -([a-z][a-z0-9-]*)/#).map { "--\($0.1)" }),
            Set(text.matches(of: #/--[a-z][a-z0-9-]*/#).map { String($0.output) })
        )
    }
}

// The files of the repository as the tests of this target look at them.

import Foundation
import TestSupport
import Testing

/// A text file of the repository.
struct SourceFile: CustomTestStringConvertible {
    /// Relative to the top directory.
    let path: String
    let text: String

    var testDescription: String { path }
    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    /// The last part of the path.
    var name: Substring { path.split(separator: "/").last ?? "" }

    /// The name without what follows its first dot or plus: `Type` of `Type+Aspect.swift`.
    var subject: Substring { name.prefix { $0 != "." && $0 != "+" } }

    init(_ path: String) throws {
        self.path = path
        text = try String(contentsOf: Repository.root.appendingPathComponent(path), encoding: .utf8)
    }

    /// The files below a directory that have one of those extensions, in the order of their paths.
    static func all(below directory: String, extensions: Set<String>) throws -> [SourceFile] {
        let top = Repository.root.appendingPathComponent(directory)
        guard let entries = FileManager.default.enumerator(atPath: top.path) else { return [] }
        var paths: [String] = []
        while let path = entries.nextObject() as? String {
            guard entries.fileAttributes?[.type] as? FileAttributeType == .typeRegular else { continue }
            if extensions.contains(URL(fileURLWithPath: path).pathExtension) { paths.append(path) }
        }
        return try paths.sorted().map { try SourceFile("\(directory)/\($0)") }
    }

    /// All that is written in Swift.
    static let swift: [SourceFile] = {
        do {
            return try ["Sources", "Benchmarks", "Tests"].flatMap { try all(below: $0, extensions: ["swift"]) }
                + [SourceFile("Package.swift")]
        } catch { fatalError("the sources can't be read: \(error)") }
    }()

    /// The modules that it imports.
    var imports: Set<String> {
        let statement =
            #/^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+(?:(?:class|enum|func|let|protocol|struct|typealias|var)\s+)?(\w+)(?:\.\w+)*\s*(?:\/\/.*)?$/#
        return Set(lines.compactMap { $0.firstMatch(of: statement).map { String($0.1) } })
    }

    /// The types that it declares or extends, by the last part of their names.
    var declaredTypes: Set<Substring> {
        declared(#/\b(?:actor|class|enum|extension|protocol|struct|typealias)\s+(?:\w+\.)*(\w+)/#)
    }

    /// The functions, variables and constants that it declares outside of types.
    var declaredValues: Set<Substring> { declared(#/^(?:\w+\s+)*(?:func|let|var)\s+(\w+)/#) }

    private func declared(_ declaration: Regex<(Substring, Substring)>) -> Set<Substring> {
        Set(
            lines.compactMap { line in
                line.replacing(#/"[^"]*"/#, with: "").prefix { $0 != "/" }.firstMatch(of: declaration)?.1
            })
    }

    /// Whether a tool made it, which says so at its top.
    var isGenerated: Bool { lines.prefix(3).contains { $0.contains("DO NOT EDIT") } }
}

// What documents say must be there: paths, links, flags, keys.

import Foundation
import HomeAgent
import TestSupport
import Testing

@testable import mooringd

@Suite("Documents")
struct DocumentTests {
    /// Of ArgumentParser, the same everywhere; a manual page need not list them.
    private static let commonFlags: Set = ["--help", "--version"]

    private static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: Repository.root.appendingPathComponent(path).path)
    }

    @Test("every path of the repository that a document, a script or a comment names is there")
    func paths() throws {
        var files = try Documents.all() + SourceFile.swift
        files += try SourceFile.all(below: "Scripts", extensions: ["", "sh", "py"])
        files += try SourceFile.all(below: "CShims", extensions: ["h", "c"])
        for file in files {
            for path in file.namedPaths.sorted() { #expect(Self.exists(path), "\(file.path) names \(path)") }
        }
    }

    @Test("every link leads to a file and a heading of the repository")
    func links() throws {
        for file in try Documents.markdown() {
            let directory = URL(fileURLWithPath: "/" + file.path).deletingLastPathComponent()
            for (path, anchor) in file.localLinks {
                let target =
                    path.isEmpty
                    ? file.path : String(directory.appendingPathComponent(path).standardized.path.dropFirst())
                guard Self.exists(target) else {
                    Issue.record("\(file.path) links to \(path)")
                    continue
                }
                if let anchor {
                    #expect(try SourceFile(target).anchors.contains(anchor), "\(file.path): \(path)#\(anchor)")
                }
            }
        }
    }

    @Test("every flag in a document is one of the command it stands with")
    func flags() async throws {
        var known: [String: Set<String>] = [:]
        for program in DocumentedProgram.all { known[program.name] = try await program.flags() }
        known["Bench"] = try await DocumentedProgram.flags(of: ReleaseBuild.path(of: "Bench"))
        for script in try SourceFile.all(below: "Scripts", extensions: [""]) {
            known[String(script.name)] = Set(script.text.matches(of: #/--[a-z][a-z0-9-]*/#).map { String($0.output) })
        }
        let ours = known.values.reduce(into: Set()) { $0.formUnion($1) }
        for file in try Documents.markdown() {
            for named in file.namedFlags {
                guard let command = named.command else {
                    #expect(ours.contains(named.flag), "\(file.path): no program has \(named.flag)")
                    continue
                }
                // Other projects' commands know their flags themselves.
                if let flags = known[command] {
                    #expect(flags.contains(named.flag), "\(file.path): \(command) \(named.flag)")
                }
            }
        }
    }

    @Test("a manual page has every flag of its program, and no other", arguments: DocumentedProgram.all)
    func manual(_ program: DocumentedProgram) async throws {
        // Its absence is what `paths` is for.
        guard Self.exists(program.manualPath) else { return }
        let (macros, literal) = try SourceFile(program.manualPath).manualFlags
        let flags = try await program.flags().subtracting(Self.commonFlags)
        #expect(!flags.isEmpty)
        let missing = flags.subtracting(macros).subtracting(literal)
        #expect(missing.isEmpty, "not in \(program.manualPath): \(missing.sorted())")
        let wrong = macros.subtracting(flags).subtracting(Self.commonFlags)
        #expect(wrong.isEmpty, "only in \(program.manualPath): \(wrong.sorted())")
        var all = Self.commonFlags
        for other in DocumentedProgram.all { all.formUnion(try await other.flags()) }
        #expect(literal.subtracting(all).isEmpty, "no program has \(literal.subtracting(all).sorted())")
    }

    @Test("the manual page of mooringd has the configuration file's keys")
    func configurationKeys() throws {
        let page = try SourceFile("docs/man/mooringd.8")
        let list = page.lines.drop { $0 != "Its keys are" }.prefix { !$0.hasPrefix("each with the meaning") }
        let keys = list.filter { $0.hasPrefix(".Cm ") }.flatMap { $0.split(separator: " ").dropFirst() }
            .filter { $0 != "," }
        #expect(keys.map(String.init).sorted() == DaemonConfiguration.keys.sorted())
    }

    @Test("the manual page of mooring-ha has the configuration file's keys")
    func homeAgentKeys() throws {
        let list = try SourceFile("docs/man/mooring-ha.8").lines.drop { $0 != "Keys of the file:" }
            .prefix { $0 != ".Sh ROUTES" }
        let keys = list.filter { $0.hasPrefix(".It Cm ") }.flatMap { $0.split(separator: " ").dropFirst() }
            .filter { $0 != "Cm" && $0 != "," }
        #expect(keys.map(String.init).sorted() == HomeAgentFiles.keys.sorted())
    }
}

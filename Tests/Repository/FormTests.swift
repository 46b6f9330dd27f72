// The form of what is written by hand, as far as no tool checks it (Scripts/lint runs those that do): how long a file
// is, what it is called, what words are in it.

import Foundation
import TestSupport
import Testing

@Suite("Form")
struct FormTests {
    static let lineLimit = 400

    /// Files that bear another name than what they declare: what is in them together has this one.
    static let collections: [String: String] = [
        "Sources/ControlProtocol/control.pb.swift": "made from control.proto",
        "Sources/RouteNetlink/NetlinkAnswer.swift": "messages and attributes of which an answer consists",
        "Sources/Wire/Bytes.swift": "reads and writes of raw memory",
        "Tests/PacketIOTests/SetupPackets.swift": "packets that the tests of the set-up send and expect",
        "Sources/ServiceProcess/NamedThread.swift": "starts threads that have a name",
        "Sources/mooring/Quantities.swift": "numbers, times and sizes for people",
        "Sources/mooringd/ControlService.swift": "how the daemon answers the control socket",
        "Tests/TestSupport/TestSupport.swift": "what several test targets need",
        "Tests/WireTests/ICMPTests.swift": "ICMPv4 and ICMPv6",
    ]

    /// Words that say nothing of what a type does.
    static let emptyWords: Set<Substring> = [
        "Base", "Common", "Generic", "Helper", "Helpers", "Impl", "Manager", "Misc", "Util", "Utilities", "Utility",
        "Utils",
    ]

    /// Everything that is written by hand: made vectors and generated code are not.
    private static func handwritten() throws -> [SourceFile] {
        let code = try ["Sources", "CShims", "Benchmarks", "Tests"].flatMap {
            try SourceFile.all(below: $0, extensions: ["swift", "h", "c", "py", "proto"])
        }
        let scripts = try SourceFile.all(below: "Scripts", extensions: ["", "sh", "py"])
        let documents = try Documents.all() + SourceFile.all(below: "docs", extensions: ["lua"])
        return (code + scripts + documents).filter { !$0.isGenerated && !$0.path.hasPrefix("Tests/Vectors/") }
    }

    @Test("no file is longer than can be read at a time")
    func length() throws {
        // A man page, a schema and a list of tests are looked up, not read.
        for file in try Self.handwritten()
        where !file.path.hasPrefix("docs/man/") && !file.path.hasSuffix(".proto")
            && file.path != ComplianceTests.page
        {
            // The last line ends with a line feed.
            let count = file.lines.count - 1
            #expect(count <= Self.lineLimit, "\(file.path) has \(count) lines: split it")
        }
    }

    @Test("nothing is left to do")
    func nothingLeft() throws {
        // Put together, so that this file does not find itself. XXX in capitals also ends templates of mkstemp(3).
        let marks = ["TO" + "DO", "FIX" + "ME", "HA" + "CK:"]
        for file in try Self.handwritten() {
            for (index, line) in file.lines.enumerated() {
                #expect(!marks.contains { line.contains($0) }, "\(file.path):\(index + 1): \(line)")
            }
        }
    }

    @Test("names of types say what they do")
    func names() {
        for file in SourceFile.swift where !file.isGenerated {
            for name in file.declaredTypes {
                let empty = Set(name.matches(of: #/[A-Z][a-z]+/#).map(\.output)).intersection(Self.emptyWords)
                #expect(empty.isEmpty, "\(file.path): \(name)")
            }
        }
    }

    @Test("a Swift file bears the name of what it declares, Type+Aspect where that is a part of it")
    func fileNames() {
        var unneeded = Set(Self.collections.keys)
        for file in SourceFile.swift where !["main.swift", "Package.swift"].contains(file.name) {
            if !file.declaresItsSubject, unneeded.remove(file.path) == nil {
                Issue.record("\(file.path) declares \(file.declaredTypes.sorted())")
            }
        }
        #expect(unneeded.isEmpty, "these need no exception")
    }
}

extension SourceFile {
    /// Whether its name is that of a type, or of several in the plural, or a type's name ends or begins with it.
    fileprivate var declaresItsSubject: Bool {
        var subjects = [subject]
        for ending in ["s", "es"] where subject.hasSuffix(ending) { subjects.append(subject.dropLast(ending.count)) }
        if name.contains("+") { return declaredTypes.contains(subject) }
        return declaredTypes.contains { type in subjects.contains { type.hasPrefix($0) || type.hasSuffix($0) } }
            || declaredValues.contains { $0.lowercased() == subject.lowercased() }
    }
}

// The arrows between modules are the design. What may use what stands here, in docs/architecture.md for people, in
// Package.swift for the compiler, and in the imports; these tests hold the four together. They are needed, because
// SwiftPM lets a file import any module that happens to be built.

import TestSupport
import Testing

@Suite("Layering")
struct LayeringTests {
    /// A module and what it may import of the project and of other packages. A module may use only those above it.
    struct Module {
        let name: String
        let mayImport: Set<String>

        init(_ name: String, _ mayImport: Set<String> = []) { (self.name, self.mayImport) = (name, mayImport) }
    }

    static let modules = [
        Module("CLiburing"),
        Module("CPrefetch"),
        Module("CLinuxNet"),
        Module("CBenchmark"),
        Module("Wire"),
        Module("PacketBuffer"),
        Module("PrefixTable", ["Wire", "CPrefetch"]),
        Module("Bindings", ["Wire"]),
        Module("Forwarding", ["Wire", "PacketBuffer", "PrefixTable", "Bindings", "CPrefetch"]),
        Module("Checkpoint", ["Wire", "Bindings", "Forwarding"]),
        Module("Capture", ["PacketBuffer"]),
        Module("Replay", ["Wire", "PacketBuffer", "Bindings", "Forwarding", "Capture"]),
        Module("IOUring", ["CLiburing"]),
        Module("RouteNetlink", ["Wire", "CLinuxNet"]),
        Module("PacketIO", ["Wire", "PacketBuffer", "IOUring", "RouteNetlink", "CLinuxNet"]),
        Module("Release"),
        Module("ControlProtocol", ["Wire", "Bindings", "Release", "Logging", "NIOCore", "NIOPosix", "SwiftProtobuf"]),
        Module("ConfigurationFile", ["Bindings", "TOMLKit"]),
        Module("MobileIP", ["Wire", "PrefixTable", "Crypto"]),
        Module("Succession", ["CLinuxNet"]),
        Module("ServiceProcess", ["CLinuxNet"]),
        Module("OperatorProtocol"),
        Module(
            "HomeAgent",
            [
                "Wire", "Bindings", "RouteNetlink", "ControlProtocol", "ConfigurationFile", "MobileIP",
                "OperatorProtocol", "GRDB", "Logging", "NIOCore", "NIOPosix",
            ]),
        Module(
            "MobileNode",
            [
                "Wire", "Bindings", "RouteNetlink", "ControlProtocol", "ServiceProcess", "ConfigurationFile",
                "MobileIP", "CLinuxNet",
                "Logging", "NIOCore", "NIOPosix",
            ]),
        Module(
            "mooringd",
            [
                "Wire", "PacketBuffer", "PrefixTable", "Bindings", "Forwarding", "Checkpoint", "RouteNetlink",
                "PacketIO", "ControlProtocol", "Succession", "ServiceProcess", "Release", "ArgumentParser", "Logging",
                "NIOCore",
                "NIOPosix",
            ]),
        Module(
            "mooring",
            [
                "Wire", "Bindings", "ControlProtocol", "ConfigurationFile", "OperatorProtocol", "Replay",
                "Release", "ArgumentParser",
            ]),
        Module(
            "mooring-fa",
            [
                "Wire", "RouteNetlink", "PacketIO", "ConfigurationFile", "MobileIP", "CLinuxNet", "Release",
                "ArgumentParser",
            ]),
        Module("mooring-ha", ["Bindings", "ServiceProcess", "HomeAgent", "Release", "ArgumentParser", "Logging"]),
        Module(
            "mooring-mn",
            ["Wire", "Bindings", "ServiceProcess", "MobileNode", "Release", "ArgumentParser", "Logging"]),
        Module(
            "Bench",
            [
                "Wire", "PacketBuffer", "PrefixTable", "Bindings", "Forwarding", "Checkpoint", "ControlProtocol",
                "MobileIP", "HomeAgent", "CBenchmark", "Release", "ArgumentParser", "Histogram",
            ]),
        Module("yardstick", ["CLiburing"]),
    ]

    /// The forwarder, from the bytes up: what runs for every packet, and what it stands on.
    static let forwarder: Set = [
        "Wire", "PacketBuffer", "PrefixTable", "Bindings", "Forwarding", "IOUring", "RouteNetlink", "PacketIO",
    ]

    /// Modules of the toolchain, which no manifest names.
    static let toolchain: Set = [
        "Dispatch", "Foundation", "FoundationEssentials", "Glibc", "PackageDescription", "Synchronization", "Testing",
    ]

    /// Modules in C that come with another package's.
    private static let parts = ["CTOML": "TOMLKit"]

    /// Nil for a target in C, whose includes name no modules.
    private static func imports(of target: Manifest.Target) throws -> Set<String>? {
        let files = try SourceFile.all(below: target.directory, extensions: ["swift"])
        guard !files.isEmpty else { return nil }
        return files.reduce(into: []) { $0.formUnion($1.imports.map { parts[$0] ?? $0 }) }
    }

    @Test("no module of the list uses one that stands below it")
    func order() {
        for (index, module) in Self.modules.enumerated() {
            let below = Set(Self.modules[index...].map(\.name))
            #expect(module.mayImport.isDisjoint(with: below), "\(module.name)")
        }
    }

    @Test("the manifest has the modules of the list, and no arrow that the list does not have")
    func manifest() async throws {
        let allowed = Dictionary(uniqueKeysWithValues: Self.modules.map { ($0.name, $0.mayImport) })
        let targets = try await Manifest.read().targets.filter { !$0.directory.hasPrefix("Tests/") }
        #expect(Set(targets.map(\.name)) == Set(allowed.keys))
        for target in targets {
            let wrong = target.dependencyNames.subtracting(allowed[target.name] ?? [])
            #expect(wrong.isEmpty, "\(target.name) must not depend on \(wrong.sorted())")
        }
    }

    @Test("every import has its dependency in the manifest, and every dependency is imported; the tests' too")
    func imports() async throws {
        let targets = try await Manifest.read().targets
        let programs = Set(targets.filter { $0.type == .executable }.map(\.name))
        for target in targets where target.type != .system {
            guard let imports = try Self.imports(of: target)?.subtracting(Self.toolchain) else { continue }
            let undeclared = imports.subtracting(target.dependencyNames)
            #expect(
                undeclared.isEmpty, "\(target.name) imports \(undeclared.sorted()), which Package.swift does not say")
            var unused = target.dependencyNames.subtracting(imports)
            // Tests run programs, and have them built by depending on them.
            if target.type == .test { unused.subtract(programs) }
            #expect(unused.isEmpty, "\(target.name) depends on \(unused.sorted()) and imports no such module")
        }
    }

    @Test("the forwarder imports nothing of the toolchain but libc and atomics", arguments: forwarder.sorted())
    func forwarderImports(_ module: String) throws {
        let files = try SourceFile.all(below: "Sources/\(module)", extensions: ["swift"])
        #expect(!files.isEmpty)
        for file in files {
            let wrong = file.imports.intersection(Self.toolchain).subtracting(["Glibc", "Synchronization"])
            #expect(wrong.isEmpty, "\(file.path) imports \(wrong.sorted())")
        }
    }

    @Test("what the forwarder may import ends in the forwarder and in C")
    func forwarderArrows() {
        for module in Self.modules where Self.forwarder.contains(module.name) {
            let wrong = module.mayImport.subtracting(Self.forwarder).subtracting([
                "CLiburing", "CLinuxNet", "CPrefetch",
            ])
            #expect(wrong.isEmpty, "\(module.name): \(wrong.sorted())")
        }
    }

    @Test("docs/architecture.md has the same list")
    func document() throws {
        let rows = try SourceFile("docs/architecture.md").lines
            .drop { $0 != "| module | duty | may import |" }.dropFirst(2).prefix { $0.hasPrefix("|") }
        let documented = rows.map { row in
            let cells = row.split(separator: "|").map { $0.matches(of: #/`([^`]+)`/#).map { String($0.1) } }
            return Module(cells[0].first ?? "", Set(cells.last ?? []))
        }
        #expect(documented.map(\.name) == Self.modules.map(\.name))
        for (row, module) in zip(documented, Self.modules) {
            #expect(row.mayImport == module.mayImport, "\(module.name)")
        }
    }
}

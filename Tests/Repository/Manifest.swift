// Package.swift as SwiftPM understands it. The build directory is one of its own, since `swift test` may hold the lock
// of the usual one.

import Foundation

/// The targets of the package and what each may use.
struct Manifest {
    struct Target: Decodable {
        enum Kind: String, Decodable { case regular, executable, test, system, plugin, macro, binary }

        /// A dependency on a target, or on another package's product.
        struct Dependency: Decodable {
            let name: String

            init(from decoder: any Decoder) throws {
                // {"byName": ["Wire", null]} or {"product": ["Logging", "swift-log", null, null]}
                let forms = try decoder.singleValueContainer().decode([String: [Field]].self)
                guard let form = forms.first, case .text(let name) = form.value.first else {
                    throw CommandFailure(description: "a dependency of an unknown form: \(forms)")
                }
                self.name = name
            }

            private enum Field: Decodable {
                case text(String)
                case other

                init(from decoder: any Decoder) throws {
                    self = (try? decoder.singleValueContainer().decode(String.self)).map(Field.text) ?? .other
                }
            }
        }

        let name: String
        let type: Kind
        private let path: String?
        private let dependencies: [Dependency]

        /// Relative to the top of the repository.
        var directory: String { path ?? (type == .test ? "Tests/\(name)" : "Sources/\(name)") }
        /// Names of targets and products.
        var dependencyNames: Set<String> { Set(dependencies.map(\.name)) }
    }

    let targets: [Target]

    static func read() async throws -> Manifest {
        let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("mooring-manifest-\(UUID())")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let json = try await Command.run(["swift", "package", "--scratch-path", scratch.path, "dump-package"])
        return try JSONDecoder().decode(Content.self, from: Data(json.utf8)).manifest
    }

    private struct Content: Decodable {
        let targets: [Target]
        var manifest: Manifest { Manifest(targets: targets) }
    }
}

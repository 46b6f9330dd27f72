import Foundation

/// A directory for one test.
public enum TemporaryDirectory {
    /// Runs the body with a new directory, and removes it.
    public static func with<Result>(_ body: (String) async throws -> Result) async throws -> Result {
        var template = Array("/tmp/mooring-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        let directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        return try await body(directory)
    }

    /// Copies the files of a directory, which has no directories in it, into a new one. `FileManager` would copy owners
    /// too, which the root of a user namespace may not do.
    public static func copyFiles(of source: String, to target: String) throws {
        try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: false)
        for name in try FileManager.default.contentsOfDirectory(atPath: source) {
            try copyFile("\(source)/\(name)", to: "\(target)/\(name)")
        }
    }

    /// Copies what is in a file.
    public static func copyFile(_ source: String, to target: String) throws {
        try Data(contentsOf: URL(fileURLWithPath: source)).write(to: URL(fileURLWithPath: target))
    }
}

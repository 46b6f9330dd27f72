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
}

import Bindings
import ConfigurationFile
import Foundation
import TestSupport
import Testing

@Suite("Files with keys")
struct KeyFileTests {
    /// What comes of a file with that content and mode.
    private func read(_ content: String, mode: mode_t = 0o600) async throws -> Result<[UInt8], StrictJSON.Failure> {
        try await TemporaryDirectory.with { directory in
            let path = "\(directory)/key"
            try Data(content.utf8).write(to: URL(fileURLWithPath: path))
            #expect(chmod(path, mode) == 0)
            return Result { () throws(StrictJSON.Failure) in try KeyFile.read(path) }
        }
    }

    @Test("hold hexadecimal digits", arguments: ["00ff10Ab", "00FF10ab\n", " 00ff10ab\r\n"])
    func digits(content: String) async throws {
        #expect(try await read(content).get() == [0x00, 0xFF, 0x10, 0xAB])
    }

    @Test(
        "hold nothing else, and an error does not say what",
        arguments: ["", "\n", "0", "0g", "00 11", "ü0", String(repeating: "00", count: 400)])
    func other(content: String) async throws {
        guard case .failure(let failure) = try await read(content) else {
            Issue.record("was taken")
            return
        }
        #expect(!failure.problem.contains("0g") && !failure.problem.contains("00 11"))
    }

    @Test("are nobody else's to read", arguments: [0o604, 0o640, 0o644, 0o610, 0o602, 0o777] as [mode_t])
    func permissions(mode: mode_t) async throws {
        guard case .failure(let failure) = try await read("00ff", mode: mode) else {
            Issue.record("was taken")
            return
        }
        #expect(failure.problem.contains("chmod 600"))
    }

    @Test("are plain files")
    func notPlain() {
        #expect(throws: StrictJSON.Failure.self) { try KeyFile.read("/dev/null") }
        #expect(throws: StrictJSON.Failure.self) { try KeyFile.read("/tmp") }
    }
}

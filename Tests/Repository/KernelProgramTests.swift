// Programs for the kernel are committed as numbers: whether they are what their sources make.

import Foundation
import TestSupport
import Testing

@Suite("Programs for the kernel")
struct KernelProgramTests {
    @Test("They are what their sources make, where that can be told")
    func isUpToDate() async throws {
        let script = Repository.root.appendingPathComponent("Scripts/compile-programs").path
        let check = try await Program.run([script, "--check"])
        if check.status == 3 { try Test.cancel("\(check.errorOutput)") }
        #expect(check.status == 0, "\(check.output)\(check.errorOutput)")
    }
}

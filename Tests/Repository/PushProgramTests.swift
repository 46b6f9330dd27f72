// The kernel's program is committed as numbers: whether they are what its source makes.

import Foundation
import TestSupport
import Testing

@Suite("Program that pushes headers")
struct PushProgramTests {
    @Test("It is what its source makes, where that can be told")
    func isUpToDate() async throws {
        let script = Repository.root.appendingPathComponent("Scripts/compile-push").path
        let check = try await Program.run([script, "--check"])
        if check.status == 3 { try Test.cancel("\(check.errorOutput)") }
        #expect(check.status == 0, "\(check.output)\(check.errorOutput)")
    }
}

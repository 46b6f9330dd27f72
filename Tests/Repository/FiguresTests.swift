// What Scripts/demo makes of the reports of iperf3: a rate that no working tunnel has is a failure.

import Foundation
import TestSupport
import Testing

@Suite("Figures of Scripts") struct FiguresTests {
    /// A report of iperf3 as far as it is read: 12 intervals of half a second, and what was received in a second.
    private static func report(_ bytes: (Int) -> Int, received: Double) -> String {
        let intervals = (0..<12).map { index in
            let start = Double(index) / 2
            return #"{"sum":{"start":\#(start),"end":\#(start + 0.5),"seconds":0.5,"bytes":\#(bytes(index))}}"#
        }
        return #"""
            {"intervals":[\#(intervals.joined(separator: ","))],
             "end":{"sum_received":{"bits_per_second":\#(received)},"sum_sent":{"retransmits":3}}}
            """#
    }

    private static func figures(_ report: String, _ arguments: [String] = []) async throws -> Program {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/iperf3.json"
            try report.write(toFile: path, atomically: false, encoding: .utf8)
            let script = Repository.root.appendingPathComponent("Scripts/lib/figures.py").path
            return try await Program.run(["/usr/bin/python3", script, "iperf3", path] + arguments)
        }
    }

    @Test("a rate is printed, and one below 1 Mbit/s ends with 1 and a line that says so")
    func rate() async throws {
        let good = try await Self.figures(Self.report({ _ in 0 }, received: 2.5e9))
        #expect(good.status == 0 && good.output == "2.50\n" && good.errorOutput == "")
        #expect(try await Self.figures(Self.report({ _ in 0 }, received: 1e6)).status == 0)
        for received in [0, 999_000] as [Double] {
            let bad = try await Self.figures(Self.report({ _ in 0 }, received: received))
            #expect(bad.status == 1 && bad.output == "")
            #expect(bad.errorOutput.contains("Mbit/s at all, less than 1 Mbit/s"), "\(bad.errorOutput)")
        }
    }

    @Test("a transfer that stands still before or after a move is a failure")
    func move() async throws {
        let good = try await Self.figures(Self.report({ _ in 62_500_000 }, received: 1e9), ["3"])
        #expect(good.status == 0 && good.output == "1.00 1.00 3\n")
        let after = try await Self.figures(Self.report({ $0 < 6 ? 62_500_000 : 0 }, received: 1e9), ["3"])
        #expect(after.status == 1 && after.output == "")
        #expect(after.errorOutput.contains("0.000 Mbit/s after, less than 1 Mbit/s"), "\(after.errorOutput)")
        let before = try await Self.figures(Self.report({ $0 < 6 ? 10 : 62_500_000 }, received: 1e9), ["3"])
        #expect(before.status == 1 && before.errorOutput.contains("Mbit/s before"))
    }

    @Test("an error of iperf3 is said")
    func error() async throws {
        let program = try await Self.figures(#"{"error":"unable to connect"}"#)
        #expect(program.status == 1 && program.errorOutput == "iperf3: unable to connect\n")
    }
}

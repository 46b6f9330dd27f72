// Workers that are pinned to processors, as the kernel tells it of every thread.

import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("Pinned workers", .serialized)
    struct ProcessorTests {
        /// What the kernel has in /proc/self/status, in the form of cpuset(7).
        private static func allowed(_ task: String) throws -> String {
            let text = try String(contentsOfFile: "\(task)/status", encoding: .utf8)
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") })
            return line.dropFirst("Cpus_allowed_list:".count).trimmingCharacters(in: .whitespaces)
        }

        @Test("Each runs on its own processor alone, and other threads where they may", arguments: [1, 2])
        func pinned(workers: Int) async throws {
            let all = try Self.allowed("/proc/self")
            // The last of them come first.
            let numbers = all.split(separator: ",").flatMap { part -> [Int] in
                let ends = part.split(separator: "-").compactMap { Int($0) }
                return Array(ends[0]...ends[ends.count - 1])
            }.reversed()
            guard numbers.count >= workers else { try Test.cancel("there are \(numbers.count) processors") }
            let list = numbers.prefix(workers).map(String.init)
            try await Topology.run { topology in
                let daemon = try await topology.startWorkers(
                    workers, ["--processors", list.joined(separator: ",")])
                let status = try await topology.status(.homeAgent)
                #expect(status["processors"] as? [Int] == list.map { Int($0)! })
                let process = try #require(status["processID"] as? Int)
                var found: [String: String] = [:]
                for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task") {
                    let task = "/proc/\(process)/task/\(thread)"
                    // One of a pool may have ended since.
                    guard let name = try? String(contentsOfFile: "\(task)/comm", encoding: .utf8) else { continue }
                    if name.hasPrefix("mooring-fwd-") {
                        found[name.trimmingCharacters(in: .whitespacesAndNewlines)] = try Self.allowed(task)
                    } else if let other = try? Self.allowed(task) {
                        #expect(other == all, "\(name)")
                    }
                }
                let expected = list.enumerated().map { ("mooring-fwd-\($0.offset)", $0.element) }
                #expect(found == Dictionary(uniqueKeysWithValues: expected))
                daemon.send(SIGTERM)
                #expect(try await daemon.wait() == 0)
            }
        }
    }
}

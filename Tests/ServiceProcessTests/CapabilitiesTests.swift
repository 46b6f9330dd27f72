// What is given up is read where the kernel tells it, in /proc/thread-self/status. Each test gives up on a thread of its own.

import Dispatch
import Foundation
import Glibc
import ServiceProcess
import Testing

@Suite("Capabilities")
struct CapabilitiesTests {
    /// The lines of the calling thread's status that concern its rights.
    private static func status() throws -> [String: UInt64] {
        let text = try String(contentsOfFile: "/proc/thread-self/status", encoding: .utf8)
        var values: [String: UInt64] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":")
            guard parts[0].hasPrefix("Cap") || parts[0] == "NoNewPrivs" else { continue }
            values[String(parts[0])] = UInt64(parts[1].trimmingCharacters(in: .whitespaces), radix: 16)
        }
        return values
    }

    private static func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value
    {
        try await withCheckedThrowingContinuation { continuation in
            startThread(named: "test") { continuation.resume(with: Result(catching: body)) }
        }
    }

    @Test("one is kept, where it was there, and everything else is gone", arguments: [true, false])
    func keep(network: Bool) async throws {
        let wanted: Capabilities = network ? .networkAdministration : []
        let (before, kept, after) = try await Self.onThread {
            (try Self.status(), try Capabilities.keep(only: wanted), try Self.status())
        }
        let permitted = try #require(before["CapPrm"])
        let expected = network ? permitted & 1 << 12 : 0
        #expect(kept.rawValue == expected)
        #expect(after["CapPrm"] == expected && after["CapEff"] == expected)
        #expect(after["CapInh"] == 0 && after["CapAmb"] == 0 && after["NoNewPrivs"] == 1)
        // Who may not change it is bounded by having nothing to inherit.
        #expect(after["CapBnd"] == (permitted & 1 << 8 != 0 ? 0 : before["CapBnd"]))
    }

    @Test("what was given up does not come back, and can be given up again")
    func again() async throws {
        let kept = try await Self.onThread {
            try Capabilities.keep(only: [])
            return try Capabilities.keep(only: .networkAdministration)
        }
        #expect(kept == [])
    }

    @Test("threads that are there keep what they have; those that come later have what their starter has")
    func threads() async throws {
        let (own, privileged, later) = try await Self.onThread {
            let before = try Capabilities.ofThread()
            let privileged = PrivilegedThread()
            try Capabilities.keep(only: [])
            let kept = try privileged.run { try Capabilities.ofThread() }
            let end = DispatchSemaphore(value: 0)
            nonisolated(unsafe) var later: Capabilities?
            startThread(named: "later") {
                later = try? Capabilities.ofThread()
                end.signal()
            }
            end.wait()
            privileged.end()
            return (before, kept, later)
        }
        #expect(privileged == own)
        #expect(later == [])
    }

    @Test("the privileged thread hands back what comes out, errors too, as often as it is asked")
    func run() async throws {
        struct Failure: Error {}
        let sum = try await Self.onThread {
            let privileged = PrivilegedThread()
            defer { privileged.end() }
            #expect(throws: Failure.self) { try privileged.run { throw Failure() } }
            return try (1...100).reduce(0) { sum, number in try privileged.run { sum + number } }
        }
        #expect(sum == 5050)
    }

    @Test("sets are told by their names")
    func names() {
        #expect("\(Capabilities.networkAdministration)" == "CAP_NET_ADMIN")
        #expect("\(Capabilities())" == "none")
        #expect("\(Capabilities(rawValue: 1 << 12 | 1 << 39))" == "CAP_NET_ADMIN capability 39")
    }

    @Test("what all threads have is told, of those of a name by themselves")
    func ofThreads() async throws {
        let before = try #require(try Self.status()["CapPrm"])
        let name = "few-\(getpid() % 10_000)"
        let (isReady, mayEnd) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        for number in 0..<2 {
            startThread(named: "\(name)-\(number)") {
                // The first has one, the second none.
                _ = try? Capabilities.keep(only: number == 0 ? .networkAdministration : [])
                isReady.signal()
                mayEnd.wait()
            }
        }
        defer { for _ in 0..<2 { mayEnd.signal() } }
        await Self.wait(for: isReady, count: 2)
        let all = try Capabilities.ofThreads(workers: name)
        #expect(all.workers.rawValue == before & 1 << 12)
        #expect(try Capabilities.ofThreads(workers: "\(name)-1").workers == [])
        #expect(all.others.rawValue == before)
        #expect(try Capabilities.ofThreads(workers: "nobody").others.rawValue == before)
    }

    private static func wait(for semaphore: DispatchSemaphore, count: Int) async {
        await withCheckedContinuation { continuation in
            startThread(named: "test") {
                for _ in 0..<count { semaphore.wait() }
                continuation.resume()
            }
        }
    }
}

// Network namespaces for tests: a thread of its own leaves the process's namespace for a new, empty one, runs the test's
// body there and ends; with the thread and the descriptors that the body closes the namespace goes, and every device in
// it. Commands run from the body (`shell`) inherit the namespace from the thread that starts them. The thread is the
// task executor of the body, so that what the body expects is told as the running test's.

import Foundation
import Glibc

/// New network namespaces, one for each body that is run.
public enum NetworkNamespace {
    /// A command failed.
    public struct CommandFailure: Error, CustomStringConvertible {
        /// The command, its status and its output.
        public let description: String
    }

    /// What to say where `isAvailable` is false.
    public static let reason =
        "needs `ip`, /dev/net/tun and the privilege for a network namespace: run as root, or in `unshare -rn`"

    /// Whether namespaces with TUN devices can be made here, tried once.
    public static let isAvailable: Bool = {
        let tried = DispatchSemaphore(value: 0)
        let thread = NamespaceThread()
        nonisolated(unsafe) var hasDevice = false
        thread.start {
            hasDevice = thread.isInNamespace && (try? shell("ip tuntap add dev moor0 mode tun")) != nil
            tried.signal()
        }
        tried.wait()
        thread.stop()
        return hasDevice
    }()

    /// Runs the body in a new namespace, in which nothing but the loopback device is up, and throws what it throws.
    /// Where the body suspends, it resumes in the namespace.
    public static func run<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let thread = NamespaceThread()
        await withCheckedContinuation { continuation in thread.start { continuation.resume() } }
        defer { thread.stop() }
        guard thread.isInNamespace else { throw CommandFailure(description: "no new network namespace: \(reason)") }
        return try await withTaskExecutorPreference(thread) {
            // No body may ever touch the process's own namespace.
            try shell("test \"$(readlink /proc/self/ns/net)\" != \"$(readlink /proc/\(getpid())/ns/net)\"")
            try shell("ip link set lo up")
            return try await body()
        }
    }

    /// Runs a command line in the calling thread's namespace.
    /// - Returns: what it wrote to both outputs.
    /// - Throws: `CommandFailure` where its status is not 0.
    @discardableResult
    public static func shell(_ command: String) throws -> String {
        // In braces, so that the redirection holds for all of it.
        guard let pipe = popen("{ \(command)\n} 2>&1", "re") else {
            throw CommandFailure(description: "popen: \(String(cString: strerror(errno)))")
        }
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while case let count = fread(&chunk, 1, chunk.count, pipe), count > 0 { output += chunk[..<count] }
        let status = pclose(pipe)
        let text = String(decoding: output, as: UTF8.self)
        guard status == 0 else { throw CommandFailure(description: "\(command): status \(status >> 8): \(text)") }
        return text
    }

    /// The JSON that a command writes, such as `ip -j route`: a list of objects.
    public static func json(_ command: String) throws -> [[String: Any]] {
        let text = try shell(command)
        if text.allSatisfy(\.isWhitespace) { return [] }
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
        guard let list = value as? [[String: Any]] else {
            throw CommandFailure(description: "\(command): no list: \(text)")
        }
        // `ip` prints an empty object for each thing that its options leave out.
        return list.filter { !$0.isEmpty }
    }
}

/// A thread in a network namespace of its own, which runs the jobs of tasks that prefer it until it is stopped.
private final class NamespaceThread: TaskExecutor, @unchecked Sendable {
    private let condition = NSCondition()
    // Guarded by the condition.
    private var jobs: [UnownedJob] = []
    private var isStopped = false
    /// Set before `ready` is called, and then only read.
    private(set) var isInNamespace = false

    /// Calls `ready` on the thread, once it has tried to leave the process's namespace.
    func start(_ ready: @escaping @Sendable () -> Void) {
        Thread.detachNewThread {
            self.isInNamespace = Self.leaveNamespace()
            ready()
            while let job = self.next() { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        condition.lock()
        jobs.append(UnownedJob(job))
        condition.signal()
        condition.unlock()
    }

    /// Ends the thread when it has run the jobs it has.
    func stop() {
        condition.lock()
        isStopped = true
        condition.signal()
        condition.unlock()
    }

    private func next() -> UnownedJob? {
        condition.lock()
        defer { condition.unlock() }
        while jobs.isEmpty {
            if isStopped { return nil }
            condition.wait()
        }
        return jobs.removeFirst()
    }

    /// unshare(2), which Swift's Glibc module leaves out.
    private static func leaveNamespace() -> Bool {
        typealias Unshare = @convention(c) (Int32) -> Int32
        let newNetwork: Int32 = 0x4000_0000  // CLONE_NEWNET
        guard let symbol = dlsym(nil, "unshare") else { return false }
        return unsafeBitCast(symbol, to: Unshare.self)(newNetwork) == 0
    }
}

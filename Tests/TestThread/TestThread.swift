// Threads for tests of what belongs to a thread: who may use a ring, what a wait does, which descriptors are left. A
// thread inherits the network namespace of the one that starts it. On such a thread system calls can be refused, and it
// can have a table of descriptors of its own, without anything of that reaching other tests.

import Glibc

/// What a thread is started for, whatever it returns.
private protocol Runnable: AnyObject {
    func run()
}

/// A thread that runs a body and is joined.
public final class TestThread<Value: Sendable>: Runnable, @unchecked Sendable {
    // Written by the thread, read when it has been joined.
    private var result: Result<Value, any Error>?
    private let calls: [RefusedCall]
    private let hasOwnDescriptors: Bool
    private let body: @Sendable () throws -> Value
    private var thread = pthread_t()
    private var isJoined = false

    /// Starts a thread that runs the body.
    /// - Parameters:
    ///   - refusing: system calls that fail on this thread.
    ///   - hasOwnDescriptors: the body sees standard input, output and error and what it opens itself.
    public init(
        refusing calls: [RefusedCall] = [], hasOwnDescriptors: Bool = false,
        _ body: @escaping @Sendable () throws -> Value
    ) {
        self.calls = calls
        self.hasOwnDescriptors = hasOwnDescriptors
        self.body = body
        let status = pthread_create(
            &thread, nil,
            { argument in
                (Unmanaged<AnyObject>.fromOpaque(argument!).takeRetainedValue() as? any Runnable)?.run()
                return nil
            }, Unmanaged<AnyObject>.passRetained(self).toOpaque())
        precondition(status == 0, "no thread could be started")
    }

    fileprivate func run() {
        result = Result {
            if hasOwnDescriptors { try OwnDescriptors.separate() }
            if !calls.isEmpty { try RefusedCall.install(calls) }
            return try body()
        }
    }

    /// Waits for the end of the body.
    public func value() throws -> Value {
        if !isJoined { pthread_join(thread, nil) }
        isJoined = true
        guard let result else { preconditionFailure("the thread ended without a result") }
        return try result.get()
    }

    /// Sends a signal to the thread, which must not have been joined.
    public func send(signal: Int32) { pthread_kill(thread, signal) }
}

/// Something that several threads use one after the other.
public final class Handover<Value: ~Copyable>: @unchecked Sendable {
    private let pointer: UnsafeMutablePointer<Value>
    private var isTaken = false

    /// With the thing to hand over.
    public init(_ value: consuming Value) {
        pointer = .allocate(capacity: 1)
        pointer.initialize(to: value)
    }

    deinit {
        if !isTaken { pointer.deinitialize(count: 1) }
        pointer.deallocate()
    }

    /// Uses the thing.
    public func use<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        precondition(!isTaken, "it was taken before")
        return try body(&pointer.pointee)
    }

    /// Takes the thing out, for good.
    public func take() -> Value {
        precondition(!isTaken, "it was taken before")
        isTaken = true
        return pointer.move()
    }
}

/// The calling thread, as the kernel sees it.
public enum CurrentThread {
    /// Its number.
    public static var number: Int32 {
        var target = [CChar](repeating: 0, count: 64)
        let count = readlink("/proc/thread-self", &target, target.count - 1)
        let digits = target[..<max(count, 0)].map { UInt8(bitPattern: $0) }.split(separator: UInt8(ascii: "/")).last
        return digits.flatMap { Int32(String(decoding: $0, as: UTF8.self)) } ?? 0
    }

    /// How many descriptors it can use.
    public static var descriptorCount: Int {
        guard let directory = opendir("/proc/thread-self/fd") else { return -1 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // “.”, “..” and the directory itself.
        return count - 3
    }
}

/// Threads of this process, by number.
public enum ProcessThreads {
    /// Whether the thread sleeps in the kernel.
    public static func isAsleep(_ number: Int32) -> Bool {
        guard let file = fopen("/proc/self/task/\(number)/stat", "re") else { return false }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 512)
        let count = fread(&bytes, 1, bytes.count, file)
        // The state stands behind the name, which is in brackets.
        guard let end = bytes[..<count].lastIndex(of: UInt8(ascii: ")")), end + 2 < count else { return false }
        return bytes[end + 2] == UInt8(ascii: "S")
    }

    /// The names of all threads.
    public static var names: [String] {
        guard let directory = opendir("/proc/self/task") else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let number = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let file = fopen("/proc/self/task/\(number)/comm", "re") else { continue }
            var bytes = [UInt8](repeating: 0, count: 64)
            let count = fread(&bytes, 1, bytes.count, file)
            fclose(file)
            names.append(String(decoding: bytes[..<count].filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
        }
        return names
    }
}

enum OwnDescriptors {
    /// Gives the calling thread a table of descriptors that holds only the first three.
    static func separate() throws {
        typealias CloseRange = @convention(c) (UInt32, UInt32, Int32) -> Int32
        let unsharing: Int32 = 2  // CLOSE_RANGE_UNSHARE
        guard let symbol = dlsym(nil, "close_range"),
            unsafeBitCast(symbol, to: CloseRange.self)(3, UInt32.max, unsharing) == 0
        else { throw TestThreadError(description: "close_range: \(String(cString: strerror(errno)))") }
    }
}

/// A thread can't be made as it was asked for.
public struct TestThreadError: Error, CustomStringConvertible {
    /// What failed.
    public let description: String
}

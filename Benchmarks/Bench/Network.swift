// The network that `Bench tun`, `Bench control` and `Bench registration` measure in, made of namespaces of its own and
// taken away again, also when interrupted:
//
//   correspondent ─── home agent ─── node
//     2001:db8:c::2    mooringd       mooringd, 203.0.113.9
//                                     203.0.113.10 leads to nowhere: a sink for small packets
//
// IPv6 only on the left, IPv4 only on the right. Everything is started by `ip` and `iperf3`, as a person would.

import Dispatch
import Foundation

/// Namespaces, and the processes in them.
final class Network: @unchecked Sendable {
    static let endpoint = "192.0.2.1"
    static let careOfAddress = "203.0.113.9"
    static let sinkAddress = "203.0.113.10"
    static let nodeAddress = "2001:db8:1:1::1"
    static let nodePrefix = "2001:db8:1:1::/64"
    static let sinkDestination = "2001:db8:1:2::1"
    static let sinkPrefix = "2001:db8:1:2::/64"
    /// The names that mooringd gives its devices.
    static let devices = ["mooring-home", "mooring-access"]

    /// Where sockets and logs lie.
    let directory: URL
    private let lock = NSLock()
    /// Held while things are taken away: a signal waits until that is done.
    private let clearing = NSLock()
    private var namespaces: [String] = []
    private var processes: [Process] = []
    private var signals: [any DispatchSourceSignal] = []
    /// Set by a signal, which takes away what was made until then and ends the process: nothing more is made.
    private var isEnding = false

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("mooring-bench-\(getpid())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [unowned self] in
                lock.withLock { isEnding = true }
                remove()
                exit(128 + number)
            }
            source.resume()
            signals.append(source)
        }
        do { try make() } catch {
            remove()
            throw error
        }
    }

    /// Ends what was started, and makes the namespaces anew: what is set up next finds nothing of what was before.
    func renew() throws {
        clear()
        try make()
    }

    private func make() throws {
        for role in ["correspondent", "agent", "node"] {
            let name = namespace(role)
            lock.withLock { namespaces.append(name) }
            try run(["ip", "netns", "add", name])
            try run(["ip", "-n", name, "link", "set", "lo", "up"])
        }
        try link("correspondent", "agent")
        try link("agent", "node")
        try ip("correspondent", "address add 2001:db8:c::2/64 dev agent nodad")
        try ip("agent", "address add 2001:db8:c::1/64 dev correspondent nodad")
        try ip("correspondent", "route add default via 2001:db8:c::1")
        try ip("agent", "address add 203.0.113.1/24 dev node")
        try ip("node", "address add \(Self.careOfAddress)/24 dev agent")
        try ip("node", "route add default via 203.0.113.1")
        try ip("agent", "route add \(Self.sinkAddress)/32 via \(Self.careOfAddress)")
        try makeSink()
    }

    private func link(_ left: String, _ right: String) throws {
        let (here, there) = (Self.linkAddress(of: left), Self.linkAddress(of: right))
        try ip(
            left,
            "link add \(right) address \(here) type veth peer name \(left) address \(there) netns \(namespace(right))")
        try ip(left, "link set \(right) up")
        try ip(right, "link set \(left) up")
    }

    /// What its interfaces have as an address each: they lie on different links.
    static func linkAddress(of role: String) -> String {
        switch role {
        case "correspondent": "02:00:00:00:00:01"
        case "agent": "02:00:00:00:00:02"
        default: "02:00:00:00:00:03"
        }
    }

    /// Runs `ip` in a namespace.
    func ip(_ role: String, _ arguments: String) throws {
        try run(["ip", "-n", namespace(role)] + arguments.split(separator: " ").map(String.init))
    }

    private func namespace(_ role: String) -> String { "mooring-bench-\(getpid())-\(role)" }

    /// The file that a namespace can be entered by.
    func namespacePath(_ role: String) -> String { "/run/netns/\(namespace(role))" }

    // MARK: Processes

    /// Starts a command in a namespace. It ends with the network at the latest.
    func start(in role: String, _ command: [String], input: Pipe? = nil, output: Pipe? = nil) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["ip", "netns", "exec", namespace(role)] + command
        let log = logFile(role, String(command[0].split(separator: "/").last ?? ""))
        try Data().write(to: log)
        if let input { process.standardInput = input }
        process.standardOutput = output ?? FileHandle.nullDevice
        process.standardError = try FileHandle(forWritingTo: log)
        try launch(process)
        return process
    }

    /// Starts a process, and remembers it in the same moment.
    /// - Parameter isCleaning: whether it takes something away, which is done at the end too.
    private func launch(_ process: Process, isCleaning: Bool = false) throws {
        while true {
            let isLaunched = try lock.withLock {
                guard isCleaning || !isEnding else { return false }
                try process.run()
                processes.append(process)
                return true
            }
            if isLaunched { return }
            // Until the process ends.
            sleep(1)
        }
    }

    /// Starts a program in a namespace, and waits until a word stands in what it logs.
    func start(in role: String, _ command: [String], until word: String, within limit: Duration = .seconds(20)) throws
        -> Process
    {
        let program = String(command[0].split(separator: "/").last ?? "")
        let process = try start(in: role, command)
        try wait(for: word, inLogOf: process, role, program, within: limit)
        return process
    }

    /// Waits until a word stands in the log of a program that was started in a namespace.
    func wait(
        for word: String, inLogOf process: Process, _ role: String, _ program: String, within limit: Duration
    ) throws {
        let deadline = ContinuousClock.now + limit
        while !log(role, program).contains(word) {
            guard process.isRunning, .now < deadline else {
                throw BenchError("\(program) does not say\(word): \(log(role, program))")
            }
            usleep(5_000)
        }
    }

    /// What a program that was started in a namespace last wrote to standard error.
    func log(_ role: String, _ program: String) -> String {
        (try? String(contentsOf: logFile(role, program), encoding: .utf8)) ?? ""
    }

    private func logFile(_ role: String, _ program: String) -> URL {
        directory.appendingPathComponent("\(role)-\(program).log")
    }

    /// Runs a command in a namespace to its end.
    @discardableResult
    func run(in role: String, _ command: [String]) throws -> Data {
        try run(["ip", "netns", "exec", namespace(role)] + command)
    }

    /// Runs a command to its end.
    /// - Returns: its standard output.
    @discardableResult
    func run(_ command: [String]) throws -> Data { try run(command, isCleaning: false) }

    @discardableResult
    private func run(_ command: [String], isCleaning: Bool) throws -> Data {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        let output = Pipe()
        process.standardOutput = output
        try launch(process, isCleaning: isCleaning)
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        lock.withLock { processes.removeAll { $0 === process } }
        guard process.terminationStatus == 0 else {
            throw BenchError("`\(command.joined(separator: " "))` failed with status \(process.terminationStatus)")
        }
        return data
    }

    /// Ends a process that was started here.
    /// - Parameter signal: what it gets.
    func end(_ process: Process, by signal: Int32 = SIGTERM) {
        if process.isRunning { kill(process.processIdentifier, signal) }
        process.waitUntilExit()
        lock.withLock { processes.removeAll { $0 === process } }
    }

    /// Ends what was started, and takes the namespaces away.
    func remove() {
        clear()
        try? FileManager.default.removeItem(at: directory)
    }

    private func clear() {
        clearing.lock()
        defer { clearing.unlock() }
        let (ending, leaving) = lock.withLock {
            defer { (processes, namespaces) = ([], []) }
            return (processes, namespaces)
        }
        for process in ending where process.isRunning { process.terminate() }
        for process in ending { process.waitUntilExit() }
        for name in leaving { _ = try? run(["ip", "netns", "delete", name], isCleaning: true) }
    }
}

/// A measurement can't be made.
struct BenchError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

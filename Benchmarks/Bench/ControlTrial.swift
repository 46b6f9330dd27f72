// One trial of `Bench control`: a daemon, a stream of packets through it, and all bindings three times.

import Bindings
import ControlProtocol
import Foundation
import Synchronization
import Wire

struct ControlTrial {
    private let network: Network
    private let settings: Control
    private let bindings: Int

    init(_ network: Network, _ settings: Control, bindings: Int) {
        self.network = network
        self.settings = settings
        self.bindings = bindings
    }

    func run() throws -> ControlFigures {
        let daemon = try startDaemon()
        defer { network.end(daemon) }
        let client = try waiting {
            let client = try await ControlClient.connect(to: socket, as: "Bench", owner: "bench")
            let other = try await ControlClient.connect(to: socket, as: "Bench", owner: "probe")
            _ = try await other.put([
                Binding(
                    id: "probe", careOfAddress: IPv4Address(Network.sinkAddress)!,
                    prefixes: [BoundPrefix(IPv6Prefix(Network.sinkPrefix)!)])
            ])
            await other.close()
            return client
        }
        let probe = try startProbe()
        defer { probe.end() }
        var figures = ControlFigures()
        // Its first packets learn the way.
        sleep(1)
        _ = try probe.stretch()
        sleep(3)
        let quiet = try probe.stretch()
        let memoryBefore = try residentBytes(of: daemon)
        figures.addsPerSecond = Double(bindings) / (try measure { try await put(client, careOf: 0x0A00_0000) })
        let memoryAfter = try residentBytes(of: daemon)
        let begin = try writerSeconds(of: daemon)
        let updateSeconds = try measure { try await put(client, careOf: 0x0B00_0000) }
        let middle = try writerSeconds(of: daemon)
        figures.resyncSeconds = try measure { try await resynchronize(client) }
        figures.resyncCPUSeconds = try writerSeconds(of: daemon) - middle
        figures.updatesPerSecond = Double(bindings) / updateSeconds
        figures.updateCPUMicroseconds = (middle - begin) * 1e6 / Double(bindings)
        let busy = try probe.stretch()
        try waiting { await client.close() }

        guard quiet.seen > 0, busy.seen > 0 else {
            throw BenchError("no packet passed: \(network.log("agent", "mooringd"))")
        }
        func stall(_ latency: Int) -> Double { Double(latency - quiet.median) / 1000 }
        figures.longestStall = stall(busy.highest)
        figures.stallThousandth = stall(busy.thousandth)
        figures.baselineStall = stall(quiet.highest)
        figures.baselineThousandth = stall(quiet.thousandth)
        // What was under way when the stretch ended is not lost.
        figures.lost = max(0, busy.sent - busy.seen - 64)
        figures.bytesPerBinding = Double(memoryAfter - memoryBefore) / Double(bindings)
        return figures
    }

    // MARK: Bindings

    private func binding(_ number: Int, careOf: UInt32) -> Binding {
        var binding = Binding(
            id: "mn\(number)", careOfAddress: IPv4Address(rawValue: careOf + UInt32(number) + 1),
            prefixes: [
                BoundPrefix(
                    IPv6Prefix(address: IPv6Address(high: 0x2001_0DB8_8000_0000 + UInt64(number), low: 0), length: 64)!)
            ])
        binding.homeAddress = IPv4Address(rawValue: 0x6440_0000 + UInt32(number))
        return binding
    }

    private func batches(
        _ numbers: Range<Int>, careOf: @escaping (Int) -> UInt32
    ) -> some Sequence<[Binding]> {
        stride(from: numbers.lowerBound, to: numbers.upperBound, by: settings.batch).lazy.map { start in
            (start..<min(start + settings.batch, numbers.upperBound)).map { binding($0, careOf: careOf($0)) }
        }
    }

    private func put(_ client: ControlClient, careOf: UInt32) async throws {
        var count: UInt32 = 0
        try await client.put(
            pipelining: batches(0..<bindings, careOf: { _ in careOf }), window: settings.window
        ) { count += $0.added + $0.replaced }
        guard count == bindings else { throw BenchError("\(count) bindings were put") }
    }

    /// One in a hundred is gone, one new, one changed; the others are as they were.
    private func resynchronize(_ client: ControlClient) async throws {
        let part = bindings / 100
        try await client.beginResynchronization()
        try await client.put(
            pipelining: batches(
                part..<bindings + part, careOf: { $0 % 100 == 7 ? 0x0C00_0000 : 0x0B00_0000 }),
            window: settings.window
        ) { _ in }
        let counts = try await client.endResynchronization()
        guard counts.removed == part, counts.kept > bindings / 2 else {
            throw BenchError("not resynchronised as it should be: \(counts)")
        }
    }

    // MARK: Programs

    private var socket: String { network.directory.appendingPathComponent("control.sock").path }

    private func startDaemon() throws -> Process {
        // Room for twice as many prefixes: those that go count until they have gone.
        let limit = bindings + bindings / 50 + 100
        return try network.start(
            in: "agent",
            [
                OptimisedBuild.path(of: "mooringd"), "--socket", socket,
                "--endpoint", Network.endpoint, "--home-address", "2001:db8:ffff::1/64", "--home-route",
                "2001:db8:1::/48", "--max-bindings", "\(limit)", "--max-prefixes", "\(limit)",
            ], until: " ready")
    }

    /// What a process has in memory (proc_pid_statm(5)).
    private func residentBytes(of process: Process) throws -> Int {
        let statm = try String(contentsOfFile: "/proc/\(process.processIdentifier)/statm", encoding: .utf8)
        let fields = statm.split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { throw BenchError("/proc tells no memory") }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// What all threads of a daemon but those that forward have used of processors, in seconds (proc_pid_stat(5)).
    private func writerSeconds(of process: Process) throws -> Double {
        let tasks = "/proc/\(process.processIdentifier)/task"
        var ticks = 0.0
        for task in try FileManager.default.contentsOfDirectory(atPath: tasks) {
            let stat = try String(contentsOfFile: "\(tasks)/\(task)/stat", encoding: .utf8)
            guard !stat.contains("(mooring-fwd") else { continue }
            let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
            guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
                throw BenchError("/proc tells no times of \(task)")
            }
            ticks += user + system
        }
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private func startProbe() throws -> RunningProbe {
        try RunningProbe(
            from: network.namespacePath("correspondent"), to: network.namespacePath("node"), Network.sinkDestination,
            packetsPerSecond: settings.load * 1000)
    }

    // MARK: Time

    private func measure(_ body: @escaping () async throws -> Void) throws -> Double {
        let begin = ContinuousClock.now
        try waiting(body)
        return begin.duration(to: .now) / .seconds(1)
    }

    /// Runs what waits by suspending, and waits for it. Nothing else runs on the calling thread meanwhile.
    private func waiting<Value>(_ body: @escaping () async throws -> Value) throws -> Value {
        nonisolated(unsafe) let body = body
        nonisolated(unsafe) var result: Result<Value, any Error>?
        let done = DispatchSemaphore(value: 0)
        Task.detached {
            do { result = .success(try await body()) } catch { result = .failure(error) }
            done.signal()
        }
        done.wait()
        guard let result else { preconditionFailure("the task has set it") }
        return try result.get()
    }
}

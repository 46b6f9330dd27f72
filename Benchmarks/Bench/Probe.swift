// A steady stream of packets through a forwarder, and how long each takes: sent as UDP in the correspondent's namespace
// with the time in it, seen at an interface of the node's namespace, in their tunnel or out of it, with the time at
// which the kernel got them there. So it does not matter when this process gets to read them. A line on standard input
// ends a stretch of time and begins the next; the answer is one line of JSON.

import ArgumentParser
import CBenchmark
import Foundation
import Glibc
import Histogram

struct Probe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sends timed packets; used by control and tun inside their namespaces.", shouldDisplay: false)

    /// A mark, the time and two bytes more: the last bytes of its packet, whatever stands before.
    static let payloadLength = 18
    /// Sent at a time at the most, where it was late.
    private static let most = 64

    @Argument(help: "The namespace to send in.") var source: String
    @Argument(help: "The namespace that packets arrive in.") var sink: String
    @Argument(help: "IPv6 destination.") var destination: String
    @Argument(help: "Packets a second.") var rate: Int
    @Option(help: "Microseconds from one burst to the next.") var interval = 200
    @Option(help: "The interface that packets arrive by.") var device = "agent"
    @Option(help: "The version of IP that they arrive in, 4 or 6.") var ipVersion = 4

    func validate() throws {
        guard (1...10_000_000).contains(rate), (10...100_000).contains(interval), [4, 6].contains(ipVersion) else {
            throw ValidationError(
                "1 to 10000000 packets a second, 10 to 100000 microseconds between bursts, IP version 4 or 6")
        }
    }

    /// Latencies of a stretch of time, in nanoseconds.
    struct Stretch: Codable {
        var sent = 0
        var seen = 0
        var median = 0
        /// What all but one in ten, in a hundred, in a thousand stayed below.
        var tenth = 0
        var hundredth = 0
        var thousandth = 0
        var highest = 0
    }

    func run() throws {
        let sender = mooring_udp6_in(source)
        let capture = mooring_capture_in(sink, device, Int32(ipVersion))
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = UInt16(9).bigEndian
        inet_pton(AF_INET6, destination, &address.sin6_addr)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(sender, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
        guard sender >= 0, let capture, connected == 0 else {
            throw BenchError("no probe: \(String(cString: strerror(errno)))")
        }
        // Where that is allowed; a probe that is late says nothing of the forwarder.
        var priority = sched_param(sched_priority: 1)
        sched_setscheduler(0, SCHED_FIFO, &priority)

        let pause = Int64(interval) * 1000
        var stretch = Stretch()
        // A minute at the most, in steps of a thousandth of each.
        var latencies = Histogram<UInt64>(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
        var packet = [UInt8](repeating: 0, count: Int(MOORING_CAPTURE_FRAME))
        var next = Self.now(CLOCK_MONOTONIC) + pause
        var due = 0.0
        // What is still under way when a stretch ends counts in the next one.
        while true {
            var time = timespec(tv_sec: Int(next / 1_000_000_000), tv_nsec: Int(next % 1_000_000_000))
            clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil)
            let late = max(0, Self.now(CLOCK_MONOTONIC) - next)
            next += pause + late
            due = min(due + Double(rate) * Double(pause + late) / 1e9, Double(Self.most))
            while due >= 1 {
                if Self.send(sender) { stretch.sent += 1 }
                due -= 1
            }
            while let latency = Self.receive(capture, &packet) { latencies.record(latency) }
            var ready = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, 0) > 0 else { continue }
            guard readLine() != nil else { return }
            stretch.seen = Int(latencies.totalCount)
            stretch.median = Int(latencies.valueAtPercentile(50))
            stretch.tenth = Int(latencies.valueAtPercentile(90))
            stretch.hundredth = Int(latencies.valueAtPercentile(99))
            stretch.thousandth = Int(latencies.valueAtPercentile(99.9))
            stretch.highest = Int(latencies.max)
            print(String(decoding: try JSONEncoder().encode(stretch), as: UTF8.self))
            fflush(nil)
            stretch = Stretch()
            latencies.reset()
            next = Self.now(CLOCK_MONOTONIC) + pause
        }
    }

    /// Tells a probe from anything else.
    private static let mark: UInt64 = 0x6D6F_6F72_696E_6721

    /// Each packet bears its own time: those of a burst don't wait for each other before they are sent.
    private static func send(_ sender: Int32) -> Bool {
        var payload = (mark, now(CLOCK_REALTIME), UInt16(0))
        return withUnsafeBytes(of: &payload) { Glibc.send(sender, $0.baseAddress, payloadLength, 0) == payloadLength }
    }

    /// The latency of the next probe that is there, in nanoseconds.
    private static func receive(_ capture: OpaquePointer, _ packet: inout [UInt8]) -> UInt64? {
        var arrival: Int64 = 0
        while true {
            let length = mooring_capture_next(capture, &packet, &arrival)
            guard length >= 0 else { return nil }
            guard length > payloadLength, length <= packet.count else { continue }
            let (mark, start) = packet.withUnsafeBytes {
                (
                    $0.loadUnaligned(fromByteOffset: length - payloadLength, as: UInt64.self),
                    $0.loadUnaligned(fromByteOffset: length - payloadLength + 8, as: Int64.self)
                )
            }
            if mark == Self.mark { return UInt64(max(0, arrival - start)) }
        }
    }

    private static func now(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

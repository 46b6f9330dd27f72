// A steady stream of packets through the forwarder, and how long each takes: sent as UDP in the correspondent's namespace
// with the time in it, seen in their tunnel at the node's interface with the time at which the kernel got them there. So
// it does not matter when this process gets to read them. A line on standard input ends a stretch of time and begins the
// next; the answer is one line of JSON.

import ArgumentParser
import CBenchmark
import Foundation
import Glibc

struct Probe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sends timed packets; used by control inside its namespaces.", shouldDisplay: false)

    /// Between two bursts.
    static let interval = 200_000
    static let payloadLength = 18
    /// IPv4, IPv6 and UDP.
    static let headerLength = 20 + 40 + 8

    @Argument(help: "The namespace to send in.") var source: String
    @Argument(help: "The namespace that packets arrive in, by its interface \"agent\".") var sink: String
    @Argument(help: "IPv6 destination.") var destination: String
    @Argument(help: "Packets in a burst, one each 200 microseconds.") var burst: Int

    func validate() throws {
        guard (1...64).contains(burst) else { throw ValidationError("1 to 64 packets in a burst") }
    }

    /// Latencies of a stretch of time, in nanoseconds.
    struct Stretch: Codable {
        var sent = 0
        var seen = 0
        var median = 0
        var highest = 0
        /// Of those above a thousandth.
        var thousandth = 0
    }

    func run() throws {
        let sender = mooring_udp6_in(source)
        let receiver = mooring_capture_in(sink, "agent")
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = UInt16(9).bigEndian
        inet_pton(AF_INET6, destination, &address.sin6_addr)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(sender, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
        guard sender >= 0, receiver >= 0, connected == 0 else {
            throw BenchError("no probe: \(String(cString: strerror(errno)))")
        }
        // Where that is allowed; a probe that is late says nothing of the forwarder.
        var priority = sched_param(sched_priority: 1)
        sched_setscheduler(0, SCHED_FIFO, &priority)

        var stretch = Stretch()
        var latencies: [Int] = []
        var payload = (UInt64(0), Int64(0), UInt16(0))
        var packet = [UInt8](repeating: 0, count: 256)
        var next = Self.now(CLOCK_MONOTONIC) + Int64(Self.interval)
        // What is still under way when a stretch ends counts in the next one.
        while true {
            var time = timespec(tv_sec: Int(next / 1_000_000_000), tv_nsec: Int(next % 1_000_000_000))
            clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil)
            next = max(next + Int64(Self.interval), Self.now(CLOCK_MONOTONIC))
            payload.0 = Self.mark
            payload.1 = Self.now(CLOCK_REALTIME)
            withUnsafeBytes(of: &payload) {
                let sent = mooring_send_many(sender, $0.baseAddress, UInt32(Self.payloadLength), UInt32(burst))
                stretch.sent += max(0, Int(sent))
            }
            var arrival: Int64 = 0
            while true {
                let length = mooring_receive_timed(receiver, &packet, UInt(packet.count), &arrival)
                guard length >= 0 else { break }
                guard length == Self.headerLength + Self.payloadLength else { continue }
                let (mark, start) = packet.withUnsafeBytes {
                    (
                        $0.loadUnaligned(fromByteOffset: Self.headerLength, as: UInt64.self),
                        $0.loadUnaligned(fromByteOffset: Self.headerLength + 8, as: Int64.self)
                    )
                }
                guard mark == Self.mark else { continue }
                latencies.append(Int(arrival - start))
            }
            var ready = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, 0) > 0 else { continue }
            guard readLine() != nil else { return }
            latencies.sort()
            stretch.seen = latencies.count
            if let last = latencies.last {
                stretch.median = latencies[latencies.count / 2]
                stretch.thousandth = latencies[latencies.count - 1 - latencies.count / 1000]
                stretch.highest = last
            }
            print(String(decoding: try JSONEncoder().encode(stretch), as: UTF8.self))
            fflush(nil)
            stretch = Stretch()
            latencies.removeAll(keepingCapacity: true)
            next = Self.now(CLOCK_MONOTONIC) + Int64(Self.interval)
        }
    }

    /// Tells a probe from anything else.
    private static let mark: UInt64 = 0x6D6F_6F72_696E_6721

    private static func now(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

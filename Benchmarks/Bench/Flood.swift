// Packets as fast as one core makes them: UDP, 64 a system call, each by itself or as a super-frame, for a bounded time, with
// addresses of the measurement's own namespaces only.

import ArgumentParser
import CBenchmark
import Glibc
import Wire

struct Flood: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sends UDP packets; used by tun inside its namespaces.", shouldDisplay: false)

    static let messagesPerCall = 64

    @Argument(help: "IPv6 destination within 2001:db8::/32.") var destination: String
    @Argument(help: "Seconds, 600 at the most.") var seconds: Int
    @Argument(help: "Bytes of payload, 1 to 1472.") var size: Int
    @Flag(help: "As super-frames (UDP_SEGMENT).") var segments = false

    func validate() throws {
        guard let address = IPv6Address(destination), IPv6Prefix("2001:db8::/32")!.contains(address),
            (1...600).contains(seconds), (1...1472).contains(size)
        else {
            throw ValidationError("a destination within 2001:db8::/32, 1 to 600 seconds, 1 to 1472 bytes, please")
        }
    }

    func run() throws {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = UInt16(9).bigEndian
        inet_pton(AF_INET6, destination, &address.sin6_addr)
        let descriptor = socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
        guard descriptor >= 0, connected == 0 else { throw BenchError("no way to \(destination)") }

        let count = segments ? min(Self.messagesPerCall, 65_000 / size) : 1
        if segments {
            var segment = CInt(size)
            // UDP_SEGMENT of linux/udp.h.
            guard setsockopt(descriptor, CInt(IPPROTO_UDP), 103, &segment, socklen_t(MemoryLayout<CInt>.size)) == 0
            else {
                throw BenchError("the kernel sends no super-frames of UDP")
            }
        }
        let payload = UnsafeMutableRawPointer.allocate(byteCount: count * size, alignment: 8)
        defer { payload.deallocate() }
        payload.initializeMemory(as: UInt8.self, repeating: 0x6D, count: count * size)
        let end = ContinuousClock.now + .seconds(seconds)
        while .now < end {
            let result =
                segments
                ? CInt(truncatingIfNeeded: send(descriptor, payload, count * size, 0))
                : mooring_send_many(descriptor, payload, UInt32(size), UInt32(Self.messagesPerCall))
            guard result < 0 else { continue }
            // No buffer is free, or an ICMP error has come back: both pass.
            guard errno == ENOBUFS || errno == EAGAIN || errno == ECONNREFUSED || errno == EHOSTUNREACH else {
                throw BenchError("sending failed: \(String(cString: strerror(errno)))")
            }
        }
    }
}

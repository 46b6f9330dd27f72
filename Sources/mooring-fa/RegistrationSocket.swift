// UDP port 434 of one address: requests go out by it to home agents, and replies come in, as do ICMP errors that say that
// a request did not arrive (ip(7), IP_RECVERR). Nodes' requests come here too, of no use: they are taken from the
// visited link, where it is seen which node they are of (VisitedLink); that there is a socket keeps the kernel from
// calling the port unreachable.

import CLinuxNet
import Glibc
import MobileIP
import Wire

/// A socket of an address of this host.
struct RegistrationSocket: ~Copyable {
    static let port: UInt16 = 434
    private static let mobileAgentGroups = [IPv4Address("224.0.0.11")!, IPv4Address("224.0.0.2")!]

    let address: IPv4Address
    let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 65536)

    init(address: IPv4Address) throws(CannotStart) {
        self.address = address
        descriptor = socket(
            AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw CannotStart(errno, "open a UDP socket") }
        var on: Int32 = 1
        setsockopt(descriptor, ipLevel, IP_RECVERR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard withSocketAddress(address, Self.port, { bind(descriptor, $0, $1) }) == 0 else {
            let number = errno
            close(descriptor)
            throw CannotStart(
                number, "use UDP port \(Self.port) of \(address)",
                "is it an address of this host, is another agent running, and is CAP_NET_BIND_SERVICE there?")
        }
    }

    deinit { close(descriptor) }

    /// Has the link's device take what is sent to all agents and to all routers.
    func joinGroups(interface: Int32) throws(CannotStart) {
        for group in Self.mobileAgentGroups {
            var request = ip_mreqn()
            request.imr_multiaddr.s_addr = group.rawValue.bigEndian
            request.imr_ifindex = interface
            let size = socklen_t(MemoryLayout<ip_mreqn>.size)
            guard setsockopt(descriptor, ipLevel, IP_ADD_MEMBERSHIP, &request, size) == 0 else {
                throw CannotStart(errno, "join \(group) on the visited link")
            }
        }
    }

    /// Whether it went out. An error that an earlier datagram met is told once, in place of sending.
    func send(_ payload: [UInt8], to destination: IPv4Address) -> Bool {
        for _ in 0..<2 {
            let sent = withSocketAddress(destination, Self.port) {
                sendto(descriptor, payload, payload.count, Int32(MSG_NOSIGNAL), $0, $1)
            }
            if sent >= 0 { return true }
        }
        return false
    }

    /// What came from home agents, and nodes' requests as if they were such; nil where nothing is left.
    mutating func receive() -> ForeignAgentEvent? {
        var (destination, code): (UInt32, UInt8) = (0, 0)
        let quoted = clinuxnet_receive_unreachable(descriptor, &buffer, buffer.count, &destination, &code)
        if quoted >= 0 {
            return .unreachable(
                UnreachableHomeAgent(
                    homeAgent: IPv4Address(rawValue: UInt32(bigEndian: destination)), code: code,
                    quote: Array(buffer[..<quoted])))
        }
        var source = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &source) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &buffer, buffer.count, 0, $0, &length)
            }
        }
        guard count >= 0 else { return nil }
        return .reply(
            HomeAgentDatagram(
                payload: Array(buffer[..<count]),
                source: IPv4Address(rawValue: UInt32(bigEndian: source.sin_addr.s_addr))))
    }
}

/// The level of IP as setsockopt(2) takes it.
let ipLevel = Int32(IPPROTO_IP)

/// Calls with an address as system calls take it.
func withSocketAddress<Result>(
    _ address: IPv4Address, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    var socketAddress = sockaddr_in()
    socketAddress.sin_family = sa_family_t(AF_INET)
    socketAddress.sin_port = port.bigEndian
    socketAddress.sin_addr.s_addr = address.rawValue.bigEndian
    return withUnsafePointer(to: socketAddress) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}

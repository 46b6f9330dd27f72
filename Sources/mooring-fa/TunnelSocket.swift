// The tunnel of a care-of address (RFC 2003), in user space: a raw socket of protocol 4. The kernel puts fragments together
// that come, and makes the outer header, fragments too, of what goes out: don't fragment is clear there, so that a path
// that is narrower than 1500 bytes loses nothing.

import CLinuxNet
import Glibc
import Wire

/// A care-of address, as the end of tunnels.
struct TunnelSocket: ~Copyable {
    let careOfAddress: IPv4Address
    let descriptor: Int32
    private var trafficClass: UInt8 = 0

    init(careOfAddress: IPv4Address) throws(CannotStart) {
        self.careOfAddress = careOfAddress
        let type = Int32(SOCK_RAW.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        descriptor = socket(AF_INET, type, Int32(IPProtocol.ipv4))
        guard descriptor >= 0 else { throw CannotStart(errno, "open a raw socket", "it needs CAP_NET_RAW") }
        var discovery = IP_PMTUDISC_DONT
        setsockopt(descriptor, ipLevel, IP_MTU_DISCOVER, &discovery, socklen_t(MemoryLayout<Int32>.size))
        guard withSocketAddress(careOfAddress, 0, { bind(descriptor, $0, $1) }) == 0 else {
            let number = errno
            close(descriptor)
            throw CannotStart(number, "use the care-of address \(careOfAddress)", "give it to an interface first")
        }
    }

    deinit { close(descriptor) }

    /// Reads a packet with its outer header; nil where nothing is left.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        return count >= 0 ? count : nil
    }

    /// Sends a packet to a home agent, in an outer header that bears its traffic class. Whether it went out.
    mutating func send(_ packet: UnsafeRawBufferPointer, _ trafficClass: TrafficClass, to homeAgent: IPv4Address)
        -> Bool
    {
        if trafficClass.rawValue != self.trafficClass {
            self.trafficClass = trafficClass.rawValue
            var value = Int32(trafficClass.rawValue)
            setsockopt(descriptor, ipLevel, IP_TOS, &value, socklen_t(MemoryLayout<Int32>.size))
        }
        return withSocketAddress(homeAgent, 0) {
            sendto(descriptor, packet.baseAddress, packet.count, Int32(MSG_NOSIGNAL), $0, $1)
        } >= 0
    }
}

// The kernel's end of a TUN device: a packet socket (packet(7)) bound to it. What it sends is what the kernel hands to
// the device's reader, byte for byte; what it receives is what was written to the device.

import Glibc

/// A packet socket on one device of the calling thread's namespace.
final class DeviceTap: Sendable {
    /// The device's name.
    let name: String
    private let interfaceIndex: UInt32
    private let descriptor: Int32

    /// struct sockaddr_ll of <linux/if_packet.h>.
    private struct Address {
        var family = UInt16(AF_PACKET)
        var protocolNumber: UInt16
        var interfaceIndex: Int32
        var hardwareType: UInt16 = 0
        var packetType: UInt8 = 0
        var addressLength: UInt8 = 0
        var address: (UInt32, UInt32) = (0, 0)
    }

    init(_ name: String) throws {
        self.name = name
        interfaceIndex = if_nametoindex(name)
        let everything = UInt16(3).bigEndian  // ETH_P_ALL
        descriptor = socket(
            AF_PACKET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
            Int32(everything))
        guard descriptor >= 0 else { throw Self.failure("a packet socket on \(name)") }
        var room: Int32 = 64 << 20
        let forced: Int32 = 33  // SO_RCVBUFFORCE
        setsockopt(descriptor, SOL_SOCKET, forced, &room, socklen_t(MemoryLayout<Int32>.size))
        var address = Address(protocolNumber: everything, interfaceIndex: Int32(interfaceIndex))
        let status = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, 20) }
        }
        guard status == 0 else { throw Self.failure("binding a packet socket to \(name)") }
    }

    deinit { close(descriptor) }

    private static func failure(_ what: String) -> PortTestError {
        PortTestError(description: "\(what): \(String(cString: strerror(errno)))")
    }

    /// Has the kernel send a packet on the device.
    func send(_ bytes: [UInt8]) throws {
        let protocolNumber = UInt16(bytes.first.map { $0 >> 4 } == 6 ? 0x86dd : 0x0800)
        var address = Address(protocolNumber: protocolNumber.bigEndian, interfaceIndex: Int32(interfaceIndex))
        let sent = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, 0, $0, 20)
            }
        }
        guard sent == bytes.count else { throw Self.failure("sending \(bytes.count) bytes on \(name)") }
    }

    /// Has the kernel send a packet on the device of which a virtio header tells more, such as that it is a super-frame.
    /// - Parameter header: ten bytes (struct virtio_net_hdr of linux/virtio_net.h).
    func send(_ bytes: [UInt8], header: [UInt8]) throws {
        let everything = UInt16(3).bigEndian  // ETH_P_ALL
        let socket = Glibc.socket(AF_PACKET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), Int32(everything))
        guard socket >= 0 else { throw Self.failure("a packet socket for super-frames on \(name)") }
        defer { close(socket) }
        var on: Int32 = 1
        let (level, option): (Int32, Int32) = (263, 15)  // SOL_PACKET, PACKET_VNET_HDR
        guard setsockopt(socket, level, option, &on, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw Self.failure("virtio headers on \(name)")
        }
        let all = header + bytes
        var address = Address(protocolNumber: UInt16(0x0800).bigEndian, interfaceIndex: Int32(interfaceIndex))
        let sent = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { sendto(socket, all, all.count, 0, $0, 20) }
        }
        guard sent == all.count else { throw Self.failure("sending a super-frame of \(bytes.count) bytes on \(name)") }
    }

    /// What was written to the device since the last call.
    func received() -> [[UInt8]] {
        var packets: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            var address = Address(protocolNumber: 0, interfaceIndex: 0)
            var length = socklen_t(20)
            let count = withUnsafeMutablePointer(to: &address) { address in
                address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, &buffer, buffer.count, 0, $0, &length)
                }
            }
            if count < 0 { return packets }
            let outgoing: UInt8 = 4  // PACKET_OUTGOING
            if address.packetType != outgoing { packets.append(Array(buffer[..<count])) }
        }
    }
}

/// A test can't go on.
struct PortTestError: Error, CustomStringConvertible {
    let description: String
}

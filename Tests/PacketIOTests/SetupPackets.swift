// Packets for the tests of the set-up, and TUN devices to send and receive them by.

import Glibc
import Testing
import Wire

@testable import PacketIO

/// A small packet, as it goes over a TUN device.
struct TestPacket: Equatable, CustomStringConvertible {
    var bytes: [UInt8]

    /// An IPv4 packet without options. `fragment` is the field of flags and offset.
    static func v4(
        from source: String, to destination: String, protocolNumber: UInt8 = 59, payload: [UInt8] = [],
        fragment: UInt16 = 0
    ) throws -> TestPacket {
        let source = try #require(IPv4Address(source)).rawValue
        let destination = try #require(IPv4Address(destination)).rawValue
        var header: [UInt8] = [
            0x45, 0, 0, UInt8(20 + payload.count), 0, 1, UInt8(fragment >> 8), UInt8(fragment & 255),
        ]
        header += [64, protocolNumber, 0, 0]
        for address in [source, destination] { header += (0..<4).map { UInt8(address >> (24 - 8 * $0) & 255) } }
        // RFC 791, 3.1: the one's complement of the one's complement sum.
        var sum = stride(from: 0, to: 20, by: 2).reduce(UInt32(0)) {
            $0 + UInt32(header[$1]) << 8 + UInt32(header[$1 + 1])
        }
        while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
        header[10] = UInt8(~sum >> 8 & 255)
        header[11] = UInt8(~sum & 255)
        return TestPacket(bytes: header + payload)
    }

    /// An ICMPv4 "host unreachable" about a packet to 10.8.0.5; the checksum by Python.
    static func unreachable(from source: String, to destination: String) throws -> TestPacket {
        try v4(
            from: source, to: destination, protocolNumber: 1,
            payload: hex("0301fcb4000000004500001c00010000401166bc0a0300050a0800050021002100080000").bytes)
    }

    /// An IPv6 packet with the next header "no next header" (RFC 8200, 4.7).
    static func v6(from source: String, to destination: String) throws -> TestPacket {
        var bytes: [UInt8] = [0x60, 0, 0, 0, 0, 0, 59, 64]
        for text in [source, destination] {
            let address = try #require(IPv6Address(text))
            for half in [address.high, address.low] { bytes += (0..<8).map { UInt8(half >> (56 - 8 * $0) & 255) } }
        }
        return TestPacket(bytes: bytes)
    }

    static func hex(_ hex: String) -> TestPacket {
        let digits = hex.compactMap(\.hexDigitValue).map(UInt8.init)
        return TestPacket(bytes: stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
    }

    /// The packet as a router passes it on: everything but the hop count and, for IPv4, the checksum.
    var withoutHops: [UInt8] {
        var copy = bytes
        guard let first = bytes.first else { return [] }
        for index in first >> 4 == 4 ? [8, 10, 11] : [7] where index < copy.count { copy[index] = 0 }
        return copy
    }

    var description: String { bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
}

/// A router's advertisement of itself as default router and of the prefix 2001:db8:bad::/64, from fe80::bad to all
/// nodes, written by a Python script with `struct`.
enum RouterAdvertisement {
    static let packet = TestPacket.hex(
        """
        6000000000303afffe800000000000000000000000000badff0200000000000000000000000000018600226f40000708
        0000000000000000030440c000015180000038400000000020010db80bad00000000000000000000
        """)

    static func send(on device: borrowing TunDevice) throws { try device.send(packet) }
}

extension TunDevice {
    /// Lets the kernel receive a packet on this device.
    func send(_ packet: TestPacket) throws {
        let written = write(descriptor, packet.bytes, packet.bytes.count)
        if written != packet.bytes.count {
            throw SetupError(
                "\(name) took \(written) of \(packet.bytes.count) bytes: \(String(cString: strerror(errno)))")
        }
    }

    /// Whether the kernel sends a packet that satisfies the condition on this device within the time; others are passed
    /// over.
    func receives(within milliseconds: Int32, where condition: (TestPacket) -> Bool) -> Bool {
        let clock = ContinuousClock()
        let deadline = clock.now + .milliseconds(Int(milliseconds))
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count > 0, condition(TestPacket(bytes: Array(buffer[..<count]))) { return true }
            if count > 0 { continue }
            guard clock.now < deadline else { return false }
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&ready, 1, 10)
        }
    }
}

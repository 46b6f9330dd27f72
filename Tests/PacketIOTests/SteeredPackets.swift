// Packets that differ in what must not matter for their queue.

import TestThread
import Wire

@testable import PacketIO

/// Packets that differ in what must not matter for their queue.
enum SteeredPackets {
    /// Whether programs can be loaded here, tried once.
    static let isAvailable = (try? TestThread { _ = try SteeringProgram(.home, for: "probe") }.value()) != nil
    static let reason = "needs CAP_BPF in the initial user namespace"

    static func ipv4(
        from source: UInt32, to destination: UInt32, protocol number: UInt8 = IPProtocol.udp, fragment: UInt16 = 0,
        payload: [UInt8] = Array(repeating: 0, count: 24)
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 20) + payload
        bytes.withUnsafeMutableBytes { bytes in
            let start = bytes.baseAddress!
            var header = IPv4Header(
                protocol: number, source: IPv4Address(rawValue: source),
                destination: IPv4Address(rawValue: destination))
            header.totalLength = UInt16(bytes.count)
            header.timeToLive = 64
            header.write(to: start)
            start.storeNetwork(fragment, at: IPv4.Offset.fragment)
            IPv4Header.writeChecksum(at: start)
        }
        return bytes
    }

    static func ipv6(to destination: IPv6Address, port: UInt16 = 1) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 48)
        bytes.withUnsafeMutableBytes {
            var header = IPv6Header(
                nextHeader: IPProtocol.udp, source: IPv6Address("2001:db8:c::2")!, destination: destination)
            header.payloadLength = 8
            header.write(to: $0.baseAddress!)
            $0.baseAddress!.storeNetwork(port, at: IPv6.headerLength)
        }
        return bytes
    }

    /// Every kind of packet between two addresses.
    static func kinds(from source: UInt32, to destination: UInt32) -> [[UInt8]] {
        let numbers = [IPProtocol.ipv4, IPProtocol.ipv6, IPProtocol.gre, IPProtocol.minimal]
        let fragments: [UInt16] = [0, 0x2000, 0x2003, 0x0006]
        return numbers.flatMap { number in
            fragments.map { fragment in
                ipv4(
                    from: source, to: destination, protocol: number, fragment: fragment,
                    payload: (0..<40).map { _ in .random(in: 0...255) })
            }
        }
    }
}
